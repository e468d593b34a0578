"""Squares, pieces and positions: FEN in and out, and what makes a position possible.

A square is rank * 9 + file, counted from Red's left corner: a0 is 0, i9 is 89. A piece is its kind, 1 to 7, negative
where it is Black's.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from nlptasks.errors import RecordError

FILES, RANKS, SQUARES = 9, 10, 90
KING, ADVISOR, ELEPHANT, HORSE, ROOK, CANNON, PAWN = range(1, 8)
LETTERS = ".KABNRCP"
#: What other programs call elephants and horses.
OTHER_LETTERS = {"E": ELEPHANT, "H": HORSE}
KINDS = {**{letter: kind for kind, letter in enumerate(LETTERS) if kind}, **OTHER_LETTERS}
#: Pieces of a kind that a side has at most.
MOST = {KING: 1, ADVISOR: 2, ELEPHANT: 2, HORSE: 2, ROOK: 2, CANNON: 2, PAWN: 5}
NAMES = {KING: "king", ADVISOR: "advisor", ELEPHANT: "elephant", PAWN: "pawn"}
START = "rnbakabnr/9/1c5c1/p1p1p1p1p/9/9/P1P1P1P1P/1C5C1/9/RNBAKABNR w - - 0 1"

#: Digits of a number that counts something at most.
LONG = 9
#: Where a piece of Red's may stand, for the kinds that may not stand everywhere.
PALACE = frozenset(rank * FILES + file for rank in range(3) for file in (3, 4, 5))
DIAGONALS = frozenset(rank * FILES + file for rank, file in ((0, 3), (0, 5), (1, 4), (2, 3), (2, 5)))
MEADOWS = frozenset(rank * FILES + file for rank, file in ((0, 2), (0, 6), (2, 0), (2, 4), (2, 8), (4, 2), (4, 6)))
AHEAD = frozenset(rank * FILES + file for rank in range(3, RANKS) for file in range(FILES) if rank > 4 or file % 2 == 0)
PLACES = {KING: PALACE, ADVISOR: DIAGONALS, ELEPHANT: MEADOWS, PAWN: AHEAD}


@dataclass(frozen=True)
class Position:
    """A board and whose turn it is."""

    squares: tuple[int, ...]
    """For each square its piece, 0 where it is empty."""
    red: bool = True
    """Whether Red is to move."""
    quiet: int = 0
    """Plies since the last capture."""
    number: int = 1
    """Number of the move, which counts both sides' plies as one."""

    @property
    def fen(self) -> str:
        """Write the position as FEN."""
        side = "w" if self.red else "b"
        return f"{placement(self.squares)} {side} - - {self.quiet} {self.number}"

    def after(self, source: int, target: int) -> Position:
        """Move a piece, whether the rules allow it or not."""
        squares = list(self.squares)
        taken, squares[target], squares[source] = squares[target], squares[source], 0
        quiet = 0 if taken else self.quiet + 1
        return Position(tuple(squares), not self.red, quiet, self.number + (not self.red))


def placement(squares: tuple[int, ...]) -> str:
    """Write where the pieces stand: the first field of a FEN."""
    return "/".join(row_text(squares[rank * FILES : (rank + 1) * FILES]) for rank in reversed(range(RANKS)))


def row_text(row: tuple[int, ...]) -> str:
    """Write a rank of the board, from the left."""
    text, empty = "", 0
    for piece in (*row, None):
        if piece == 0:
            empty += 1
            continue
        text += str(empty) if empty else ""
        empty = 0
        if piece is not None:
            text += letter_of(piece)
    return text


def letter_of(piece: int) -> str:
    """Give a piece's letter: a capital for Red."""
    return LETTERS[piece] if piece > 0 else LETTERS[-piece].lower()


def square_name(square: int) -> str:
    """Name a square as ICCS does, such as e0."""
    return f"{'abcdefghi'[square % FILES]}{square // FILES}"


def turned(square: int) -> int:
    """Look at a square from the other side of the board."""
    return SQUARES - 1 - square


def mirrored(square: int) -> int:
    """Give the square on the other wing."""
    return square - 2 * (square % FILES) + FILES - 1


def read_fen(text: str) -> Position:
    """Read a position; the side to move is Red where the text ends before it.

    Raises:
        RecordError: it is no FEN, or no game can come to it.
    """
    parts = text.split()
    if not parts:
        raise RecordError("FEN '': expected a position, such as " + START)
    squares = read_placement(parts[0])
    side = parts[1].lower() if len(parts) > 1 else "w"
    if side not in ("w", "r", "b"):
        raise RecordError(f"FEN: found {parts[1]!r} for the side to move, expected w or b")
    numbers = [int(part) if part.isdecimal() and len(part) <= LONG else 0 for part in (*parts[4:6], "", "")]
    position = Position(squares, side != "b", numbers[0], max(1, numbers[1]))
    check(position)
    return position


def read_placement(text: str) -> tuple[int, ...]:
    """Read where the pieces stand.

    Raises:
        RecordError: not ten ranks of nine squares, or a letter that is no piece.
    """
    rows = text.split("/")
    if len(rows) != RANKS:
        raise RecordError(f"FEN: found {len(rows)} ranks, expected {RANKS}, separated by /")
    squares: list[int] = []
    for number, row in enumerate(rows):
        rank = RANKS - 1 - number
        found: list[int] = []
        for letter in row:
            if letter.isdecimal():
                found += [0] * int(letter)
                continue
            kind = KINDS.get(letter.upper())
            if kind is None:
                raise RecordError(f"FEN: found {letter!r} on rank {rank}, expected a piece of KABNRCP or kabnrcp")
            found.append(kind if letter.isupper() else -kind)
        if len(found) != FILES:
            raise RecordError(f"FEN: found {len(found)} squares on rank {rank}, expected {FILES}")
        squares = found + squares
    return tuple(squares)


def check(position: Position) -> None:
    """Refuse a position that no game can come to; whether a king could be taken is asked in `rules`.

    Raises:
        RecordError: too many pieces of a kind, no king, or a piece where it can never stand.
    """
    counts = Counter(position.squares)
    for sign, side in ((1, "Red"), (-1, "Black")):
        if not counts[sign * KING]:
            raise RecordError(f"FEN: {side} has no king; expected one on each side")
        for kind, most in MOST.items():
            if counts[sign * kind] > most:
                found = f"{side} has {counts[sign * kind]} of {letter_of(sign * kind)}"
                raise RecordError(f"FEN: {found}, expected at most {most}")
    for square, piece in enumerate(position.squares):
        kind, own = abs(piece), square if piece > 0 else turned(square)
        if kind in PLACES and own not in PLACES[kind]:
            found = f"{'Red' if piece > 0 else 'Black'}'s {NAMES[kind]} stands on {square_name(square)}"
            raise RecordError(f"FEN: {found}, where it can never come; mend the position")
