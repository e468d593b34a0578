"""How moves are written: ICCS (h2e2), UCI (ranks from 1: h3e3) and Chinese (炮二平五), in both directions.

Chinese notation is that of the Chinese Xiangqi Association's rules: files are counted from the mover's right, Red's in
Chinese numerals and Black's in Arabic ones; of two pieces on a file one is 前 and one 后, of three pawns one is 中, and
of more, or where two files have several, pawns are numbered from the right and from the front.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from nlptasks.errors import RecordError
from nlptasks.xiangqi import rules, tables
from nlptasks.xiangqi.board import ADVISOR, ELEPHANT, FILES, HORSE, KINDS, PAWN, RANKS, SQUARES, Position
from nlptasks.xiangqi.tables import BY_ICCS, ICCS, MOVES, NUMBERS

RED_NAMES, BLACK_NAMES = ".帅仕相马车炮兵", ".将士象马车炮卒"
#: The same with a character of its own for each side, for where there are no colours.
DRAWN_RED, DRAWN_BLACK = "＋帅仕相傌俥炮兵", "＋将士象馬車砲卒"
RED_DIGITS, BLACK_DIGITS = ".一二三四五六七八九", ".１２３４５６７８９"
FORWARD, BACKWARD, SIDEWAYS = "进退平"
TRADITIONAL = str.maketrans("帅马车后进将", "帥馬車後進將")
#: Pieces whose last numeral is the file they go to, not the squares they go.
TO_A_FILE = (ADVISOR, ELEPHANT, HORSE)

PIECES = {
    name: kind
    for kind, names in enumerate(("", "帅帥将將", "仕士", "相象", "马馬傌", "车車俥", "炮砲包", "兵卒"))
    for name in names
}
#: Every sign that is understood, as one that the patterns below know.
PLAIN = {
    **{name: "KAEHRCP"[kind - 1] for name, kind in PIECES.items()},
    **{letter: "KAEHRCP"[kind - 1] for letter, kind in KINDS.items()},
    **{numeral: str(number) for number, numeral in enumerate("一二三四五六七八九", 1)},
    **dict.fromkeys("进進+", "+"),
    **dict.fromkeys("退-－—", "-"),
    **dict.fromkeys("平=.", "="),
    **{"前": "f", "中": "m", "后": "b", "後": "b"},
}
PLAIN_KINDS = {"KAEHRCP"[kind - 1]: kind for kind in range(1, 8)}
ICCS_MOVE = re.compile(r"([a-i][0-9])[-–]?([a-i][0-9])[+#!?]*", re.IGNORECASE)
UCI_MOVE = re.compile(r"([a-i])(10|[1-9])([a-i])(10|[1-9])")
CHINESE_MOVE = re.compile(
    r"(?:(?P<kind>[KAEHRCP])(?P<file>[1-9])|(?P<place>[fmb1-5+-])(?P<which>[KAEHRCP])(?P<on>[1-9])?"
    r"|(?P<sign>[KAEHRCP])(?P<end>[+-])|(?P<pawn>[fmb])(?P<column>[1-9]))(?P<way>[-+=])(?P<number>[1-9])"
)


def iccs(move: int) -> str:
    """Write a move as ICCS does, ranks from 0."""
    return ICCS[move]


def uci(move: int) -> str:
    """Write a move as UCI does, ranks from 1."""
    name = ICCS[move]
    return f"{name[0]}{int(name[1]) + 1}{name[2]}{int(name[3]) + 1}"


def read_uci(text: str) -> int:
    """Read a move as UCI writes it.

    Raises:
        RecordError: no piece can ever move so.
    """
    found = UCI_MOVE.fullmatch(text)
    name = "".join(part if part.isalpha() else str(int(part) - 1) for part in found.groups()) if found else ""
    if name not in BY_ICCS:
        raise RecordError(f"{text!r} is no move in UCI notation; expected one such as h3e3, ranks from 1")
    return BY_ICCS[name]


def own_file(square: int, red: bool) -> int:
    """Number a square's file from the mover's right, from 1."""
    return FILES - square % FILES if red else square % FILES + 1


def own_rank(square: int, red: bool) -> int:
    """Number a square's rank from the mover's side, from 0."""
    return square // FILES if red else RANKS - 1 - square // FILES


def chinese(position: Position, move: int, *, traditional: bool = False) -> str:
    """Write a legal move in Chinese."""
    source, target = MOVES[move].tolist()
    red, kind = position.red, abs(position.squares[source])
    digits = RED_DIGITS if red else BLACK_DIGITS
    ahead = own_rank(target, red) - own_rank(source, red)
    way = SIDEWAYS if not ahead else FORWARD if ahead > 0 else BACKWARD
    number = own_file(target, red) if not ahead or kind in TO_A_FILE else abs(ahead)
    text = piece_text(position, source, kind) + way + digits[number]
    return text.translate(TRADITIONAL) if traditional else text


def piece_text(position: Position, square: int, kind: int) -> str:
    """Say which piece moves: by its file, or by its place among those on the file."""
    red = position.red
    name = (RED_NAMES if red else BLACK_NAMES)[kind]
    digits = RED_DIGITS if red else BLACK_DIGITS
    crowded = crowded_files(position, kind) if kind not in (ADVISOR, ELEPHANT) else []
    here = next((file for file in crowded if square in file), None)
    if here is None:
        return name + digits[own_file(square, red)]
    if len(crowded) > 1:
        return digits[1 + [one for file in crowded for one in file].index(square)] + name
    place = here.index(square)
    return ("前后", "前中后")[len(here) - 2][place] + name if len(here) < 4 else digits[1 + place] + name


def crowded_files(position: Position, kind: int) -> list[list[int]]:
    """List the files on which several pieces of a kind stand: from the mover's right, each from its front."""
    red = position.red
    wanted = kind if red else -kind
    files: dict[int, list[int]] = {}
    for square in range(SQUARES):
        if position.squares[square] == wanted:
            files.setdefault(own_file(square, red), []).append(square)
    return [
        sorted(squares, key=lambda square: -own_rank(square, red))
        for _, squares in sorted(files.items())
        if len(squares) > 1
    ]


def read_move(text: str, position: Position) -> int:
    """Read a move in ICCS or Chinese; whether the rules allow it is not asked, unless several could be meant.

    Raises:
        RecordError: it is neither, or the board has no such piece, or more than one.
    """
    if found := ICCS_MOVE.fullmatch(text):
        name = (found[1] + found[2]).lower()
        if name not in BY_ICCS:
            raise RecordError(f"{text!r}: no piece ever moves so")
        return BY_ICCS[name]
    plain = "".join(PLAIN.get(sign, sign) for sign in unicodedata.normalize("NFKC", text).upper().rstrip("!?#"))
    found = CHINESE_MOVE.fullmatch(plain)
    if not found:
        raise RecordError(f"{text!r} is no move; expected one such as h2e2 or 炮二平五")
    moves = [move for square in sources(found, position) if (move := reached(found, position, square)) is not None]
    if len(moves) > 1:
        legal = set(rules.legal_moves(*rules.laid_out([position])).moves.tolist())
        moves = [move for move in moves if move in legal]
    if len(moves) != 1:
        raise RecordError(f"{text!r}: {'several pieces' if moves else 'no piece'} on the board can move so")
    return moves[0]


def sources(found: re.Match[str], position: Position) -> list[int]:
    """List the squares of the pieces that a Chinese move may mean."""
    kind, red = kind_of(found), position.red
    wanted = kind if red else -kind
    squares = [square for square in range(SQUARES) if position.squares[square] == wanted]
    place = found["place"] or found["end"] or found["pawn"]
    file = found["file"] or found["on"] or found["column"]
    if file:
        squares = [square for square in squares if own_file(square, red) == int(file)]
    return by_place(place, squares, position, kind) if place else squares


def kind_of(found: re.Match[str]) -> int:
    """Tell which kind of piece a Chinese move names."""
    letter = found["kind"] or found["which"] or found["sign"]
    return PLAIN_KINDS[letter] if letter else PAWN


def by_place(place: str, squares: Sequence[int], position: Position, kind: int) -> list[int]:
    """Choose by 前, 中, 后 or a number among pieces that share a file; without such, 前 and 后 mean any of them."""
    crowded = [file for file in crowded_files(position, kind) if file[0] in squares]
    if place.isdecimal():
        ordered = [square for file in crowded for square in file]
        return ordered[int(place) - 1 : int(place)]
    if not crowded:
        ordered = sorted(squares, key=lambda square: -own_rank(square, position.red))
        crowded = [ordered] if ordered else []
    if place == "m":
        return [file[1] for file in crowded if len(file) == len("前中后")]
    index = {"f": 0, "+": 0, "b": -1, "-": -1}[place]
    return [file[index] for file in crowded]


def reached(found: re.Match[str], position: Position, source: int) -> int | None:
    """Follow the second half of a Chinese move from a square; none where no piece ever moves so."""
    kind, red, number = kind_of(found), position.red, int(found["number"])
    forward = {"+": 1, "-": -1, "=": 0}[found["way"]] * (1 if red else -1)
    file = FILES - number if red else number - 1
    rank = source // FILES
    if not forward:
        target = rank * FILES + file if file != source % FILES else tables.BESIDE
    elif kind in TO_A_FILE:
        target = tables.shifted(source, forward * leap(kind, abs(file - source % FILES)), file - source % FILES)
    else:
        target = tables.shifted(source, forward * number, 0)
    move = int(NUMBERS[source, target])
    return move if move >= 0 and makes(kind, source, target, red) else None


def leap(kind: int, files: int) -> int:
    """Say how many ranks a horse, an elephant or an advisor goes with so many files; far beyond the board for none."""
    found = {HORSE: {1: 2, 2: 1}, ELEPHANT: {2: 2}, ADVISOR: {1: 1}}[kind]
    return found.get(files, RANKS)


def makes(kind: int, source: int, target: int, red: bool) -> bool:
    """Tell whether a piece of the kind ever moves so on an empty board."""
    if kind in tables.STEPS:
        return target in tables.STEPS[kind][red][source].tolist()
    if kind in tables.JUMPS:
        return target in tables.JUMPS[kind][0][source].tolist()
    return tables.in_line(source, target)


def diagram(position: Position) -> str:
    """Draw a position as text, Red below: ten lines of nine squares, and the names of the files."""
    lines = []
    for rank in reversed(range(RANKS)):
        pieces = position.squares[rank * FILES : (rank + 1) * FILES]
        lines.append(f"{rank} " + "".join((DRAWN_RED if piece > 0 else DRAWN_BLACK)[abs(piece)] for piece in pieces))
    return "\n".join([*lines, "  ａｂｃｄｅｆｇｈｉ"])
