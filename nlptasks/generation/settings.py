"""What generation can be told: while it writes, is trained and is scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nlptasks.errors import UsageError
from nlptasks.generation.naming import Naming
from nlptasks.training.settings import Ranges, TrainingSettings, as_plain, check_ranges

#: Which numbers make sense, for each field that has a range.
OPTIONS_RANGES: Ranges = {
    **dict.fromkeys(("n", "beam", "top_k", "limit"), (lambda x: x >= 1, "1 or more")),
    **dict.fromkeys(("shortest", "no_repeat", "seed"), (lambda x: x >= 0, "0 or more")),
    "top_p": (lambda x: 0 < x <= 1, "more than 0, at most 1; 1 draws from all tokens"),
    "guidance": (lambda x: 0 <= x < float("inf"), "0 or more; 1 for none"),
    "temperature": (lambda x: 0 < x < float("inf"), "more than 0; for the likeliest text: --beam 1"),
}
SETTINGS_RANGES: Ranges = {
    **dict.fromkeys(("condition_width",), (lambda x: x >= 1, "1 or more")),
    **dict.fromkeys(("limit", "source_limit"), (lambda x: x >= 4, "4 or more")),
    "label_dropout": (lambda x: 0 <= x < 1, "0 or more, below 1"),
    "rank": (lambda x: x >= 0, "0 or more"),
    "max_rows": (lambda x: x >= 2, "2 or more"),
}
SWEEP_RANGES: Ranges = {"samples": (lambda x: x >= 0, "0 or more")}
#: What only drawing listens to, and its defaults.
DRAWN = {"top_p": None, "top_k": None, "temperature": 1.0}


@dataclass(frozen=True)
class Options:
    """What writing can be told."""

    n: int = 1
    """Texts to write for each record."""
    top_p: float | None = None
    """Draw from the fewest likeliest tokens whose probabilities together reach this; 0.95 for cln, 1 for all."""
    top_k: int | None = None
    """Draw from so many of the likeliest tokens."""
    temperature: float = 1.0
    """Below 1 likelier tokens are drawn more often, above 1 less often."""
    guidance: float = 1.0
    """Above 1 texts heed their conditions more than they would by themselves, at twice the cost; 0 ignores them."""
    beam: int | None = None
    """Search for likely texts, so many at once, instead of drawing; seq2seq does, with 4, unless told how to draw."""
    limit: int | None = None
    """Tokens of a text at most, the prompt's not counted; as trained by default."""
    shortest: int = 0
    """Tokens of a text at least, the prompt's not counted."""
    no_repeat: int = 0
    """Never write a run of so many tokens twice; 0 for no bound."""
    seed: int = 1
    """What is drawn depends on this, the record and the number of the text alone."""
    text_only: bool = False
    """Print the texts alone, a line each."""
    stream: bool = False
    """On a terminal, show each text while it is written; elsewhere the same as --text-only."""

    def __post_init__(self) -> None:
        """Refuse what cannot be written.

        Raises:
            UsageError: a number out of its range, or options that contradict each other.
        """
        check_ranges(self, OPTIONS_RANGES)
        if self.beam is not None:
            for name, default in DRAWN.items():
                if getattr(self, name) != default:
                    flag = f"--{name.replace('_', '-')}"
                    raise UsageError(f"--beam {self.beam} with {flag}: a search draws nothing; leave one of them out")
            if self.n > self.beam:
                raise UsageError(f"-n {self.n} with --beam {self.beam}: a search finds at most as many; raise --beam")
        if self.limit is not None:
            check_length(self.shortest, self.limit)

    def draws(self, method: str) -> bool:
        """Tell whether texts are drawn, and not searched for."""
        told = self.n > 1 or any(getattr(self, name) != default for name, default in DRAWN.items())
        return self.beam is None and (method == "cln" or told)


def check_length(shortest: int, limit: int) -> None:
    """Refuse texts that must be longer than they may be.

    Raises:
        UsageError: that.
    """
    if shortest >= limit:
        expected = f"expected less than the {limit} tokens that a text may have, its end included"
        raise UsageError(f"--shortest {shortest}: {expected}; raise --limit")


@dataclass(frozen=True)
class Sweep:
    """What is looked at while scoring."""

    samples: int = 100
    """Texts to write for each label, to tell whether they have it, repeat themselves or are memorised; 0 for none."""
    judge: str | None = None
    """File of labelled rows from which the judge of labels learns; the file that is scored by default."""

    def __post_init__(self) -> None:
        """Refuse a number out of its range.

        Raises:
            UsageError: that.
        """
        check_ranges(self, SWEEP_RANGES)


@dataclass(frozen=True, kw_only=True)
class Settings(TrainingSettings):
    """What training can be told."""

    conditions: str = ""
    """Fields of labels that texts are written to, separated by commas; empty for a plain language model."""
    label_names: str = ""
    """What labels are called, such as 情感:1=正面,0=负面; fields are separated by semicolons."""
    vector_field: str = ""
    """Field of a vector of numbers that is a condition, such as a sentence embedding."""
    source_field: str = "source"
    """Field of what is read, for seq2seq."""
    text_field: str = "text"
    """Field of what is learnt to be written; text or target by default."""
    condition_width: int = 128
    """Width of a label's embedding."""
    rank: int = 0
    """Squeeze the conditions to so many numbers, which makes the model smaller; 0 for no."""
    label_dropout: float = 0.0
    """Share of the texts that are learnt without their conditions, so that --guidance can be used; 0.1 for cln."""
    limit: int = 128
    """Tokens of a text at most, its end included; longer ones are cut, at the end of a sentence where there is one."""
    source_limit: int = 256
    """Tokens of a source that are read, for seq2seq."""
    copy: bool = False
    """Learn to copy tokens of the source by a pointer, beside naming them; so does seq2seq, unless told not to."""
    max_rows: int | None = None
    """Train on this many rows, drawn by the seed; all by default."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with.

        Raises:
            UsageError: a number out of its range, names that contradict each other, or what every run refuses.
        """
        super().__post_init__()
        check_ranges(self, SETTINGS_RANGES)
        Naming.of("cln", as_plain(self))
        if self.source_field == self.text_field:
            raise UsageError(f"--source-field and --text-field are both {self.text_field}; name two fields")


def naming(method: str, told: Mapping[str, Any]) -> Naming:
    """Say how a method reads records, by settings; those not told are as by default."""
    return Naming.of(method, {**as_plain(Settings()), **told})
