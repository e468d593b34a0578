"""What a text mentions, and where: in characters (code points) of the text as it came, the end exclusive."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import nsmallest

from nlptasks.backbone.width import folded

#: The most pairs of mentions of one triple that are told: those that stand closest together.
MOST = 16
Place = tuple[int, int]


@dataclass(frozen=True)
class Entity:
    """A mention; without a place it is known by its text alone."""

    text: str
    type: str | None = None
    start: int | None = None
    end: int | None = None

    @property
    def place(self) -> tuple[int, int] | None:
        """Give the characters it stands in, where that is known."""
        return None if self.start is None or self.end is None else (self.start, self.end)


@dataclass(frozen=True)
class Triple:
    """Two mentions and what joins them."""

    subject: Entity
    predicate: str
    object: Entity

    @property
    def key(self) -> tuple[str, str, str]:
        """Say what the triple says, wherever that stands."""
        return self.subject.text, self.predicate, self.object.text


@dataclass(frozen=True)
class Document:
    """What a record says; lists are none where it does not know them."""

    text: str
    triples: list[Triple] | None = None
    entities: list[Entity] | None = None
    mended: int = 0
    """Tags that did not follow from the one before them."""


class Searched:
    """A text that is searched; case and width count only where what is looked for stands in it as it is."""

    def __init__(self, text: str) -> None:
        """Keep the text; what folding costs is paid by the first search that needs it."""
        self.text, self.plain = text, ""

    def places(self, mention: str) -> list[Place]:
        """Find all places of a mention, one behind the other; none of a blank one."""
        if not (mention := mention.strip()):
            return []
        found = occurrences(self.text, mention)
        if found:
            return found
        self.plain = self.plain or folded(self.text)
        return occurrences(self.plain, folded(mention))

    def nearest(self, mention: str, place: Place) -> list[Place]:
        """Find the places of a mention, those closest to another place."""
        return nsmallest(MOST, self.places(mention), key=lambda one: abs(one[0] - place[0]))

    def pairs(self, subject: str, object: str) -> list[tuple[Place, Place]]:
        """Find pairs of mentions, the closest first; two ends of a triple that are one word stand in one place."""
        subjects, objects = self.places(subject), self.places(object)
        near = ((place, other) for place in subjects for other in objects[around(place, objects)])
        return nsmallest(MOST, near, key=lambda pair: abs(pair[0][0] - pair[1][0]))


def around(place: Place, others: Sequence[Place]) -> slice:
    """Choose the places among which those closest to another are, as many on either side as pairs are told."""
    at = bisect_left(others, place)
    return slice(max(0, at - MOST), at + MOST)


def occurrences(text: str, mention: str) -> list[Place]:
    """Find where a string stands in another."""
    places, start = [], text.find(mention)
    while start >= 0:
        places.append((start, start + len(mention)))
        start = text.find(mention, start + len(mention))
    return places


def placed(text: str, entities: Iterable[Entity]) -> list[Entity]:
    """Give every place of every entity, each once; those that do not stand in the text are left out."""
    searched, found = Searched(text), dict[Entity, None]()
    for one in entities:
        if one.place is not None:
            found[one] = None
            continue
        for place in searched.places(one.text):
            found[Entity(text[slice(*place)], one.type, *place)] = None
    return list(found)


def pairs_of(searched: Searched, one: Triple) -> list[tuple[Place, Place]]:
    """Give the places of a triple's ends: those told, else all in the text."""
    subject, object = one.subject.place, one.object.place
    if subject is not None and object is not None:
        return [(subject, object)]
    if subject is not None:
        return [(subject, place) for place in searched.nearest(one.object.text, subject)]
    if object is not None:
        return [(place, object) for place in searched.nearest(one.subject.text, object)]
    return searched.pairs(one.subject.text, one.object.text)


def entities_of(document: Document) -> list[Entity] | None:
    """Give a document's entities with their places; those of its triples where it names no others."""
    named = document.entities
    if named is None and document.triples is not None:
        named = [one for triple in document.triples for one in (triple.subject, triple.object)]
    return None if named is None else placed(document.text, named)
