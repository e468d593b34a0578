"""Rows of exactly one length, packed from the documents of a corpus: every row can be asked for by its number.

The documents of an epoch stand in an order of their own, one after the other, each ended by its end token; this stream
is cut into rows, and the rows come in an order of their own as well, so that an update is not one long document.
Both orders follow from the seed and the epoch alone: to go on anywhere costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nlptasks.errors import InputError
from nlptasks.pretraining.corpus import Corpus

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Epoch:
    """The orders of one epoch.

    Attributes:
        documents: (documents,) int64, their order.
        begins: (documents + 1,) int64, where each document, in this order, begins in the stream, and the end.
        rows: (rows,) int64, their order.
    """

    documents: Ints
    begins: Ints
    rows: Ints


class Packed:
    """Rows of a corpus, numbered on through all epochs."""

    def __init__(self, corpus: Corpus, content: int, seed: int, *, shuffled: bool = True) -> None:
        """Cut a corpus into rows.

        Args:
            corpus: prepared.
            content: tokens of a row, without those that are put around it.
            seed: decides the orders.
            shuffled: else all is in the corpus's own order, in every epoch.

        Raises:
            InputError: the corpus does not fill one row.
        """
        self.corpus, self.content, self.seed, self.shuffled = corpus, content, seed, shuffled
        self.per_epoch = corpus.tokens // content
        if not self.per_epoch:
            found = f"{corpus.tokens} tokens do not fill a row, which has {content} and two special ones"
            raise InputError(f"{corpus.name}: {found}; lower --length, or give more text")
        self.lengths: Ints = np.diff(corpus.offsets)
        self.epoch = lru_cache(2)(self.made)  # two, because an update may stand in both

    def made(self, number: int) -> Epoch:
        """Make the orders of an epoch."""
        draw = np.random.default_rng((self.seed, self.content, number))
        count = len(self.lengths)
        documents = draw.permutation(count) if self.shuffled else np.arange(count)
        rows = draw.permutation(self.per_epoch) if self.shuffled else np.arange(self.per_epoch)
        return Epoch(documents, np.concatenate([[0], np.cumsum(self.lengths[documents])]), rows)

    def places(self, first: int, count: int) -> tuple[Ints, Ints]:
        """Find rows in the corpus.

        Args:
            first: number of the first row, counted through all epochs.
            count: of rows.

        Returns:
            The places of their tokens in the corpus (count, content) int64, and their epochs (count,) int64.
        """
        numbers = np.arange(first, first + count)
        epochs = numbers // self.per_epoch
        parts = [(self.epoch(int(one)), numbers[epochs == one]) for one in np.unique(epochs)]
        return np.concatenate([self.within(epoch, rows % self.per_epoch) for epoch, rows in parts]), epochs

    def within(self, epoch: Epoch, numbers: Ints) -> Ints:
        """Find rows of one epoch, (B,) int64, in the corpus: (B, content) int64."""
        starts = epoch.rows[numbers] * self.content
        first = np.searchsorted(epoch.begins, starts, "right") - 1
        last = np.searchsorted(epoch.begins, starts + self.content, "left")
        pieces = last - first  # documents that a row has a piece of
        row = np.repeat(np.arange(len(numbers)), pieces)
        document = ranges(first, pieces)
        begin = np.maximum(epoch.begins[document], starts[row])
        end = np.minimum(epoch.begins[document + 1], starts[row] + self.content)
        source = self.corpus.offsets[epoch.documents[document]] + begin - epoch.begins[document]
        return ranges(source, end - begin).reshape(len(numbers), self.content)


def ranges(starts: Ints, lengths: Ints) -> Ints:
    """Count on from each start as many times as its length says, all laid end to end."""
    ends = np.cumsum(lengths)
    return np.repeat(starts - (ends - lengths), lengths) + np.arange(ends[-1] if len(ends) else 0)
