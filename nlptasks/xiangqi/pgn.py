"""Games in PGN: tags, comments, variations, moves in ICCS or Chinese, in whatever encoding the file is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from nlptasks.errors import RecordError
from nlptasks.files import Record
from nlptasks.xiangqi import notation
from nlptasks.xiangqi.board import START
from nlptasks.xiangqi.games import RESULTS, read_game

TAG = re.compile(r'\[\s*(\w+)\s+"(.*)"\s*\]?\s*$')
#: Whatever stands between moves: comments, marks, numbers and their dots.
COMMENT = re.compile(r"\{[^}]*\}?|;[^\n]*|\$\d+")
NUMBER = re.compile(r"(?<!\S)\d+\s*(?:\.|．|、)+\s*|(?<!\S)[.…．]+")
#: A line drawn below a game.
RULER = re.compile(r"[\W_]{3,}")
#: What tells the encodings of Chinese apart: the words of the notation.
TELLING = frozenset("车马炮兵卒帅将士仕相象車馬砲帥將俥傌进退平進前后後红黑紅一二三四五六七八九１２３４５６７８９")
ENCODINGS = ("gb18030", "big5", "big5hkscs", "utf-16")
#: Tags that become fields, by the name of the field.
FIELDS = {"event": "Event", "date": "Date", "red": "Red", "black": "Black", "opening": "ECCO"}


def decoded(raw: bytes, encoding: str | None = None) -> str:
    """Decode a file's bytes: as UTF-8 where that fits, else as whatever gives the most words of the notation.

    Raises:
        RecordError: no encoding fits.
    """
    for name in (encoding,) if encoding else ("utf-8-sig",):
        try:
            return raw.decode(name)
        except UnicodeError:
            pass
    found = []
    for name in () if encoding else ENCODINGS:
        try:
            found.append(raw.decode(name))
        except UnicodeError:
            continue
    if not found:
        raise RecordError(f"not text in {encoding or 'UTF-8, GB18030 or Big5'}; name another --encoding")
    return max(found, key=lambda text: sum(letter in TELLING for letter in text))


def read(raw: bytes, source: str, encoding: str | None = None) -> Iterator[Record]:
    """Read a file of games; one that cannot be used is a record with a problem.

    Args:
        raw: the bytes.
        source: the file's name, for complaints.
        encoding: see `decoded`.
    """
    try:
        text = decoded(raw, encoding)
    except RecordError as error:
        yield Record(source, 0, {}, str(error))
        return
    number = 0
    for number, (line, tags, moves) in enumerate(split(text), 1):
        try:
            yield Record(source, line, fields_of(tags, moves))
        except RecordError as error:
            yield Record(source, line, {}, f"game {number}: {error}")
    if not number:
        yield Record(source, 0, {}, "no game in the file; expected PGN")


def split(text: str) -> Iterator[tuple[int, dict[str, str], str]]:
    """Cut a file into games: the first line's number, the tags, and the text of the moves."""
    tags: dict[str, str] = {}
    moves: list[str] = []
    first, depth = 1, 0
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        tag = TAG.match(line.strip()) if not depth else None
        if tag and any(part.strip() for part in moves):
            yield first, tags, "\n".join(moves)
            tags, moves = {}, []
        if tag:
            first = first if tags else number
            tags[tag[1]] = tag[2]
        else:
            moves.append(line)
            depth = max(0, depth + line.count("{") - line.count("}"))
    if tags or any(part.strip() for part in moves):
        yield first, tags, "\n".join(moves)


def fields_of(tags: Mapping[str, str], text: str) -> dict[str, Any]:
    """Make a record of a game.

    Raises:
        RecordError: it has no move, or one that cannot be read or is illegal.
    """
    by_name = {name.lower(): value.strip() for name, value in tags.items()}
    fen = by_name.get("fen") or None
    words = movetext(text)
    result = by_name.get("result", "*")
    if words and words[-1] in RESULTS:
        result = words[-1] if result not in RESULTS or result == "*" else result
    moves = [word for word in words if word not in RESULTS]
    if not moves:
        raise RecordError("no moves")
    game = read_game(" ".join(moves), fen)
    found = {"result": result if result in RESULTS else "*"}
    found |= {field: by_name[tag.lower()] for field, tag in FIELDS.items() if by_name.get(tag.lower())}
    is_usual = game.start.fen.split()[:2] == START.split()[:2]
    return found | ({} if is_usual else {"fen": game.start.fen}) | {"moves": game.iccs}


def movetext(text: str) -> list[str]:
    """List the moves of the main line, and the result, if it stands there."""
    plain = outside(COMMENT.sub(" ", text))
    return [word for word in NUMBER.sub(" ", plain).split() if not RULER.fullmatch(word)]


def outside(text: str) -> str:
    """Leave out variations, which stand in parentheses, one in another."""
    kept, depth = [], 0
    for letter in text:
        if letter in "(（":
            depth += 1
        elif letter in ")）":
            depth = max(0, depth - 1)
        elif not depth:
            kept.append(letter)
    return "".join(kept)


def written(fields: Mapping[str, Any]) -> str:
    """Write a record as PGN, in Chinese notation.

    Raises:
        RecordError: its game cannot be read.
    """
    game = read_game(fields["moves"], fields.get("fen"))
    tags = {"Game": "Chinese Chess", **{tag: str(fields[name]) for name, tag in FIELDS.items() if fields.get(name)}}
    tags["Result"] = fields.get("result") or "*"
    tags["FEN"] = game.start.fen
    lines = [f'[{name} "{value}"]' for name, value in tags.items()]
    number, line = game.start.number, "" if game.start.red else f"{game.start.number}. …"
    lines.append("")
    for position, move in zip(game.positions, game.moves, strict=False):
        text = notation.chinese(position, move)
        line = f"{number}. {text}" if position.red else f"{line} {text}"
        if not position.red:
            lines.append(line)
            line, number = "", number + 1
    return "\n".join([*lines, *([line] if line else []), tags["Result"], ""])
