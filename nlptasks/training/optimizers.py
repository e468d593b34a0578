"""AdamW over groups of parameters, the rate's course, and the running mean of the weights."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from nlptasks.training.settings import TrainingSettings, points


def adamw(model: nn.Module, settings: TrainingSettings) -> torch.optim.AdamW:
    """Make AdamW (arXiv 1711.05101): no decay on biases and norms, a lower rate for lower layers where asked.

    Each group's `share` holds the factor on the rate that layer decay gives: 1 for the head, then less and less.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    heights = {name: layer_of(name) for name, _ in model.named_parameters()}
    top = 1 + max((height for height in heights.values() if height is not None), default=0)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = 0.0 if parameter.ndim < 2 else settings.weight_decay
            height = heights[name]
            below = 0 if height is None else top - height
            groups.setdefault((decay, settings.layer_decay**below), []).append(parameter)
    made = [
        {"params": parameters, "weight_decay": decay, "share": share} for (decay, share), parameters in groups.items()
    ]
    return torch.optim.AdamW(made, lr=settings.learning_rate, fused=True)


def layer_of(name: str) -> int | None:
    """Tell how far up a parameter stands: 0 the embeddings, N the layer N from 1; none is the head, above all."""
    layer = re.search(r"(?:^|\.)layers\.(\d+)\.", name)
    if layer:
        return int(layer[1]) + 1
    return 0 if name.startswith("bert.") else None


def share_of_rate(settings: TrainingSettings, update: int, total: int) -> float:
    """Give the factor on the rate at an update.

    Args:
        settings: warm-up and schedule.
        update: counted from 0.
        total: updates of the whole run.
    """
    if settings.schedule == "piecewise":
        return piecewise(points(settings.pieces), update)
    rising = settings.warmup if settings.warmup >= 1 else settings.warmup * total
    if update < rising:
        return (update + 1) / (rising + 1)
    left = (total - update) / max(1.0, total - rising)
    if settings.schedule == "linear":
        return max(0.0, left)
    if settings.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (1 - min(1.0, left))))
    return 1.0


def piecewise(points: Sequence[tuple[int, float]], update: int) -> float:
    """Give the factor on the line through points (update, factor); before and behind them it is level."""
    if update <= points[0][0]:
        return points[0][1]
    for (start, low), (end, high) in pairwise(points):
        if update <= end:
            return low + (high - low) * (update - start) / (end - start)
    return points[-1][1]


class RunningMean:
    """Exponential moving average of parameters, started from them."""

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float) -> None:
        """Start from the parameters as they are."""
        self.parameters = list(parameters)
        self.decay = decay
        self.means = [parameter.detach().clone() for parameter in self.parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Move the means towards the parameters."""
        torch._foreach_lerp_(self.means, [p.detach() for p in self.parameters], 1 - self.decay)

    @torch.no_grad()
    def exchange(self) -> None:
        """Swap means and parameters; a second call swaps them back."""
        for parameter, mean in zip(self.parameters, self.means, strict=True):
            held: Tensor = parameter.detach().clone()
            parameter.copy_(mean)
            mean.copy_(held)
