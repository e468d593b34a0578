"""A whole training run: data, backbone, loop, best model and the state to go on from, all in one folder."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import load_file, save_file

import nlptasks
from nlptasks import rows
from nlptasks.backbone import hardware, weights
from nlptasks.backbone.batch import Budget
from nlptasks.errors import InputError, ModelError, UsageError
from nlptasks.task import Task
from nlptasks.training import checkpoint, data
from nlptasks.training.data import Source, Table
from nlptasks.training.settings import TrainingSettings, as_plain, resolve
from nlptasks.training.trainer import Progress, Run, fit

STATE, PLAN, LOG = "state.safetensors", "run.json", "log.jsonl"
SCORING_TOKENS = 4096


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
            UsageError: the folder already holds something, or the settings contradict each other.
            InputError: the data cannot be read, or are no longer the same.
            ModelError: the backbone cannot be loaded.
        """
        if not resume and out.exists() and any(out.iterdir()):
            raise UsageError(f"{out}: not empty; choose another --out, or go on with --resume {out}")
        self.plan, self.out = plan, out
        self.form, module = nlptasks.form(plan.task), nlptasks.load(plan.task)
        self.settings: TrainingSettings = resolve(self.form.Settings, plan.settings)
        self.tables, self.dev = read_data(plan, self.form)
        self.device = hardware.device(device)
        self.dtype = hardware.dtype(self.settings.dtype, self.device)[0]
        torch.manual_seed(self.settings.seed)
        backbone = weights.load(last_of(out) if resume else plan.backbone)
        if self.settings.simplify_vocabulary and not resume:
            backbone.simplify_vocabulary()
        self.text = backbone.text
        self.task = module.Task(plan.method, self.settings, backbone.text)
        self.model = self.task.model(backbone).to(self.device)
        self.run = Run(self.task, self.model, rows_of(self.task, self.tables), self.settings, self.device)
        self.scores: dict[str, float] = {}
        self.spent = 0.0
        if resume:
            self.restore()

    def __iter__(self) -> Iterator[Progress]:
        """Train to the end, saving as it goes; an interrupt saves the state first."""
        self.out.mkdir(parents=True, exist_ok=True)
        saved = time.monotonic()
        try:
            for progress in fit(self.run, self.evaluate if self.dev else None, dtype=self.dtype):
                self.note(progress)
                if progress.best and progress.scores is not None:
                    self.scores = dict(progress.scores)
                    with self.run.averaged():
                        self.save_best()
                if progress.scores is not None or time.monotonic() - saved > self.settings.save_every:
                    self.save_last()
                    saved = time.monotonic()
                yield progress
        except KeyboardInterrupt:
            self.save_last()
            raise
        self.finish()

    def evaluate(self) -> dict[str, float]:
        """Score the model as it is on the dev rows."""
        if self.dev is None:
            return {}
        kind = self.form.Row
        labelled = [kind(**{name: row[name] for name in rows.names(kind)}) for row in self.dev.rows]
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            return dict(self.task.score(self.model, labelled, Budget(SCORING_TOKENS)))

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
        shutil.rmtree(self.out / "last", ignore_errors=True)

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
        }

    def save_best(self) -> None:
        """Write the model as it is to the run's folder."""
        checkpoint.save(self.out, self.model.bert, self.text, self.task.rest(self.model), self.about())

    def save_last(self) -> None:
        """Write everything that the run goes on from to `last`, replacing it whole."""
        part, last, old = (self.out / name for name in ("last.part", "last", "last.old"))
        shutil.rmtree(part, ignore_errors=True)
        checkpoint.save(part, self.model.bert, self.text, self.task.rest(self.model), self.about())
        save_file({name: tensor.cpu() for name, tensor in self.run.tensors().items()}, part / STATE)
        data_read = [table.sha256 for table in (*self.tables, self.dev) if table]
        state = {"plan": dataclasses.asdict(self.plan), "run": self.run.numbers(), "data": data_read}
        weights.write_json(part / PLAN, {**state, "scores": self.scores})
        for path in part.iterdir():
            sync(path)
        if last.exists():
            shutil.rmtree(old, ignore_errors=True)
            last.rename(old)
        part.rename(last)
        shutil.rmtree(old, ignore_errors=True)

    def restore(self) -> None:
        """Go on from `last`; the log is cut to what the state knows."""
        last = last_of(self.out)
        state = read_state(self.out)
        if state["data"] != [table.sha256 for table in (*self.tables, self.dev) if table]:
            raise InputError(f"{self.out}: the training or dev file is no longer the same; --resume needs the same data")
        self.run.restore(load_file(last / STATE), state["run"])
        self.scores = state["scores"]
        log = self.out / LOG
        if log.is_file():
            lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= self.run.step]
            log.write_text("".join(kept), encoding="utf-8")

    def note(self, progress: Progress) -> None:
        """Add one line to the log."""
        with (self.out / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(dataclasses.asdict(progress)) + "\n")


def sync(path: Path) -> None:
    """Make sure that a file is on the disk before its folder gets its name."""
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def last_of(out: Path) -> Path:
    """Find the state to go on from; a crash may have left it under its old name.

    Raises:
        ModelError: there is none.
    """
    for name in ("last", "last.old"):
        if (out / name / PLAN).is_file():
            return out / name
    finished = "; the run is complete" if (out / checkpoint.ABOUT).is_file() else ""
    raise ModelError(f"{out}: no state to resume from{finished}; start a new run with --out")


def read_state(out: Path) -> dict[str, Any]:
    """Read what `last` says of the run."""
    found: dict[str, Any] = json.loads((last_of(out) / PLAN).read_text(encoding="utf-8"))
    return found


def planned(out: Path) -> Plan:
    """Read the plan of a run that was stopped.

    Raises:
        ModelError: there is nothing to go on from.
    """
    plan = read_state(out)["plan"]
    train = tuple(source_of(found) for found in plan["train"])
    return Plan(**{**plan, "train": train, "dev": source_of(plan["dev"]) if plan["dev"] else None})


def source_of(found: Mapping[str, Any]) -> Source:
    """Read a source back from JSON."""
    columns = found["columns"]
    return Source(**{**found, "columns": tuple(columns) if columns else None})


def read_data(plan: Plan, form: ModuleType) -> tuple[list[Table], Table | None]:
    """Read training and dev rows."""
    columns: Sequence[str] = form.COLUMNS[plan.method]
    kind = form.METHODS[plan.method].row
    tables = [data.load(one, columns, kind, partial(form.training_rows, plan.method)) for one in plan.train]
    dev = data.dev_rows(plan.dev, form.COLUMNS_ASKED, form.Scored, form.ALIASES) if plan.dev else None
    return tables, dev


def rows_of(task: Task[Any], tables: Sequence[Table]) -> Sequence[Mapping[str, Any]]:
    """Put the tables together and leave out what the task does not want."""
    from datasets import concatenate_datasets

    return task.chosen(concatenate_datasets([task.scaled(table.rows) for table in tables]))
