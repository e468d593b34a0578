"""Answers for rows: the best moves, how the game stands, and how likely its moves were."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlptasks import files
from nlptasks.errors import RecordError
from nlptasks.xiangqi import notation, search, svg
from nlptasks.xiangqi.board import Position
from nlptasks.xiangqi.games import Game, read_game
from nlptasks.xiangqi.layouts import Layout
from nlptasks.xiangqi.model import Loaded
from nlptasks.xiangqi.policy import Asked, Opinion, opinions
from nlptasks.xiangqi.row import Row
from nlptasks.xiangqi.settings import Goal
from nlptasks.xiangqi.tables import ICCS

#: A move is surprising whose rank is behind this and whose probability is below that.
SURPRISING_RANK, SURPRISING = 3, 0.02

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Example:
    """A row's game, and what is asked of it."""

    asked: Asked
    state: str


class Answerer:
    """Turns rows into answers: the task's worker."""

    def __init__(self, loaded: Loaded) -> None:
        """Answer with a model, or with the rules alone."""
        self.loaded, self.layout = loaded, Layout(loaded.method)
        self.last: Game | None = None
        if loaded.options.svg is not None:
            files.check_file(loaded.options.svg)

    def read(self, rows: Sequence[Row]) -> list[Example | RecordError]:
        """Read rows' games; one with an illegal move gives an error instead."""
        return [self.example(row) for row in rows]

    def example(self, row: Row) -> Example | RecordError:
        """Read one row's game."""
        options = self.loaded.options
        try:
            game = read_game(row.moves, row.fen)
            laid = self.layout.laid(game, wanted(options.goal, game.now.red))
        except RecordError as error:
            return error
        self.last = game
        first = laid.start if options.analyse else len(game.moves)
        return Example(Asked(game, laid, range(first, len(game.moves) + 1)), game.state)

    def size(self, example: Example) -> int:
        """Count the tokens of a game."""
        return len(example.asked.laid.ids)

    def answer(self, examples: Sequence[Example]) -> list[dict[str, Any]]:
        """Answer games, all in one pass."""
        if self.loaded.writer is None:
            return [self.told(example, []) for example in examples]
        found = opinions(self.loaded.writer, self.layout, [example.asked for example in examples])
        return [self.prediction(example, said) for example, said in zip(examples, found, strict=True)]

    def prediction(self, example: Example, said: Sequence[Opinion]) -> dict[str, Any]:
        """Tell the best moves, and where asked for the analysis of the game."""
        ranked = said[-1].ranked() if len(said[-1].moves) else []
        values: dict[int, float] | None = None
        if self.loaded.options.search:
            values = self.values(example.asked.game) if ranked else {}
            ranked = search.merged(ranked, values)
        told = self.told(example, ranked, values)
        if self.loaded.options.analyse:
            told["analysis"] = self.analysis(example.asked, said)
        return told

    def values(self, game: Game) -> dict[int, float]:
        """Look ahead from where a game stands."""
        options = self.loaded.options
        return search.values(self.loaded, game, options.search, wanted(options.goal, game.now.red))

    def told(
        self, example: Example, ranked: Sequence[tuple[int, float]], values: Mapping[int, float] | None = None
    ) -> dict[str, Any]:
        """Tell how a game stands and its best moves, with their values where there was a look ahead."""
        now = example.asked.game.now
        moves: list[dict[str, Any]] = [
            {"iccs": ICCS[move], "chinese": self.chinese(now, move), "probability": chance}
            for move, chance in ranked[: self.loaded.options.top_k]
        ]
        if values is not None:
            for told, (move, _) in zip(moves, ranked, strict=False):
                told["value"] = round(values[move], 2) + 0.0  # never -0.0
        return {"moves": moves, "side": "red" if now.red else "black", "fen": now.fen, "state": example.state}

    def analysis(self, asked: Asked, said: Sequence[Opinion]) -> list[dict[str, Any]]:
        """Tell of every move made how likely it was, and which was likeliest."""
        told = []
        for ply, opinion in zip(asked.plies, said, strict=True):
            if ply == len(asked.game.moves):
                break
            position, move = asked.game.positions[ply], asked.game.moves[ply]
            ranked = opinion.ranked()
            rank, chance = next((rank, one[1]) for rank, one in enumerate(ranked, 1) if one[0] == move)
            told.append(
                {
                    "ply": ply + 1,
                    "iccs": ICCS[move],
                    "chinese": self.chinese(position, move),
                    "probability": chance,
                    "rank": rank,
                    "best": ICCS[ranked[0][0]],
                    "surprising": rank > SURPRISING_RANK and chance < SURPRISING,
                }
            )
        return told

    def chinese(self, position: Position, move: int) -> str:
        """Write a move in Chinese, as the options want it."""
        return notation.chinese(position, move, traditional=self.loaded.options.traditional)

    def report(self) -> None:
        """Draw the last position, where that was asked for."""
        name = self.loaded.options.svg
        if name is None or self.last is None:
            return
        move = self.last.moves[-1] if self.last.moves else None
        picture = svg.drawn(self.last.now, move, traditional=self.loaded.options.traditional)
        with files.replaced(Path(name)) as part:
            part.write_text(picture, encoding="utf-8")
        logger.info("board drawn in %s", name)


def wanted(goal: Goal, red: bool) -> str:
    """Give the result that a side's goal is."""
    won = ("1-0", "0-1") if red else ("0-1", "1-0")
    return {"any": "*", "win": won[0], "loss": won[1], "draw": "1/2-1/2"}[goal]
