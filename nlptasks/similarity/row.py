"""What similarity reads, and what it can be told."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from math import inf, isfinite
from typing import Any, Literal

from nlptasks import rows
from nlptasks.errors import RecordError
from nlptasks.training.settings import Method, Ranges, TrainingSettings, check_ranges

LEAST_LIMIT = 3  # tokens: the start, one of the text, the end
#: Which numbers make sense, for each field that has a range, of asking, of embedding and of training.
OPTIONS_RANGES: Ranges = {"limit": (lambda x: x >= LEAST_LIMIT, f"{LEAST_LIMIT} or more")}
EMBEDDING_RANGES: Ranges = {
    "dims": (lambda x: x >= 1, "1 or more"),
    **dict.fromkeys(("whiten_beta", "whiten_gamma"), (isfinite, "a finite number")),
}
SETTINGS_RANGES: Ranges = {
    **OPTIONS_RANGES,
    **EMBEDDING_RANGES,
    **dict.fromkeys(("temperature", "scale"), (lambda x: 0 < x < inf, "more than 0")),
    "hidden_dropout": (lambda x: 0 <= x < 1, "0 or more, below 1"),
    "max_rows": (lambda x: x >= 2, "2 or more"),
}
POOLINGS = ("cls", "pooler", "last-avg", "first-last-avg")
Pooling = Literal["cls", "pooler", "last-avg", "first-last-avg"]


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


@dataclass(frozen=True)
class Options:
    """What asking can be told."""

    pooling: Pooling | None = None
    """How hidden states become one vector; the model's own by default."""
    limit: int | None = None
    """Tokens of a sentence that are read; as many as the model can by default."""

    def __post_init__(self) -> None:
        """Refuse a number out of its range.

        Raises:
            UsageError: the limit leaves no room for text.
        """
        check_ranges(self, OPTIONS_RANGES)


@dataclass(frozen=True)
class Sweep:
    """What is compared while scoring."""

    sweep: bool = False
    """Score every pooling, raw and whitened on the sentences of the file."""


@dataclass(frozen=True)
class Embedding:
    """What vectors are made."""

    field: str = "text"
    """Field that holds the text, in JSON lines and tables."""
    whiten: bool = False
    """Fit a whitening on the input, then apply it."""
    dims: int | None = None
    """Keep the first K dimensions; all by default."""
    whiten_beta: float = 1.0
    """Share of the mean that the whitening takes away."""
    whiten_gamma: float = 1.0
    """Strength of the whitening: 1 makes all directions equal, 0 only turns them."""
    save_whitening: str | None = None
    """With --whiten: keep the whitening in this file, to use it again."""
    whitening: str | None = None
    """Apply the whitening in this file."""
    normalize: bool = True
    """Scale each vector to length 1."""
    store: Literal["float32", "float16"] = "float32"
    """Number format in .npy files."""

    def __post_init__(self) -> None:
        """Refuse numbers out of their range.

        Raises:
            UsageError: no dimensions, or a number that is not finite.
        """
        check_ranges(self, EMBEDDING_RANGES)


@dataclass(frozen=True, kw_only=True)
class Settings(TrainingSettings):
    """What training can be told."""

    pooling: Pooling = "last-avg"
    """How hidden states become one vector."""
    limit: int = 64
    """Tokens of a sentence that are read while training."""
    loss: Literal["infonce", "flatnce"] = "infonce"
    """The contrastive loss of the simcse methods."""
    temperature: float = 0.05
    """What cosines are divided by in the contrastive losses."""
    scale: float = 20.0
    """What differences of cosines are multiplied by in CoSENT."""
    hidden_dropout: float | None = None
    """Dropout of the hidden states while training; the backbone's own by default."""
    max_rows: int | None = None
    """Train on this many rows, drawn by the seed; all by default."""
    whiten: bool = False
    """Fit a whitening on the training sentences at the end and keep it in the model."""
    dims: int | None = None
    """Dimensions that the whitening keeps; all by default."""
    whiten_beta: float = 1.0
    """Share of the mean that the whitening takes away."""
    whiten_gamma: float = 1.0
    """Strength of the whitening: 1 makes all directions equal, 0 only turns them."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with.

        Raises:
            UsageError: a number out of its range, or what every training run refuses.
        """
        super().__post_init__()
        check_ranges(self, SETTINGS_RANGES)


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


#: What `nlpk data convert` can write.
FORMATS = ("jsonl", "tsv", "sentences", "triplets")


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
    return ["\t".join([row.a, row.b] + ([f"{row.score:g}"] if row.score is not None else []))]


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
