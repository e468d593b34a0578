"""Known triples: read from a file or taken from training, and found again in texts by an Aho-Corasick automaton."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import ahocorasick_rs

from nlptasks import files
from nlptasks.backbone.width import folded
from nlptasks.errors import InputError, RecordError
from nlptasks.files import Record
from nlptasks.ie import formats
from nlptasks.ie.labels import Labels
from nlptasks.ie.mentions import MOST, Place

Said = tuple[str, str, str]
NAMES = ("subject", "predicate", "object")
#: Places of one string in a text that are looked at.
PLACES = 8


@dataclass
class Known:
    """Triples, with how many training texts say each; case and width do not count."""

    counts: Counter[Said]

    def __post_init__(self) -> None:
        """Sort the triples by their ends."""
        self.by_ends: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for subject, predicate, object in self.counts:
            self.by_ends[subject][object].append(predicate)

    @cached_property
    def strings(self) -> list[str]:
        """List the ends of all triples."""
        return sorted({end for subject, _, object in self.counts for end in (subject, object) if end})

    @cached_property
    def automaton(self) -> ahocorasick_rs.AhoCorasick:
        """Build what finds them all in one pass over a text."""
        return ahocorasick_rs.AhoCorasick(self.strings)

    def places(self, text: str) -> dict[str, list[Place]]:
        """Find the ends of triples in a text, overlapping ones, too."""
        found: dict[str, list[Place]] = {}
        for number, start, end in self.automaton.find_matches_as_indexes(folded(text), overlapping=True):
            places = found.setdefault(self.strings[number], [])
            if len(places) < PLACES:
                places.append((start, end))
        return found

    def said(self, text: str) -> Iterator[tuple[Said, Place, Place]]:
        """Give the triples of which both ends stand in a text, for every two places, the closest first."""
        places = self.places(text)
        for subject in places:
            known = self.by_ends.get(subject)
            for object in places.keys() & known.keys() if known else ():
                pairs = [(a, b) for a in places[subject] for b in places[object]]
                pairs.sort(key=lambda pair: abs(pair[0][0] - pair[1][0]))
                for predicate in known[object] if known else ():
                    yield from (((subject, predicate, object), *pair) for pair in pairs[:MOST])

    def triples(
        self, text: str, labels: Labels, *, without: Mapping[str, Any] | None = None
    ) -> list[tuple[int, Place, Place]]:
        """Give what is known of a text, with numbers for the predicates.

        Args:
            text: in which both ends of a triple stand.
            labels: others are left out.
            without: a training row; what no other row says is not known of it.
        """
        own = set(said_by(without)) if without is not None else set()
        found = []
        for said, subject, object in self.said(text):
            if said[1] in labels.numbers and self.counts[said] > (said in own):
                found.append((labels.numbers[said[1]], subject, object))
        return sorted(found)

    def as_text(self) -> str:
        """Write the triples, one a line."""
        return "\n".join("\t".join(said) for said in sorted(self.counts))

    @classmethod
    def of_text(cls, text: str) -> Known:
        """Read what `as_text` wrote; each counts as often said."""
        lines = [line.split("\t") for line in text.split("\n") if line]
        return cls(Counter({(one[0], one[1], one[2]): 2 for one in lines}))


def said_by(row: Mapping[str, Any]) -> Iterator[Said]:
    """Give the triples of a training row, each once."""
    text = folded(row["text"])
    parts = zip(row["subjects"], row["predicates"], row["objects"], strict=True)
    found = {(text[slice(*subject)], predicate, text[slice(*object)]) for subject, predicate, object in parts}
    yield from (said for said in found if not any("\t" in part or "\n" in part for part in said))


def learnt(rows: Iterable[Mapping[str, Any]]) -> Known:
    """Take the triples of training rows."""
    return Known(Counter(said for row in rows for said in said_by(row)))


def read(path: str) -> Known:
    """Read a file of triples: TSV without a header, or any form in which records have the three fields.

    Raises:
        InputError: it cannot be read, or a line lacks a part.
    """
    counts: Counter[Said] = Counter()
    for record in files.read_records(path, names=NAMES):
        parts = [record.fields.get(name) for name in NAMES]
        if record.problem or not all(isinstance(part, str) and part.strip() for part in parts):
            problem = record.problem or f"found {str(list(record.fields.values()))[:60]}"
            raise InputError(f"{record.place}: {problem}; expected subject TAB predicate TAB object")
        subject, predicate, object = (str(part).strip() for part in parts)
        counts[folded(subject), predicate, folded(object)] += 2
    if not counts:
        raise InputError(f"{path}: no triples; expected lines of subject TAB predicate TAB object")
    return Known(counts)


def labelled(records: Iterable[Record], known: Known, *, keep_empty: bool) -> Iterator[Record]:
    """Give records the known triples that their texts mention, in the place of those that they have."""
    for record in records:
        if record.problem:
            yield record
            continue
        try:
            document = formats.read(record.fields)
        except RecordError as error:
            yield replace(record, problem=str(error))
            continue
        said: Sequence[Said] = list(dict.fromkeys(said for said, _, _ in known.said(document.text)))
        if said or keep_empty:
            others = {name: value for name, value in record.fields.items() if name not in formats.KNOWN}
            triples = [dict(zip(NAMES, one, strict=True)) for one in said]
            fields = {**others, "text": document.text, "triples": triples}
            yield Record(record.source, record.line, fields, None, record.number)
