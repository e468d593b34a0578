"""What generation reads and learns from; what it can be told stands in `settings`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from nlptasks import rows
from nlptasks.errors import RecordError
from nlptasks.generation import naming as names_of_fields
from nlptasks.generation import settings
from nlptasks.generation.naming import Naming
from nlptasks.generation.settings import Options as Options  # these three are a task's form, as rows and methods are
from nlptasks.generation.settings import Settings as Settings
from nlptasks.generation.settings import Sweep as Sweep
from nlptasks.training.settings import Method


@dataclass(frozen=True)
class Row:
    """What a text is to be written to."""

    prompt: str = ""
    """Beginning of the text, which is kept as it is."""
    label: str | None = None
    """Label of the condition that has such a label."""
    set: str | None = None
    """A condition and its label, such as 类别=酒店."""
    sets: list[str] | None = None
    """Several conditions and their labels."""
    source: str | None = None
    """Text to be rewritten, by a model of seq2seq."""
    vector: list[float] | None = None
    """Vector of numbers, for a model that has one as its condition."""
    text: str | None = None
    """The text itself; needed to train and to score only."""
    id: str | None = None
    """Name of the record, by which its texts are drawn; its line by default."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A text, and what it was written to."""

    text: str
    """The text."""
    prompt: str = ""
    """Beginning of the text."""
    label: str | None = None
    """Label of the condition that has such a label."""
    set: str | None = None
    """A condition and its label."""
    sets: list[str] | None = None
    """Several conditions and their labels."""
    source: str | None = None
    """What the text was made of."""
    vector: list[float] | None = None
    """Vector of numbers that is a condition."""
    id: str | None = None
    """Name of the record."""

    def __post_init__(self) -> None:
        """Refuse a text of blanks.

        Raises:
            RecordError: that.
        """
        refuse_blank("text", self.text)


@dataclass(frozen=True)
class Text:
    """A text to learn, and its conditions."""

    text: str
    """The text."""
    sets: list[str] = field(default_factory=list)
    """Its conditions, each as name=label."""
    vector: list[float] | None = None
    """Vector of numbers that is a condition."""

    def __post_init__(self) -> None:
        """Refuse a text of blanks.

        Raises:
            RecordError: that.
        """
        refuse_blank("text", self.text)


@dataclass(frozen=True)
class Pair:
    """A source and the text to write for it."""

    source: str
    """What is read."""
    text: str
    """What is written."""
    sets: list[str] = field(default_factory=list)
    """Conditions, each as name=label."""
    vector: list[float] | None = None
    """Vector of numbers that is a condition."""

    def __post_init__(self) -> None:
        """Refuse blanks.

        Raises:
            RecordError: source or text is nothing else.
        """
        refuse_blank("source", self.source)
        refuse_blank("text", self.text)


METHODS = {
    "cln": Method(
        "a language model whose LayerNorms listen to labels or a vector (kexue.fm/archives/7124)",
        Text,
        {"conditions": "label", "label_dropout": 0.1, "batch_size": 32, "epochs": 10.0, "learning_rate": 5e-4},
    ),
    "seq2seq": Method(
        "reads a source both ways and writes the text for it, as UniLM does (kexue.fm/archives/6933)",
        Pair,
        {"batch_size": 32, "epochs": 10.0, "learning_rate": 5e-4, "copy": True},
    ),
}

#: Columns of a table without a header, for each method's training file, for dev files and for asking.
COLUMNS = {"cln": ("text", "label"), "seq2seq": ("source", "text")}
COLUMNS_ASKED = ("prompt",)
#: Fields that only training and scoring need.
REFERENCES = ("text",)
#: A backbone that has learnt nothing does not answer unless it is named.
NEEDS_MODEL = True
SAMPLES = dict.fromkeys(METHODS, "train.tsv")
SAMPLE_DEV = "dev.tsv"
#: Options that texts are shown by: those of a small model are better where it keeps to what is likely.
SHOWN = {"temperature": 0.7, "top_p": 0.9}
#: What `nlpk demo generation --try` asks for: once, and then again and again.
TRIED: tuple[tuple[str, ...], tuple[str, ...]] = ((), ("set", "prompt"))
ALIASES = names_of_fields.ALIASES
#: Fields whose option may stand several times, and those that the texts then fill.
SEVERAL = {"set": "sets"}
#: What `nlpk data convert` can write.
FORMATS = ("jsonl",)


def naming(method: str, told: Mapping[str, Any] | None = None) -> Naming:
    """Say how a method reads records, by the settings of a run or as by default."""
    return settings.naming(method, {**METHODS[method].defaults, **(told or {})})


def naming_of_predictions(method: str | None) -> Naming:
    """Say how records are read whose texts another system has written: their conditions do not count."""
    return settings.naming(method or next(iter(METHODS)), {"conditions": ""})


def fitting(fields: Mapping[str, Any], method: str | None) -> list[str]:
    """Tell which methods a record can train.

    Raises:
        RecordError: none; or, with a method, that one can't.
    """
    if method is not None:
        training_rows(method, fields)
        return [method]
    known = rows.parse(Scored, {ALIASES.get(name, name): value for name, value in fields.items()})
    return ["cln", *(["seq2seq"] if known.source else []), "eval"]


def traits(fields: Mapping[str, Any]) -> dict[str, int]:
    """Name the labels of a record that its conditions were read from."""
    return dict.fromkeys(fields.get("sets") or (), 1)


def training_rows(method: str, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Turn one training record, in the fields of a row, into what is learnt.

    Raises:
        RecordError: the record cannot be used.
    """
    known = {ALIASES.get(name, name): value for name, value in fields.items()}
    return [asdict(rows.parse(METHODS[method].row, known))]


def converted(fields: Mapping[str, Any], to: str) -> list[str]:
    """Write a record as a line of JSON, its text under the name that this has here.

    Args:
        fields: the record's own.
        to: of FORMATS.

    Raises:
        RecordError: it has no text.
    """
    known = {ALIASES.get(name, name): value for name, value in fields.items()}
    rows.parse(Scored, known)
    return [json.dumps(known, ensure_ascii=False)]


def is_plain(options: Options) -> bool:
    """Tell whether the texts alone are to be written, a line each."""
    return options.text_only or options.stream


def plain_lines(prediction: Mapping[str, Any]) -> list[str]:
    """Give the texts of a prediction that are not on the terminal already."""
    return [] if prediction.get("shown") else [sample["text"] for sample in prediction["samples"]]


def refuse_blank(name: str, value: str) -> None:
    """Refuse a field of blanks.

    Raises:
        RecordError: that.
    """
    if not value.strip():
        raise RecordError(f"field {name!r}: found only blanks, expected text")
