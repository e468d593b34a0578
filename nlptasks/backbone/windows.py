"""Texts as tokens with their places in the text, and long ones as overlapping windows of tokens.

Places are characters (code points) of the text as it came, the end exclusive.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from nlptasks.backbone.text import Text

#: Joiners, and selectors of a glyph, which are of no category of their own: they belong to the character before them.
BOUND = {"\u200d", *map(chr, range(0xFE00, 0xFE10))}


@dataclass(frozen=True, slots=True)
class Window:
    """A passage, or the part of one that is read at once."""

    ids: list[int]
    """Token ids, without special tokens."""
    places: list[tuple[int, int]]
    """For each token the characters of the whole passage that it stands for; in order."""
    first: int = 0
    """Number of its first token in the passage."""

    def tokens(self, start: int, end: int) -> tuple[int, int] | None:
        """Find the tokens that stand for some of the characters from start to end; the last one exclusive.

        Characters without a token, such as spaces, are not missed; none where there is no token at all.
        """
        first = bisect_right(self.places, start, key=lambda place: place[1])
        last = bisect_left(self.places, end, key=lambda place: place[0])
        return (first, last) if first < last else None

    def characters(self, first: int, last: int) -> tuple[int, int]:
        """Find the characters from the first token to the one before the last."""
        return self.places[first][0], self.places[last - 1][1]


def read(text: Text, passages: Sequence[str]) -> list[Window]:
    """Turn whole passages into tokens, without special tokens."""
    encoded = text.tokenizer.encode_batch(list(passages), add_special_tokens=False)
    return [
        Window(encoding.ids, [whole(passage, *place) for place in encoding.offsets])
        for passage, encoding in zip(passages, encoded, strict=True)
    ]


def whole(passage: str, start: int, end: int) -> tuple[int, int]:
    """Put the marks that combine with a character to its place; tokenizers leave them out."""
    while end < len(passage) and not passage[end].isalnum() and is_bound(passage[end]):
        end += 1
    return start, end


def is_bound(letter: str) -> bool:
    """Tell whether a character belongs to the one before it."""
    return letter in BOUND or unicodedata.category(letter).startswith("M")


def cut(passage: Window, limit: int, overlap: int) -> list[Window]:
    """Cut a passage into windows; each run of tokens that is no longer than the overlap is whole in one of them.

    Args:
        passage: of any length; an empty one gives one empty window.
        limit: tokens of a window, all of them full where there are several.
        overlap: the fewest tokens that neighbours share, less than the limit.
    """
    last = max(0, len(passage.ids) - limit)
    starts = [*range(0, last, limit - overlap), last]
    return [Window(passage.ids[at : at + limit], passage.places[at : at + limit], at) for at in starts]


def holding(passage: Window, windows: Sequence[Window], start: int, end: int) -> int | None:
    """Choose the window in which an answer has the most tokens around it on its narrower side.

    Args:
        passage: the whole.
        windows: cut from it.
        start: of the answer, in characters.
        end: of the answer, exclusive.

    Returns:
        The window's number; none where the answer is whole in none of them, or has no token.
    """
    found = passage.tokens(start, end)
    if found is None:
        return None
    before = [found[0] - window.first for window in windows]
    behind = [window.first + len(window.ids) - found[1] for window in windows]
    room = [min(sides) for sides in zip(before, behind, strict=True)]
    best = max(range(len(windows)), key=room.__getitem__)
    return best if room[best] >= 0 else None
