"""Rows of tokens put together for the model: batches, groups of one length, and the budget that bounds a pass."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

import torch
from torch import Tensor

from nlptasks.errors import RecordError

logger = logging.getLogger(__name__)
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Batch:
    """Rows of one length, or padded to one; where no mask is given every token sees every other.

    Attributes:
        ids: (B, T) int, the tokens.
        segments: (B, T) int, or none where all are 0.
        mask: (B, 1, T, S) additive float from `masks`, or none where all rows have one length and read both ways.
        positions: (B, T) int, or none where they count from 0.
        beside: (B, T, K) int, tokens whose embeddings are added to that of each token, or none; padding adds nothing.
    """

    ids: Tensor
    segments: Tensor | None = None
    mask: Tensor | None = None
    positions: Tensor | None = None
    beside: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """Move every part to a device."""

        def moved(part: Tensor | None) -> Tensor | None:
            return None if part is None else part.to(device, non_blocking=True)

        rest = map(moved, (self.segments, self.mask, self.positions, self.beside))
        return Batch(self.ids.to(device, non_blocking=True), *rest)


def padded(rows: Sequence[Sequence[int]], pad: int = 0) -> tuple[Tensor, Tensor]:
    """Pad rows to the longest.

    Returns:
        The ids (B, T) int, and what is kept, (B, T) bool, False where padded.
    """
    length = max(map(len, rows))
    ids = torch.tensor([[*row, *[pad] * (length - len(row))] for row in rows])
    lengths = torch.tensor([len(row) for row in rows])
    return ids, torch.arange(length) < lengths.unsqueeze(1)


def by_length(rows: Sequence[Sequence[int]], beside: Sequence[Tensor] | None = None) -> tuple[list[Batch], list[int]]:
    """Group rows of exactly one length, which need neither padding nor a mask.

    Args:
        rows: of tokens.
        beside: for each row (T, K) int, what stands beside its tokens, or none.

    Returns:
        The groups, shortest first, and for each row of the groups laid end to end its place in `rows`.
    """
    order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
    groups = []
    for _, same in groupby(order, key=lambda place: len(rows[place])):
        places = list(same)
        stacked = None if beside is None else torch.stack([beside[place] for place in places])
        groups.append(Batch(torch.tensor([rows[place] for place in places]), beside=stacked))
    return groups, order


def restored(answers: Tensor, order: Sequence[int]) -> Tensor:
    """Put the rows of `by_length`'s groups back into the order they came in.

    Args:
        answers: (B, ...), a row for each place in `order`.
        order: the places.
    """
    places = torch.tensor(order, device=answers.device)
    return torch.empty_like(answers).index_copy_(0, places, answers)


def positions_of(batch: Batch, start: int) -> Tensor:
    """Give a batch's positions (B, T): its own, or counted on from `start`."""
    if batch.positions is not None:
        return batch.positions
    rows, length = batch.ids.shape
    return torch.arange(start, start + length, device=batch.ids.device).expand(rows, length)


def rows_of_tokens(groups: Sequence[Batch]) -> Tensor:
    """Number, for each token of the groups laid end to end, the row it belongs to: (N,) int."""
    device = groups[0].ids.device
    lengths = torch.cat([torch.full(group.ids.shape[:1], group.ids.shape[1], device=device) for group in groups])
    return torch.arange(len(lengths), device=device).repeat_interleave(lengths)


def split(states: Tensor, groups: Sequence[Batch], columns: slice | None = None) -> list[Tensor]:
    """Cut the states (N, H) of groups laid end to end, or of some of their columns, into (B, T, H) for each group."""
    shapes = [group.ids[:, columns or slice(None)].shape for group in groups]
    parts = torch.split(states, [shape.numel() for shape in shapes])
    return [part.view(*shape, -1) for part, shape in zip(parts, shapes, strict=True)]


def chunks(sizes: Sequence[int], most: int) -> Iterator[range]:
    """Cut places, in their order, into runs of at most `most` tokens; one large place is a run of its own.

    Args:
        sizes: tokens of each place.
        most: tokens of a run.
    """
    first = total = 0
    for place, size in enumerate(sizes):
        if place > first and total + size > most:
            yield range(first, place)
            first, total = place, 0
        total += size
    if len(sizes):
        yield range(first, len(sizes))


class Budget:
    """How many tokens go through the model at once; halves itself where memory runs out."""

    def __init__(self, tokens: int, passes: int = 1) -> None:
        """Start from `tokens` of one pass, at least 1.

        Args:
            tokens: of one pass.
            passes: whose rows a computation gets at once, and cuts into passes itself.
        """
        self.tokens, self.passes = tokens, passes

    @property
    def held(self) -> int:
        """Count the tokens of the rows that a computation gets at once."""
        return self.tokens * self.passes

    def run(
        self, rows: Sequence[T], size: Callable[[T], int], compute: Callable[[list[T]], Sequence[R]]
    ) -> list[R | RecordError]:
        """Compute all rows, as many at once as the budget holds, and give the answers in the order of the rows.

        Out of memory halves the budget and goes on with what is left; a row that does not fit even by itself gets an
        error in the place of its answer.

        Args:
            rows: in any order.
            size: counts the tokens of a row.
            compute: gives an answer for each of the rows that it gets.
        """
        answers: dict[int, R | RecordError] = {}
        while left := [place for place in range(len(rows)) if place not in answers]:
            left.sort(key=lambda place: size(rows[place]))
            sizes = [size(rows[place]) for place in left]
            for chosen in chunks(sizes, self.held):
                places = [left[index] for index in chosen]
                computed = attempt(compute, [rows[place] for place in places])
                if computed is not None:
                    answers.update(zip(places, computed, strict=True))
                elif len(places) == 1:
                    answers[places[0]] = too_large(sizes[chosen[0]])
                else:
                    self.halve(sum(sizes[index] for index in chosen))
                    break
        return [answers[place] for place in range(len(rows))]

    def halve(self, tokens: int) -> None:
        """Halve what is held, counted from what did not fit; once that is one pass, the pass itself."""
        half = max(1, min(self.held, tokens) // 2)
        self.passes, self.tokens = max(1, half // self.tokens), min(self.tokens, half)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        logger.info("out of memory: going on with %d tokens at once", self.held)


def too_large(tokens: int) -> RecordError:
    """Say that a row does not fit into memory even by itself."""
    return RecordError(
        f"{tokens} tokens do not fit into memory; shorten the text, free memory, or name another --device"
    )


def attempt(compute: Callable[[list[T]], Sequence[R]], rows: list[T]) -> Sequence[R] | None:
    """Compute one pass; nothing comes back, and nothing holds its tensors any more, where memory ran out."""
    try:
        return compute(rows)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    return None


def is_out_of_memory(error: RuntimeError) -> bool:
    """Tell running out of memory from other failures; some allocators say it in words only."""
    words = ("out of memory", "can't allocate memory", "ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError) or any(part in str(error) for part in words)
