"""Rows laid end to end, as rectangles where a method looks at pairs of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nlptasks.backbone.batch import Batch

#: The longest row of a rectangle is at most so many times as long as its shortest, or so many tokens longer.
STRETCH, SLACK = 1.2, 8


def distinct(lines: Tensor) -> Tensor:
    """Leave out the lines of a table that it has already, (M, C) to (K, C), in order of their numbers."""
    found: Tensor = lines.unique(dim=0)  # type: ignore[no-untyped-call]
    return found


@dataclass(frozen=True)
class Rectangle:
    """Some rows of similar length.

    Attributes:
        first: number of the first of them.
        index: (B, T) int, the place of each token among all laid end to end, 0 where there is none.
        kept: (B, T) bool, the tokens of the text: not those around it, nor where there is none.
    """

    first: int
    index: Tensor
    kept: Tensor


@dataclass(frozen=True)
class Rows:
    """Where rows lie among all tokens.

    Attributes:
        starts: (B,) int, place of each row's first token.
        lengths: (B,) int.
    """

    starts: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, groups: Sequence[Batch]) -> Rows:
        """Count the rows of groups laid end to end."""
        device = groups[0].ids.device
        found = [length for group in groups for length in [group.ids.shape[1]] * len(group.ids)]
        lengths = torch.tensor(found)
        return cls((lengths.cumsum(0) - lengths).to(device), lengths.to(device))

    def inner(self) -> Tensor:
        """Mark the tokens of texts, those around them not: (N,) bool."""
        kept = torch.ones(int(self.lengths.sum()), dtype=torch.bool, device=self.lengths.device)
        kept[self.starts] = False
        kept[self.starts + self.lengths - 1] = False
        return kept

    def owners(self) -> Tensor:
        """Number the row of each token: (N,) int."""
        return torch.arange(len(self.lengths), device=self.lengths.device).repeat_interleave(self.lengths)

    def chosen(self, rows: Tensor) -> tuple[Tensor, Rows]:
        """Lay some rows, perhaps several times, end to end.

        Args:
            rows: (S,) int.

        Returns:
            (M,) int, the place of each token among all, and where the rows lie now.
        """
        lengths = self.lengths[rows]
        starts = lengths.cumsum(0) - lengths
        shift = (self.starts[rows] - starts).repeat_interleave(lengths)
        return torch.arange(len(shift), device=shift.device) + shift, Rows(starts, lengths)

    def rectangles(self) -> list[Rectangle]:
        """Put rows, which are sorted by length, into rectangles with little room left."""
        lengths = self.lengths.tolist()
        edges = [0]
        for row, length in enumerate(lengths):
            shortest = lengths[edges[-1]]
            if length > max(STRETCH * shortest, shortest + SLACK):
                edges.append(row)
        return [self.rectangle(a, b) for a, b in zip(edges, [*edges[1:], len(lengths)], strict=True)]

    def rectangle(self, first: int, last: int) -> Rectangle:
        """Make the rectangle of rows up to the last, exclusive."""
        starts, lengths = self.starts[first:last, None], self.lengths[first:last, None]
        columns = torch.arange(int(lengths.max()), device=lengths.device)
        index = (starts + columns) * (columns < lengths)
        return Rectangle(first, index, (columns > 0) & (columns < lengths - 1))
