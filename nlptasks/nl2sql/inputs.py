"""Examples put together for one pass of the model, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import accumulate
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from nlptasks.backbone.batch import Batch, by_length
from nlptasks.nl2sql.candidates import Candidate
from nlptasks.nl2sql.encoding import Example
from nlptasks.nl2sql.features import COLUMN_FEATURES, COLUMN_OWN

#: What is known of an example as a whole, beside its states.
WHOLE_OWN = 4
WHOLE_FEATURES = WHOLE_OWN + COLUMN_FEATURES - COLUMN_OWN


class Teaching(Protocol):
    """What examples teach one method."""

    def to(self, device: torch.device) -> Teaching:
        """Move every part to a device."""
        ...


@dataclass(frozen=True)
class Inputs:
    """Where in the states of all blocks laid end to end the parts of the examples are, and their features.

    E examples, L columns of all of them, K candidates, P pairs of a candidate and a column, Q tokens of questions.

    Attributes:
        starts: (B,) int, for each block its first token in the states.
        firsts: (B,) int, the example of each block.
        marks: (L,) int, the mark of each column; `ends` likewise its last token.
        column_features: (L, F).
        whole_features: (E, F).
        tokens: (Q',) int, the questions' tokens in every block, and in `token_rows` the row of Q that each is.
        token_features: (Q, F).
        spans: (K, 2) int, first and last token of each candidate among the Q.
        pairs: (P, 3) int: first and last token in the states, and the column among the L.
        pair_features: (P, F).
        cells: (P,) int, the place of each pair in a (K, W) table, W columns at most.
        meetings: (M, 3) int: every token of a question with every column of its table, among the L and in its table.
        width: W.
        possible: (P,) bool, False where a candidate is nothing in a column.
    """

    starts: Tensor
    firsts: Tensor
    marks: Tensor
    ends: Tensor
    column_features: Tensor
    whole_features: Tensor
    tokens: Tensor
    token_rows: Tensor
    token_features: Tensor
    spans: Tensor
    pairs: Tensor
    pair_features: Tensor
    cells: Tensor
    possible: Tensor
    meetings: Tensor
    width: Tensor
    targets: Teaching | None = None

    def to(self, device: torch.device) -> Inputs:
        """Move every part to a device."""
        tensors = {name: getattr(self, name).to(device) for name in NAMES}
        return Inputs(**tensors, targets=self.targets.to(device) if self.targets else None)


NAMES = [field.name for field in fields(Inputs) if field.name != "targets"]


def put_together(examples: Sequence[Example], targets: Teaching | None = None) -> tuple[list[Batch], Inputs]:
    """Put examples together for one pass.

    Args:
        examples: one or more.
        targets: what they teach; left out to answer.
    """
    blocks = [block for example in examples for block in example.blocks]
    groups, order = by_length([block.ids for block in blocks])
    starts = np.zeros(len(blocks), np.int64)
    starts[order] = [0, *accumulate(len(blocks[place].ids) for place in order)][:-1]
    parts = [part_of(example, width_of(examples)) for example in examples]
    merged = Merger(examples, starts, parts)
    return groups, merged.inputs(targets)


def width_of(examples: Sequence[Example]) -> int:
    """Count the columns of the widest table, with the one that stands for all."""
    return max(len(example.table.columns) for example in examples) + 1


@dataclass(frozen=True)
class Part:
    """The places of one example, counted from its own beginning.

    Attributes:
        blocks: (L,) the block of each column.
        marks: (L,) the mark in its block; `ends` likewise.
        spans: (K, 2) first and last token of each candidate in the question.
        cells: (K, L) the place of each pair in a (K, W) table.
    """

    blocks: np.ndarray
    marks: np.ndarray
    ends: np.ndarray
    spans: np.ndarray
    cells: np.ndarray


def part_of(example: Example, width: int) -> Part:
    """Find the places of one example."""
    count = len(example.table.columns) + 1
    where = np.zeros((3, count), np.int64)
    for number, block in enumerate(example.blocks):
        where[:, block.columns] = [[number] * len(block.columns), block.marks, block.ends]
    spans = np.array([tokens_of(example, one) for one in example.candidates], np.int64).reshape(-1, 2)
    cells = np.arange(len(spans))[:, None] * width + np.arange(count)
    return Part(where[0], where[1], where[2], spans, cells)


def tokens_of(example: Example, candidate: Candidate) -> tuple[int, int]:
    """Find the first and the last token of a candidate."""
    inside = [at for at, (start, end) in enumerate(example.offsets) if start < candidate.end and end > candidate.start]
    return (inside[0], inside[-1]) if inside else (0, 0)


class Merger:
    """Counts the places of several examples on."""

    def __init__(self, examples: Sequence[Example], starts: np.ndarray, parts: Sequence[Part]) -> None:
        """Know the examples, the first token of each block, and the places of each example."""
        self.examples, self.starts, self.parts = examples, starts, parts
        self.first_block = [0, *accumulate(len(example.blocks) for example in examples)]
        self.first_token = [0, *accumulate(len(example.offsets) for example in examples)]
        self.first_column = [0, *accumulate(len(part.marks) for part in parts)]
        self.first_candidate = [0, *accumulate(len(part.spans) for part in parts)]

    def inputs(self, targets: Teaching | None) -> Inputs:
        """Make the tensors."""
        examples, width = self.examples, width_of(self.examples)
        begins = [self.starts[first + part.blocks] for first, part in zip(self.first_block, self.parts, strict=False)]
        shifted = list(zip(begins, self.parts, strict=True))
        tokens, rows = self.tokens()
        counts = [len(example.blocks) for example in examples]
        possible = [np.array([[one is not None for one in row] for row in e.values], bool).ravel() for e in examples]
        cells = [p.cells.ravel() + first * width for p, first in zip(self.parts, self.first_candidate, strict=False)]
        return Inputs(
            torch.from_numpy(self.starts),
            torch.arange(len(examples)).repeat_interleave(torch.tensor(counts)),
            joined([begin + part.marks for begin, part in shifted]),
            joined([begin + part.ends for begin, part in shifted]),
            joined([example.column_features for example in examples]),
            torch.from_numpy(np.stack([whole_features(example) for example in examples])),
            tokens,
            rows,
            joined([example.token_features for example in examples]),
            joined([part.spans + first for part, first in zip(self.parts, self.first_token, strict=False)]),
            joined([self.pairs(number, begin) for number, begin in enumerate(begins)]),
            joined([example.pair_features.reshape(-1, example.pair_features.shape[2]) for example in examples]),
            joined(cells),
            joined(possible),
            joined([self.meetings(number) for number in range(len(examples))]),
            torch.tensor(width),
            targets,
        )

    def tokens(self) -> tuple[Tensor, Tensor]:
        """Find the tokens of the questions in every block, and the row of each."""
        places, rows = [], []
        for number, example in enumerate(self.examples):
            count = np.arange(len(example.offsets))
            for block in range(self.first_block[number], self.first_block[number + 1]):
                places.append(self.starts[block] + 1 + count)
                rows.append(self.first_token[number] + count)
        return joined(places), joined(rows)

    def pairs(self, number: int, begins: np.ndarray) -> np.ndarray:
        """Find first and last token and column of every pair of an example: (P, 3)."""
        part = self.parts[number]
        shape = len(part.spans), len(part.marks)
        ends = [(begins[None, :] + 1 + part.spans[:, side, None]).ravel() for side in (0, 1)]
        columns = np.broadcast_to(self.first_column[number] + np.arange(shape[1]), shape).ravel()
        return np.stack([*ends, columns], 1)

    def meetings(self, number: int) -> np.ndarray:
        """Let every token of a question meet every column of its table: (M, 3)."""
        tokens, columns = len(self.examples[number].offsets), len(self.examples[number].table.columns)
        row, place = (one.ravel() for one in np.mgrid[:tokens, :columns])
        return np.stack([self.first_token[number] + row, self.first_column[number] + place, place], 1)


def mean_rows(states: Tensor, rows: Tensor, count: int) -> Tensor:
    """Average states that belong together: (N, H) by (N,) rows to (count, H)."""
    totals = states.new_zeros(count, states.shape[1]).index_add(0, rows, states)
    counts = torch.bincount(rows, minlength=count).clamp(min=1)
    return totals / counts[:, None].to(totals.dtype)


def joined(parts: Sequence[np.ndarray]) -> Tensor:
    """Lay arrays end to end."""
    return torch.from_numpy(np.concatenate(parts))


def whole_features(example: Example) -> np.ndarray:
    """Describe an example as a whole: how well the question and the table go together."""
    shares = example.column_features[:-1, 0]
    known = sum(bool(one.cells) for one in example.candidates)
    own = (shares.max(initial=0.0), shares.mean() if len(shares) else 0.0, min(known, 4) / 4, example.table.is_empty)
    return np.array([*own, *example.column_features[0, COLUMN_OWN:]], np.float32)
