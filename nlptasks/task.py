"""What a task is: everything it owns is behind these few methods, all else is shared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from nlptasks.backbone.batch import Batch, Budget
from nlptasks.backbone.weights import Backbone

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

    def to(self, device: torch.device) -> Work:
        """Move the tensors to a device."""
        targets = None if self.targets is None else self.targets.to(device)
        return replace(
            self, groups=[group.to(device) for group in self.groups], order=self.order.to(device), targets=targets
        )


class Labelling(Protocol):
    """What a task can do beside, whose labels come from its training rows: learn them before the model is made."""

    def fit_labels(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Collect the labels; what comes back can be JSON, and stands as `labels` in the model's `nlpk.json`."""
        ...


def fit_labels(task: object, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Let a task learn its labels from training rows; none where it has no need to."""
    fit: Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]] | None = getattr(task, "fit_labels", None)
    return None if fit is None else fit(rows)


class Task(Protocol[ModelT]):
    """One task with one method and its settings: the class `Task` of a task folder's `task.py`.

    It is made with `Task(method, settings, text)`. Rows, options, settings, methods and samples stand in `row.py`.
    """

    name: str
    best: str
    """The score by which the best model is chosen; higher is better."""

    def scaled(self, rows: Any) -> Any:  # noqa: ANN401 - a table of the datasets library
        """Bring the labels of one file to the scale that all files share."""
        ...

    def chosen(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """Leave out the rows that the settings leave out."""
        ...

    def model(self, backbone: Backbone) -> ModelT:
        """Put the task's head on a backbone; the model keeps the encoder as `bert`."""
        ...

    def check(self, model: ModelT, rows: Sequence[Mapping[str, Any]]) -> None:
        """Refuse before the first update what `finish` would refuse after the last."""
        ...

    def batch(self, rows: Sequence[Mapping[str, Any]]) -> Work:
        """Encode training rows for one forward pass.

        This runs in a thread ahead of the model, so it must not draw from torch's random numbers: a resumed run
        would draw others.
        """
        ...

    def loss(self, model: ModelT, work: Work) -> Tensor:
        """Compute the loss of one forward pass, a scalar."""
        ...

    def finish(self, model: ModelT, rows: Sequence[Mapping[str, Any]], budget: Budget) -> bool:
        """Do what comes after the last update, on the best weights; tell whether anything changed.

        It may be called again on what it made, where a run was interrupted here and resumed.
        """
        ...

    def score(self, model: ModelT, rows: Sequence[Any], budget: Budget) -> dict[str, float]:
        """Answer labelled rows (of the task's `Row`) and score the answers."""
        ...

    def rest(self, model: ModelT) -> dict[str, Tensor]:
        """Name the weights that are not the encoder's, as they are stored."""
        ...
