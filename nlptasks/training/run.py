"""A whole training run: data, backbone, loop, best model and the state to go on from, all in one folder."""

from __future__ import annotations

import dataclasses
import json
import logging
import random
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

import nlptasks
from nlptasks import rows
from nlptasks.backbone import hardware, weights
from nlptasks.backbone.batch import Budget
from nlptasks.errors import InputError, ModelError, RecordError
from nlptasks.task import Task
from nlptasks.training import checkpoint, data, recipes
from nlptasks.training.data import Source, Table
from nlptasks.training.interrupts import held_back
from nlptasks.training.settings import TrainingSettings, as_plain, check_batch, resolve
from nlptasks.training.state import (
    LAST,
    LOG,
    STATE,
    alone,
    check_folder,
    last_of,
    read_state,
    replace_last,
    save_state,
    state_in,
)
from nlptasks.training.trainer import Progress, Run, fit

if TYPE_CHECKING:
    from datasets import Dataset

SCORING_TOKENS = 4096
MANY = 1000  # dev rows whose scoring may be taken for standing still

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """Everything that decides a run."""

    task: str
    method: str
    settings: Mapping[str, Any]
    train: tuple[Source, ...]
    dev: Source | None
    backbone: str | None
    command: str
    version: str


class Training:
    """A run in its folder."""

    def __init__(self, plan: Plan, out: Path, *, device: str = "auto", resume: bool = False) -> None:
        """Read the data, load the backbone and prepare the loop.

        Args:
            plan: what to train.
            out: the run's folder; new, unless the run is resumed.
            device: auto, cpu, cuda, mps.
            resume: go on from `out/last`.

        Raises:
            UsageError: the folder is a file or already holds something, or the settings contradict each other.
            InputError: the data cannot be read, are too few, or are no longer the same, or the folder cannot be made.
            ModelError: the backbone cannot be loaded.
        """
        check_folder(out, resume=resume)
        self.plan, self.out, self.resumed = plan, out, resume
        self.form, module = nlptasks.form(plan.task), nlptasks.load(plan.task)
        self.settings: TrainingSettings = resolve(self.form.Settings, plan.settings)
        check_batch(self.form.METHODS[plan.method], self.settings, plan.method)
        self.tables, self.dev = read_data(plan, self.form)
        self.device = hardware.device(device)
        self.dtype = hardware.dtype(self.settings.dtype, self.device)[0]
        torch.manual_seed(self.settings.seed)
        backbone = weights.load(last_of(out) if resume else plan.backbone)
        if self.settings.simplify_vocabulary and not resume:
            backbone.simplify_vocabulary()
        self.task = module.Task(plan.method, self.settings, backbone.text)
        found = rows_of(self.task, self.tables)
        self.labels = self.task.fit_labels(found)
        self.model = self.task.model(backbone).to(self.device)
        self.text = backbone.text  # after the task, which may have given the backbone a vocabulary of its own
        self.run = Run(self.task, self.model, found, self.settings, self.device)
        if self.run.steps and len(self.run.rows) < 2:
            raise InputError(f"{plan.train[0].name}: one row; expected 2 or more to learn from")
        self.task.check(self.model, self.run.rows)
        self.labelled = self.rows_to_score()
        self.scores: dict[str, float] = {}
        self.saved_step = 0
        self.saved_at = time.monotonic()
        if resume:
            self.restore()

    def __iter__(self) -> Iterator[Progress]:
        """Train to the end, saving as it goes; where the caller stops or is interrupted, the state is saved first."""
        with alone(self.out, self.run.step if self.resumed else -1):
            try:
                yield from self.steps()
            except (OSError, SafetensorError):
                self.remove_useless()
                raise

    def steps(self) -> Iterator[Progress]:
        """Train and save, in a folder that is there."""
        try:
            for progress in fit(self.run, self.evaluate if self.dev else None, dtype=self.dtype):
                with held_back():
                    self.keep(progress)
                yield progress
        except (KeyboardInterrupt, GeneratorExit):
            self.save_what_is_new()
            raise
        self.save_what_is_new()
        self.finish()

    def remove_useless(self) -> None:
        """Remove a folder that holds neither a model nor a state, as a full disk may leave one."""
        if not state_in(self.out) and not (self.out / checkpoint.ABOUT).exists():
            shutil.rmtree(self.out, ignore_errors=True)

    def keep(self, progress: Progress) -> None:
        """Log a report; save the model where it is the best so far, and the state after each score and now and then."""
        with (self.out / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(dataclasses.asdict(progress)) + "\n")
        if progress.best and progress.scores is not None:
            self.scores = dict(progress.scores)
            with self.run.averaged():
                self.save_best()
        if progress.scores is not None or time.monotonic() - self.saved_at > self.settings.save_every:
            self.save_last()

    def rows_to_score(self) -> list[Any]:
        """Give the dev rows to score on as the task's own, and say that scoring them takes its time.

        Raises:
            InputError: none can be scored.
        """
        if self.dev is None:
            return []
        kind, found = self.form.Row, drawn(self.dev.rows, self.settings.max_dev_rows, self.settings.seed)
        parsed = [kind(**{name: row[name] for name in rows.names(kind)}) for row in found]
        problems = [problem_of(self.task, row) for row in parsed]
        bad = [problem for problem in problems if problem]
        if len(bad) == len(parsed):
            raise InputError(f"--dev: no row can be scored, for example: {bad[0]}")
        if bad:
            logger.info("%d of %d dev rows are not scored, for example: %s", len(bad), len(parsed), bad[0])
        if len(parsed) >= MANY:
            logger.info("scoring %d dev rows each time; --max-dev-rows N takes fewer of them", len(parsed))
        return [row for row, problem in zip(parsed, problems, strict=True) if not problem]

    def evaluate(self) -> dict[str, float]:
        """Score the model as it is on the dev rows, if there are any."""
        if self.dev is None:
            return {}
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            return dict(self.task.score(self.model, self.labelled, Budget(SCORING_TOKENS)))

    def finish(self) -> None:
        """Take the best weights, let the task finish, and write the model."""
        if self.run.mean and not self.scores:
            self.run.mean.exchange()
        if self.scores:
            best = weights.load(self.out)
            self.model = self.task.model(best).to(self.device)
        self.model.eval()
        changed = self.task.finish(self.model, self.run.rows, Budget(SCORING_TOKENS))
        if changed or not self.scores:
            self.scores = self.evaluate()
            self.save_best()
        shutil.rmtree(self.out / LAST, ignore_errors=True)

    def about(self) -> dict[str, Any]:
        """Describe the run for `nlpk.json`."""
        tables = [table.about() for table in (*self.tables, self.dev) if table]
        training = {
            "data": tables,
            "backbone": self.plan.backbone or "embedded",
            "seed": self.settings.seed,
            "command": self.plan.command,
            "device": str(self.device),
            "dtype": str(self.dtype).removeprefix("torch."),
            "updates": self.run.step,
            "versions": checkpoint.versions(),
        }
        return {
            "nlpk": self.plan.version,
            "task": self.plan.task,
            "method": self.plan.method,
            "settings": as_plain(self.settings),
            "training": training,
            "scores": self.scores,
            **({} if self.labels is None else {"labels": self.labels}),
        }

    def save_best(self) -> None:
        """Write the model as it is to the run's folder."""
        checkpoint.save(self.out, self.model.bert, self.text, self.task.rest(self.model), self.about())

    def save_what_is_new(self) -> None:
        """Save the state, unless it is saved already."""
        if self.run.step != self.saved_step:
            self.save_last()

    def save_last(self) -> None:
        """Write everything that the run goes on from to `last`, replacing it whole."""
        data_read = [table.sha256 for table in (*self.tables, self.dev) if table]
        state = {"plan": lasting(self.plan), "run": self.run.numbers(), "data": data_read}

        def write(folder: Path) -> None:
            checkpoint.save(folder, self.model.bert, self.text, self.task.rest(self.model), self.about())
            save_state(folder, self.run, {**state, "scores": self.scores})

        replace_last(self.out, write)
        self.saved_step, self.saved_at = self.run.step, time.monotonic()

    def restore(self) -> None:
        """Go on from `last`."""
        last = last_of(self.out)
        state = read_state(self.out)
        if state["data"] != [table.sha256 for table in (*self.tables, self.dev) if table]:
            raise InputError(f"{self.out}: the training or dev file has changed since; --resume needs the same data")
        self.run.restore(weights.read_tensors(last / STATE), state["run"])
        self.scores, self.saved_step = state["scores"], self.run.step


def problem_of(task: Task[Any], row: object) -> str:
    """Tell why a dev row cannot be scored; nothing where it can."""
    try:
        task.check_row(row)
    except RecordError as error:
        return str(error)
    return ""


def drawn(found: Dataset, most: int | None, seed: int) -> Dataset:
    """Draw dev rows, in their order, where fewer than all are asked for."""
    if most is None or most >= len(found):
        return found
    return found.select(sorted(random.Random(seed).sample(range(len(found)), most)))


def planned(out: Path) -> Plan:
    """Read the plan of a run that was stopped.

    Raises:
        ModelError: there is nothing to go on from, or another version wrote it.
    """
    plan = read_state(out)["plan"]
    try:
        train = tuple(source_of(found) for found in plan["train"])
        return Plan(**{**plan, "train": train, "dev": source_of(plan["dev"]) if plan["dev"] else None})
    except (KeyError, TypeError) as error:
        raise ModelError(f"{out}: the run of another version of nlpk ({error}); start a new one with --out") from error


def lasting(plan: Plan) -> dict[str, Any]:
    """Give a plan as JSON has it, its files named so that they are found from any folder."""

    def found(source: Source) -> Source:
        path = Path(source.name)
        return dataclasses.replace(source, name=str(path.resolve())) if path.exists() else source

    dev = found(plan.dev) if plan.dev else None
    return dataclasses.asdict(dataclasses.replace(plan, train=tuple(map(found, plan.train)), dev=dev))


def source_of(found: Mapping[str, Any]) -> Source:
    """Read a source back from JSON."""
    columns = found["columns"]
    return Source(**{**found, "columns": tuple(columns) if columns else None})


def read_data(plan: Plan, form: ModuleType) -> tuple[list[Table], Table | None]:
    """Read training and dev rows."""
    name = getattr(form, "beside", None)  # not every task's records refer to other files
    beside = [name(plan.settings, dev=dev) if name else () for dev in (False, True)]
    to_learn = recipes.to_learn(form, plan.method, plan.settings, beside=beside[0])
    to_score = recipes.to_score(form, plan.method, plan.settings, beside=beside[1])
    tables = [data.load(one, to_learn) for one in plan.train]
    return tables, data.load(plan.dev, to_score) if plan.dev else None


def rows_of(task: Task[Any], tables: Sequence[Table]) -> Sequence[Mapping[str, Any]]:
    """Put the tables together and leave out what the task does not want."""
    from datasets import concatenate_datasets

    return task.chosen(concatenate_datasets([task.scaled(table.rows) for table in tables]))
