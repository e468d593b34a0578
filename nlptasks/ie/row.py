"""What information extraction reads and learns from; what it can be told stands in `settings`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from nlptasks import rows
from nlptasks.errors import RecordError
from nlptasks.files import Record
from nlptasks.ie import formats, mentions, tags, written
from nlptasks.ie.settings import Labelling as Labelling  # these four are a task's form, as rows and methods are
from nlptasks.ie.settings import Options as Options
from nlptasks.ie.settings import Settings as Settings
from nlptasks.ie.settings import Sweep as Sweep
from nlptasks.training.settings import Method


@dataclass(frozen=True)
class Row:
    """A text and what it says."""

    text: str
    """The text."""
    triples: list[list[str]] | None = None
    """Triples of subject, predicate and object; needed to train and to score only."""
    entities: list[list[str]] | None = None
    """Entities as text, type, start and end; needed to train and to score only."""
    id: str | None = None
    """Name of the text."""

    arranged = staticmethod(formats.arranged)

    def __post_init__(self) -> None:
        """Refuse a row without a text.

        Raises:
            RecordError: the text is blank.
        """
        check(self.text)


@dataclass(frozen=True)
class Scored:
    """A text and what is right to find in it: triples, entities or both."""

    text: str
    """The text."""
    triples: list[list[str]] | None = None
    """Triples of subject, predicate and object."""
    entities: list[list[str]] | None = None
    """Entities as text, type, start and end."""
    id: str | None = None
    """Name of the text."""

    arranged = staticmethod(formats.arranged)

    def __post_init__(self) -> None:
        """Refuse a row without a text, or without anything to compare with.

        Raises:
            RecordError: the text is blank, or there are neither triples nor entities.
        """
        check(self.text)
        if self.triples is None and self.entities is None:
            raise RecordError("field 'triples' is missing, and entities, too; training and scoring need one of them")


@dataclass(frozen=True)
class Lesson:
    """A text with the places of what it says; a list for each part, all as long as the first of their kind."""

    text: str
    """The text."""
    predicates: list[str] = field(default_factory=list)
    """Of each triple, for every two places of its ends."""
    subjects: list[list[int]] = field(default_factory=list)
    """Start and end of each subject."""
    objects: list[list[int]] = field(default_factory=list)
    """Start and end of each object."""
    subject_types: list[str] = field(default_factory=list)
    """Types of the subjects, empty where not known."""
    object_types: list[str] = field(default_factory=list)
    """Types of the objects, empty where not known."""
    types: list[str] = field(default_factory=list)
    """Types of the entities."""
    entities: list[list[int]] = field(default_factory=list)
    """Start and end of each entity."""
    dropped: list[str] = field(default_factory=list)
    """Triples of which an end does not stand in the text."""


METHODS = {
    "gplinker": Method(
        "finds subjects, objects and what links their ends, in one pass (kexue.fm/archives/8888)",
        Lesson,
        {"batch_size": 16, "epochs": 10.0, "learning_rate": 6e-4},
    ),
    "casrel": Method(
        "finds subjects, then for each its predicates and objects (kexue.fm/archives/7161)",
        Lesson,
        {"batch_size": 16, "epochs": 10.0, "learning_rate": 6e-4, "rates": "subjects:3,objects:3"},
    ),
    "dgcnn": Method(
        "subjects, then objects, by gated dilated convolutions without a BERT (kexue.fm/archives/6671)",
        Lesson,
        {"batch_size": 16, "epochs": 20.0, "learning_rate": 3e-3},
    ),
    "globalpointer": Method(
        "finds entities alone, nested ones, too (kexue.fm/archives/8373)",
        Lesson,
        {"batch_size": 16, "epochs": 10.0, "learning_rate": 6e-4},
    ),
}
#: Whose model in the package answers where none is named: on a backbone so small it finds most.
ANSWERS = "dgcnn"
#: Methods that find entities alone.
ENTITIES_ONLY = ("globalpointer",)

#: Options that only asking has.
UNSCORED = ("html",)

#: Columns of a table without a header, for each method's training file, for dev files and for asking.
COLUMNS = dict.fromkeys(METHODS, ("text", "triples", "entities"))
COLUMNS_ASKED = ("text", "triples", "entities")
#: Fields that only training and scoring need.
REFERENCES = ("triples", "entities")
#: A backbone that has learnt nothing does not answer unless it is named.
NEEDS_MODEL = True
SAMPLES = dict.fromkeys(METHODS, "train.jsonl")
SAMPLE_DEV = "dev.jsonl"
#: What `nlpk demo ie --try` asks for: once, and then again and again.
TRIED: tuple[tuple[str, ...], tuple[str, ...]] = ((), ("text",))
ALIASES = formats.ALIASES
#: What `nlpk data convert` can write.
FORMATS = ("jsonl", "duie", "duie2", "doccano", "bio")


def check(text: str) -> None:
    """Refuse a blank text.

    Raises:
        RecordError: it is one.
    """
    if not text.strip():
        raise RecordError("field 'text': found only blanks, expected a text")


def training_rows(method: str, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Turn one training record into a row to learn from, with every place of what it says.

    A triple of which an end does not stand in the text is left out, and told in `dropped`.

    Raises:
        RecordError: the record cannot be used, or has nothing for the method.
    """
    document = formats.read(fields)
    check(document.text)
    entities = mentions.entities_of(document)
    if document.triples is None and method not in ENTITIES_ONLY:
        raise RecordError(f"no triples, which {method} learns from; train globalpointer on entities alone")
    if entities is None:
        raise RecordError(f"neither triples nor entities, which {method} learns from")
    made = Lesson(
        document.text,
        types=[one.type or tags.NO_TYPE for one in entities],
        entities=[list(one.place or ()) for one in entities],
    )
    add_triples(made, document)
    return [asdict(made)]


def add_triples(lesson: Lesson, document: mentions.Document) -> None:
    """Put the places of a document's triples into a lesson."""
    searched = mentions.Searched(document.text)
    for one in document.triples or ():
        pairs = mentions.pairs_of(searched, one)
        if not pairs:
            lesson.dropped.append(" | ".join(one.key))
        for subject, object in pairs:
            lesson.predicates.append(one.predicate)
            lesson.subjects.append(list(subject))
            lesson.objects.append(list(object))
            lesson.subject_types.append(one.subject.type or "")
            lesson.object_types.append(one.object.type or "")


def flaw(method: str, rows: Iterable[Mapping[str, Any]]) -> str | None:
    """Say why rows that are good one by one teach a method nothing together; none where they may."""
    seen, part = False, "entities" if method in ENTITIES_ONLY else "predicates"
    for row in rows:
        seen = True
        if row[part]:
            return None
    kind = "entity" if method in ENTITIES_ONLY else "triple"
    return f"no record has a {kind} that stands in its text, so there is nothing to learn" if seen else None


def fitting(fields: Mapping[str, Any], method: str | None) -> list[str]:
    """Tell which methods a record can train, and `eval`.

    Raises:
        RecordError: none; or, with a method, that one can't.
    """
    if method is not None:
        training_rows(method, fields)
        return [method]
    rows.parse(Scored, {ALIASES.get(name, name): value for name, value in fields.items()})
    found = []
    for name in METHODS:
        try:
            training_rows(name, fields)
        except RecordError:
            continue
        found.append(name)
    return [*found, "eval"]


def traits(fields: Mapping[str, Any]) -> dict[str, int]:
    """Count what is worth knowing of a record that can be used; `nlpk data check` adds it up."""
    document = formats.read(fields)
    triples = document.triples or []
    lesson = Lesson(document.text)
    add_triples(lesson, document)
    keys = {one.key for one in triples}
    return {
        "triples": len(triples),
        "entities": len(mentions.entities_of(document) or ()),
        "without_triples": int(document.triples == []),
        "triples_not_in_text": len(lesson.dropped),
        "repeated_triples": len(triples) - len(keys),
        "triples_in_several_places": len(lesson.predicates) - (len(triples) - len(lesson.dropped)),
        "slots": sum(formats.SLOT in one.predicate for one in triples),
        "tags_mended": document.mended,
        "long_texts": int(len(document.text) > Settings.limit),
    }


def converted(fields: Mapping[str, Any], to: str) -> list[str]:
    """Write a record as lines of another format.

    Raises:
        RecordError: it cannot be read, or the format cannot hold it.
    """
    check(formats.read(fields).text)
    return written.lines(fields, to)


def labelled(records: Iterable[Record], labelling: Labelling) -> Iterator[Record]:
    """Give records the known triples that their texts mention, in the place of those that they have."""
    from nlptasks.ie import knowledge  # here, because it needs more than the standard library

    known = knowledge.read(labelling.knowledge)
    return knowledge.labelled(records, known, keep_empty=labelling.keep_empty)
