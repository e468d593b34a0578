"""The default model as a reader of examples: once, and a second time where it sees values that no rule saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nlptasks.nl2sql.decoding import Hypothesis, SlotScores, hypotheses, spans_of
from nlptasks.nl2sql.encoding import Encoder, Example
from nlptasks.nl2sql.inputs import put_together
from nlptasks.nl2sql.lessons import WHOLE
from nlptasks.nl2sql.model import Scores, Slots


@dataclass(frozen=True)
class SlotReading:
    """What the default model makes of one example."""

    example: Example
    scores: SlotScores

    @property
    def answerable(self) -> float:
        """Give the chance that the table can answer."""
        return self.scores.answerable

    @property
    def hypotheses(self) -> Iterator[Hypothesis]:
        """Give queries, the likeliest first."""
        return hypotheses(self.example, self.scores)


def read(model: Slots, examples: Sequence[Example], encoder: Encoder) -> list[SlotReading]:
    """Read the examples of one pass.

    Args:
        model: the default one.
        examples: without what only the model sees.
        encoder: that made them.
    """
    found = scored(model, examples)
    again = {}
    for number, (example, scores) in enumerate(zip(examples, found, strict=True)):
        spans = unseen(example, spans_of(scores.tags, example.offsets))
        if spans:
            again[number] = encoder.read(example.question, example.table, spans)
    if again:
        for number, scores in zip(again, scored(model, list(again.values())), strict=True):
            found[number] = scores
    return [SlotReading(again.get(at, example), found[at]) for at, example in enumerate(examples)]


@torch.inference_mode()
def scored(model: Slots, examples: Sequence[Example]) -> list[SlotScores]:
    """Score the slots of examples, as log-probabilities."""
    groups, inputs = put_together(examples)
    device = model.bert.tokens.weight.device
    return list(apart(examples, model([group.to(device) for group in groups], inputs.to(device))))


def unseen(example: Example, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Leave out single letters, and stretches that are a candidate but for a letter."""
    kept = []
    for start, end in spans:
        if end - start < 2:
            continue
        known = any(
            min(end, one.end) - max(start, one.start) >= max(end - start, one.end - one.start) - 1
            for one in example.candidates
        )
        if not known:
            kept.append((start, end))
    return kept


def apart(examples: Sequence[Example], scores: Scores) -> Iterator[SlotScores]:
    """Take the scores of several examples apart."""
    select, group, sort, pair, tags = (
        logs(one) for one in (scores.select, scores.group, scores.sort, scores.pair, scores.tags)
    )
    whole = {name: logs(one) for name, one in zip(WHOLE, scores.whole, strict=True)}
    column = candidate = token = 0
    for number, example in enumerate(examples):
        columns = slice(column, column := column + len(example.table.columns) + 1)
        candidates = slice(candidate, candidate := candidate + len(example.candidates))
        tokens = slice(token, token := token + len(example.offsets))
        yield SlotScores(
            select[columns],
            group[columns],
            sort[columns],
            {name: one[number] for name, one in whole.items()},
            pair[candidates],
            tags[tokens],
        )


def logs(scores: Tensor) -> np.ndarray:
    """Turn logits into log-probabilities: float32 on the CPU."""
    found: np.ndarray = scores.float().log_softmax(-1).cpu().numpy()
    return found
