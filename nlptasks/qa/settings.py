"""What reading-comprehension QA can be told: while it is asked, trained, and given passages of other documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nlptasks.errors import UsageError
from nlptasks.training.settings import Ranges, TrainingSettings, check_ranges

LIMITS = ("passage_limit", "question_limit", "answer_limit")
#: Which numbers make sense, for each field that has a range, of asking and of training.
OPTIONS_RANGES: Ranges = {
    **dict.fromkeys(("beam", "top_k", "question_limit", "answer_limit"), (lambda x: x >= 1, "1 or more")),
    "passage_limit": (lambda x: x >= 8, "8 or more"),
    "overlap": (lambda x: x >= 0, "0 or more"),
    "abstain": (lambda x: 0 <= x <= 1, "0 to 1"),
}
MIXING_RANGES: Ranges = {
    "distractors": (lambda x: x >= 0, "0 or more"),
    "no_answer": (lambda x: 0 <= x <= 1, "0 to 1"),
}
SETTINGS_RANGES: Ranges = {
    **{name: OPTIONS_RANGES[name] for name in (*LIMITS, "overlap", "abstain")},
    "max_rows": (lambda x: x >= 2, "2 or more"),
}


@dataclass(frozen=True)
class Options:
    """What asking can be told."""

    mode: Literal["extractive", "free"] = "extractive"
    """Write only what stands in a passage, with its place, or anything."""
    beam: int = 1
    """Answers that are followed at once while writing; 1 takes the best token each time."""
    top_k: int = 1
    """Candidates to list with their votes."""
    abstain: float | None = None
    """Probability of no answer from which a question has none; as trained by default."""
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


@dataclass(frozen=True)
class Mixing:
    """Which passages of other documents are added."""

    distractors: int = 0
    """Passages of other documents to add to each record: those most like its question by BM25 that hold no answer."""
    no_answer: float = 0.0
    """Share of the records whose own passages with the answer are left out, so that there is none; 0 to 1."""
    seed: int = 42
    """Draws the records without an answer and the order of the passages."""

    def __post_init__(self) -> None:
        """Refuse a number out of its range.

        Raises:
            UsageError: that, or records would be left without a passage.
        """
        check_ranges(self, MIXING_RANGES)
        if self.no_answer and not self.distractors:
            raise UsageError(f"--no-answer {self.no_answer:g}: needs --distractors, passages to read in their place")


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
    abstain: float | None = None
    """As for asking: none lets each passage say by its likeliest token whether it has an answer."""
    copy: bool = True
    """Learn to copy tokens of the passage by a pointer, beside naming them."""
    match: bool = True
    """Be told what question and passage have in common, as features of their tokens."""
    max_rows: int | None = None
    """Train on this many rows, drawn by the seed; all by default."""
    generate: bool = False
    """Learn to write questions with their answers, too, for `nlpk predict qa --generate`; seq2seq only."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with.

        Raises:
            UsageError: a number out of its range, or what every training run refuses.
        """
        super().__post_init__()
        check_ranges(self, SETTINGS_RANGES)
        check_overlap(self.overlap, self.passage_limit)


def check_overlap(overlap: int | None, limit: int | None) -> None:
    """Refuse windows that would not move on.

    Raises:
        UsageError: neighbours would share more than half of a window.
    """
    if overlap is not None and limit is not None and 2 * overlap > limit:
        raise UsageError(f"--overlap {overlap}: expected at most half of --passage-limit {limit}")
