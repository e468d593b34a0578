"""Sentences whose tokens have tags, read: BIO, and BMES and BIOES, which are like it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nlptasks.errors import RecordError
from nlptasks.ie.mentions import Document, Entity

#: The type of an entity that has none.
NO_TYPE = "ENTITY"
TAG = re.compile(r"O|([BIMESLU])(?:-(\S+))?")
INSIDE, ENDING, ALONE = ("I", "M", "E", "L"), ("E", "L"), ("S", "U")


def document(tokens: Sequence[object], tags: Sequence[object] | None) -> Document:
    """Read a sentence with tags.

    A tag that goes on with an entity where none of its type is open begins one, as conlleval reads it.

    Raises:
        RecordError: not one tag for each token.
    """
    text, places = joined([str(token) for token in tokens])
    if tags is None:
        return Document(text)
    if len(tokens) != len(tags):
        raise RecordError(f"{len(tokens)} tokens with {len(tags)} tags; expected one for each")
    found: list[Entity] = []
    opened: str | None = None
    mended = 0
    for place, tag in zip(places, tags, strict=True):
        match = TAG.fullmatch(str(tag))
        if not match:
            raise RecordError(f"found the tag {str(tag)[:20]!r}, expected O, or B, I, M, E or S, a hyphen and a type")
        mark, kind = match[1] or "O", match[2] or NO_TYPE
        goes_on = mark in INSIDE and kind == opened
        mended += mark in INSIDE and not goes_on
        if goes_on:
            last = found[-1]
            found[-1] = Entity(text[last.start : place[1]], kind, last.start, place[1])
        elif mark != "O":
            found.append(Entity(text[slice(*place)], kind, *place))
        opened = None if mark in (*ENDING, *ALONE, "O") else kind
    return Document(text, None, found, mended=mended)


def joined(tokens: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Write tokens as text, a space only between two that are ASCII, and give the place of each."""
    text, places = "", []
    for token in tokens:
        is_apart = len(token) > 1 and text[-1:].isascii() and text[-1:].isalnum() and token[:1].isascii()
        text += " " if is_apart and token[:1].isalnum() else ""
        places.append((len(text), len(text) + len(token)))
        text += token
    return text, places
