"""What a model can say: predicates with the types of their ends, and types of entities."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nlptasks import files
from nlptasks.errors import InputError
from nlptasks.ie.formats import SLOT, VALUE

SHOWN = 5
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Labels:
    """The labels of a model, in an order that stays.

    Attributes:
        predicates: each with the types of its subject and its object, empty where not known.
        types: of entities.
    """

    predicates: dict[str, tuple[str, str]]
    types: list[str]

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Number the predicates."""
        return {name: number for number, name in enumerate(self.predicates)}

    @cached_property
    def type_numbers(self) -> dict[str, int]:
        """Number the types of entities."""
        return {name: number for number, name in enumerate(self.types)}

    def as_json(self) -> dict[str, Any]:
        """Write what a model folder keeps."""
        listed = [[name, *types] for name, types in self.predicates.items()]
        return {"predicates": listed, "types": self.types}

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> Labels:
        """Read what a model folder keeps."""
        return cls({name: (subject, object) for name, subject, object in kept["predicates"]}, list(kept["types"]))


def fitted(rows: Iterable[Mapping[str, Any]], schema: str | None) -> Labels:
    """Collect the labels of training rows; where there is a schema, it says what predicates there are.

    What is left out for it, and triples that do not stand in their texts, are counted, and the first of them named.

    Args:
        rows: lessons.
        schema: a file of predicates, or none.
    """
    ends: dict[str, Counter[tuple[str, str]]] = {}
    types: Counter[str] = Counter()
    dropped: list[str] = []
    for row in rows:
        for name, subject, object in zip(row["predicates"], row["subject_types"], row["object_types"], strict=True):
            ends.setdefault(name, Counter())[subject, object] += 1
        types.update(row["types"])
        dropped += row["dropped"]
    if dropped:
        shown = "; ".join(dropped[:SHOWN]) + ("; …" if len(dropped) > SHOWN else "")
        logger.info("triples left out because an end does not stand in the text: %d: %s", len(dropped), shown)
    found = {name: counted.most_common(1)[0][0] for name, counted in sorted(ends.items())}
    if schema is not None:
        known = read_schema(schema)
        missing = {name: sum(ends[name].values()) for name in found if name not in known}
        if missing:
            listed = ", ".join(f"{name} ({count})" for name, count in list(missing.items())[:SHOWN])
            logger.info("%s: triples left out because their predicate is not there: %s", schema, listed)
        found = known
    return Labels(found, sorted(types))


def read_schema(path: str) -> dict[str, tuple[str, str]]:
    """Read predicates from a schema: JSON lines with predicate, subject_type and object_type, as LIC2019 and DuIE.

    A predicate that stands there several times has the types of the first; slots of DuIE 2.0 are predicates, too.

    Raises:
        InputError: it cannot be read, or holds something else.
    """
    found: dict[str, tuple[str, str]] = {}
    for record in files.read_records(path, format=None if path.endswith(".json") else "jsonl"):
        name = record.fields.get("predicate")
        if record.problem or not isinstance(name, str) or not name:
            problem = record.problem or f"found {json.dumps(record.fields, ensure_ascii=False)[:60]}"
            raise InputError(f"{record.place}: {problem}; expected predicate, subject_type and object_type")
        object = type_of(record.fields, "object")
        found.setdefault(name, (type_of(record.fields, "subject"), object))
        for slot, kind in slots_of(record.fields).items():
            found.setdefault(f"{name}{SLOT}{slot}", (object, kind))
    if not found:
        raise InputError(f"{path}: the schema is empty; expected a line for each predicate")
    return found


def type_of(fields: Mapping[str, Any], end: str) -> str:
    """Read the type of an end, of DuIE 2.0 that of its main value."""
    kind = fields.get(f"{end}_type")
    return str(kind.get(VALUE, "")) if isinstance(kind, Mapping) else str(kind or "")


def slots_of(fields: Mapping[str, Any]) -> dict[str, str]:
    """Give the slots of an object beside its main value, with their types."""
    kinds = fields.get("object_type")
    return {slot: str(kind) for slot, kind in kinds.items() if slot != VALUE} if isinstance(kinds, Mapping) else {}
