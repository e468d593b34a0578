"""What similarity can be told: while it is asked, trained, and makes vectors."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import Literal

from nlptasks.training.settings import Ranges, TrainingSettings, check_ranges

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
    """Field that holds the text, in JSON lines and tables; what a line of plain text is called in the output."""
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
