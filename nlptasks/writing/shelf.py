"""The memory of many prompts of unequal length: read in groups, padded on the right, with room for what is written."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

#: Columns by which the memory grows where it is full.
GROWTH = 64


class Shelf:
    """Keys and values for each layer, (P, A, S, D), of prompts and behind them of what is written.

    Written tokens stand in the same columns for all prompts. Which of them a branch may see is said by its mask, so
    that branching copies nothing.
    """

    def __init__(self, places: Sequence[Sequence[int]], length: int) -> None:
        """Make room for prompts.

        Args:
            places: of each group of one length that will be read, the places of its rows among the prompts.
            length: tokens of the longest prompt.
        """
        self.places = [torch.tensor(group) for group in places]
        self.prompts, self.used, self.turn = sum(map(len, places)), 0, 0
        self.longest = length
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []

    @classmethod
    def joined(cls, shelves: Sequence[Shelf]) -> Shelf:
        """Put the prompts of several together, behind which nothing is written yet; they are emptied on the way."""
        counts = [len(shelf.keys[0]) for shelf in shelves]
        rows = [range(end - count, end) for end, count in zip(accumulate(counts), counts, strict=True)]
        whole = cls(rows, max(shelf.longest for shelf in shelves))
        for layer in range(len(shelves[0].keys)):
            for shelf in shelves:
                whole.put(layer, *(held.pop(0)[:, :, : shelf.used] for held in (shelf.keys, shelf.values)))
        whole.advance(whole.longest)
        return whole

    @property
    def length(self) -> int:
        """Count the columns in use; none while the prompts are read."""
        return self.used

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Put away the tokens of a group of prompts, which see themselves alone, or what was written for all."""
        if not self.used:
            self.put(layer, keys, values)
            return keys, values
        end = self.used + keys.shape[2]
        for shelf, new in ((self.keys, keys), (self.values, values)):
            if shelf[layer].shape[2] < end:
                shelf[layer] = grown(shelf[layer], self.used, end + GROWTH)
            shelf[layer][:, :, self.used : end] = new
        return self.keys[layer][:, :, :end], self.values[layer][:, :, :end]

    def put(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """Put the next group of a layer into its rows."""
        for shelf, new in ((self.keys, keys), (self.values, values)):
            if layer == len(shelf):
                _, heads, _, width = new.shape
                # Zeros, since what is masked still takes part in a product, where a NaN would stay one.
                shelf.append(new.new_zeros(self.prompts, heads, self.longest + GROWTH, width))
            shelf[layer][self.places[self.turn].to(new.device), :, : new.shape[2]] = new
        self.turn = (self.turn + 1) % len(self.places)

    def advance(self, columns: int) -> None:
        """Count columns that every layer has got."""
        self.used += columns

    def keep(self, rows: Tensor) -> None:
        """Keep, repeat or reorder prompts, (P',) int."""
        for shelf in (self.keys, self.values):
            for layer, held in enumerate(shelf):
                shelf[layer] = held[:, :, : self.used].index_select(0, rows)


def grown(held: Tensor, used: int, columns: int) -> Tensor:
    """Copy the used columns of (P, A, S, D) into a tensor with more."""
    prompts, heads, _, width = held.shape
    wider = held.new_zeros(prompts, heads, columns, width)
    wider[:, :, :used] = held[:, :, :used]
    return wider
