"""What reading-comprehension QA reads and learns from; what it can be told stands in `settings`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from nlptasks import rows
from nlptasks.errors import RecordError
from nlptasks.files import Record
from nlptasks.qa import formats, pairs_row, spans
from nlptasks.qa.settings import Mixing as Mixing  # these four are a task's form, as rows and methods are
from nlptasks.qa.settings import Options as Options
from nlptasks.qa.settings import Settings as Settings
from nlptasks.qa.settings import Sweep as Sweep
from nlptasks.training.settings import Method


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

    @cached_property
    def texts(self) -> list[str]:
        """Give all passages, in the order by which answers number them; some may be blank."""
        return texts_of(self)


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


#: Updates of 32 rows, as in the sources, but 8 at a time: a row of a long passage is two sequences of 400 tokens.
PASSES = {"batch_size": 8, "accumulation": 4}
METHODS = {
    "seq2seq": Method(
        "writes the answer token by token, all passages voting on each (kexue.fm/archives/7115)",
        Lesson,
        {**PASSES, "epochs": 8.0},
    ),
    "mlm": Method(
        "fills the answer into masks at once, all passages voting on the whole (kexue.fm/archives/7148)",
        Lesson,
        {**PASSES, "epochs": 10.0},
    ),
}

#: Columns of a table without a header, for each method's training file, for dev files and for asking.
COLUMNS = dict.fromkeys(METHODS, ("question", "passage", "answers"))
COLUMNS_ASKED = ("question", "passage", "answers")
#: Fields that only training and scoring need.
REFERENCES = ("answers",)
SAMPLES = dict.fromkeys(METHODS, "train.jsonl")
SAMPLE_DEV = "dev.jsonl"
#: What `nlpk demo qa --try` asks for: once, and then again and again.
TRIED = (("passage",), ("question",))
ALIASES = formats.ALIASES
#: Fields whose option may stand several times, and those that the texts then fill.
SEVERAL = {"passage": "passages"}
#: A backbone that has learnt nothing does not answer unless it is named.
NEEDS_MODEL = True
#: Other ways to ask, each chosen by a flag of its name.
MODES = {"generate": pairs_row}
#: What `nlpk data convert` can write.
FORMATS = ("jsonl", "webqa", "squad")
FRAMES = formats.FRAMES
#: The questions of an item of a JSON document.
parts = formats.parts


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


def fitting(fields: Mapping[str, Any], method: str | None) -> list[str]:
    """Tell which methods a record can train, and `eval`: all, or only that where no passage holds the answer.

    Raises:
        RecordError: none; or, with a method, that one can't.
    """
    if method is not None:
        training_rows(method, fields)
        return [method]
    rows.parse(Scored, formats.named(fields))
    try:
        training_rows(next(iter(METHODS)), fields)
    except RecordError:
        return ["eval"]
    return [*METHODS, "eval"]


def traits(fields: Mapping[str, Any]) -> dict[str, int]:
    """Count what is worth knowing of a record that can be used; `nlpk data check` adds it up.

    A passage or an answer is long that has more characters than training by default reads or writes tokens.
    """
    known = formats.named(fields)
    row, starts = rows.parse(Scored, known), formats.starts_of(known)
    texts = [text for text in row.texts if text.strip()]
    return {
        "passages": len(texts),
        "long_passages": sum(len(text) > Settings.passage_limit for text in texts),
        "several_passages": len(texts) > 1,
        "long_answers": any(len(answer) > Settings.answer_limit for answer in row.answers),
        "starts_elsewhere": any(
            start >= 0 and not any(text.startswith(answer, start) for text in row.texts)
            for answer, start in starts.items()
        ),
        "no_answer": not row.answers,
        "answer_in_no_passage": bool(row.answers) and not any(spans.held(row.answers, text) for text in texts),
    }


def training_rows(method: str, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Turn one training record into rows to learn from, one for each passage; blank passages are left out.

    Args:
        method: of METHODS; they learn from the same.
        fields: the record's own.

    Raises:
        RecordError: the record cannot be used; also where it has answers of which no passage holds any.
    """
    known = formats.named(fields)
    row = rows.parse(Scored, known)
    starts = formats.starts_of(known)
    passages = [text for text in row.texts if text.strip()]
    lessons = [lesson(row.question, text, row.answers, starts) for text in passages]
    if row.answers and not any(one.answer for one in lessons):
        raise RecordError(f"no passage holds the answer {row.answers[0][:40]!r}; mend it, or give answers: [] for none")
    return [asdict(one) for one in lessons]


def lesson(question: str, passage: str, answers: Sequence[str], starts: Mapping[str, int]) -> Lesson:
    """Say what to answer from a passage: the first of the answers that it holds, best in one piece.

    Args:
        question: which is asked.
        passage: not blank.
        answers: what counts as right.
        starts: where answers start in a passage, where that is known.
    """
    for answer, start in spans.standing(answers, passage, starts):
        return Lesson(question, passage, answer, start)
    pieces = next(filter(None, (spans.parts(answer, passage) for answer in answers)), [])
    return Lesson(question, passage, ",".join(pieces))


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
        raise RecordError(
            "no text to answer from: expected a passage that is not blank (field passage or passages, or --passage)"
        )


def converted(fields: Mapping[str, Any], to: str) -> list[str]:
    """Write a record as lines of another format, or as items of its document.

    Args:
        fields: the record's own.
        to: of FORMATS.

    Raises:
        RecordError: it does not have what the format needs, or the format cannot hold what it has.
    """
    known = formats.named(fields)
    row = rows.parse(Row, known)
    others = {name: value for name, value in known.items() if name not in formats.KNOWN}
    question = formats.Question(row.question, row.texts, row.answers, row.id, formats.starts_of(known), others)
    made = {"jsonl": question.as_line, "webqa": question.as_webqa, "squad": question.as_squad}[to]()
    return [json.dumps(made, ensure_ascii=False)]


def mixed(records: Iterable[Record], mixing: Mixing) -> Iterator[Record]:
    """Add passages of other documents to records; see `distractors.mixed`."""
    if not mixing.distractors:
        return iter(records)
    from nlptasks.qa import distractors  # here, because it needs numpy

    return distractors.mixed(records, mixing, lambda fields: rows.parse(Scored, formats.named(fields)))
