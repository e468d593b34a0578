"""What information extraction can be told: while it is asked, scored, trained, and while data are labelled."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from nlptasks.errors import UsageError
from nlptasks.training.settings import Ranges, TrainingSettings, check_ranges

#: Which numbers make sense, for each field that has a range, of asking and of training.
WINDOWS: Ranges = {"limit": (lambda x: x >= 8, "8 or more"), "overlap": (lambda x: x >= 0, "0 or more")}
SETTINGS_RANGES: Ranges = {
    **WINDOWS,
    "max_rows": (lambda x: x >= 2, "2 or more"),
    "word_size": (lambda x: x >= 1, "1 or more"),
    "filters": (lambda x: x >= 1, "1 or more"),
}
WORDS = ("learned", "train", "none")


@dataclass(frozen=True)
class Options:
    """What asking can be told."""

    long: Literal["window", "error", "truncate"] = "window"
    """What becomes of a text longer than is read at once: read in overlapping windows, refused, or cut."""
    limit: int | None = None
    """Tokens that are read at once; as trained by default."""
    overlap: int | None = None
    """Tokens that neighbouring windows share: no mention up to so long is missed at a border; as trained by default."""
    all_mentions: bool = False
    """List a triple for every two places where its ends were found, not only the surest."""
    knowledge: str | None = None
    """File of known triples, subject TAB predicate TAB object, that need less evidence; dgcnn --distant reads them."""
    html: str | None = None
    """Write a page that shows what was found in its texts; one file, nothing from a network."""

    def __post_init__(self) -> None:
        """Refuse a number out of its range.

        Raises:
            UsageError: a window leaves no room, or windows would not move on.
        """
        check_ranges(self, WINDOWS)
        check_overlap(self.overlap, self.limit)


@dataclass(frozen=True)
class Sweep:
    """What is told while scoring."""

    per_predicate: bool = True
    """Score each predicate, or each type of entity, by itself, too."""
    errors: str | None = None
    """Write a JSON line for each text with wrong or missing answers to this file."""


@dataclass(frozen=True)
class Labelling:
    """What texts are labelled with."""

    knowledge: str = ""
    """File of known triples, subject TAB predicate TAB object; each text that mentions both ends is given it."""
    keep_empty: bool = False
    """Write the texts in which nothing was found, too."""

    def __post_init__(self) -> None:
        """Refuse to label with nothing.

        Raises:
            UsageError: there is no knowledge.
        """
        if not self.knowledge:
            raise UsageError("nothing to label with; give --knowledge FILE of subject TAB predicate TAB object")


@dataclass(frozen=True, kw_only=True)
class Settings(TrainingSettings):
    """What training can be told."""

    schema: str | None = None
    """File of predicates with the types of subject and object, as DuIE has it; those of the rows by default."""
    limit: int = 256
    """Tokens that are read at once; a longer text is read in overlapping windows."""
    overlap: int = 64
    """Tokens that neighbouring windows share."""
    efficient: bool = True
    """For globalpointer and gplinker: share the products of all labels; 256 weights for each of them."""
    words: str = "learned"
    """For dgcnn: vectors of jieba's words, learned with the rest, train (by gensim, on the texts), none, or a FILE."""
    word_size: int | None = None
    """For dgcnn: size of vectors that are made here; by default 8.33 ln N for N words (kexue.fm/archives/7695)."""
    distant: bool = False
    """For dgcnn: give the training triples that a text mentions as hints (distant supervision)."""
    filters: int = 128
    """For dgcnn: its width."""
    max_rows: int | None = None
    """Train on this many rows, drawn by the seed; all by default."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with, and keep files good for a resume from elsewhere.

        Raises:
            UsageError: a number out of its range, or what every training run refuses.
        """
        super().__post_init__()
        check_ranges(self, SETTINGS_RANGES)
        check_overlap(self.overlap, self.limit)
        for name in ("schema", "words"):
            value = getattr(self, name)
            if value not in (None, *WORDS) and os.path.exists(value):
                object.__setattr__(self, name, os.path.abspath(value))


def check_overlap(overlap: int | None, limit: int | None) -> None:
    """Refuse windows that would not move on.

    Raises:
        UsageError: neighbours would share more than half of a window.
    """
    if overlap is not None and limit is not None and 2 * overlap > limit:
        raise UsageError(f"--overlap {overlap}: expected at most half of --limit {limit}")
