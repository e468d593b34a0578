"""Write questions with their answers to passages, a passage for each record; needs a model trained with --generate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nlptasks.errors import RecordError
from nlptasks.qa import formats
from nlptasks.qa.settings import OPTIONS_RANGES, check_overlap
from nlptasks.training.settings import Ranges, check_ranges

RANGES: Ranges = {
    "n": (lambda x: x >= 1, "1 or more"),
    "top_p": (lambda x: 0 < x <= 1, "above 0, at most 1"),
    **{name: limits for name, limits in OPTIONS_RANGES.items() if name not in ("top_k", "abstain")},
}


@dataclass(frozen=True)
class Row:
    """A passage to ask about."""

    passage: str
    """The passage."""
    id: str | None = None
    """Name of the passage."""

    def __post_init__(self) -> None:
        """Refuse a passage in which there is nothing to ask about.

        Raises:
            RecordError: it is blank.
        """
        if not self.passage.strip():
            raise RecordError("field 'passage': found only blanks, expected a text")


@dataclass(frozen=True)
class Options:
    """What asking about passages can be told."""

    n: int = 3
    """Pairs of question and answer for each passage; fewer where the same one is drawn again."""
    top_p: float = 0.95
    """Draw answers from the likeliest tokens whose probabilities together reach this."""
    beam: int = 1
    """Texts that are followed at once while a question is written."""
    seed: int = 42
    """Draws the answers; the same for a passage wherever it stands."""
    passage_limit: int | None = None
    """Tokens of a passage that are read at once, a longer one in overlapping windows; as trained by default."""
    overlap: int | None = None
    """Tokens that neighbouring windows share; as trained by default."""
    question_limit: int | None = None
    """Tokens of a question at most; as trained by default."""
    answer_limit: int | None = None
    """Tokens of an answer at most; as trained by default."""

    def __post_init__(self) -> None:
        """Refuse a number out of its range.

        Raises:
            UsageError: that, or windows would not move on.
        """
        check_ranges(self, RANGES)
        check_overlap(self.overlap, self.passage_limit)


COLUMNS_ASKED = ("passage",)
REFERENCES: tuple[str, ...] = ()
ALIASES = {name: field for name, field in formats.ALIASES.items() if field == "passage"}


def parts(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the passages of an item of a JSON document: of a SQuAD article each paragraph once; else the item is one."""
    paragraphs = item.get("paragraphs")
    if not isinstance(paragraphs, list):
        return [dict(item)]
    about = {key: item[key] for key in ("title",) if key in item}
    return [
        {**about, "passage": one["context"]} if isinstance(one, Mapping) and "context" in one else {}
        for one in paragraphs
    ]
