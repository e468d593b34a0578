"""The forms in which collections write entities and triples, read: LIC2019, DuIE, BIO, doccano, JSON lines of ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from nlptasks.errors import RecordError
from nlptasks.ie import tags
from nlptasks.ie.mentions import Document, Entity, Triple, entities_of

#: Names that other collections give to the fields of a row; `tags` says that sentences in BIO are read.
ALIASES = {
    **{"sentence": "text", "data": "text", "spo_list": "triples"},
    **{"tags": "tags", "ner_tags": "tags", "tokens": "tokens"},
}
#: What a record's own keys here and in other formats are; all others are handed on as they came.
KNOWN = {"text", "triples", "entities", "label", "labels", "relations", "tokens", "tags", "postag", *ALIASES}
VALUE = "@value"
#: Between a predicate and the slot of its object: DuIE 2.0 fills slots beside an object's main value, and each is read
#: as a triple of its own, of the main value, predicate@slot, and what stands in the slot.
SLOT = "@"


def read(fields: Mapping[str, Any]) -> Document:
    """Read a record of any known form.

    Raises:
        RecordError: what stands there is of no known form, or has no place in the text.
    """
    named = {ALIASES[name]: unwritten(value) for name, value in fields.items() if name in ALIASES}
    named |= {name: unwritten(value) for name, value in fields.items() if name not in ALIASES}
    if "text" not in named and isinstance(named.get("tokens"), list):
        marks = named.get("tags")
        return tags.document(named["tokens"], None if marks is None else listed(marks, "tags"))
    text = named.get("text")
    if type(text) in (int, float):
        text = str(text)
    if not isinstance(text, str):
        raise RecordError(f"field 'text' is missing; found {', '.join(list(named)[:12]) or 'none'}")
    triples, entities = named.get("triples"), named.get("entities")
    if entities is None:  # other collections have classes there
        entities = next((named[name] for name in ("label", "labels") if isinstance(named.get(name), list)), None)
    relations = named.get("relations")
    found = None if entities is None else [entity(text, one) for one in listed(entities, "entities")]
    if relations is not None:
        pairs = zip(entities or (), found or (), strict=True)
        by_id = {str(one.get("id")): made for one, made in pairs if isinstance(one, Mapping)}
        triples = [*(triples or ()), *(related(one, by_id) for one in listed(relations, "relations"))]
    if triples is not None:
        triples = [made for one in listed(triples, "triples") for made in (triple(text, one), *slots(text, one))]
    return Document(text, triples, found)


def unwritten(value: object) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Read a list or object that stands as JSON in a cell of a table."""
    if isinstance(value, str) and value[:2] in ("[{", "[[", "[]"):
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    return value


def listed(value: object, name: str) -> list[Any]:
    """Take a list for what it is.

    Raises:
        RecordError: it is something else.
    """
    if not isinstance(value, list):
        raise RecordError(f"field {name!r}: found {str(value)[:40]!r}, expected a list")
    return value


def triple(text: str, item: object) -> Triple:
    """Read a triple: an object as in LIC2019 and DuIE or as a prediction has it, or a list of three texts.

    Raises:
        RecordError: a part is missing, or of no known form.
    """
    if isinstance(item, Triple):
        return item
    if isinstance(item, list | tuple) and len(item) == 3:
        item = dict(zip(("subject", "predicate", "object"), item, strict=True))
    if not isinstance(item, Mapping):
        raise RecordError(f"a triple is {str(item)[:40]!r}, expected subject, predicate and object")
    ends = {name: end(text, item.get(name), item.get(f"{name}_type"), name) for name in ("subject", "object")}
    predicate = item.get("predicate")
    if not isinstance(predicate, str) or not predicate:
        raise RecordError(f"a triple has no predicate: {str(dict(item))[:60]}; expected subject, predicate and object")
    return Triple(ends["subject"], predicate, ends["object"])


def end(text: str, value: Any, kind: Any, name: str) -> Entity:  # noqa: ANN401 - whatever JSON holds
    """Read the subject or object of a triple.

    Raises:
        RecordError: it is missing or empty.
    """
    kind = kind.get(VALUE) if isinstance(kind, Mapping) else kind
    if isinstance(value, Mapping):
        if VALUE not in value:
            return entity(text, value)
        value = value[VALUE]
    if not isinstance(value, str | int | float) or not str(value).strip():
        raise RecordError(f"a triple has no {name}: found {str(value)[:40]!r}, expected text")
    return Entity(str(value).strip(), kind if isinstance(kind, str) else None)


def slots(text: str, item: object) -> list[Triple]:
    """Read the slots that DuIE 2.0 fills beside an object's main value, each as a triple of that value."""
    full = item.get("object_full", item.get("object")) if isinstance(item, Mapping) else None
    if not isinstance(item, Mapping) or not isinstance(full, Mapping) or VALUE not in full:
        return []
    main, kinds = triple(text, item), item.get("object_type")
    kinds = kinds if isinstance(kinds, Mapping) else {}
    filled = {name: value for name, value in full.items() if name != VALUE and value not in ("", None)}
    return [
        Triple(main.object, f"{main.predicate}{SLOT}{name}", end(text, value, kinds.get(name), name))
        for name, value in filled.items()
    ]


def entity(text: str, item: object) -> Entity:
    """Read a mention: `[start, end, type]` or an object of doccano, or one with text, type, start and end.

    Raises:
        RecordError: it is of no known form, or its place is not in the text.
    """
    if isinstance(item, Entity):
        return item
    if isinstance(item, list | tuple) and len(item) == 3:
        item = dict(zip(("start", "end", "type"), item, strict=True))
    elif isinstance(item, list | tuple) and len(item) == 4:
        item = dict(zip(("text", "type", "start", "end"), item, strict=True))
    if not isinstance(item, Mapping):
        raise RecordError(f"an entity is {str(item)[:40]!r}, expected text, type, start and end")
    start, stop = (number(item.get(name, item.get(f"{name}_offset"))) for name in ("start", "end"))
    kind = item.get("type", item.get("label"))
    if not isinstance(kind, str | None):
        raise RecordError(f"an entity's type is {str(kind)[:40]!r}, expected text")
    said = item.get("text")
    if start is None or stop is None:
        if not isinstance(said, str) or not said.strip():
            raise RecordError(f"an entity has neither text nor place: {str(dict(item))[:60]}; expected start and end")
        return Entity(said.strip(), kind)
    if not 0 <= start < stop <= len(text):
        raise RecordError(f"an entity stands at {start} to {stop}, expected a place within the text's {len(text)}")
    if isinstance(said, str) and said != text[start:stop]:
        raise RecordError(f"at {start} to {stop} stands {text[start:stop][:20]!r}, not {said[:20]!r}; mend the place")
    return Entity(text[start:stop], kind, start, stop)


def number(value: object) -> int | None:
    """Read a place; a column of a table knows only text."""
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if type(value) is int else None


def related(item: object, by_id: Mapping[str, Entity]) -> Triple:
    """Read a relation of doccano.

    Raises:
        RecordError: it names entities that are not there.
    """
    known = item if isinstance(item, Mapping) else {}
    ends = [by_id.get(str(known.get(name))) for name in ("from_id", "to_id")]
    kind = known.get("type")
    if ends[0] is None or ends[1] is None or not isinstance(kind, str):
        raise RecordError(f"a relation is {str(item)[:60]}, expected type, and from_id and to_id of entities")
    return Triple(ends[0], kind, ends[1])


def arranged(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Put what a record says into the fields of a row: text, triples and entities as lists of texts.

    Raises:
        RecordError: it is of no known form.
    """
    if not {"text", "tokens", *(name for name, to in ALIASES.items() if to == "text")} & fields.keys():
        return dict(fields)
    document = read(fields)
    known = {ALIASES.get(name, name): value for name, value in fields.items()}
    triples, entities = document.triples, entities_of(document)
    return {
        "id": known.get("id"),
        "text": document.text,
        "triples": None if triples is None else [list(one.key) for one in triples],
        "entities": None
        if entities is None
        else [[one.text, one.type or "", str(one.start), str(one.end)] for one in entities],
    }
