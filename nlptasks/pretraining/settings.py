"""What a model of one's own looks like and how it is trained, as dataclasses that become flags; no heavy imports."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

from nlptasks.errors import UsageError
from nlptasks.training.settings import RANGES as USUAL_RANGES
from nlptasks.training.settings import Ranges, TrainingSettings, check_ranges, flag

OBJECTIVES = ("mlm", "lm", "unilm")
HEAD_STEP = 8  # what the kernels of matrix products want the width of a head to be a multiple of
SHORTEST = 8  # tokens of a row: a start, two ends, and something to learn from
#: Settings of other training that would do nothing here, and what to use instead.
ELSEWHERE = {
    "batch_size": "batch_tokens",
    "evaluate_every": "--eval on a saved model",
    "max_dev_rows": "--eval on a saved model",
    "patience": "--hours or --tokens",
    "simplify_vocabulary": "--vocab-size",
}
SHAPE_RANGES: Ranges = dict.fromkeys(
    ("layers", "width", "heads", "intermediate", "vocab_size"), (lambda x: x >= 1, "1 or more")
)
RANGES: Ranges = {
    "tokens": (lambda x: 0 < x < math.inf, "more than 0"),
    "long_share": (lambda x: 0 <= x <= 1, "0 to 1"),
    "mask_rate": (lambda x: 0 < x < 1, "more than 0, below 1"),
    "dropout": (lambda x: 0 <= x < 1, "0 or more, below 1"),
    **dict.fromkeys(("length", "long_length"), (lambda x: x >= SHORTEST, f"{SHORTEST} or more")),
}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The shape of a new model."""

    layers: int = 4
    """Layers."""
    width: int = 384
    """Width of the hidden states."""
    heads: int | None = None
    """Attention heads; one for every 64 of the width by default."""
    intermediate: int | None = None
    """Width of the feed-forward nets; four times the width by default."""
    vocab_size: int = 12_000
    """Tokens of the vocabulary that is made from the corpus."""

    def __post_init__(self) -> None:
        """Refuse what is no BERT.

        Raises:
            UsageError: a number below 1, heads that do not divide the width, or heads of an odd width.
        """
        check_ranges(self, SHAPE_RANGES)
        if self.width % self.number_of_heads:
            found = f"{self.number_of_heads} heads do not divide it"
            raise UsageError(f"--width {self.width}: {found}; give --heads, or a multiple of 64")
        if (self.width // self.number_of_heads) % HEAD_STEP:
            found = f"a head would be {self.width // self.number_of_heads} wide, which is no multiple of {HEAD_STEP}"
            raise UsageError(f"--width {self.width}: {found} and computes slowly; give --heads, or a multiple of 64")

    @property
    def number_of_heads(self) -> int:
        """Give the attention heads, by default one for every 64 of the width."""
        return self.heads or max(1, self.width // 64)


@dataclass(frozen=True, kw_only=True)
class Settings(TrainingSettings):
    """What pre-training can be told."""

    learning_rate: float = 7e-4
    """The highest learning rate."""
    warmup: float = 0.05
    """Share of the updates in which the rate rises from 0; counted in updates where 1 or more."""
    tokens: float | None = None
    """Tokens to read in all, such as 1e9, instead of epochs."""
    batch_tokens: int = 3072
    """Tokens of one update, in all passes and processes together."""
    length: int = 128
    """Tokens of a row."""
    long_length: int = 512
    """Tokens of a row in the last part of the run, in which the far positions are learned."""
    long_share: float = 0.1
    """Share of the run with long rows."""
    objectives: str = "mlm=0.7,lm=0.15,unilm=0.15"
    """Shares of the rows: mlm hides words, lm reads left to right, unilm writes on after a part read both ways."""
    mask_rate: float = 0.15
    """Share of the tokens that mlm hides, whole words at a time."""
    masks: Literal["dynamic", "static"] = "dynamic"
    """Whether other words are hidden in each epoch, or as far as possible the same ones."""
    dropout: float = 0.0
    """Dropout while training; the saved configuration keeps the usual one for later tasks."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with.

        Raises:
            UsageError: a number out of its range, or a setting that has no meaning here.
        """
        super().__post_init__()
        usual = {field.name: field.default for field in dataclasses.fields(TrainingSettings)}
        for name, instead in ELSEWHERE.items():
            if getattr(self, name) != usual[name]:
                raise UsageError(f"setting {name}: not for pre-training; use {instead}")
        check_ranges(self, RANGES)
        told = [
            flag(name) for name in ("tokens", "steps", "epochs") if getattr(self, name) not in (None, usual.get(name))
        ]
        if len(told) > 1:
            raise UsageError(f"{' and '.join(told)} both say how long the run is; give one of them")
        if 0 < self.long_share < 1 and self.long_length < self.length:
            found = f"--long-length {self.long_length}: less than --length {self.length}"
            raise UsageError(f"{found}; raise it, or give --long-share 0 for rows of one length")
        if self.batch_tokens < self.longest:
            raise UsageError(f"--batch-tokens {self.batch_tokens}: expected at least one row of {self.longest}")
        shares(self.objectives)

    @property
    def longest(self) -> int:
        """Give the tokens of the longest rows of the run."""
        lengths = [self.length] * (self.long_share < 1) + [self.long_length] * (self.long_share > 0)
        return max(lengths)


@dataclass(frozen=True, kw_only=True)
class Examination:
    """How a model is scored on a text."""

    length: int = 128
    """Tokens of a row; one row of all there is where there is less."""
    mask_rate: float = 0.15
    """Share of the tokens that are hidden for mlm."""
    tokens: float | None = None
    """Read no more than these; all by default."""
    seed: int = 1
    """Decides what is hidden and where rows are split."""

    def __post_init__(self) -> None:
        """Refuse what nothing can be scored with.

        Raises:
            UsageError: a number out of its range.
        """
        ranges = {**USUAL_RANGES, **RANGES}
        check_ranges(self, {name: ranges[name] for name in ("length", "mask_rate", "tokens", "seed")})


def shares(objectives: str) -> dict[str, float]:
    """Read the shares of the objectives, such as `mlm=0.7,lm=0.3`, scaled to a sum of 1; a name alone stands for 1.

    Raises:
        UsageError: not such a list.
    """
    expected = "expected shares such as mlm=0.7,lm=0.15,unilm=0.15"
    found: dict[str, float] = {}
    for part in objectives.split(","):
        name, given, share = (piece.strip() for piece in part.partition("="))
        try:
            number = float(share) if given else 1.0
        except ValueError as error:
            raise UsageError(f"setting objectives: found {part!r}, {expected}") from error
        if name not in OBJECTIVES or name in found or not 0 <= number < math.inf:
            raise UsageError(f"setting objectives: found {part!r}, {expected}, each once")
        found[name] = number
    total = sum(found.values())
    if not total:
        raise UsageError(f"setting objectives: the shares of {objectives!r} add up to 0; {expected}")
    return {name: found.get(name, 0.0) / total for name in OBJECTIVES}
