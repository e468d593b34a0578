"""Documents written in the forms that collections have: LIC2019 and DuIE, doccano, BIO, JSON lines of ours."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any

from nlptasks.errors import RecordError
from nlptasks.ie import formats, mentions
from nlptasks.ie.mentions import Entity, Searched, Triple
from nlptasks.ie.tags import NO_TYPE


def lines(fields: Mapping[str, Any], to: str) -> list[str]:
    """Write a record in another format: `jsonl`, `duie` (1.0), `duie2`, `doccano` or `bio`.

    Raises:
        RecordError: it cannot be read, or the format cannot hold it.
    """
    document = formats.read(fields)
    others = {name: value for name, value in fields.items() if name not in formats.KNOWN}
    if to.startswith("duie") and document.triples is None:
        raise RecordError("no triples, and DuIE has nothing else; use --to doccano or jsonl")
    if to == "bio":
        tags = tags_of(document.text, mentions.entities_of(document) or ())
        return [*(f"{letter}\t{tag}" for letter, tag in zip(document.text, tags, strict=True)), ""]
    made = {"jsonl": as_line, "duie": as_duie, "duie2": as_duie2, "doccano": as_doccano}[to](document)
    return [json.dumps({**made, **others}, ensure_ascii=False)]


def as_line(document: mentions.Document) -> dict[str, Any]:
    """Write a line of ours; an end of a triple has its place where that is told, or where there is only one."""
    made: dict[str, Any] = {"text": document.text}
    if document.triples is not None:
        made["triples"] = [
            {
                "subject": bare(sole(document.text, one.subject)),
                "predicate": one.predicate,
                "object": bare(sole(document.text, one.object)),
            }
            for one in document.triples
        ]
    if document.entities is not None:
        made["entities"] = [bare(one) for one in mentions.placed(document.text, document.entities)]
    return made


def sole(text: str, one: Entity) -> Entity:
    """Put an entity to its place, where there is no other."""
    found = mentions.placed(text, [one])
    return found[0] if len(found) == 1 else one


def bare(one: Entity) -> dict[str, Any]:
    """Write what is known of an entity."""
    return {name: value for name, value in asdict(one).items() if value is not None}


def as_duie(document: mentions.Document) -> dict[str, Any]:
    """Write a line of LIC2019 (DuIE 1.0)."""
    return {"text": document.text, "spo_list": [spo(one) for one in document.triples or ()]}


def spo(one: Triple) -> dict[str, Any]:
    """Write a triple of LIC2019."""
    return {
        "subject": one.subject.text,
        "predicate": one.predicate,
        "object": one.object.text,
        "subject_type": one.subject.type or "",
        "object_type": one.object.type or "",
    }


def as_duie2(document: mentions.Document) -> dict[str, Any]:
    """Write a line of DuIE 2.0, in which an object is a set of values: the slots are put back into their objects.

    A slot goes to the last triple before it that has its predicate, its object and room; without one it stays a triple.
    """
    made: list[dict[str, Any]] = []
    for one in document.triples or ():
        line = spo(one)
        predicate, _, slot = one.predicate.partition(formats.SLOT)
        main = (main for main in reversed(made) if main["predicate"] == predicate and slot not in main["object"])
        found = next((one for one in main if one["object"][formats.VALUE] == line["subject"]), None) if slot else None
        if found is None:
            line["object"], line["object_type"] = {formats.VALUE: line["object"]}, {formats.VALUE: line["object_type"]}
            made.append(line)
        else:
            found["object"][slot], found["object_type"][slot] = line["object"], line["object_type"]
    return {"text": document.text, "spo_list": made}


def as_doccano(document: mentions.Document) -> dict[str, Any]:
    """Write a line of doccano; relations are written where there are triples, each by the closest two of its ends."""
    found = {replace(one, type=one.type or NO_TYPE): None for one in mentions.entities_of(document) or ()}
    numbers = {one: number for number, one in enumerate(found)}
    if document.triples is None:
        return {"text": document.text, "label": [[one.start, one.end, one.type] for one in numbers]}
    named = [
        {"id": number, "start_offset": one.start, "end_offset": one.end, "label": one.type}
        for one, number in numbers.items()
    ]
    places = {(one.start, one.end): number for one, number in numbers.items()}
    relations: list[dict[str, Any]] = []
    searched = Searched(document.text)
    for one in document.triples:
        ends = [places.get(place) for place in next(iter(mentions.pairs_of(searched, one)), ())]
        if ends and None not in ends:
            relations.append({"id": len(relations), "from_id": ends[0], "to_id": ends[1], "type": one.predicate})
    return {"text": document.text, "entities": named, "relations": relations}


def tags_of(text: str, entities: Iterable[Entity]) -> list[str]:
    """Write the tag of each character.

    Raises:
        RecordError: entities overlap.
    """
    if "\n" in text:
        raise RecordError("a text of several lines, and BIO has an end of its own there; use --to doccano")
    tags = ["O"] * len(text)
    for one in sorted(mentions.placed(text, entities), key=lambda one: one.place or (0, 0)):
        start, stop = one.place or (0, 0)
        if one.type and one.type != "".join(one.type.split()):
            raise RecordError(f"the type {one.type!r} has a blank, which ends it in BIO; use --to doccano")
        if any(tag != "O" for tag in tags[start:stop]):
            raise RecordError(f"the entity {one.text[:20]!r} overlaps another, and BIO cannot say so; use --to doccano")
        tags[start:stop] = [f"B-{one.type or NO_TYPE}", *[f"I-{one.type or NO_TYPE}"] * (stop - start - 1)]
    return tags
