"""AdamW over groups of parameters, the rate's course, and the running mean of the weights."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from nlptasks.errors import UsageError
from nlptasks.training.settings import TrainingSettings


def adamw(model: nn.Module, settings: TrainingSettings) -> torch.optim.AdamW:
    """Make AdamW (arXiv 1711.05101): no decay on biases and norms, a lower rate for lower layers where asked.

    The first parameter group's `share` and all others' hold the factor on the rate that layer decay gives.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    depth = 1 + max((layer_of(name) for name, _ in model.named_parameters()), default=0)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = 0.0 if parameter.ndim < 2 else settings.weight_decay
            below = depth - min(layer_of(name), depth)
            groups.setdefault((decay, settings.layer_decay**below), []).append(parameter)
    made = [
        {"params": parameters, "weight_decay": decay, "share": share} for (decay, share), parameters in groups.items()
    ]
    return torch.optim.AdamW(made, lr=settings.learning_rate, fused=True)


def layer_of(name: str) -> int:
    """Tell how far up a parameter stands: 0 the embeddings, N the layer N from 1, above all the head's."""
    layer = re.search(r"(?:^|\.)layers\.(\d+)\.", name)
    if layer:
        return int(layer[1]) + 1
    return 0 if name.startswith("bert.") else 1 << 16


def share_of_rate(settings: TrainingSettings, update: int, total: int) -> float:
    """Give the factor on the rate at an update.

    Args:
        settings: warm-up and schedule.
        update: counted from 0.
        total: updates of the whole run.

    Raises:
        UsageError: the pieces of a piecewise schedule cannot be read.
    """
    if settings.schedule == "piecewise":
        return piecewise(settings.pieces, update)
    rising = settings.warmup if settings.warmup >= 1 else settings.warmup * total
    if update < rising:
        return (update + 1) / (rising + 1)
    left = (total - update) / max(1.0, total - rising)
    if settings.schedule == "linear":
        return max(0.0, left)
    if settings.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (1 - min(1.0, left))))
    return 1.0


def piecewise(pieces: str, update: int) -> float:
    """Give the factor on a line through points such as `0:0,100:1,1000:0.1`.

    Raises:
        UsageError: not such a list.
    """
    try:
        points = sorted((int(place), float(share)) for place, share in (one.split(":") for one in pieces.split(",")))
    except ValueError as error:
        raise UsageError(f"pieces {pieces!r}: expected update:share, …, such as 0:0,100:1,1000:0.1") from error
    if update <= points[0][0]:
        return points[0][1]
    for (start, low), (end, high) in zip(points, points[1:], strict=False):
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
