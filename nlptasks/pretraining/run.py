"""A whole pre-training run in one folder: corpus, model, loop, state to go on from, and the backbone it makes."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nlptasks import files
from nlptasks.backbone import hardware, weights
from nlptasks.errors import InputError
from nlptasks.pretraining.lessons import Lessons
from nlptasks.pretraining.model import Model, Teacher, operations
from nlptasks.pretraining.plan import Plan, check_length, head_of, new, opened
from nlptasks.pretraining.settings import Settings, Shape
from nlptasks.training import checkpoint, processes
from nlptasks.training.interrupts import held_back
from nlptasks.training.settings import as_plain, resolve
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
)
from nlptasks.training.trainer import Progress, Run, fit

#: What `nlpk.json` calls a model that is no task's.
TASK = "pretraining"
#: Updates, and tokens, between two reports at most; then the clock is looked at, too: some seconds on a CPU.
EVERY, READ = 20, 61_440
#: Seconds for measuring the machine.
MEASURED = 1.0


@dataclass(frozen=True)
class Report:
    """How far a run is."""

    step: int
    steps: int
    epoch: float
    tokens: int
    loss: float
    losses: Mapping[str, float]
    """Mean of each objective's targets since the last report."""
    rate: float
    tokens_per_second: float
    share_of_rate: float
    """Operations of the products done in a second, as a share of what the machine was measured to do."""
    seconds: float
    seconds_left: float


class Pretraining:
    """A run in its folder."""

    def __init__(
        self,
        plan: Plan,
        out: Path,
        *,
        device: str = "auto",
        resume: bool = False,
        compile: bool | None = None,
        hours: float | None = None,
        workers: int | None = None,
    ) -> None:
        """Prepare the corpus, make or load the model, and prepare the loop.

        Args:
            plan: what to train.
            out: the run's folder; new, unless the run is resumed.
            device: auto, cpu, cuda, mps.
            resume: go on from `out/last`.
            compile: let torch compile the model; on CUDA by default.
            hours: stop after these, with the state saved.
            workers: processes that prepare the corpus; one for each core by default.

        Raises:
            UsageError: the folder already holds something, or the settings contradict each other.
            InputError: the corpus cannot be read, is too small, or is no longer the same.
            ModelError: the backbone or the state cannot be loaded.
        """
        check_folder(out, resume=resume)
        self.plan, self.out, self.resumed = plan, out, resume
        self.settings = resolve(Settings, plan.settings)
        self.device = hardware.device(processes.join(device))
        self.dtype = hardware.dtype(self.settings.dtype, self.device)[0]
        backbone = None if plan.shape and not resume else weights.load(last_of(out) if resume else plan.backbone)
        began_with = read_state(out)["data"][1:] if resume else ()
        self.corpus = opened(plan, backbone.text if backbone else None, workers, began_with)
        torch.manual_seed(self.settings.seed)
        backbone = backbone or new(plan.shape or Shape(), self.settings, self.corpus)
        bert, self.text = backbone.bert, backbone.text
        check_length(bert.config, self.settings)
        self.model = Model(bert, head_of(backbone)).to(self.device)
        self.model.set_dropout(self.settings.dropout)
        compiled = self.device.type == "cuda" if compile is None else compile
        self.teacher = Teacher(torch.compile(self.model) if compiled else self.model, self.settings.dropout > 0)
        lessons = Lessons(self.corpus, self.settings, processes.number(), processes.count())
        teacher: Any = self.teacher  # a task has more methods, for what a run without rows never does
        self.run = Run(teacher, self.model, (), self.settings, self.device, updates=lessons)
        self.lessons, self.ends = lessons, math.inf if hours is None else time.monotonic() + hours * 3600
        self.machine = hardware.matrix_rate(self.device, self.dtype, MEASURED) * processes.count()
        self.saved_step, self.saved_at, self.finished = 0, time.monotonic(), False
        if resume:
            self.restore()
        processes.wait()

    def __iter__(self) -> Iterator[Report]:
        """Train to the end of the run or of its time, saving as it goes; an interrupt comes out when all is saved."""
        with alone(self.out, self.run.step if self.resumed else -1) if self.is_first else nullcontext():
            processes.wait()  # for the first, who alone may be refused
            yield from self.steps()

    def steps(self) -> Iterator[Report]:
        """Train and save, in a folder that is there."""
        every = max(1, min(EVERY, READ // self.settings.batch_tokens, self.run.steps // 100))
        try:
            for progress in fit(self.run, None, dtype=self.dtype, every=every):
                with held_back():
                    report = self.report(progress)
                    self.keep(report)
                yield report
                if processes.agreed(time.monotonic() > self.ends, self.device):
                    break
        except (KeyboardInterrupt, GeneratorExit):
            self.save_what_is_new()
            raise
        self.save_what_is_new()
        if self.run.is_over:
            self.finish()
        processes.wait()

    @property
    def is_first(self) -> bool:
        """Tell whether this process writes the files."""
        return processes.number() == 0

    def report(self, progress: Progress) -> Report:
        """Say how far the run is."""
        phase = self.lessons.phase(max(0, progress.step - 1))
        expected = self.lessons.rules.expected(phase.length)
        targets = sum(share * expected[name] for name, share in self.lessons.shares.items()) / phase.length
        cost = operations(self.model.bert.config, phase.length, targets)
        speed = progress.tokens_per_second * processes.count()
        return Report(
            step=progress.step,
            steps=progress.steps,
            epoch=progress.epoch,
            tokens=self.lessons.tokens(progress.step),
            loss=progress.loss,
            losses=self.teacher.means(self.device),
            rate=progress.rate,
            tokens_per_second=speed,
            share_of_rate=speed * cost / self.machine,
            seconds=progress.seconds,
            seconds_left=(self.lessons.tokens(progress.steps) - self.lessons.tokens(progress.step)) / max(1e-9, speed),
        )

    def keep(self, report: Report) -> None:
        """Log a report, and save the state now and then."""
        if not self.is_first:
            return
        with (self.out / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(dataclasses.asdict(report)) + "\n")
        if time.monotonic() - self.saved_at > self.settings.save_every:
            self.save_last()

    def finish(self) -> None:
        """Write the model, with its mean weights where there are any."""
        if self.run.mean:
            self.run.mean.exchange()
        if self.is_first:
            self.save_model(self.out)
            shutil.rmtree(self.out / LAST, ignore_errors=True)
        self.finished = True

    def save_model(self, folder: Path) -> None:
        """Write a model folder in Hugging Face form."""
        bert = self.model.bert
        about = self.about()
        checkpoint.save(folder, bert, self.text, self.model.head.named(), about, card=card(about))
        config = {**weights.config_for_others(bert.config), "architectures": ["BertForMaskedLM"]}
        files.write_json(folder / "config.json", config)

    def about(self) -> dict[str, Any]:
        """Describe the run for `nlpk.json`."""
        found = self.corpus.about
        data = {name: found[name] for name in ("files", "documents", "tokens", "unknown", "fingerprint")}
        training = {
            "data": data,
            "backbone": self.plan.backbone,
            "seed": self.settings.seed,
            "command": self.plan.command,
            "device": str(self.device),
            "dtype": str(self.dtype).removeprefix("torch."),
            "updates": self.run.step,
            "tokens": self.lessons.tokens(self.run.step),
            "versions": checkpoint.versions(),
        }
        return {
            "nlpk": self.plan.version,
            "task": TASK,
            "method": self.settings.objectives,
            "settings": as_plain(self.settings),
            "training": training,
            "scores": {},
        }

    def save_what_is_new(self) -> None:
        """Save the state, unless it is saved already."""
        if self.is_first and self.run.step != self.saved_step:
            self.save_last()

    def save_last(self) -> None:
        """Write everything that the run goes on from to `last`, replacing it whole."""
        data = [self.corpus.fingerprint, *(one["sha256"] for one in self.corpus.about["files"])]
        state = {"plan": dataclasses.asdict(self.plan), "run": self.run.numbers(), "data": data}

        def write(folder: Path) -> None:
            self.save_model(folder)
            save_state(folder, self.run, {**state, "scores": {}})

        replace_last(self.out, write)
        self.saved_step, self.saved_at = self.run.step, time.monotonic()

    def restore(self) -> None:
        """Go on from `last`.

        Raises:
            InputError: the corpus is another one.
        """
        state = read_state(self.out)
        if state["data"][0] != self.corpus.fingerprint:
            raise InputError(f"{self.out}: the corpus is not the one of the run; --resume needs the same text")
        self.run.restore(weights.read_tensors(last_of(self.out) / STATE), state["run"])
        self.saved_step = self.run.step


def card(about: Mapping[str, Any]) -> str:
    """Write the model card: data, and the command that made it."""
    training, data = about["training"], about["training"]["data"]
    lines = ["# A backbone for Chinese text", "", f"BERT, pre-trained by nlpk {about['nlpk']} ({about['method']}).", ""]
    lines += ["```", training["command"], "```", ""]
    start = f"Started from {training['backbone']}." if training["backbone"] else "Started from nothing."
    lines += [f"{start} {training['updates']:,} updates, {training['tokens']:,} tokens. Seed: {training['seed']}.", ""]
    lines += ["| data | sha256 |", "| --- | --- |"]
    lines += [f"| {one['name']} | {one['sha256'][:16]} |" for one in data["files"]]
    counted = f"{data['documents']:,} documents, {data['tokens']:,} tokens, {data['unknown']:.4%} of them unknown."
    lines += ["", counted, "", "Licence of the weights: that of the data named above; look at their sources."]
    return "\n".join(lines) + "\n"
