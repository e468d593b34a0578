"""The loop: a generator of progress, so that the caller prints, saves and stops."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nlptasks.inference.predictor import ahead
from nlptasks.task import Task, Work
from nlptasks.training.optimizers import RunningMean, adamw, share_of_rate
from nlptasks.training.settings import TrainingSettings

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    step: int
    steps: int
    epoch: float
    loss: float
    rate: float
    tokens_per_second: float
    seconds: float
    scores: Mapping[str, float] | None = None
    best: bool = False


class Run:
    """A training run: what it learns with, and all of its state, so that it can go on elsewhere."""

    def __init__(
        self, task: Task[Any], model: nn.Module, rows: Rows, settings: TrainingSettings, device: torch.device
    ) -> None:
        """Prepare a run.

        Args:
            task: gives batches and losses.
            model: on `device`, in float32.
            rows: the training rows, at least one.
            settings: how to train.
            device: where to compute.
        """
        self.task, self.model, self.rows, self.settings, self.device = task, model, rows, settings, device
        self.optimizer = adamw(model, settings)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.mean = RunningMean(trained, settings.ema) if settings.ema else None
        per_epoch = max(1, len(rows) // (settings.batch_size * settings.accumulation))
        self.updates_per_epoch = per_epoch
        self.steps = math.ceil(settings.epochs * per_epoch) if settings.steps is None else settings.steps
        self.step = 0
        self.best: float | None = None
        self.stale = 0
        torch.manual_seed(settings.seed)

    def order(self, epoch: int) -> list[int]:
        """Shuffle the rows for an epoch, the same each time for one seed."""
        order = list(range(len(self.rows)))
        random.Random(f"{self.settings.seed}-{epoch}").shuffle(order)
        return order

    def work(self) -> Iterator[Work]:
        """Encode the passes still to come, from where the run stands."""
        size, passes = self.settings.batch_size, self.settings.accumulation
        epoch = -1
        for update in range(self.step, self.steps):
            if update // self.updates_per_epoch != epoch:
                epoch = update // self.updates_per_epoch
                order = self.order(epoch)
            start = (update % self.updates_per_epoch) * size * passes
            for number in range(passes):
                chosen = order[start + number * size : start + (number + 1) * size]
                yield self.task.batch([self.rows[place] for place in chosen])

    def tensors(self) -> dict[str, Tensor]:
        """Name every tensor that the run goes on from, the model's weights apart."""
        state = {"random": torch.get_rng_state()}
        if self.device.type == "cuda":
            state["random.cuda"] = torch.cuda.get_rng_state(self.device)
        for number, slots in self.optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in slots.items()}
        if self.mean:
            state |= {f"mean.{number}": mean for number, mean in enumerate(self.mean.means)}
        return state

    def numbers(self) -> dict[str, Any]:
        """Give the rest of the state, which JSON can hold."""
        return {"step": self.step, "best": self.best, "stale": self.stale}

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Go on from a saved state; the model's weights are already in place."""
        self.step, self.best, self.stale = numbers["step"], numbers["best"], numbers["stale"]
        state = self.optimizer.state_dict()
        for key, value in tensors.items():
            if key.startswith("optimizer."):
                _, number, name = key.split(".")
                state["state"].setdefault(int(number), {})[name] = value
        self.optimizer.load_state_dict(state)
        if self.mean:
            for number, mean in enumerate(self.mean.means):
                mean.copy_(tensors[f"mean.{number}"])
        torch.set_rng_state(tensors["random"])
        if "random.cuda" in tensors and self.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random.cuda"], self.device)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Put the running mean in the model's place for a while, where there is one."""
        if self.mean:
            self.mean.exchange()
        try:
            yield
        finally:
            if self.mean:
                self.mean.exchange()


def fit(
    run: Run, evaluate: Callable[[], Mapping[str, float]] | None, *, dtype: torch.dtype, every: int | None = None
) -> Iterator[Progress]:
    """Train, and report.

    Args:
        run: what to train and where it stands.
        evaluate: scores the model as it is, or none.
        dtype: number format of the products.
        every: updates between two reports without scores; 100 in a run by default.

    Yields:
        Progress at every report and every score; the run's state is consistent then, and can be saved.
    """
    settings = run.settings
    between = settings.evaluate_every or max(1, run.steps // 5)
    every = every or max(1, run.steps // 100)
    meter = Meter(run)
    run.model.train()
    passes: list[Work] = []
    for work in ahead(run.work(), depth=4):
        passes.append(work)
        if len(passes) < settings.accumulation:
            continue
        meter.add(update(run, passes, dtype), sum(one.tokens for one in passes))
        passes = []
        scored = evaluate is not None and (run.step % between == 0 or run.step == run.steps)
        if scored and evaluate is not None:
            yield judged(run, evaluate, meter)
            if settings.patience is not None and run.stale >= settings.patience:
                return
        elif run.step % every == 0 or run.step == run.steps:
            yield meter.report()


def update(run: Run, passes: Sequence[Work], dtype: torch.dtype) -> float:
    """Make one update from one or several passes, and give their mean loss."""
    settings = run.settings
    share = share_of_rate(settings, run.step, run.steps)
    for group in run.optimizer.param_groups:
        group["lr"] = settings.learning_rate * group["share"] * share
    total = torch.zeros((), device=run.device)
    for work in passes:
        with torch.autocast(run.device.type, dtype, enabled=dtype != torch.float32):
            loss = run.task.loss(run.model, work.to(run.device))
        (loss / len(passes)).backward()
        total += loss.detach() / len(passes)
    if settings.clip:
        nn.utils.clip_grad_norm_(run.model.parameters(), settings.clip)
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    if run.mean:
        run.mean.update()
    run.step += 1
    return float(total)


def judged(run: Run, evaluate: Callable[[], Mapping[str, float]], meter: Meter) -> Progress:
    """Score the model, and note whether it is the best so far."""
    run.model.eval()
    state = torch.get_rng_state()
    with run.averaged():
        scores = dict(evaluate())
    torch.set_rng_state(state)
    run.model.train()
    value = scores[run.task.best]
    is_best = run.best is None or value > run.best
    run.best, run.stale = (value, 0) if is_best else (run.best, run.stale + 1)
    return meter.report(scores, is_best)


class Meter:
    """Loss and speed since the last report."""

    def __init__(self, run: Run) -> None:
        """Start the clock."""
        self.run = run
        self.started = self.since = time.monotonic()
        self.losses: list[float] = []
        self.tokens = 0

    def add(self, loss: float, tokens: int) -> None:
        """Count one update."""
        self.losses.append(loss)
        self.tokens += tokens

    def report(self, scores: Mapping[str, float] | None = None, best: bool = False) -> Progress:
        """Say how far the run is, and start a new count."""
        now = time.monotonic()
        run = self.run
        progress = Progress(
            step=run.step,
            steps=run.steps,
            epoch=run.step / run.updates_per_epoch,
            loss=sum(self.losses) / max(1, len(self.losses)),
            rate=run.optimizer.param_groups[0]["lr"] / run.optimizer.param_groups[0]["share"],
            tokens_per_second=self.tokens / max(1e-9, now - self.since),
            seconds=now - self.started,
            scores=scores,
            best=best,
        )
        self.since, self.losses, self.tokens = now, [], 0
        return progress
