"""Games in XQF, the binary format of XQStudio, versions 1.0 to 1.8: the main line and who played.

The header has 1,024 bytes; behind it stand the moves as a tree in depth-first order, main line first. From version 11
on squares and bytes are shifted by keys that the header holds.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nlptasks.errors import RecordError
from nlptasks.files import Record
from nlptasks.xiangqi.board import ADVISOR, CANNON, ELEPHANT, FILES, HORSE, KING, PAWN, ROOK, SQUARES, START, Position
from nlptasks.xiangqi.games import read_game
from nlptasks.xiangqi.notation import iccs
from nlptasks.xiangqi.pgn import decoded
from nlptasks.xiangqi.tables import NUMBERS

MARK, HEADER = b"XQ", 1024
#: Versions from which on: the pieces' order is turned; keys are used, and a comment stands only where there is one.
TURNED, KEYED = 12, 11
ORDER = (ROOK, HORSE, ELEPHANT, ADVISOR, KING, ADVISOR, ELEPHANT, HORSE, ROOK, CANNON, CANNON, *[PAWN] * 5)
SECRET = b"[(C) Copyright Mr. Dong Shiwei.]"
RESULTS = {1: "1-0", 2: "0-1", 3: "1/2-1/2"}
#: Texts of the header: where the length of each stands, its bytes behind it.
TEXTS = {"event": (0xD0, 63), "date": (0x110, 15), "red": (0x130, 15), "black": (0x140, 15)}
DAMAGED = "the XQF file is damaged or cut short; save it again"


@dataclass(frozen=True)
class Keys:
    """What a file's bytes are shifted by."""

    piece: int = 0
    source: int = 0
    target: int = 0
    comment: int = 0
    stream: bytes = bytes(32)

    @classmethod
    def of(cls, header: bytes) -> Keys:
        """Work the keys out of the header."""
        if header[2] < KEYED:
            return cls()
        piece = scrambled(header[13]) * header[13] & 255
        source = scrambled(header[14]) * piece & 255
        target = scrambled(header[15]) * source & 255
        comment = (header[12] * 256 + header[13]) % 32000 + 767
        masks = [header[8 + place] | (header[12 + place] & header[3]) for place in range(4)]
        return cls(piece, source, target, comment, bytes(masks[at % 4] & one for at, one in enumerate(SECRET)))

    def plain(self, raw: bytes, at: int) -> bytes:
        """Take the shift out of bytes that stand at a place of the file."""
        return bytes((one - self.stream[(at + place) % 32]) & 255 for place, one in enumerate(raw))


def scrambled(key: int) -> int:
    """Turn a key of the header into a factor."""
    return key * key * 54 + 221


def read(raw: bytes, source: str, encoding: str | None = None) -> Iterator[Record]:
    """Read a file, which holds one game; where it cannot be used the record has a problem."""
    try:
        yield Record(source, 0, fields_of(raw, encoding))
    except RecordError as error:
        yield Record(source, 0, {}, f"game 1: {error}")


def fields_of(raw: bytes, encoding: str | None) -> dict[str, Any]:
    """Make a record of the game.

    Raises:
        RecordError: it is no XQF, or damaged, or its moves are illegal.
    """
    if not raw.startswith(MARK):
        raise RecordError("not an XQF file, which starts with XQ")
    if len(raw) < HEADER:
        raise RecordError(DAMAGED)
    keys = Keys.of(raw)
    squares = placed(raw, keys)
    pairs = main_line(raw, keys)
    if not pairs:
        raise RecordError("no moves")
    red = squares[pairs[0][0]] > 0
    position = Position(squares, red)
    moves = [int(NUMBERS[pair]) for pair in pairs]
    if -1 in moves:
        raise RecordError(f"ply {moves.index(-1) + 1}: no piece ever moves so")
    is_usual = position.fen.split()[:2] == START.split()[:2]
    text = " ".join(map(iccs, moves))
    read_game(text, position.fen)
    found: dict[str, Any] = {"result": RESULTS.get(raw[51], "*")}
    said = {name: text_at(raw, *place, encoding) for name, place in TEXTS.items()}
    found |= {name: value for name, value in said.items() if value}
    return found | ({} if is_usual else {"fen": position.fen}) | {"moves": text}


def text_at(raw: bytes, place: int, most: int, encoding: str | None) -> str:
    """Read a text of the header, which is in GB18030 where nothing else is said; nothing where it is not."""
    try:
        return decoded(raw[place + 1 : place + 1 + min(raw[place], most)], encoding or "gb18030").strip("\0 ")
    except RecordError:
        return ""


def placed(raw: bytes, keys: Keys) -> tuple[int, ...]:
    """Put the pieces on the board."""
    listed = raw[16:48]
    if raw[2] >= TURNED:
        listed = bytes(listed[(place - keys.piece - 1) % 32] for place in range(32))
    squares = [0] * SQUARES
    for number, place in enumerate(listed):
        file, rank = divmod((place - keys.piece) & 255, 10)
        if file < FILES:
            squares[rank * FILES + file] = ORDER[number % 16] * (1 if number < 16 else -1)
    return tuple(squares)


def main_line(raw: bytes, keys: Keys) -> list[tuple[int, int]]:
    """List the squares of the main line's moves.

    Raises:
        RecordError: the file ends within the line, or a square is beside the board.
    """
    found: list[tuple[int, int]] = []
    at, goes_on, is_move = HEADER, True, False
    while goes_on:
        node = keys.plain(raw[at : at + 4], at)
        if len(node) < 4:
            raise RecordError(DAMAGED)
        if is_move:
            found.append((square(node[0] - 24 - keys.source), square(node[1] - 32 - keys.target)))
        goes_on, has_comment = marks(node[2], raw[2])
        at += 4
        if has_comment:
            length = struct.unpack("<I", keys.plain(raw[at : at + 4], at).ljust(4, b"\0"))[0] - keys.comment
            if not 0 <= length <= len(raw):
                raise RecordError(DAMAGED)
            at += 4 + length
        is_move = True
    return found


def marks(mark: int, version: int) -> tuple[bool, bool]:
    """Tell whether a move is followed by another one, and by a comment."""
    if version < KEYED:
        return bool(mark & 0xF0), True
    return bool(mark & 0x80), bool(mark & 0x20)


def square(place: int) -> int:
    """Turn a place, ten times its file plus its rank, into a square.

    Raises:
        RecordError: it is beside the board.
    """
    file, rank = divmod(place & 255, 10)
    if file >= FILES:
        raise RecordError(DAMAGED)
    return rank * FILES + file
