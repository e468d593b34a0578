"""Games: a start and moves that the rules allow, with the boards on the way."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nlptasks.errors import RecordError
from nlptasks.xiangqi import rules
from nlptasks.xiangqi.board import LETTERS, SQUARES, START, Position
from nlptasks.xiangqi.notation import read_move
from nlptasks.xiangqi.rules import Boards, Turns
from nlptasks.xiangqi.tables import BY_ICCS, ICCS, MOVES

RESULTS = ("1-0", "0-1", "1/2-1/2", "*")
BETWEEN = re.compile(r"[\s,，;；]+")
#: How a piece is called in a complaint.
SPOKEN = dict(zip(LETTERS[1:], ("king", "advisor", "elephant", "horse", "rook", "cannon", "pawn"), strict=True))


@dataclass(frozen=True)
class Game:
    """A start, and the numbers of the moves made since, all of them legal."""

    start: Position
    moves: tuple[int, ...] = ()

    @cached_property
    def positions(self) -> list[Position]:
        """Give the positions before each move and after the last."""
        return rules.replayed(self.start, self.moves)

    @cached_property
    def boards(self) -> tuple[Boards, Turns]:
        """Give the same as boards and turns."""
        return boards_of(self.start, self.moves)

    @property
    def now(self) -> Position:
        """Give the position after the last move."""
        return self.positions[-1]

    @property
    def state(self) -> str:
        """Say how the game stands."""
        return rules.state_of(self.positions)

    @property
    def iccs(self) -> str:
        """Write the moves in ICCS."""
        return " ".join(ICCS[move] for move in self.moves)

    def after(self, move: int) -> Game:
        """Make one move more."""
        return Game(self.start, (*self.moves, move))


def read_game(moves: str, fen: str | None = None) -> Game:
    """Read a game; moves may be in ICCS or Chinese, even mixed.

    Args:
        moves: separated by spaces or commas; none for a position alone.
        fen: where the game starts; the usual start by default.

    Raises:
        RecordError: the start is no position, or a move cannot be read or is illegal; it says which ply and why.
    """
    start = rules.start_of(fen) if fen else STARTING
    texts = [text for text in BETWEEN.split(moves) if text]
    numbers = numbered(start, texts)
    check(start, numbers, texts)
    return Game(start, tuple(numbers))


STARTING = rules.start_of(START)


def numbered(start: Position, texts: Sequence[str]) -> list[int]:
    """Read moves in order.

    Raises:
        RecordError: one cannot be read.
    """
    if all(text in BY_ICCS for text in texts):
        return [BY_ICCS[text] for text in texts]
    found: list[int] = []
    position = start
    for ply, text in enumerate(texts, 1):
        try:
            found.append(read_move(text, position))
        except RecordError as error:
            raise RecordError(f"ply {ply}: {error}") from None
        position = position.after(*MOVES[found[-1]].tolist())
    return found


def check(start: Position, moves: Sequence[int], texts: Sequence[str] = ()) -> None:
    """Refuse a game with an illegal move.

    Args:
        start: where it starts.
        moves: their numbers.
        texts: how they were written, where that is known.

    Raises:
        RecordError: there is one.
    """
    boards, red = boards_of(start, moves)
    if not moves:
        return
    wrong = ~rules.legal_mask(boards[:-1], red[:-1])[np.arange(len(moves)), list(moves)]
    if wrong.any():
        ply = int(wrong.argmax())
        position = rules.replayed(start, moves[:ply])[-1]
        name = ICCS[moves[ply]]
        said = name if not texts or texts[ply] == name else f"{texts[ply]} ({name})"
        raise RecordError(f"ply {ply + 1}: {said} is illegal: {why(position, moves[ply])}")


def boards_of(start: Position, moves: Sequence[int]) -> tuple[Boards, Turns]:
    """Give the boards before each move and after the last, (T + 1, 90) int8, and whose turn it is."""
    board = np.array(start.squares, dtype=np.int8)
    squares = bytearray(board.tobytes())
    parts = [bytes(squares)]
    for source, target in MOVES[list(moves)].tolist() if moves else ():
        squares[target], squares[source] = squares[source], 0
        parts.append(bytes(squares))
    boards = np.frombuffer(b"".join(parts), dtype=np.int8).reshape(-1, SQUARES)
    return boards, (np.arange(len(parts)) % 2 == 0) == start.red


def why(position: Position, move: int) -> str:
    """Say why a move is illegal."""
    source, target = MOVES[move].tolist()
    piece, taken = (position.squares[square] * (1 if position.red else -1) for square in (source, target))
    side = "Red" if position.red else "Black"
    if not piece:
        return f"no piece stands on {ICCS[move][:2]}"
    if piece < 0:
        return f"the piece on {ICCS[move][:2]} is not {side}'s, whose turn it is"
    if taken > 0:
        return f"a piece of {side}'s own stands on {ICCS[move][2:]}"
    _, sources, targets = rules.reachable(*rules.laid_out([position]))
    if not ((sources == source) & (targets == target)).any():
        return f"the {SPOKEN[LETTERS[piece]]} cannot go there"
    checked = bool(rules.in_check(*rules.laid_out([position]))[0])
    return f"{side}'s king {'stays' if checked else 'would be'} attacked"
