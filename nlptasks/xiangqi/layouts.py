"""How a game becomes tokens: for both methods, for learning and for asking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nlptasks.backbone import masks
from nlptasks.backbone.batch import Batch, padded
from nlptasks.errors import RecordError
from nlptasks.task import Work
from nlptasks.xiangqi import sight
from nlptasks.xiangqi.games import RESULTS, STARTING, Game
from nlptasks.xiangqi.lessons import same_start
from nlptasks.xiangqi.tables import ICCS
from nlptasks.xiangqi.vocabulary import CHARACTERS, FIRST_CHARACTER, FIRST_RESULT, POSITIONS

#: Plies that are kept of a game too long to be read whole.
KEPT = 256
#: Plies that `chars` has room for.
MOST_SPELLED = POSITIONS // 4 - 1
#: Games of about one length that are padded to the longest of them.
TOGETHER = 4
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
    beside: Tensor | None = None
    """For `moves`, what stands beside each token, (T, K) int."""


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
        if self.method == "chars":
            return characters(game)
        cut = max(0, len(game.moves) - KEPT)
        boards, red = game.boards[0][cut:], game.boards[1][cut:]
        moves = sight.move_tokens(np.array(game.moves[cut:], dtype=np.int64), red[:-1])
        ids = [FIRST_RESULT + RESULTS.index(result), *moves.tolist()]
        return Laid(ids, 0, cut, beside=torch.from_numpy(sight.beside(boards, red)))

    def readable(self, game: Game) -> Game:
        """Give the part of a game that can be learnt and scored: for `chars`, the first plies, as there is room."""
        return shortened(game, MOST_SPELLED) if self.method == "chars" else game

    def work(self, lessons: Sequence[tuple[Game, str]], length: int) -> Work:
        """Lay lessons out for one forward pass.

        Args:
            lessons: games and the results that stand before them.
            length: tokens of a game at most, what stands before the moves not counted.

        Returns:
            The targets are (2, M): places in the groups end to end, and tokens.
        """
        laid = [self.laid(self.readable(shortened(game, length // self.span)), result) for game, result in lessons]
        order = sorted(range(len(laid)), key=lambda number: len(laid[number].ids))
        groups: list[Batch] = []
        places: list[int] = []
        targets: list[int] = []
        before = 0
        for first in range(0, len(order), TOGETHER):
            some = [laid[number] for number in order[first : first + TOGETHER]]
            groups.append(group := grouped(some))
            width = group.ids.shape[1]
            for row, one in enumerate(some):
                start = before + row * width
                places += range(start + one.first, start + len(one.ids) - 1)
                targets += one.ids[one.first + 1 :]
            before += group.ids.numel()
        return Work(groups, torch.tensor(order), torch.tensor([places, targets]), before)


def grouped(laid: Sequence[Laid]) -> Batch:
    """Put games together, padded to the longest, the last token of each left out, since nothing is learnt behind it."""
    ids, _ = padded([one.ids[:-1] for one in laid])
    width = ids.shape[1]
    mask = masks.left_to_right(torch.ones(1, width, dtype=torch.bool))  # padding comes last, and nothing sees it
    parts = [F.pad(one.beside[:-1], (0, 0, 0, width + 1 - len(one.ids))) for one in laid if one.beside is not None]
    return Batch(ids, mask=mask, beside=torch.stack(parts) if parts else None)


def shortened(game: Game, plies: int) -> Game:
    """Leave out what comes after some plies, of which there is one at least."""
    return Game(game.start, game.moves[: max(1, plies)])


def characters(game: Game) -> Laid:
    """Lay a game out as four characters a move behind the padding token, as the article does.

    Raises:
        RecordError: it starts from a position, or is too long.
    """
    if not same_start(game.start, STARTING):
        raise RecordError("a model of method chars knows games from the usual start only; use one of method moves")
    if len(game.moves) > MOST_SPELLED:
        found = f"{len(game.moves)} plies; a model of method chars reads {MOST_SPELLED}"
        raise RecordError(f"{found}; use one of method moves")
    return Laid([0, *(token for move in game.moves for token in CHARACTERS_OF[move])], 0, span=4)
