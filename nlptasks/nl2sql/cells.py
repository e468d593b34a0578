"""Finding the cells of a table that a question mentions, whole or in part; the time hardly depends on their number.

Whole cells are looked up by a checksum of each piece of the question. Parts are found by pairs of letters: each pair
of the question leads to the cells that have it, pairs that few cells have weigh more, and a cell counts by the share of
its own weight that the question holds. So 恒大集团 leads to 中国恒大集团有限公司, whose other pairs are everybody's.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain
from zlib import crc32

import numpy as np
from rapidfuzz import fuzz

#: The longest piece of a question that is looked up as a whole cell.
LONGEST = 64
#: The least share of a cell's weight by which it is mentioned, and of its letters in the place of the question.
LEAST = 0.3
#: Weight of a pair that every cell has; one that no other has weighs the logarithm of their number more.
FLOOR = 0.05
#: Cells that are mentioned in part, at most.
MOST = 8
#: Places of the index that are looked at for one question; the rarest pairs come first.
POSTINGS = 150_000
#: What so many cells have, and this share of their column, is a word for all of them and mentions none.
COMMON, COMMON_SHARE = 3, 0.1
#: What more of a column's cells than this share begin with says nothing; how sure a mention of less is, and how long.
USUAL, START, LONGEST_START = 0.7, 0.95, 8
#: Cells of a column that are sorted, and a letter behind all others.
SORTED, LAST = 100_000, "\U0010ffff"
#: Buckets of pairs: as a power of two, the least and the most.
FEWEST, MOST_BUCKETS = 10, 20


@dataclass(frozen=True)
class Mention:
    """A cell that a question mentions.

    Attributes:
        start: of the place in the question, in characters.
        end: behind it.
        column: of the cell.
        cell: as the table has it.
        score: 1 for the whole cell.
        is_start: whether it is what several cells begin with.
    """

    start: int
    end: int
    column: int
    cell: str
    score: float
    is_start: bool = False


def folded(text: str) -> str:
    """Fold width and case letter by letter, so that places stay what they are."""
    if unicodedata.is_normalized("NFKC", text) and len(lower := text.lower()) == len(text):
        return lower
    return "".join(fold(letter) for letter in text)


def fold(letter: str) -> str:
    """Fold one character into one."""
    found = unicodedata.normalize("NFKC", letter).lower()
    return found if len(found) == 1 else letter


class Cells:
    """The distinct cells of a table's columns of text."""

    def __init__(self, columns: Sequence[Sequence[str]]) -> None:
        """Index cells, those of each column."""
        self.cells = list(chain.from_iterable(columns))
        counts = [len(cells) for cells in columns]
        self.counts = counts
        self.columns = np.repeat(np.arange(len(columns), dtype=np.int32), counts)
        self.keys = [folded(cell.strip()) for cell in self.cells]
        sums = np.fromiter((crc32(key.encode("utf-8", "replace")) for key in self.keys), np.uint32, len(self.keys))
        self.order = np.argsort(sums, kind="stable").astype(np.int32)
        self.sums = sums[self.order]
        letters = sum(map(len, self.keys))
        self.bits = min(MOST_BUCKETS, max(FEWEST, letters.bit_length() + 3))

    def whole(self, question: str) -> list[Mention]:
        """Find the cells that stand in a question as they are; of nested ones in one column the longest."""
        text = folded(question)
        places = [
            (start, end)
            for start in range(len(text))
            for end in range(start + 1, min(len(text), start + LONGEST) + 1)
            if not text[start].isspace() and not text[end - 1].isspace()
        ]
        if not places or not self.cells:
            return []
        sums = np.fromiter((crc32(text[a:b].encode("utf-8", "replace")) for a, b in places), np.uint32, len(places))
        first, behind = (np.searchsorted(self.sums, sums, side) for side in ("left", "right"))
        found = []
        for place in np.flatnonzero(behind > first):
            start, end = places[place]
            for number in self.order[first[place] : behind[place]]:
                if self.keys[number] == text[start:end] and stands_alone(text, start, end):
                    found.append(Mention(start, end, int(self.columns[number]), self.cells[number], 1.0))
        return longest(found)

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Index pairs of letters: where each bucket's cells begin, the cells, buckets' weights, cells' weights."""
        text = "\0".join(self.keys) + "\0"
        codes = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
        owners = np.repeat(
            np.arange(len(self.keys), dtype=np.int32),
            np.fromiter((len(key) + 1 for key in self.keys), np.int64, len(self.keys)),
        )
        real = (codes[:-1] != 0) & (codes[1:] != 0)
        buckets = bucket(codes[:-1][real], codes[1:][real], self.bits)
        both = np.sort(buckets.astype(np.uint64) << np.uint64(32) | owners[:-1][real].astype(np.uint64))
        both = both[np.diff(both, prepend=~np.uint64(0)) != 0]
        buckets, owners = (both >> np.uint64(32)).astype(np.int64), (both & np.uint64(0xFFFFFFFF)).astype(np.int32)
        starts = np.searchsorted(buckets, np.arange((1 << self.bits) + 1)).astype(np.int64)
        weights = (np.log(max(1, len(self.keys)) / np.maximum(1, np.diff(starts))) + FLOOR).astype(np.float32)
        total = np.bincount(owners, weights[buckets], len(self.keys)).astype(np.float32)
        return starts, owners, weights, total

    def parts(self, question: str) -> list[Mention]:
        """Find the cells of which a question holds a telling part, the best first."""
        text = folded(question)
        if len(text) < 2 or not self.cells:
            return []
        starts, owners, weights, total = self.pairs
        codes = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
        buckets = np.unique(bucket(codes[:-1], codes[1:], self.bits))
        buckets = buckets[np.argsort(starts[buckets + 1] - starts[buckets], kind="stable")]
        sizes = starts[buckets + 1] - starts[buckets]
        buckets = buckets[(sizes > 0) & (np.cumsum(sizes) <= POSTINGS)]
        if not len(buckets):
            return []
        found = np.concatenate([owners[starts[one] : starts[one + 1]] for one in buckets])
        gained = np.repeat(weights[buckets], (starts[buckets + 1] - starts[buckets]))
        cells, inverse = np.unique(found, return_inverse=True)
        shares = np.bincount(inverse, gained) / np.maximum(total[cells], 1e-6)
        best = np.argsort(-shares, kind="stable")[: 4 * MOST]
        mentions = [self.mention(text, int(cells[one]), float(shares[one])) for one in best if shares[one] >= LEAST]
        kept = [one for one in mentions if one is not None]
        return sorted(kept, key=lambda one: -one.score)[:MOST]

    def mention(self, text: str, number: int, share: float) -> Mention | None:
        """Find the place of a cell in a question; none where what is there is too unlike."""
        key = self.keys[number]
        place = stretch(text, key)
        if place is None:
            return None
        start, end = place
        if not stands_alone(text, start, end) or self.is_common(text[start:end], int(self.columns[number])):
            return None
        likeness = fuzz.ratio(text[start:end], key) / 100
        score = 0.5 * share + 0.5 * likeness
        if score < LEAST or end - start < 2:
            return None
        return Mention(start, end, int(self.columns[number]), self.cells[number], min(score, 0.99))

    @cached_property
    def beginnings(self) -> dict[str, dict[int, list[str]]]:
        """Sort the keys of each column by their first two letters; a column of too many is left out."""
        found: dict[str, dict[int, list[str]]] = {}
        for column, (end, count) in enumerate(zip(accumulate(self.counts), self.counts, strict=True)):
            for key in self.keys[end - count : end] if count <= SORTED else ():
                if not key[:1].isdigit():
                    found.setdefault(key[:2], {}).setdefault(column, []).append(key)
        for columns in found.values():
            for keys in columns.values():
                keys.sort()
        return found

    def starts(self, question: str) -> list[Mention]:
        """Find what several cells of a column begin with, and others do not: 江苏, of places there and elsewhere.

        What cells end in is left alone: it says what they are, as 公司 does.
        """
        text = folded(question)
        found = []
        for start in range(len(text) - 1):
            for column, keys in self.beginnings.get(text[start : start + 2], {}).items():
                for end in range(min(len(text), start + LONGEST_START), start + 1, -1):
                    low = bisect_left(keys, text[start:end])
                    count = bisect_left(keys, text[start:end] + LAST, low) - low
                    if 1 < count <= USUAL * self.counts[column] and stands_alone(text, start, end):
                        found.append(Mention(start, end, column, question[start:end], START, is_start=True))
                        break
        return longest(found)

    def is_common(self, text: str, column: int) -> bool:
        """Tell whether a stretch of two letters or more is what many cells have, as 博物馆 in names of museums."""
        codes = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
        buckets, starts = bucket(codes[:-1], codes[1:], self.bits), self.pairs[0]
        having = (starts[buckets + 1] - starts[buckets]).min(initial=len(self.keys))
        return bool(having >= max(COMMON, COMMON_SHARE * self.counts[column]))

    def nearest(self, text: str, column: int) -> Mention | None:
        """Find the cell of a column that is most like a text, if any is like it."""
        found = [one for one in self.parts(text) if one.column == column]
        return max(found, key=lambda one: fuzz.ratio(folded(text), folded(one.cell)), default=None)


def bucket(left: np.ndarray, right: np.ndarray, bits: int) -> np.ndarray:
    """Hash pairs of code points into 2 ** bits buckets."""
    mixed = left.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + right.astype(np.uint64) * np.uint64(
        0xC2B2AE3D27D4EB4F
    )
    return (mixed >> np.uint64(64 - bits)).astype(np.int64)


def stretch(text: str, key: str) -> tuple[int, int] | None:
    """Find the stretch of a text that shares most with a key: matching pairs of letters with gaps of at most two."""
    pairs = {key[at : at + 2] for at in range(len(key) - 1)}
    best: tuple[int, int] | None = None
    start = end = -10
    for at in range(len(text) - 1):
        if text[at : at + 2] not in pairs:
            continue
        if at - end > 2:
            start = at
        end = at + 2
        if best is None or end - start > best[1] - best[0]:
            best = start, end
    return best


def stands_alone(text: str, start: int, end: int) -> bool:
    """Tell whether a piece is no part of a longer ASCII word or number."""
    left, right = text[start - 1 : start], text[end : end + 1]
    return not (joins(left) and joins(text[start])) and not (joins(right) and joins(text[end - 1]))


def joins(letter: str) -> bool:
    """Tell whether a letter joins with its like into words."""
    return letter.isascii() and letter.isalnum()


def longest(found: Sequence[Mention]) -> list[Mention]:
    """Leave out mentions that stand inside another."""
    kept: list[Mention] = []
    for one in sorted(found, key=lambda one: (one.start - one.end, one.start)):
        inside = any(
            other.start <= one.start and one.end <= other.end and other.end - other.start > one.end - one.start
            for other in kept
        )
        if not inside:
            kept.append(one)
    return sorted(kept, key=lambda one: (one.start, one.end))
