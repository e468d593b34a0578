"""The language model in pre-training, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from nlptasks.backbone import masks
from nlptasks.backbone.batch import Batch
from nlptasks.backbone.bert import Config, Layer
from nlptasks.backbone.dropout import Dropout
from nlptasks.backbone.language import LanguageModel
from nlptasks.pretraining.lessons import Lesson
from nlptasks.pretraining.settings import OBJECTIVES
from nlptasks.training import processes


class Model(LanguageModel):
    """A language model that learns all objectives in one pass."""

    def transformed(self, lesson: Lesson) -> Tensor:
        """Read all rows in one pass, and transform the tokens that have a target: (M, H)."""
        return self.states(list(groups(lesson)), lesson.places)

    def forward(self, lesson: Lesson) -> tuple[Tensor, Tensor]:
        """Compute the weighted sum of the losses, a scalar, and the losses themselves, (M,) float32."""
        return self.loss(self.transformed(lesson), lesson.targets, lesson.weights)

    def set_dropout(self, share: float) -> None:
        """Set all dropout; the configuration, which is saved, stays as it is."""
        for module in self.bert.modules():
            if isinstance(module, Dropout):
                module.p = share
            if isinstance(module, Layer):
                module.attention_dropout = share


def groups(lesson: Lesson) -> Iterator[Batch]:
    """Give each objective's rows the mask that says how they are read."""
    for name, ids in zip(lesson.names, lesson.ids, strict=True):
        if name == "mlm":
            yield Batch(ids)
        elif name == "lm":
            yield Batch(ids, mask=masks.left_to_right(torch.ones_like(ids[:1], dtype=torch.bool)))
        else:
            segments = torch.zeros_like(ids) if lesson.segments is None else lesson.segments
            yield Batch(ids, segments, masks.prefix(segments, torch.ones_like(ids, dtype=torch.bool)))


class Teacher:
    """Computes the loss of a pass, and keeps count of each objective's."""

    best = ""
    """No score chooses between the models of a run."""

    def __init__(self, compute: Callable[[Lesson], tuple[Tensor, Tensor]], dropout: bool) -> None:
        """Teach a model.

        Args:
            compute: the model, or its compiled form.
            dropout: the model draws random numbers, which are to depend on the update alone.
        """
        self.compute, self.dropout = compute, dropout
        self.sums: dict[str, Tensor] = {}
        self.seen: dict[str, int] = {}

    def loss(self, model: nn.Module, lesson: Lesson) -> Tensor:
        """Compute the loss of one pass, a scalar."""
        if self.dropout:
            torch.manual_seed(lesson.seed)
        total, losses = self.compute(lesson)
        parts = torch.split(losses.detach(), list(lesson.counts))
        for name, part, count in zip(lesson.names, parts, lesson.counts, strict=True):
            self.sums[name] = self.sums.get(name, 0) + part.sum()
            self.seen[name] = self.seen.get(name, 0) + count
        return total

    def means(self, device: torch.device) -> dict[str, float]:
        """Give the mean loss of a target of each objective since the last call, over all processes."""
        mine = [float(self.sums.get(name, 0)) for name in OBJECTIVES] + [self.seen.get(name, 0) for name in OBJECTIVES]
        self.sums, self.seen = {}, {}
        together = processes.summed(mine, device)
        sums, seen = together[: len(OBJECTIVES)], together[len(OBJECTIVES) :]
        return {name: total / count for name, total, count in zip(OBJECTIVES, sums, seen, strict=True) if count}


def operations(config: Config, length: int, targets: float) -> float:
    """Count the floating-point operations of the products of training, for one token.

    Args:
        config: the model's shape.
        length: tokens of a row.
        targets: share of the tokens that have a target.
    """
    width = config.hidden_size
    layer = 8 * width**2 + 4 * width * config.intermediate_size + 4 * length * width
    head = 2 * width**2 + 2 * width * config.vocab_size
    return 3 * (config.num_hidden_layers * layer + targets * head)  # backward costs twice what forward does
