"""Where a text mentions something, in characters (code points) of the text as it came, the end exclusive."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from heapq import nsmallest

from nlptasks.backbone.width import folded

#: The most pairs of mentions of one triple that are told: those that stand closest together.
MOST = 16
Place = tuple[int, int]


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
