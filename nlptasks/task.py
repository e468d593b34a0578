"""What a task is: everything it owns is behind these few methods, all else is shared."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from nlptasks.backbone.batch import Batch, Budget
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import InputError

ModelT = TypeVar("ModelT", bound=nn.Module)


@dataclass(frozen=True)
class Work:
    """One forward pass of training.

    Attributes:
        groups: the rows, each group of one length.
        order: (B,) int, for each row of the groups laid end to end its place in the pass.
        targets: of the task's own shape, or none.
        tokens: how many go through the model.
    """

    groups: Sequence[Batch]
    order: Tensor
    targets: Tensor | None
    tokens: int

    @property
    def taught(self) -> Tensor:
        """Give the targets, which what is only asked about lacks.

        Raises:
            ValueError: there are none.
        """
        if self.targets is None:
            raise ValueError("training needs targets")
        return self.targets

    def to(self, device: torch.device) -> Work:
        """Move the tensors to a device."""
        targets = None if self.targets is None else self.targets.to(device)
        return replace(
            self, groups=[group.to(device) for group in self.groups], order=self.order.to(device), targets=targets
        )


@dataclass(frozen=True)
class Shown:
    """An answer as a person likes to read it.

    Attributes:
        title: what was asked.
        texts: each with the stretches in it, (start, end), that matter.
        columns: of a table; none where there is no table.
        lines: the table's cells.
        block: lines whose breaks and spaces count, such as SQL or a board.
    """

    title: str
    texts: Sequence[tuple[str, Sequence[tuple[int, int]]]] = ()
    columns: Sequence[str] = ()
    lines: Sequence[Sequence[str]] = ()
    block: str = ""


class Task(ABC, Generic[ModelT]):
    """One task with one method and its settings: the class `Task` of a task folder's `task.py`.

    It is made with `Task(method, settings, text)`. Rows, options, settings, methods and samples stand in `row.py`.
    """

    name: str
    best: str
    """The score by which the best model is chosen; higher is better."""
    settings: Any
    """What training was told: `max_rows` and `seed` beside what is the task's own."""

    def fit_labels(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
        """Collect labels from the training rows, before the model is made; none where there are none to collect.

        Returns:
            What can be JSON, and stands as `labels` in the model's `nlpk.json`.
        """
        return None

    def scaled(self, rows: Any) -> Any:  # noqa: ANN401 - a table of the datasets library
        """Bring the labels of one file to the scale that all files share; by default they have none."""
        return rows

    def chosen(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """Draw the rows to train on, where fewer than all are asked for."""
        most = self.settings.max_rows
        if most is None or most >= len(rows):
            return rows
        return [rows[place] for place in random.Random(self.settings.seed).sample(range(len(rows)), most)]

    @abstractmethod
    def model(self, backbone: Backbone) -> ModelT:
        """Put the task's head on a backbone; the model keeps the encoder as `bert`."""

    def check(self, model: ModelT, rows: Sequence[Mapping[str, Any]]) -> None:
        """Refuse before the first update what `finish` would refuse after the last; by default nothing."""

    def check_row(self, row: Any) -> None:  # noqa: ANN401 - of the task's `Row`
        """Refuse a dev row, by a `RecordError`, that the task's labels do not allow to score; by default none."""

    def stage(self, share: float) -> None:
        """Take note of how far the run is, from 0 to 1, where lessons change with it."""

    @abstractmethod
    def batch(self, rows: Sequence[Mapping[str, Any]]) -> Any:  # noqa: ANN401 - Work, or what moves and counts as it does
        """Encode training rows for one forward pass.

        This runs in a thread ahead of the model, so it must not draw from torch's random numbers: a resumed run
        would draw others.
        """

    @abstractmethod
    def loss(self, model: ModelT, work: Any) -> Tensor:  # noqa: ANN401 - what `batch` gave
        """Compute the loss of one forward pass, a scalar."""

    def finish(self, model: ModelT, rows: Sequence[Mapping[str, Any]], budget: Budget) -> bool:
        """Do what comes after the last update, on the best weights; tell whether anything changed.

        It may be called again on what it made, where a run was interrupted here and resumed.
        """
        return False

    @abstractmethod
    def score(self, model: ModelT, rows: Sequence[Any], budget: Budget) -> dict[str, float]:
        """Answer labelled rows (of the task's `Row`) and score the answers."""

    @abstractmethod
    def rest(self, model: ModelT) -> dict[str, Tensor]:
        """Name the weights that are not the encoder's, as they are stored."""


def paired(predictions: Sequence[Any], labelled: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
    """Put predictions of any system beside the records that they are for.

    Raises:
        InputError: there are more or fewer of them.
    """
    if len(predictions) != len(labelled):
        raise InputError(f"{len(predictions)} predictions for {len(labelled)} records; expected one for each, in order")
    return zip(predictions, labelled, strict=True)
