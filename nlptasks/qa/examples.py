"""Questions and passages as tokens: what both methods read, to learn and to answer."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nlptasks.backbone import windows
from nlptasks.backbone.text import Text
from nlptasks.backbone.windows import Window
from nlptasks.errors import UsageError
from nlptasks.qa.row import Row

#: Special tokens of the longest layout: the start, and the ends of passage and question; an answer counts its own.
AROUND = 3


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How many tokens are read and written."""

    passage: int
    overlap: int
    question: int
    answer: int

    @classmethod
    def of(cls, settings: Mapping[str, Any], options: Mapping[str, Any] | None = None) -> Limits:
        """Take what asking says, else what training said.

        Raises:
            UsageError: windows would not move on.
        """
        said = {name: value for name, value in (options or {}).items() if value is not None}
        known = {**settings, **said}
        names = {"passage": "passage_limit", "overlap": "overlap", "question": "question_limit"}
        limits = cls(**{name: known[key] for name, key in names.items()}, answer=known["answer_limit"])
        if 2 * limits.overlap > limits.passage:
            raise UsageError(
                f"--overlap {limits.overlap}: expected at most half of the {limits.passage} tokens read at once"
            )
        return limits

    def check(self, positions: int) -> None:
        """Refuse more than a model can read.

        Raises:
            UsageError: passage, question and answer together are longer than its positions.
        """
        total = self.passage + self.question + self.answer + AROUND
        if total > positions:
            found = f"passage, question and answer of {self.passage}, {self.question} and {self.answer} tokens"
            raise UsageError(f"{found} need {total} positions, the model has {positions}; lower --passage-limit")


@dataclass(frozen=True)
class Example:
    """A question with the windows of its passages.

    Attributes:
        question: its tokens.
        windows: each with the number of its passage.
        texts: the passages as they came.
    """

    question: list[int]
    windows: list[tuple[int, Window]]
    texts: list[str]


@dataclass
class Encoder:
    """Turns rows into examples, and counts what is longer than is read at once."""

    text: Text
    limits: Limits
    counts: dict[str, int] = field(default_factory=lambda: {"passages": 0, "windowed": 0, "answers": 0})

    def read(self, rows: Sequence[Row]) -> list[Example]:
        """Encode rows; passages without a token are left out."""
        questions = self.questions([row.question for row in rows])
        passages = iter(windows.read(self.text, [passage for row in rows for passage in row.texts]))
        examples = []
        for row, question in zip(rows, questions, strict=True):
            cut = [(number, self.cut(next(passages))) for number in range(len(row.texts))]
            parts = [(number, part) for number, some in cut for part in some if part.ids]
            examples.append(Example(question, parts, row.texts))
        return examples

    def questions(self, questions: Sequence[str]) -> list[list[int]]:
        """Turn questions into tokens, without special ones; what is cut is counted by the tokenizer."""
        return [ids[1:-1] for ids in self.text.encode(questions, self.limits.question + 2)]

    def cut(self, passage: Window) -> list[Window]:
        """Cut a passage into windows, and count it."""
        found = windows.cut(passage, self.limits.passage, self.limits.overlap)
        self.counts["passages"] += 1
        self.counts["windowed"] += len(found) > 1
        return found

    def lessons(self, rows: Sequence[Mapping[str, Any]]) -> list[Lesson]:
        """Encode training rows: the window with the answer and, of a long passage, one that does not have it."""
        questions = self.questions([row["question"] for row in rows])
        passages = windows.read(self.text, [row["passage"] for row in rows])
        answers = self.text.tokenizer.encode_batch([row["answer"] for row in rows], add_special_tokens=False)
        found = []
        for row, question, passage, answer in zip(rows, questions, passages, answers, strict=True):
            found += self.taught(row, question, passage, answer.ids)
        return found

    def taught(self, row: Mapping[str, Any], question: list[int], passage: Window, answer: list[int]) -> list[Lesson]:
        """Choose what a row teaches: an answer from one window, and that another has none."""
        cut, start = self.cut(passage), row["start"]
        drawn = zlib.crc32(row["question"].encode())
        if start is None:
            return [self.without_place(row, question, cut, answer)]
        number = windows.holding(passage, cut, start, start + len(row["answer"]))
        span = passage.tokens(start, start + len(row["answer"]))
        chosen = cut[0]
        if span is not None:
            answer = passage.ids[slice(*span)]
            chosen = cut[number] if number is not None else self.beginning(passage, span[0])
        self.counts["answers"] += len(answer) >= self.limits.answer
        lesson = Lesson(question, chosen.ids, answer)
        others = [part for part in cut if row["answer"] not in said(row["passage"], part)]
        return [lesson, *([Lesson(question, others[drawn % len(others)].ids, [])] if others else [])]

    def without_place(
        self, row: Mapping[str, Any], question: list[int], cut: Sequence[Window], answer: list[int]
    ) -> Lesson:
        """Teach an answer in parts from the first window that has all of them, or that a window has none."""
        parts = row["answer"].split(",") if row["answer"] else []
        for window in cut if parts else ():
            if all(part in said(row["passage"], window) for part in parts):
                self.counts["answers"] += len(answer) >= self.limits.answer
                return Lesson(question, window.ids, answer)
        return Lesson(question, cut[zlib.crc32(row["question"].encode()) % len(cut)].ids, [])

    def beginning(self, passage: Window, first: int) -> Window:
        """Cut the window that begins with a token."""
        end = first + self.limits.passage
        return Window(passage.ids[first:end], passage.places[first:end], first)


@dataclass(frozen=True)
class Lesson:
    """What one sequence teaches: tokens without special ones, no answer where there is none."""

    question: list[int]
    passage: list[int]
    answer: list[int]
    is_asked: bool = True
    """Whether the question is given, or is to be written as well."""


def said(passage: str, part: Window) -> str:
    """Give the characters of a window."""
    return passage[slice(*part.characters(0, len(part.ids)))] if part.ids else ""
