"""What similarity reads and learns from; what it can be told stands in `settings`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from nlptasks import rows
from nlptasks.errors import RecordError
from nlptasks.similarity.settings import Options as Options  # these three are a task's form, as rows and methods are
from nlptasks.similarity.settings import Settings as Settings
from nlptasks.similarity.settings import Sweep as Sweep
from nlptasks.training.settings import Method


@dataclass(frozen=True)
class Row:
    """Two sentences to compare."""

    a: str
    """The first sentence."""
    b: str
    """The second sentence."""
    score: float | None = None
    """How similar they are, on any scale; needed to train and to score only."""


@dataclass(frozen=True)
class Scored:
    """Two sentences and how similar they are."""

    a: str
    """The first sentence."""
    b: str
    """The second sentence."""
    score: float
    """How similar they are, on any scale."""


@dataclass(frozen=True)
class Sentences:
    """One sentence, or the two of a pair, to learn from without a label."""

    text: str | None = None
    """A sentence."""
    a: str | None = None
    """The first sentence of a pair."""
    b: str | None = None
    """The second sentence of a pair."""


@dataclass(frozen=True)
class Triplet:
    """A sentence, one that means the same, and perhaps one that does not."""

    text: str
    """The anchor."""
    positive: str
    """A sentence of the same meaning."""
    negative: str | None = None
    """A sentence of another meaning, best one that looks alike."""


METHODS = {
    "simcse": Method(
        "unsupervised: a sentence read twice under dropout is its own twin (kexue.fm/archives/8348)",
        Sentences,
        {"hidden_dropout": 0.3},
        least_batch=2,
    ),
    "cosent": Method(
        "supervised: cosines in the order of the scores (kexue.fm/archives/8847)",
        Scored,
        {"learning_rate": 2e-5, "epochs": 3.0},
        least_batch=2,
    ),
    "supervised-simcse": Method(
        "supervised: anchor and positive against the other rows and the negatives (arXiv 2104.08821)",
        Triplet,
        {"learning_rate": 2e-5, "epochs": 3.0},
        least_batch=2,
    ),
    "whitening": Method(
        "no training: a whitening fitted on the sentences and kept in the model (kexue.fm/archives/8069)",
        Sentences,
        {"steps": 0, "whiten": True},
    ),
}

#: Columns of a table without a header, for each method's training file, for dev files and for asking.
COLUMNS = {
    "simcse": ("text", "b", "score"),
    "whitening": ("text", "b", "score"),
    "cosent": ("a", "b", "score"),
    "supervised-simcse": ("text", "positive", "negative"),
}
COLUMNS_ASKED = ("a", "b", "score")
#: Fields that only training and scoring need.
REFERENCES = ("score",)
SAMPLES = {
    "simcse": "sentences.txt",
    "whitening": "sentences.txt",
    "cosent": "pairs.tsv",
    "supervised-simcse": "triplets.jsonl",
}
SAMPLE_DEV = "dev.tsv"
#: What `nlpk demo similarity --try` asks for: once, and then again and again.
TRIED = (("a",), ("b",))
#: Names that other collections give to the same fields.
ALIASES = {"anchor": "text", "sentence": "text", "sentence1": "a", "sentence2": "b", "label": "score"}


#: What `nlpk data convert` can write, and the line that stands before all others.
FORMATS = ("jsonl", "tsv", "sentences", "triplets")
HEADERS = {"tsv": "a\tb\tscore"}


#: Rows of which one must have a negative that is no number.
LOOKED_AT = 1000


def flaw(method: str, rows: Iterable[Mapping[str, Any]]) -> str | None:
    """Say why rows that are good one by one teach a method nothing together; none where they may.

    Args:
        method: of METHODS.
        rows: its training rows, read as far as needed.
    """
    if method == "cosent":
        scores = (row["score"] for row in rows)
        first = next(scores, None)
        if first is not None and all(score == first for score in scores):
            return "all scores are equal; cosent learns from their order, so expected rows with different ones"
    if method == "supervised-simcse":
        negatives = [row["negative"] for row in islice(rows, LOOKED_AT) if row["negative"]]
        if negatives and all(map(is_number, negatives)):
            found = f"every negative is a number, such as {negatives[0]}, which looks like a score"
            return f"{found}; train with --method cosent, or name the columns with --columns"
    return None


def is_number(text: str) -> bool:
    """Tell whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def fitting(fields: Mapping[str, Any], method: str | None) -> list[str]:
    """Tell which methods a record can train, and `eval` where it can be scored on.

    Raises:
        RecordError: none; or, with a method, that one can't.
    """
    if method is not None:
        training_rows(method, fields)
        return [method]
    found, first = [], None
    for name in METHODS:
        try:
            training_rows(name, fields)
            found.append(name)
        except RecordError as error:
            first = first or error
    if first and not found:
        raise first
    return found + (["eval"] if "cosent" in found else [])


def converted(fields: Mapping[str, Any], to: str) -> list[str]:
    """Write a record as lines of another format.

    Args:
        fields: the record's own.
        to: of FORMATS; `triplets` takes the pairs of the highest score seen as same, 1 of 0 … 1 or 4 up of 0 … 5.

    Raises:
        RecordError: it does not have what the format needs.
    """
    known = {ALIASES.get(name, name): value for name, value in fields.items()}
    if to == "sentences":
        return [row["text"].replace("\n", " ") for row in training_rows("simcse", known)]
    if to == "triplets" and "positive" not in known:
        pair = rows.parse(Scored, known)
        if pair.score not in (1, 4, 5):
            return []
        return [json.dumps({"text": pair.a, "positive": pair.b}, ensure_ascii=False)]
    if to == "triplets":
        return [json.dumps(asdict(rows.parse(Triplet, known)), ensure_ascii=False)]
    row = rows.parse(Row, known)
    if to == "jsonl":
        return [json.dumps({**fields, **{k: v for k, v in asdict(row).items() if v is not None}}, ensure_ascii=False)]
    if any("\t" in text or "\n" in text for text in (row.a, row.b)):
        raise RecordError("a tab or a line end in a sentence, which TSV cannot hold; use --to jsonl")
    return ["\t".join([row.a, row.b, "" if row.score is None else f"{row.score:g}"])]


def training_rows(method: str, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Turn one training record into rows to learn from.

    Args:
        method: of METHODS.
        fields: the record's own.

    Returns:
        One row; for the unsupervised methods one for each sentence of the record.

    Raises:
        RecordError: the record cannot be used.
    """
    known = {ALIASES.get(name, name): value for name, value in fields.items()}
    row: Any = rows.parse(METHODS[method].row, known)
    if not isinstance(row, Sentences):
        return [asdict(row)]
    texts = [text for text in (row.text, row.a, row.b) if text]
    if not texts:
        raise RecordError(f"no sentence: expected a field text, or a and b; found {', '.join(fields) or 'none'}")
    return [{"text": text} for text in texts]
