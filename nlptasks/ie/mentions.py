"""Where a text mentions something, in characters (code points) of the text as it came, the end exclusive."""

from __future__ import annotations

from itertools import product

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

    def pairs(self, subject: str, object: str) -> list[tuple[Place, Place]]:
        """Find all pairs of mentions, the closest first; two ends of a triple that are one word stand in one place."""
        pairs = product(self.places(subject), self.places(object))
        return sorted(pairs, key=lambda pair: abs(pair[0][0] - pair[1][0]))[:MOST]


def occurrences(text: str, mention: str) -> list[Place]:
    """Find where a string stands in another."""
    places, start = [], text.find(mention)
    while start >= 0:
        places.append((start, start + len(mention)))
        start = text.find(mention, start + len(mention))
    return places
