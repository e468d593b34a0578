"""What pieces can reach, worked out once: every possible move by its number, and lines, jumps and steps by square."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from nlptasks.xiangqi.board import (
    ADVISOR,
    ELEPHANT,
    FILES,
    HORSE,
    KING,
    PAWN,
    PLACES,
    RANKS,
    SQUARES,
    mirrored,
    square_name,
    turned,
)

Ints = NDArray[np.int64]
#: The square beside the board, for tables whose rows are of one length.
BESIDE = SQUARES
ORTHOGONAL = ((0, 1), (1, 0), (0, -1), (-1, 0))
DIAGONAL = ((1, 1), (1, -1), (-1, -1), (-1, 1))
#: A horse's leg, and the two squares behind it.
HORSE_JUMPS = [
    (leg, (2 * leg[0] + side * leg[1], 2 * leg[1] + side * leg[0])) for leg in ORTHOGONAL for side in (-1, 1)
]
#: What a line says of a square: nothing, free, the first piece on it, the second one.
FREE, FIRST, SECOND = 1, 2, 3


def shifted(square: int, rank: int, file: int) -> int:
    """Go from a square by ranks and files; `BESIDE` where the board ends."""
    to_rank, to_file = square // FILES + rank, square % FILES + file
    return to_rank * FILES + to_file if 0 <= to_rank < RANKS and 0 <= to_file < FILES else BESIDE


def may_stand(kind: int, square: int, *, red: bool) -> bool:
    """Tell whether a piece may stand on a square."""
    return kind not in PLACES or (square if red else turned(square)) in PLACES[kind]


def padded(rows: Iterable[list[int]], width: int) -> Ints:
    """Lay lists of squares out as a table, filled up with `BESIDE`."""
    return np.array([row + [BESIDE] * (width - len(row)) for row in rows])


def steps(kind: int, *, red: bool) -> Ints:
    """Say where a king, an advisor or a pawn can step from each square: (90, 4)."""
    rows = []
    for square in range(SQUARES):
        directions: Iterable[tuple[int, int]] = DIAGONAL if kind == ADVISOR else ORTHOGONAL
        if kind == PAWN:
            forward = 1 if red else -1
            crossed = (square // FILES > 4) == red
            directions = [(forward, 0), *([(0, 1), (0, -1)] if crossed else [])]
        found = [shifted(square, *direction) for direction in directions]
        is_here = may_stand(kind, square, red=red)
        rows.append([to for to in found if is_here and to != BESIDE and may_stand(kind, to, red=red)])
    return padded(rows, 4)


def jumps(kind: int) -> tuple[Ints, Ints]:
    """Say where a horse or an elephant can jump from each square, and over which: (90, 8) each."""
    shapes = HORSE_JUMPS if kind == HORSE else [((a, b), (2 * a, 2 * b)) for a, b in DIAGONAL]
    targets, legs = [], []
    for square in range(SQUARES):
        found = [(shifted(square, *to), shifted(square, *leg)) for leg, to in shapes]
        if kind == ELEPHANT:
            red = square // FILES < 5
            found = [one for one in found if one[0] != BESIDE and (one[0] // FILES < 5) == red]
            found = found if may_stand(kind, square, red=red) else []
        found = [one for one in found if one[0] != BESIDE]
        targets.append([to for to, _ in found])
        legs.append([leg for _, leg in found])
    return padded(targets, 8), padded(legs, 8)


def lines(length: int) -> NDArray[np.int8]:
    """Say what a place on a line of the board sees of the others: (length, 2 ** length, length) of FREE, FIRST, SECOND.

    The second index is which places are occupied, the first place being bit 0.
    """
    seen = np.zeros((length, 1 << length, length), dtype=np.int8)
    for place in range(length):
        for occupied in range(1 << length):
            for way in (range(place + 1, length), range(place - 1, -1, -1)):
                pieces = 0
                for other in way:
                    is_piece = occupied >> other & 1
                    pieces += is_piece
                    if pieces > 2:
                        break
                    if is_piece:
                        seen[place, occupied, other] = FIRST if pieces == 1 else SECOND
                    elif not pieces:
                        seen[place, occupied, other] = FREE
    return seen


def rays() -> Ints:
    """List the squares that a king sees in the four directions, the nearest first: (90, 4, 9)."""
    found = [
        [[shifted(square, rank * step, file * step) for step in range(1, RANKS)] for rank, file in ORTHOGONAL]
        for square in range(SQUARES)
    ]
    return np.array(found)


def horses_on() -> tuple[Ints, Ints]:
    """List the squares from which a horse attacks a square, and its leg on the way: (90, 8) each."""
    targets, legs = jumps(HORSE)
    sources: list[list[int]] = [[] for _ in range(SQUARES)]
    blocks: list[list[int]] = [[] for _ in range(SQUARES)]
    for source in range(SQUARES):
        for target, leg in zip(targets[source].tolist(), legs[source].tolist(), strict=True):
            if target != BESIDE:
                sources[target].append(source)
                blocks[target].append(leg)
    return padded(sources, 8), padded(blocks, 8)


def touching() -> NDArray[np.bool_]:
    """Tell which squares an attack on a king may pass or come from a line, or a horse's leg: (90, 91)."""
    found = np.zeros((SQUARES, SQUARES + 1), dtype=bool)
    for king in range(SQUARES):
        near = [shifted(king, *direction) for direction in DIAGONAL]
        for square in range(SQUARES):
            found[king, square] = square % FILES == king % FILES or square // FILES == king // FILES or square in near
    return found


STEPS = {kind: (steps(kind, red=False), steps(kind, red=True)) for kind in (KING, ADVISOR, PAWN)}
JUMPS = {kind: jumps(kind) for kind in (HORSE, ELEPHANT)}
ALONG_RANK, ALONG_FILE = lines(FILES), lines(RANKS)
RAYS, TOUCHING = rays(), touching()
HORSES_ON, HORSE_LEGS_ON = horses_on()
#: From where a pawn attacks a square: Black's pawns one of Red, then the other way round.
PAWNS_ON = (
    np.array([[shifted(square, -1, 0), shifted(square, 0, 1), shifted(square, 0, -1)] for square in range(SQUARES)]),
    np.array([[shifted(square, 1, 0), shifted(square, 0, 1), shifted(square, 0, -1)] for square in range(SQUARES)]),
)


def possible() -> list[tuple[int, int]]:
    """List every move that some piece can make on some board, in order."""
    found = {(one, other) for one in range(SQUARES) for other in range(SQUARES) if one != other and in_line(one, other)}
    tables = [*(table for pair in STEPS.values() for table in pair), *(targets for targets, _ in JUMPS.values())]
    for table in tables:
        found |= {(source, to) for source, row in enumerate(table.tolist()) for to in row if to != BESIDE}
    return sorted(found)


def in_line(one: int, other: int) -> bool:
    """Tell whether two squares are on one rank or file."""
    return one // FILES == other // FILES or one % FILES == other % FILES


#: Every possible move: its squares by its number, and its number by its squares (-1 for none).
MOVES = np.array(possible())
SOURCES, TARGETS = MOVES[:, 0].copy(), MOVES[:, 1].copy()
NUMBERS = np.full((SQUARES + 1, SQUARES + 1), -1)
NUMBERS[SOURCES, TARGETS] = np.arange(len(MOVES))
ICCS = [square_name(source) + square_name(target) for source, target in MOVES.tolist()]
BY_ICCS = {name: number for number, name in enumerate(ICCS)}
#: The number of each move on the other wing.
MIRRORED = NUMBERS[[mirrored(one) for one in SOURCES.tolist()], [mirrored(one) for one in TARGETS.tolist()]]
