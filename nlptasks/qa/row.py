"""What reading-comprehension QA reads, and what it can be told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from nlptasks import rows
from nlptasks.errors import RecordError, UsageError
from nlptasks.qa import formats
from nlptasks.training.settings import Method, Ranges, TrainingSettings, check_ranges

LIMITS = ("passage_limit", "question_limit", "answer_limit")
#: Which numbers make sense, for each field that has a range, of asking and of training.
OPTIONS_RANGES: Ranges = {
    **dict.fromkeys(("beam", "top_k", "question_limit", "answer_limit"), (lambda x: x >= 1, "1 or more")),
    "passage_limit": (lambda x: x >= 8, "8 or more"),
    "overlap": (lambda x: x >= 0, "0 or more"),
}
SETTINGS_RANGES: Ranges = {
    **{name: OPTIONS_RANGES[name] for name in (*LIMITS, "overlap")},
    "max_rows": (lambda x: x >= 2, "2 or more"),
}


@dataclass(frozen=True)
class Row:
    """A question and the passages to answer it from."""

    question: str
    """The question."""
    passage: str | None = None
    """The passage to answer it from."""
    passages: list[str] | None = None
    """More passages; where there is a passage too, they come behind it."""
    answers: list[str] | None = None
    """What counts as right, an empty list where the passages hold no answer; needed to train and to score only."""
    id: str | None = None
    """Name of the question."""

    arranged = staticmethod(formats.arranged)

    def __post_init__(self) -> None:
        """Refuse a row that asks nothing, or of nothing.

        Raises:
            RecordError: the question or every passage is blank.
        """
        check(self)

    @cached_property
    def texts(self) -> list[str]:
        """Give all passages, in the order by which answers number them; some may be blank."""
        return texts_of(self)


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A question, its passages and what counts as a right answer."""

    question: str
    """The question."""
    passage: str | None = None
    """The passage to answer it from."""
    passages: list[str] | None = None
    """More passages; where there is a passage too, they come behind it."""
    answers: list[str]
    """What counts as right; an empty list where the passages hold no answer."""
    id: str | None = None
    """Name of the question."""

    arranged = staticmethod(formats.arranged)

    def __post_init__(self) -> None:
        """Refuse a row that asks nothing, or of nothing.

        Raises:
            RecordError: the question or every passage is blank.
        """
        check(self)


@dataclass(frozen=True)
class Lesson:
    """A question, one passage, and what to answer from it."""

    question: str
    """The question."""
    passage: str = ""
    """The passage."""
    answer: str = ""
    """The answer as the passage writes it; empty where it holds none."""
    start: int | None = None
    """Where the answer starts in the passage, in characters; none where it does not stand there in one piece."""


@dataclass(frozen=True)
class Options:
    """What asking can be told."""

    mode: Literal["extractive", "free"] = "extractive"
    """Write only what stands in a passage, with its place, or anything."""
    beam: int = 1
    """Answers that are followed at once while writing; 1 takes the best token each time."""
    top_k: int = 1
    """Candidates to list with their votes."""
    passage_limit: int | None = None
    """Tokens of a passage that are read at once, a longer one in overlapping windows; as trained by default."""
    overlap: int | None = None
    """Tokens that neighbouring windows share; as trained by default."""
    question_limit: int | None = None
    """Tokens of a question that are read; as trained by default."""
    answer_limit: int | None = None
    """Tokens of an answer at most; as trained by default."""

    def __post_init__(self) -> None:
        """Refuse a number out of its range.

        Raises:
            UsageError: a limit leaves no room, or windows would not move on.
        """
        check_ranges(self, OPTIONS_RANGES)
        check_overlap(self.overlap, self.passage_limit)


@dataclass(frozen=True)
class Sweep:
    """What is compared while scoring: nothing yet."""


@dataclass(frozen=True, kw_only=True)
class Settings(TrainingSettings):
    """What training can be told."""

    passage_limit: int = 320
    """Tokens of a passage that are read at once; a longer one is read in overlapping windows."""
    overlap: int = 64
    """Tokens that neighbouring windows of a passage share."""
    question_limit: int = 64
    """Tokens of a question that are read."""
    answer_limit: int = 64
    """Tokens of an answer at most."""
    max_rows: int | None = None
    """Train on this many rows, drawn by the seed; all by default."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with.

        Raises:
            UsageError: a number out of its range, or what every training run refuses.
        """
        super().__post_init__()
        check_ranges(self, SETTINGS_RANGES)
        check_overlap(self.overlap, self.passage_limit)


METHODS = {
    "seq2seq": Method(
        "writes the answer token by token, all passages voting on each (kexue.fm/archives/7115)",
        Lesson,
        {"batch_size": 32, "epochs": 8.0},
    ),
    "mlm": Method(
        "fills the answer into masks at once, all passages voting on the whole (kexue.fm/archives/7148)",
        Lesson,
        {"batch_size": 32, "epochs": 10.0},
    ),
}

#: Columns of a table without a header, for each method's training file, for dev files and for asking.
COLUMNS = dict.fromkeys(METHODS, ("question", "passage", "answers"))
COLUMNS_ASKED = ("question", "passage", "answers")
#: Fields that only training and scoring need.
REFERENCES = ("answers",)
SAMPLES = dict.fromkeys(METHODS, "train.jsonl")
SAMPLE_DEV = "dev.jsonl"
#: Names that other collections give to the same fields.
ALIASES = {"query": "question", "context": "passage", "answer": "answers"}
#: What `nlpk data convert` can write.
FORMATS = ("jsonl", "webqa", "squad")
#: The questions of an item of a JSON document.
parts = formats.parts

#: What may stand between the parts of an answer, which a space separates.
BETWEEN = r"[\s,，、;；]+"


def flaw(method: str, rows: Iterable[Mapping[str, Any]]) -> str | None:
    """Say why rows that are good one by one teach a method nothing together; none where they may.

    Args:
        method: of METHODS; all learn from the same.
        rows: its training rows, read as far as needed.
    """
    seen = False
    for row in rows:
        seen = True
        if row["answer"]:
            return None
    return "no passage holds an answer, so only silence could be learnt; add records with answers" if seen else None


def fitting(fields: Mapping[str, Any]) -> list[str]:
    """Tell which methods a record can train, and `eval`: all of them.

    Raises:
        RecordError: none.
    """
    training_rows(next(iter(METHODS)), fields)
    return [*METHODS, "eval"]


def training_rows(method: str, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Turn one training record into rows to learn from, one for each passage; blank passages are left out.

    Args:
        method: of METHODS; they learn from the same.
        fields: the record's own.

    Raises:
        RecordError: the record cannot be used; also where it has answers of which no passage holds any.
    """
    known = {ALIASES.get(name, name): value for name, value in fields.items()}
    row = rows.parse(Scored, known)
    starts = formats.starts_of(known.get("answers"))
    passages = [text for text in texts_of(row) if text.strip()]
    lessons = [lesson(row.question, text, row.answers, starts) for text in passages]
    if row.answers and not any(one.answer for one in lessons):
        raise RecordError(f"no passage holds the answer {row.answers[0][:40]!r}; mend it, or give answers: [] for none")
    return [asdict(one) for one in lessons]


def lesson(question: str, passage: str, answers: Sequence[str], starts: Mapping[str, int]) -> Lesson:
    """Say what to answer from a passage: the first of the answers that it holds.

    Args:
        question: which is asked.
        passage: not blank.
        answers: what counts as right.
        starts: where answers start in a passage, where that is known.
    """
    for answer in answers:
        start = starts.get(answer)
        if start is not None and start >= 0 and passage.startswith(answer, start):
            return Lesson(question, passage, answer, start)
        if span := place(answer, passage):
            return Lesson(question, passage, passage[slice(*span)], span[0])
    for answer in answers:
        pieces = answer.split()
        if len(pieces) > 1 and all(piece in passage for piece in pieces):
            return Lesson(question, passage, ",".join(pieces))
    return Lesson(question, passage)


def place(answer: str, passage: str) -> tuple[int, int] | None:
    """Find where an answer stands in a passage first, in characters, the end exclusive.

    Where it does not stand there as it is, case and width do not count, and a space in it may be a comma there.
    """
    if not (answer := answer.strip()):
        return None
    if (start := passage.find(answer)) >= 0:
        return start, start + len(answer)
    pattern = BETWEEN.join(map(re.escape, folded(answer).split()))
    found = re.search(pattern, folded(passage))
    return found.span() if found else None


def folded(text: str) -> str:
    """Take case and width away, character by character, so that places stay."""
    plain = text.translate(NARROW)
    lower = plain.lower()
    if len(lower) == len(plain):
        return lower
    return "".join(one if len(one.lower()) != 1 else one.lower() for one in plain)


#: Full-width forms and the characters that they stand for.
NARROW = {0x3000: " ", **{wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)}}


def texts_of(row: Row | Scored) -> list[str]:
    """Give all passages of a row, in the order by which answers number them."""
    return [*([] if row.passage is None else [row.passage]), *(row.passages or ())]


def check(row: Row | Scored) -> None:
    """Refuse a row that asks nothing, or of nothing.

    Raises:
        RecordError: the question or every passage is blank.
    """
    if not row.question.strip():
        raise RecordError("field 'question': found only blanks, expected a question")
    if not any(text.strip() for text in texts_of(row)):
        raise RecordError("no text to answer from: expected a field passage, or passages, that is not blank")


def check_overlap(overlap: int | None, limit: int | None) -> None:
    """Refuse windows that would not move on.

    Raises:
        UsageError: neighbours would share more than half of a window.
    """
    if overlap is not None and limit is not None and 2 * overlap > limit:
        raise UsageError(f"--overlap {overlap}: expected at most half of --passage-limit {limit}")


def converted(fields: Mapping[str, Any], to: str) -> list[str]:
    """Write a record as lines of another format.

    Args:
        fields: the record's own.
        to: of FORMATS.

    Raises:
        RecordError: it does not have what the format needs.
    """
    known = {ALIASES.get(name, name): value for name, value in fields.items()}
    row = rows.parse(Row, known)
    plain = {name: value for name, value in asdict(row).items() if value is not None}
    return [json.dumps({**fields, **plain}, ensure_ascii=False)]
