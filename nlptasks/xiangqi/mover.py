"""What plays: a model's choice of a move, with the look ahead and the dice that it was told to use."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from nlptasks.xiangqi import search
from nlptasks.xiangqi.answers import wanted
from nlptasks.xiangqi.games import Game
from nlptasks.xiangqi.layouts import Layout
from nlptasks.xiangqi.model import Loaded
from nlptasks.xiangqi.policy import Asked, drawn, opinions
from nlptasks.xiangqi.settings import Playing

#: A look ahead by one ply more takes about so many times as long.
DEEPER = 10
Ranked = list[tuple[int, float]]


@dataclass(frozen=True)
class Choice:
    """A move that was chosen, and why.

    Attributes:
        move: its number.
        chance: that the model gives to it.
        value: in pawns, for the side that moves; none without a look ahead.
        plies: that were looked ahead.
    """

    move: int
    chance: float
    value: float | None = None
    plies: int = 0


class Mover:
    """A model that plays; its games must have a legal move left."""

    def __init__(self, loaded: Loaded, playing: Playing) -> None:
        """Play with a model.

        Raises:
            ModelError: only the rules are there.
        """
        self.loaded, self.writer, self.playing = loaded, loaded.player, playing
        self.layout = Layout(loaded.method)
        self.dice = random.Random(playing.seed)
        self.depth = playing.search if loaded.method == "moves" else 0

    def result(self, game: Game) -> str:
        """Give the result that the side to move plays for."""
        return wanted(self.playing.goal if self.loaded.method == "moves" else "any", game.now.red)

    def ranked(self, game: Game) -> Ranked:
        """List the legal moves with the model's probabilities, the likeliest first."""
        laid = self.layout.laid(game, self.result(game))
        said = opinions(self.writer, self.layout, [Asked(game, laid, [len(game.moves)])])
        return said[0][0].ranked()

    def advice(self, game: Game) -> Ranked:
        """List the legal moves as they would be played, the best first, with the model's probabilities."""
        ranked = self.ranked(game)
        return search.merged(ranked, self.values(game, self.depth)) if self.depth else ranked

    def values(self, game: Game, plies: int) -> dict[int, float]:
        """Look ahead."""
        return search.values(self.loaded, game, plies, self.result(game))

    def choice(self, game: Game, seconds: float | None = None, depth: int | None = None) -> Choice:
        """Choose a move.

        Args:
            game: which goes on.
            seconds: to think at most; a look ahead that would take longer is left out.
            depth: plies to look ahead, instead of those that playing was told.
        """
        began = time.monotonic()
        ranked = self.ranked(game)
        chances = dict(ranked)
        plies = self.depth if depth is None or self.loaded.method != "moves" else depth
        found: dict[int, float] = {}
        reached = 0
        for ahead in range(1, plies + 1) if seconds is not None else range(plies, plies + 1):
            if seconds is not None and (time.monotonic() - began) * DEEPER > seconds:
                break
            if ahead:
                found, reached = self.values(game, ahead), ahead
        if not found:
            move = drawn(ranked, self.playing.temperature, self.playing.top_p, self.dice)
            return Choice(move, chances[move])
        move = self.best(search.merged(ranked, found), found)
        return Choice(move, chances[move], found[move], reached)

    def best(self, merged: Sequence[tuple[int, float]], found: dict[int, float]) -> int:
        """Draw among the moves that are about as good as the best one."""
        top = merged[0][0]
        good = [one for one in merged if found[one[0]] >= found[top] - search.TRUST]
        return drawn(good, self.playing.temperature, self.playing.top_p, self.dice)
