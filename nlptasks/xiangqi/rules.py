"""The rules, for many boards at once: strictly legal moves, check, and how a game stands.

Boards are (B, 90) int8 (see `board`), turns (B,) bool, True where Red is to move. No side may leave its king attacked,
be it by a king on the same open file. A side without a move has lost, whether it is in check or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from nlptasks.errors import RecordError
from nlptasks.xiangqi import tables
from nlptasks.xiangqi.board import (
    ADVISOR,
    CANNON,
    ELEPHANT,
    FILES,
    HORSE,
    KING,
    PAWN,
    RANKS,
    ROOK,
    SQUARES,
    Position,
    read_fen,
)
from nlptasks.xiangqi.tables import FIRST, FREE, MOVES, NUMBERS, SECOND, SOURCES, TARGETS

Boards = NDArray[np.int8]
Turns = NDArray[np.bool_]
Ints = NDArray[np.int64]

RANK_BITS, FILE_BITS = 1 << np.arange(FILES), 1 << np.arange(RANKS)
RANK_STARTS = np.arange(RANKS) * FILES
#: Boards that are looked at together when moves are counted.
CHUNK = 8192
#: Times that a position has stood when a game is said to repeat itself.
REPEATED = 3


@dataclass(frozen=True)
class Found:
    """Moves of many boards: for each its board and its number in `tables.MOVES`, (M,) int each, in order."""

    boards: Ints
    moves: Ints


def laid_out(positions: Sequence[Position]) -> tuple[Boards, Turns]:
    """Put positions together: boards and turns."""
    boards = np.array([position.squares for position in positions], dtype=np.int8).reshape(-1, SQUARES)
    return boards, np.array([position.red for position in positions], dtype=bool)


def legal_moves(boards: Boards, red: Turns, *, captures: bool = False) -> Found:
    """Find every move that the rules allow, or those that take a piece, in the order of boards and move numbers."""
    rows, sources, targets = reachable(boards, red)
    if captures:
        taking = boards[rows, targets] != 0
        rows, sources, targets = rows[taking], sources[taking], targets[taking]
    kings = king_squares(boards, red)
    is_king = sources == kings[rows]
    touched = tables.TOUCHING[kings[rows], sources] | tables.TOUCHING[kings[rows], targets]
    doubtful = np.flatnonzero(is_king | touched | in_check(boards, red)[rows])
    after = moved(boards[rows[doubtful]], sources[doubtful], targets[doubtful])
    allowed = np.ones(len(rows), dtype=bool)
    allowed[doubtful] = ~in_check(after, red[rows[doubtful]])
    rows, numbers = rows[allowed], NUMBERS[sources[allowed], targets[allowed]]
    order = np.argsort(rows * len(MOVES) + numbers)
    return Found(rows[order], numbers[order])


def legal_mask(boards: Boards, red: Turns) -> NDArray[np.bool_]:
    """Tell for every possible move whether it is legal: (B, moves)."""
    mask = np.zeros((len(boards), len(MOVES)), dtype=bool)
    found = legal_moves(boards, red)
    mask[found.boards, found.moves] = True
    return mask


def moved(boards: Boards, sources: Ints, targets: Ints) -> Boards:
    """Make one move on each board; the boards given stay as they are."""
    after, rows = boards.copy(), np.arange(len(boards))
    after[rows, targets] = after[rows, sources]
    after[rows, sources] = 0
    return after


def king_squares(boards: Boards, red: Turns) -> Ints:
    """Find the kings of the sides to move: (B,) int."""
    wanted = np.where(red, KING, -KING).astype(np.int8)
    return np.asarray((boards == wanted[:, None]).argmax(1))


def in_check(boards: Boards, red: Turns) -> NDArray[np.bool_]:
    """Tell where the king of the side to move is attacked: (B,) bool."""
    kings = king_squares(boards, red)
    # Seen by the side to move, whose own pieces are positive; the square beside the board is empty.
    own = with_side(boards, red, beside=0)
    flat, starts = own.ravel(), (np.arange(len(boards)) * (SQUARES + 1))[:, None]

    def at(squares: Ints) -> Boards:
        return flat.take(starts.reshape(-1, *[1] * (squares.ndim - 1)) + squares)

    line = at(tables.RAYS[kings])
    count = (line != 0).cumsum(2, dtype=np.int8)
    enemies = ((line == -ROOK) | (line == -KING)) & (count == 1)
    attacked = enemies.any((1, 2)) | ((line == -CANNON) & (count == 2)).any((1, 2))
    pawns = np.where(red[:, None], tables.PAWNS_ON[1][kings], tables.PAWNS_ON[0][kings])
    attacked |= (at(pawns) == -PAWN).any(1)
    horses = (at(tables.HORSES_ON[kings]) == -HORSE) & (at(tables.HORSE_LEGS_ON[kings]) == 0)
    return np.asarray(attacked | horses.any(1))


def with_side(boards: Boards, red: Turns, *, beside: int) -> Boards:
    """See the boards with the eyes of the side to move, its pieces positive, a square beside each: (B, 91)."""
    own = np.full((len(boards), SQUARES + 1), beside, dtype=np.int8)
    np.multiply(boards, np.where(red, 1, -1).astype(np.int8)[:, None], out=own[:, :SQUARES])
    return own


def reachable(boards: Boards, red: Turns) -> tuple[Ints, Ints, Ints]:
    """Find what pieces can reach, even if their king is then attacked.

    Returns:
        For each move its board, source and target, (M,) int each.
    """
    own = with_side(boards, red, beside=1)  # a piece of one's own is never taken and always in the way
    pieces = np.nonzero(own[:, :SQUARES] > 0)
    kinds = own[pieces]
    parts = [slides(own, *(part[(kinds == ROOK) | (kinds == CANNON)] for part in pieces))]
    for kind in (KING, ADVISOR, PAWN):
        rows, squares = (part[kinds == kind] for part in pieces)
        black, white = tables.STEPS[kind]
        targets = np.where(red[rows][:, None], white[squares], black[squares])
        parts.append(picked(rows, squares, targets, taken(own, rows, targets) <= 0))
    for kind in (HORSE, ELEPHANT):
        rows, squares = (part[kinds == kind] for part in pieces)
        targets, legs = (table[squares] for table in tables.JUMPS[kind])
        open_ways = (taken(own, rows, targets) <= 0) & (taken(own, rows, legs) == 0)
        parts.append(picked(rows, squares, targets, open_ways))
    found, sources, reached = (np.concatenate(part) for part in zip(*parts, strict=True))
    return found, sources, reached


def slides(own: Boards, rows: Ints, squares: Ints) -> tuple[Ints, Ints, Ints]:
    """Find what rooks and cannons reach on ranks and files; the arguments are as for `taken`."""
    occupied = (own[:, :SQUARES] != 0).reshape(-1, RANKS, FILES)
    ranks, files = squares // FILES, squares % FILES
    by_rank = (occupied @ RANK_BITS)[rows, ranks]
    by_file = (occupied.transpose(0, 2, 1) @ FILE_BITS)[rows, files]
    seen = np.concatenate([tables.ALONG_RANK[files, by_rank], tables.ALONG_FILE[ranks, by_file]], 1)
    targets = np.concatenate([RANK_STARTS[ranks][:, None] + np.arange(FILES), files[:, None] + RANK_STARTS], 1)
    capture = np.where(own[rows, squares] == ROOK, FIRST, SECOND)[:, None]
    allowed = (seen == FREE) | ((seen == capture) & (taken(own, rows, targets) < 0))
    return picked(rows, squares, targets, allowed)


def taken(own: Boards, rows: Ints, squares: Ints) -> Boards:
    """Look up what stands on squares, (P, W) int, of the boards `rows`, (P,) int."""
    return np.asarray(own.ravel().take(rows[:, None] * own.shape[1] + squares))


def picked(rows: Ints, sources: Ints, targets: Ints, allowed: NDArray[np.bool_]) -> tuple[Ints, Ints, Ints]:
    """List the allowed ones of the targets, (P, W)."""
    piece, way = np.nonzero(allowed)
    return rows[piece], sources[piece], targets[piece, way]


def perft(position: Position, depth: int) -> int:
    """Count the sequences of legal moves of a length, which tells one set of rules from another."""
    return counted(*laid_out([position]), depth)


def counted(boards: Boards, red: Turns, depth: int) -> int:
    """Count the sequences of legal moves of a length from all boards together."""
    total = 0
    for first in range(0, len(boards), CHUNK):
        some, turns = boards[first : first + CHUNK], red[first : first + CHUNK]
        found = legal_moves(some, turns)
        if depth == 1:
            total += len(found.moves)
        else:
            after = moved(some[found.boards], SOURCES[found.moves], TARGETS[found.moves])
            total += counted(after, ~turns[found.boards], depth - 1)
    return total


def start_of(fen: str) -> Position:
    """Read a position from which a game can go on.

    Raises:
        RecordError: it is no FEN, no game can come to it, or the king that is not to move can be taken.
    """
    position = read_fen(fen)
    boards, red = laid_out([position])
    if in_check(boards, ~red)[0]:
        side = "Black" if position.red else "Red"
        raise RecordError(f"FEN: {side}'s king can be taken, but it is not {side}'s turn; mend the side to move")
    return position


def replayed(start: Position, moves: Sequence[int]) -> list[Position]:
    """Give the positions before each move and after the last, whether the moves are legal or not."""
    pairs = MOVES[list(moves)].tolist() if moves else []
    return list(accumulate(pairs, lambda position, pair: position.after(*pair), initial=start))


def state_of(positions: Sequence[Position]) -> str:
    """Say how a game stands: playing, check, checkmate, stalemate or repetition.

    Args:
        positions: from its start to now.
    """
    now = positions[-1]
    boards, red = laid_out([now])
    checked = bool(in_check(boards, red)[0])
    if not len(legal_moves(boards, red).moves):
        return "checkmate" if checked else "stalemate"
    same = sum(one.squares == now.squares and one.red == now.red for one in positions)
    if same >= REPEATED:
        return "repetition"
    return "check" if checked else "playing"
