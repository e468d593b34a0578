"""What xiangqi can be told: while it is asked, and while it learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nlptasks.errors import UsageError
from nlptasks.training.settings import Ranges, TrainingSettings, check_ranges

OPTIONS_RANGES: Ranges = {
    "top_k": (lambda x: x >= 1, "1 or more"),
    "search": (lambda x: 0 <= x <= 6, "0 to 6"),
}
PLAYING_RANGES: Ranges = {
    "search": OPTIONS_RANGES["search"],
    "temperature": (lambda x: x >= 0, "0 or more"),
    "top_p": (lambda x: 0 < x <= 1, "more than 0, at most 1"),
}
SETTINGS_RANGES: Ranges = {
    "layers": (lambda x: x >= 1, "1 or more"),
    "width": (lambda x: x >= 64 and x % 64 == 0, "a multiple of 64"),
    "length": (lambda x: 48 <= x <= 512, "48 to 512"),
    "legality": (lambda x: 0 <= x <= 1, "0 to 1"),
    "max_rows": (lambda x: x >= 2, "2 or more"),
}
Goal = Literal["any", "win", "draw", "loss"]


@dataclass(frozen=True)
class Options:
    """What asking can be told."""

    top_k: int = 5
    """Moves to list, the likeliest first."""
    goal: Goal = "any"
    """Ask for moves as in games that the side to move wins, draws or loses."""
    analyse: bool = False
    """Tell for every move of the game how likely it was, and mark the surprising ones."""
    search: int = 0
    """Look so many plies ahead with the model's best moves and count pieces; 0 for the model alone."""
    traditional: bool = False
    """Write Chinese notation in traditional characters."""
    svg: str | None = None
    """File to draw the last record's position into; this needs no model."""

    def __post_init__(self) -> None:
        """Refuse a number out of its range.

        Raises:
            UsageError: there is one.
        """
        check_ranges(self, OPTIONS_RANGES)


@dataclass(frozen=True)
class Playing:
    """How the model plays."""

    search: int = 2
    """Look so many plies ahead with the model's best moves and count pieces; 0 for the model alone."""
    temperature: float = 0.5
    """Play livelier above 1, safer below; 0 takes the best move every time."""
    top_p: float = 0.9
    """Choose among the fewest moves whose probabilities together reach this."""
    goal: Goal = "win"
    """Play as in games that the side to move wins, draws or loses, or any."""
    seed: int | None = None
    """Play the same game again; another one each time by default."""

    def __post_init__(self) -> None:
        """Refuse a number out of its range.

        Raises:
            UsageError: there is one.
        """
        check_ranges(self, PLAYING_RANGES)


@dataclass(frozen=True)
class Sweep:
    """What is compared while scoring: nothing yet."""


@dataclass(frozen=True, kw_only=True)
class Settings(TrainingSettings):
    """What training can be told."""

    start: Literal["scratch", "backbone"] = "scratch"
    """Begin with new weights, or with those of the backbone, whose words only chars can use."""
    layers: int = 4
    """Layers of a model that starts from scratch."""
    width: int = 256
    """Width of a model that starts from scratch; it has a head for each 64."""
    length: int = 192
    """Tokens of a game that are learnt from: its moves, or four times as many characters."""
    legality: float = 0.1
    """Weight of keeping to the rules in the loss of moves, beside choosing among legal ones; 1: cross entropy."""
    curriculum: bool = False
    """Begin with the first moves: an eighth of the length, then a quarter and a half, in the first half of the run."""
    max_rows: int | None = None
    """Train on this many rows, drawn by the seed; all by default."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with.

        Raises:
            UsageError: a number out of its range, or what every training run refuses.
        """
        super().__post_init__()
        check_ranges(self, SETTINGS_RANGES)


def check_goal(goal: str, method: str) -> None:
    """Refuse a goal for a model that never learnt how games end.

    Raises:
        UsageError: the method is one of those.
    """
    if goal != "any" and method == "chars":
        raise UsageError(f"--goal {goal}: a model of method chars knows no results; use one of method moves")
