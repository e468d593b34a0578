"""Which runs of 20 characters the training texts hold: a Bloom filter, small enough to be a part of the model.

A run that stands there is always found; one that does not is taken for one about once in three million.
Source: Bloom 1970; two hashes for all: Kirsch and Mitzenmacher 2006.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

#: Characters of a run.
RUN = 20
#: Bits of the filter for each run, and how many of them a run sets.
BITS, HASHES = 32, 16
#: Characters that are hashed at once.
BLOCK = 1 << 20
FACTOR = np.uint64(0x9E3779B97F4A7C15)
MIXERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))

logger = logging.getLogger(__name__)


class Seen:
    """The runs of training texts."""

    def __init__(self, bits: NDArray[np.uint8]) -> None:
        """Wrap a filter, (N,) bytes."""
        self.bits = bits

    @classmethod
    def of(cls, texts: Iterable[str]) -> Seen:
        """Put every run of texts into a filter; memory is about 12 bytes for each character while it is made."""
        found = np.unique(np.concatenate([np.zeros(0, np.uint64), *(hashes(block) for block in blocks(texts))]))
        filter = np.zeros(max(8, len(found) * BITS // 8), np.uint8)
        for start in range(0, len(found), BLOCK):
            for places in bits_of(found[start : start + BLOCK], len(filter) * 8):
                np.bitwise_or.at(filter, places >> np.uint64(3), one_bit(places))
        return cls(filter)

    @classmethod
    def load(cls, tensor: Tensor) -> Seen:
        """Read what `tensor` gave."""
        return cls(tensor.numpy())

    def tensor(self) -> Tensor:
        """Give the filter as a model keeps it, (N,) uint8."""
        return torch.from_numpy(self.bits)

    def runs(self, text: str) -> list[str]:
        """List the runs of a text that stand in training texts."""
        text = plain(text)
        found = hashes([text])
        held = np.ones(len(found), bool)
        for places in bits_of(found, len(self.bits) * 8):
            held &= (self.bits[places >> np.uint64(3)] & one_bit(places)) > 0
        return [text[place : place + RUN] for place in np.flatnonzero(held)]

    def is_memorised(self, text: str, given: str = "") -> bool:
        """Tell whether a text shares a run with a training text, other than one that it was given."""
        own = plain(given)
        return any(run not in own for run in self.runs(text))


def plain(text: str) -> str:
    """Take away what a tokenizer takes away, too: case and blanks."""
    return "".join(text.lower().split())


def blocks(texts: Iterable[str]) -> Iterable[list[str]]:
    """Cut texts into lists of about a block's characters."""
    block: list[str] = []
    size = 0
    for text in texts:
        block.append(plain(text))
        size += len(block[-1])
        if size >= BLOCK:
            yield block
            block, size = [], 0
    yield block


def hashes(texts: Sequence[str]) -> NDArray[np.uint64]:
    """Hash every run of texts, those of the first text first: (N,) uint64."""
    long = [text for text in texts if len(text) >= RUN]
    if not long:
        return np.zeros(0, np.uint64)
    letters = np.frombuffer("".join(long).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    values = np.zeros(len(letters) - RUN + 1, np.uint64)
    for place in range(RUN):
        values = values * FACTOR + letters[place : place + len(values)]
    ends = np.cumsum([len(text) for text in long])
    inside = np.ones(len(values), bool)
    for back in range(1, RUN):  # runs that begin so near to the end of a text go on into the next one
        crossing = ends - back
        inside[crossing[crossing < len(values)]] = False
    return mixed(values[inside])


def mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread numbers over all bits (Steele et al. 2014, SplitMix64)."""
    for shift, factor in zip((np.uint64(30), np.uint64(27)), MIXERS, strict=True):
        values = (values ^ (values >> shift)) * factor
    return values ^ (values >> np.uint64(31))


def bits_of(found: NDArray[np.uint64], size: int) -> Iterable[NDArray[np.uint64]]:
    """Give, for each of the hashes, the bit that every run sets in a filter of so many."""
    step = mixed(found) | np.uint64(1)
    for number in range(HASHES):
        yield (found + np.uint64(number) * step) % np.uint64(size)


def one_bit(places: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Give the bytes that have only the bits at these places set."""
    return np.left_shift(np.uint8(1), (places & np.uint64(7)).astype(np.uint8))
