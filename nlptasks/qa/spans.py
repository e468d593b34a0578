"""Where answers stand in passages, in characters (code points) of the text as it came, the end exclusive."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping

from nlptasks.backbone.width import folded

#: What may stand between the parts of an answer, which a space separates.
BETWEEN = r"[\s,，、;；]+"


def standing(answers: Iterable[str], passage: str, starts: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Give the answers that stand in a passage, as it writes them, each with its start.

    Args:
        answers: what counts as right.
        passage: which may hold them.
        starts: where answers start, as far as that is known; what is not true of this passage is not believed.
    """
    for answer in answers:
        start = starts.get(answer, -1)
        if start >= 0 and passage.startswith(answer, start):
            yield answer, start
        elif span := place(answer, passage):
            yield passage[slice(*span)], span[0]


def held(answers: Iterable[str], passage: str) -> str | None:
    """Give the first of the answers that a passage holds, in one piece or in the parts that its spaces separate."""
    return next((one for one in answers if place(one, passage) or parts(one, passage)), None)


def parts(answer: str, passage: str) -> list[str]:
    """Give the several parts of an answer if a passage holds all of them, wherever they stand, else none."""
    pieces = answer.split()
    return pieces if len(pieces) > 1 and all(piece in passage for piece in pieces) else []


def place(answer: str, passage: str) -> tuple[int, int] | None:
    """Find where an answer stands in a passage first.

    Where it does not stand there as it is, accents may be composed or not, case and width do not count, and a space in
    it may be a comma there.
    """
    if not (answer := answer.strip()):
        return None
    for form in (answer, unicodedata.normalize("NFC", answer), unicodedata.normalize("NFD", answer)):
        if (start := passage.find(form)) >= 0:
            return start, start + len(form)
    pattern = BETWEEN.join(map(re.escape, folded(answer).split()))
    found = re.search(pattern, folded(passage))
    return found.span() if found else None
