"""How good a model is: how likely it finds real texts, and what the texts are like that it writes."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from nlptasks.backbone.batch import Budget
from nlptasks.generation.answers import Answerer
from nlptasks.generation.labels import Labels
from nlptasks.generation.layouts import Layout
from nlptasks.generation.model import Generator
from nlptasks.generation.row import Row, Sweep
from nlptasks.generation.scores import likeness as likeness
from nlptasks.generation.scores import variety as variety


@torch.no_grad()
def perplexities(
    model: Generator, layout: Layout, labels: Labels, rows: Sequence[Row], budget: Budget
) -> dict[str, dict[str, float]]:
    """Measure how likely a model finds texts, together as `all` and by label; for each token, a text's end included."""
    device = model.bert.tokens.weight.device
    was_training = model.training
    model.eval()

    def compute(chosen: list[Row]) -> list[tuple[float, int]]:
        sources = [row.source or "" for row in chosen] if layout.reads else None
        lessons = layout.lessons([row.text or "" for row in chosen], sources)
        tensors = labels.tensors([row.sets or [] for row in chosen], [row.vector for row in chosen])
        work = layout.work(lessons, *tensors).to(device)
        lengths = [len(layout.row(lessons[place])[2]) for place in work.order.tolist()]
        sums = [float(part.sum()) for part in model.losses(work).split(lengths)]
        found = dict(zip(work.order.tolist(), zip(sums, lengths, strict=True), strict=True))
        return [found[place] for place in range(len(chosen))]

    answers = budget.run(rows, lambda row: len(row.text or "") + len(row.source or "") + 1, compute)
    model.train(was_training)
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0])
    for row, answer in zip(rows, answers, strict=True):
        if isinstance(answer, Exception):
            raise answer
        for name in ("all", *(row.sets or ())):
            sums[name][0] += answer[0]
            sums[name][1] += answer[1]
    ordered = ["all", *sorted(name for name in sums if name != "all")]
    return {
        name: {"perplexity": math.exp(sums[name][0] / sums[name][1]), "logprob": -sums[name][0] / sums[name][1]}
        for name in ordered
    }


def written(
    answerer: Answerer, labelled: Sequence[Row], sweep: Sweep
) -> Iterator[tuple[dict[str, Any], dict[str, float]]]:
    """Write texts and score them."""
    yield from ()
