"""What a model of method `moves` sees: each side with its own eyes, and beside each move the board that it leads to.

The side to move is always below: a move of Black's is the token of the same move of Red's, seen from the other side. So
what is learnt of one side holds for both. Of a board it sees whose turn it is, the pieces, the legal moves, and which
squares each of the enemy's pieces reaches.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nlptasks.xiangqi import rules
from nlptasks.xiangqi.board import PAWN, SQUARES, turned
from nlptasks.xiangqi.rules import Boards, Found, Ints, Turns
from nlptasks.xiangqi.tables import NUMBERS, SOURCES, TARGETS
from nlptasks.xiangqi.vocabulary import FIRST_MOVE, FIRST_SIDE, FIRST_THREAT, PLACED_TOKENS

#: Pieces on a board at most, and moves of a side: of two rooks, two cannons, two horses and what steps.
MOST_PIECES, MOST_MOVES = 32, 120
#: Where the legal moves stand among the tokens beside a move.
LEGAL = slice(1 + MOST_PIECES, 1 + MOST_PIECES + MOST_MOVES)
#: The number of each move, seen from the other side of the board.
TURNED: Ints = NUMBERS[[turned(one) for one in SOURCES.tolist()], [turned(one) for one in TARGETS.tolist()]]


def move_tokens(moves: Ints, red: Turns) -> Ints:
    """Give moves their tokens, (M,) int, seen by the side that makes each, (M,) bool."""
    return np.asarray(FIRST_MOVE + np.where(red, moves, TURNED[moves]))


def beside(boards: Boards, red: Turns, found: Found | None = None) -> Ints:
    """List what there is to see of boards, with the eyes of the side to move.

    Args:
        boards: (B, 90).
        red: (B,), whose turn it is.
        found: the legal moves, where they are known.

    Returns:
        (B, K) int tokens, filled up with padding.
    """
    found = rules.legal_moves(boards, red) if found is None else found
    own = np.where(red[:, None], boards, -boards[:, ::-1])
    rows, squares = np.nonzero(own)
    parts = (
        (FIRST_SIDE + ~red)[:, None],
        laid_out(rows, PLACED[own[rows, squares] + PAWN, squares], (len(boards), MOST_PIECES)),
        laid_out(found.boards, move_tokens(found.moves, red[found.boards]), (len(boards), MOST_MOVES)),
        laid_out(*threats(boards, red), (len(boards), MOST_MOVES)),
    )
    return np.concatenate(parts, 1)


def threats(boards: Boards, red: Turns) -> tuple[Ints, Ints]:
    """Find what the enemy's pieces reach: boards, in order, and tokens, (M,) int each."""
    rows, sources, targets = rules.reachable(boards, ~red)
    order = np.argsort(rows, kind="stable")
    rows, sources, targets = rows[order], sources[order], targets[order]
    squares = np.where(red[rows], targets, SQUARES - 1 - targets)
    return rows, FIRST_THREAT + (np.abs(boards[rows, sources]).astype(np.int64) - 1) * SQUARES + squares


def laid_out(rows: Ints, tokens: Ints, shape: tuple[int, int]) -> Ints:
    """Lay tokens, (M,), out in the rows that they belong to, (M,) in order, filled up with padding."""
    made = np.zeros(shape, dtype=np.int64)
    made[rows, np.arange(len(rows)) - np.searchsorted(rows, rows)] = tokens
    return made


def placed() -> NDArray[np.int64]:
    """Give the token of each piece, from the enemy's pawn to one's own, on each square: (15, 90)."""
    tokens = np.zeros((2 * PAWN + 1, SQUARES), dtype=np.int64)
    for (piece, square), token in PLACED_TOKENS.items():
        tokens[piece + PAWN, square] = token
    return tokens


PLACED = placed()
