"""How a game becomes tokens: for both methods, for learning and for asking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from nlptasks.backbone import masks
from nlptasks.backbone.batch import Batch, padded
from nlptasks.errors import RecordError
from nlptasks.task import Work
from nlptasks.xiangqi import vocabulary
from nlptasks.xiangqi.games import STARTING, Game
from nlptasks.xiangqi.lessons import same_start
from nlptasks.xiangqi.tables import ICCS
from nlptasks.xiangqi.vocabulary import CHARACTERS, FIRST_CHARACTER, FIRST_MOVE, POSITIONS

#: Plies that are kept of a game too long to be read whole.
KEPT = 256
CHARACTERS_OF = [[FIRST_CHARACTER + CHARACTERS.index(letter) for letter in name] for name in ICCS]


@dataclass(frozen=True)
class Laid:
    """A game as tokens."""

    ids: list[int]
    """All tokens, those of the moves last."""
    first: int
    """Place of the token behind which the first move stands."""
    start: int = 0
    """Plies of the game before the first move that is laid out."""
    span: int = 1
    """Tokens of a move."""


class Layout:
    """The layout of a method."""

    def __init__(self, method: str) -> None:
        """Lay games out for a method."""
        self.method = method
        self.span = 4 if method == "chars" else 1
        """Tokens of a move."""

    def laid(self, game: Game, result: str = "*") -> Laid:
        """Lay a game out, as far as its moves are known; of a long one the last moves, behind the position before them.

        Raises:
            RecordError: for `chars`, it starts from a position, or is too long.
        """
        is_usual = same_start(game.start, STARTING)
        if self.method == "chars":
            return characters(game, is_usual=is_usual)
        cut = len(game.moves) - KEPT if len(game.moves) > KEPT else 0
        start = game.positions[cut] if cut else game.start
        before = vocabulary.opening(start, result, is_usual=is_usual and not cut)
        return Laid([*before, *(FIRST_MOVE + move for move in game.moves[cut:])], len(before) - 1, cut)

    def work(self, lessons: Sequence[tuple[Game, str]], length: int) -> Work:
        """Lay lessons out for one forward pass.

        Args:
            lessons: games and the results that stand before them.
            length: tokens of a game at most, what stands before the moves not counted.

        Returns:
            The targets are (2, M): places in the groups end to end, and tokens.
        """
        rows = []
        for game, result in lessons:
            one = self.laid(shortened(game, length // self.span), result)
            rows.append((one.ids[: one.first + 1 + length], one.first))
        ids, _ = padded([row[:-1] for row, _ in rows])
        width = ids.shape[1]
        mask = masks.left_to_right(torch.ones(1, width, dtype=torch.bool))  # padding comes last, and nothing sees it
        places: list[int] = []
        targets: list[int] = []
        for number, (row, first) in enumerate(rows):
            places += range(number * width + first, number * width + len(row) - 1)
            targets += row[first + 1 :]
        order = torch.arange(len(rows))
        return Work([Batch(ids, mask=mask)], order, torch.tensor([places, targets]), ids.numel())


def shortened(game: Game, plies: int) -> Game:
    """Leave out what comes after some plies, of which there is one at least."""
    return Game(game.start, game.moves[: max(1, plies)])


def characters(game: Game, *, is_usual: bool) -> Laid:
    """Lay a game out as four characters a move behind the padding token, as the article does.

    Raises:
        RecordError: it starts from a position, or is too long.
    """
    if not is_usual:
        raise RecordError("a model of method chars knows games from the usual start only; use one of method moves")
    most = POSITIONS // 4 - 1
    if len(game.moves) > most:
        found = f"{len(game.moves)} plies; a model of method chars reads {most}"
        raise RecordError(f"{found}; use one of method moves")
    return Laid([0, *(token for move in game.moves for token in CHARACTERS_OF[move])], 0, span=4)
