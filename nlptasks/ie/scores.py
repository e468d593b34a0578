"""Precision, recall and F1 of triples and entities: exact, normalised, and for each predicate or type.

A triple is right where its three texts are, as LIC2019 compares; an entity where its place and its type are.
Normalised, case, width and blanks do not count, and an entity is known by its text instead of its place. Whole, a
triple is right only with all the slots of its object, as DuIE 2.0 compares.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

from nlptasks.backbone.width import folded
from nlptasks.ie.formats import SLOT
from nlptasks.ie.row import Row, Scored

Key = tuple[Hashable, ...]
#: What a text says, each once: of a triple subject, predicate, object; of an entity text, type, place.
Said = set[Key]


def of_row(row: Row | Scored, entities: bool) -> Said:
    """Give what is right."""
    if entities:
        return {(one[0], one[1], int(one[2]), int(one[3])) for one in row.entities or ()}
    return {tuple(one) for one in row.triples or ()}


def of_prediction(prediction: Mapping[str, Any], entities: bool) -> Said:
    """Give what a prediction says."""
    if entities:
        return {(one["text"], one["type"] or "", one["start"], one["end"]) for one in prediction["entities"]}
    return {(one["subject"]["text"], one["predicate"], one["object"]["text"]) for one in prediction["triples"]}


def exact(key: Key) -> Key:
    """Compare as it stands; an entity by its place and type."""
    return key[1:] if len(key) == 4 else key


def normalised(key: Key) -> Key:
    """Compare without case, width and blanks, and an entity without its place."""
    texts = ("".join(folded(str(part)).split()) for part in (key[0], key[2]))
    first, last = texts
    return (first, key[1]) if len(key) == 4 else (first, key[1], last)


def scored(answers: Sequence[Said], references: Sequence[Said], same: Callable[[Key], Key] = exact) -> dict[str, float]:
    """Compute precision, recall and F1 over all that texts say.

    Raises:
        ValueError: not one answer for each reference.
    """
    found = right = both = 0
    for answer, reference in zip(answers, references, strict=True):
        said, true = {same(one) for one in answer}, {same(one) for one in reference}
        found, right, both = found + len(said), right + len(true), both + len(said & true)
    return ratios(found, right, both)


def whole(said: Said) -> Said:
    """Put the slots of DuIE 2.0 back into their triples, which are right only with all of them."""
    slots: dict[Key, set[Key]] = defaultdict(set)
    for subject, predicate, object in said:
        main, _, slot = str(predicate).partition(SLOT)
        if slot:
            slots[main, subject].add((slot, object))
    return {(one[0], one[1], (one[2], frozenset(slots[one[1:]]))) for one in said if SLOT not in str(one[1])}


def has_slots(said: Iterable[Said]) -> bool:
    """Tell whether any triple is a slot of DuIE 2.0."""
    return any(len(one) == 3 and SLOT in str(one[1]) for every in said for one in every)


def ratios(found: int, right: int, both: int) -> dict[str, float]:
    """Turn counts into scores; where nothing was found and nothing was to be found, all is right."""
    if not found and not right:
        return {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    precision, recall = both / found if found else 0.0, both / right if right else 0.0
    return {"precision": precision, "recall": recall, "f1": 2 * both / (found + right)}


def by_label(answers: Sequence[Said], references: Sequence[Said]) -> dict[str, dict[str, float]]:
    """Score each predicate or type by itself, the most frequent first; `count` says how often it is right to say it."""
    split: dict[str, tuple[list[Said], list[Said]]] = defaultdict(lambda: ([], []))
    for answer, reference in zip(answers, references, strict=True):
        for label in {str(one[1]) for one in (*answer, *reference)}:
            for side, said in zip(split[label], (answer, reference), strict=True):
                side.append({one for one in said if one[1] == label})
    made = {label: {**scored(*sides), "count": sum(map(len, sides[1]))} for label, sides in split.items()}
    return dict(sorted(made.items(), key=lambda item: (-item[1]["count"], item[0])))


def errors(texts: Iterable[str], answers: Sequence[Said], references: Sequence[Said]) -> list[dict[str, Any]]:
    """List the texts with wrong or missing answers, and these."""
    listed = []
    for text, answer, reference in zip(texts, answers, references, strict=True):
        said, true = {exact(one): one for one in answer}, {exact(one): one for one in reference}
        wrong, missing = (sorted(map(str_of, one)) for one in (left(said, true), left(true, said)))
        if wrong or missing:
            listed.append({"text": text, "wrong": wrong, "missing": missing})
    return listed


def left(said: Mapping[Key, Key], others: Mapping[Key, Key]) -> list[Key]:
    """Give what others do not say."""
    return [key for same, key in said.items() if same not in others]


def str_of(key: Key) -> list[str]:
    """Write what is said as texts."""
    return [str(part) for part in key]
