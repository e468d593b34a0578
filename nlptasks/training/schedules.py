"""The course of the rate over a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from nlptasks.training.settings import TrainingSettings, points


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
