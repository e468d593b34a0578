"""Games in PGN: tags, comments, variations, moves in ICCS or Chinese, in whatever encoding the file is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nlptasks.errors import RecordError
from nlptasks.files import Record
from nlptasks.xiangqi import notation
from nlptasks.xiangqi.board import START
from nlptasks.xiangqi.games import RESULTS, read_game

TAG = re.compile(r'\[\s*(\w+)\s+"(.*)"\s*\]?\s*$')
#: Whatever stands between moves: marks, numbers and their dots.
BETWEEN = re.compile(r"\$\d+|(?<!\S)\d+\s*(?:\.|．|、)+\s*|(?<!\S)[.…．]+")
#: How a line begins that begins a game, where no tags say so.
FIRST = re.compile(r"\s*1\s*[.．、]")
#: A line drawn above or below a game.
RULER = re.compile(r"[\W_]{3,}")
#: Results as some programs write them, without what tells simplified characters from traditional ones.
SPOKEN_RESULTS = {
    **dict.fromkeys(("红胜", "红方胜", "红先胜", "紅勝", "紅方勝", "紅先勝", "黑方认输", "黑方認輸"), "1-0"),
    **dict.fromkeys(("黑胜", "黑方胜", "红先负", "黑勝", "黑方勝", "紅先負", "红方认输", "紅方認輸"), "0-1"),
    **dict.fromkeys(("和棋", "红先和", "紅先和", "1/2", "0.5-0.5"), "1/2-1/2"),
    **{result: result for result in RESULTS},
}
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
    return max(found, key=lambda text: (sum(letter in TELLING for letter in text), familiar(text)))


def familiar(text: str) -> float:
    """Give the share of a text's Chinese characters that are among the frequent ones of their character set."""
    letters = [letter for letter in text if "\u4e00" <= letter <= "\u9fff"]
    return sum(is_frequent(letter) for letter in letters) / max(1, len(letters))


def is_frequent(letter: str) -> bool:
    """Tell whether a character is on the first level of GB2312 or of Big5, which go by how frequent they are."""
    gb, big5 = (letter.encode(name, "replace")[0] for name in ("gb2312", "big5"))
    return 0xB0 <= gb <= 0xD7 or 0xA4 <= big5 <= 0xC6


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
    for number, game in enumerate(split(text), 1):
        try:
            yield Record(source, game.line, fields_of(game))
        except RecordError as error:
            yield Record(source, game.line, {}, f"game {number}: {error}")
    if not number:
        yield Record(source, 0, {}, "no game in the file; expected PGN")


@dataclass
class Text:
    """A game as it stands in a file: its first line, its tags, the words of its main line, and its result."""

    line: int
    tags: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    result: str | None = None
    is_open: bool = False
    """Whether a comment is begun and not closed."""
    depth: int = 0
    """How many variations are begun and not closed."""

    def take(self, line: str) -> None:
        """Read the words of a line of moves; behind the result stands nothing that counts."""
        for word in BETWEEN.sub(" ", self.outside(line)).split():
            if self.result is None and word in SPOKEN_RESULTS:
                self.result = SPOKEN_RESULTS[word]
            elif self.result is None and not RULER.fullmatch(word):
                self.words.append(word)

    def outside(self, line: str) -> str:
        """Leave out comments and variations, which may run over lines; comments know no others within."""
        kept = []
        for letter in line:
            if self.is_open:
                self.is_open = letter != "}"
            elif letter == "{":
                self.is_open = True
            elif letter == ";":
                break
            elif letter in "(（":
                self.depth += 1
            elif letter in ")）":
                self.depth = max(0, self.depth - 1)
            else:
                kept.append(" " if self.depth else letter)
                continue
            kept.append(" ")
        return "".join(kept)

    @property
    def is_begun(self) -> bool:
        """Tell whether there is anything of a game's moves."""
        return bool(self.words or self.is_open) or self.result is not None


def split(text: str) -> Iterator[Text]:
    """Cut a file into games: at tags behind moves, and at a first move behind a result."""
    game = Text(1)
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        tag = TAG.match(line.strip())
        if game.is_begun and (tag or (game.result is not None and not game.is_open and FIRST.match(line))):
            yield game
            game = Text(number)
        if not game.tags and not game.is_begun:
            game.line = number
        if tag:
            game.tags[tag[1]] = tag[2].replace('\\"', '"').replace("\\\\", "\\")
        else:
            game.take(line)
    if game.tags or game.is_begun:
        yield game


def fields_of(game: Text) -> dict[str, Any]:
    """Make a record of a game.

    Raises:
        RecordError: it has neither a move nor a position, or a move that cannot be read or is illegal.
    """
    by_name = {name.lower(): value.strip() for name, value in game.tags.items()}
    fen = by_name.get("fen") or None
    if game.is_open:
        raise RecordError("a comment that begins with { is never closed; close it")
    if not game.words and fen is None:
        raise RecordError("no moves")
    told = by_name.get("result", "*")
    result = told if told in RESULTS and told != "*" else game.result or "*"
    played = read_game(" ".join(game.words), fen)
    found = {"result": result}
    found |= {name: by_name[tag.lower()] for name, tag in FIELDS.items() if by_name.get(tag.lower())}
    is_usual = played.start.fen.split()[:2] == START.split()[:2]
    return found | ({} if is_usual else {"fen": played.start.fen}) | {"moves": played.iccs}


def written(fields: Mapping[str, Any], *, traditional: bool = False) -> str:
    """Write a record as PGN, in Chinese notation.

    Raises:
        RecordError: its game cannot be read.
    """
    game = read_game(fields["moves"], fields.get("fen"))
    tags = {"Game": "Chinese Chess", **{tag: str(fields[name]) for name, tag in FIELDS.items() if fields.get(name)}}
    tags["Result"] = fields.get("result") or "*"
    tags["FEN"] = game.start.fen
    lines = [f'[{name} "{escaped(value)}"]' for name, value in tags.items()]
    number, line = game.start.number, "" if game.start.red else f"{game.start.number}. …"
    lines.append("")
    for position, move in zip(game.positions, game.moves, strict=False):
        text = notation.chinese(position, move, traditional=traditional)
        line = f"{number}. {text}" if position.red else f"{line} {text}"
        if not position.red:
            lines.append(line)
            line, number = "", number + 1
    return "\n".join([*lines, *([line] if line else []), tags["Result"], "", ""])


def escaped(value: str) -> str:
    """Write the value of a tag: on one line, with a backslash in front of quotes."""
    return " ".join(value.split()).replace("\\", "\\\\").replace('"', '\\"')
