"""What xiangqi reads and learns from; what it can be told stands in `settings`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from nlptasks import rows
from nlptasks.errors import InputError, RecordError
from nlptasks.files import Record
from nlptasks.training.settings import Method
from nlptasks.xiangqi.settings import Options as Options  # these three are a task's form, as rows and methods are
from nlptasks.xiangqi.settings import Settings as Settings
from nlptasks.xiangqi.settings import Sweep as Sweep

Result = Literal["1-0", "0-1", "1/2-1/2", "*"]
#: Fields that a table leaves empty where there is nothing to say.
OPTIONAL = ("fen", "game", "result")


def arranged(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take the moves from a file where a record names one, and an unknown result for an empty one."""
    known = {name: value for name, value in fields.items() if not (name in OPTIONAL and value in ("", None))}
    if "game" not in known:
        return known
    for other in ("moves", "fen"):
        if other in known:
            raise RecordError(f"both {other} and game: expected one of them")
    name = rows.convert(known["game"], str)
    return {**known, **(game_of(name) if is_text(name) else first_game(name))}


def is_text(game: str) -> bool:
    """Tell whether what stands for a game is the text of a PGN file, and not its name."""
    return "\n" in game or game.lstrip().startswith("[")


def game_of(text: str) -> dict[str, Any]:
    """Read the first game of a text in PGN.

    Raises:
        RecordError: it cannot be used.
    """
    from nlptasks.xiangqi import pgn

    return used(next(pgn.read(text.encode(), "the text given")))


def first_game(name: str) -> dict[str, Any]:
    """Read the first game of a file, by its ending PGN, XQF, or a table or lines with a field moves.

    Raises:
        RecordError: it cannot be used.
    """
    from nlptasks import files

    try:
        found = files.read_records(name, names=COLUMNS_ASKED, aliases=tuple(ALIASES), readers=READERS)
        record = next(iter(found), None)
    except InputError as error:  # a file that is not there spoils its own record alone
        raise RecordError(str(error)) from error
    if record is None:
        raise RecordError(f"{name}: no game in the file")
    return used(record)


def used(record: Record) -> dict[str, Any]:
    """Take the game out of a record of a file.

    Raises:
        RecordError: it cannot be used.
    """
    if record.problem:
        raise RecordError(f"{record.place}: {record.problem}")
    return {field: record.fields[field] for field in ("moves", "fen") if record.fields.get(field)}


@dataclass(frozen=True)
class Row:
    """A position, as a start and the moves since."""

    moves: str = ""
    """Moves so far, separated by spaces, in ICCS (h2e2) or Chinese (炮二平五)."""
    fen: str | None = None
    """Position that the moves start from, as FEN; the usual start by default."""
    game: str | None = None
    """File (PGN, XQF or TSV) whose first game is taken instead of moves; also the text of a PGN file."""
    result: Result = "*"
    """How the game ended: 1-0 for Red, 0-1 for Black, 1/2-1/2, or * for unknown; only training learns from it."""

    arranged = staticmethod(lambda fields: required(arranged(fields)))


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A game whose moves are to be foretold."""

    moves: str
    """Moves of the game, separated by spaces, in ICCS (h2e2) or Chinese (炮二平五)."""
    fen: str | None = None
    """Position that the moves start from, as FEN; the usual start by default."""
    game: str | None = None
    """File (PGN, XQF or TSV) whose first game is taken instead of moves; also the text of a PGN file."""
    result: Result = "*"
    """How the game ended: 1-0 for Red, 0-1 for Black, 1/2-1/2, or * for unknown."""

    arranged = staticmethod(arranged)

    def __post_init__(self) -> None:
        """Refuse a game that cannot be played.

        Raises:
            RecordError: it has no moves, or an illegal one.
        """
        checked(self.moves, self.fen)


@dataclass(frozen=True)
class Lesson:
    """Moves to learn, from a start, and what is said of the result."""

    moves: str
    """Moves in ICCS."""
    fen: str = ""
    """Where they start; nothing for the usual start."""
    result: str = "*"
    """What stands in front; * where the result is unknown or kept secret."""


def required(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Refuse a record that says nothing of a position.

    Raises:
        RecordError: it has none of the fields that would.
    """
    if not {"moves", "fen", "game"} & fields.keys():
        raise RecordError("field 'moves' is missing; expected moves, fen or game")
    return fields


def checked(moves: str, fen: str | None) -> None:
    """Refuse a game without moves, or with an illegal one.

    Raises:
        RecordError: it is one.
    """
    from nlptasks.xiangqi.games import read_game  # here and below, because it needs numpy

    if not read_game(moves, fen).moves:
        raise RecordError("field 'moves': the game is empty, expected moves")


#: Muon goes in a few hundred updates as far as AdamW in twice as many.
TRAINING = {"batch_size": 32, "epochs": 4.0, "optimizer": "muon", "learning_rate": 2e-3, "schedule": "cosine"}
METHODS = {
    "moves": Method(
        "one token for each possible move behind the game's result; starts from any position",
        Lesson,
        TRAINING,
    ),
    "chars": Method(
        "four characters a move, the first moves of games first (kexue.fm/archives/7877)",
        Lesson,
        {**TRAINING, "length": 512, "curriculum": True},
    ),
}

#: Options that only asking has: scores are of every move of a game.
UNSCORED = ("top_k", "goal", "analyse", "search", "traditional", "svg")

#: Columns of a table without a header, for each method's training file, for dev files and for asking.
COLUMNS = dict.fromkeys(METHODS, ("moves", "fen"))
COLUMNS_ASKED = ("moves", "fen")
#: Fields that only training needs; scoring has them, too, where nothing is known: *.
REFERENCES = ("result",)
#: A backbone that has learnt nothing does not answer unless it is named.
NEEDS_MODEL = True
SAMPLES = dict.fromkeys(METHODS, "train.tsv")
SAMPLE_DEV = "dev.tsv"
#: What `nlpk demo xiangqi --try` asks for: once, and then again and again.
TRIED: tuple[tuple[str, ...], tuple[str, ...]] = ((), ("moves",))
ALIASES = {"iccs": "moves"}
#: What `nlpk data convert` can write, and what stands above the lines of a table.
FORMATS = ("tsv", "jsonl", "pgn")
TABLE = ("result", "opening", "date", "fen", "moves")
HEADERS = {"tsv": "\t".join(TABLE)}


def read_pgn(raw: bytes, source: str, encoding: str | None) -> Iterator[Record]:
    """Read the games of a PGN file."""
    from nlptasks.xiangqi import pgn

    return pgn.read(raw, source, encoding)


def read_xqf(raw: bytes, source: str, encoding: str | None) -> Iterator[Record]:
    """Read the game of an XQF file."""
    from nlptasks.xiangqi import xqf

    return xqf.read(raw, source, encoding)


#: Files that are no lines of records, by their endings.
READERS = {".pgn": read_pgn, ".xqf": read_xqf}


def training_rows(method: str, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Turn one game into what is learnt from it.

    Args:
        method: of METHODS.
        fields: the record's own.

    Raises:
        RecordError: the game cannot be read or has an illegal move, or does not start where the method's games do.
    """
    from nlptasks.xiangqi import lessons

    row = rows.parse(Scored, named(fields))
    return [asdict(Lesson(*one)) for one in lessons.of(method, row.moves, row.fen, row.result)]


def checking(values: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], None]:
    """Give what refuses a record to score whose game is empty or has an illegal move."""

    def look(fields: Mapping[str, Any]) -> None:
        rows.parse(Scored, named(fields))

    return look


def named(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Give fields the names that a row knows them by."""
    return {ALIASES.get(name, name): value for name, value in fields.items()}


def fitting(fields: Mapping[str, Any], method: str | None) -> list[str]:
    """Tell which methods a record can train, and `eval`.

    Raises:
        RecordError: none; or, with a method, that one can't.
    """
    if method is not None:
        training_rows(method, fields)
        return [method]
    row = rows.parse(Scored, named(fields))
    return ["moves", *(["chars"] if row.fen is None else []), "eval"]


def traits(fields: Mapping[str, Any]) -> dict[str, int]:
    """Count what is worth knowing of a record that can be used; `nlpk data check` adds it up."""
    row = rows.parse(Scored, named(fields))
    return {"plies": len(row.moves.split()), "from_a_position": row.fen is not None, "no_result": row.result == "*"}


def converted(fields: Mapping[str, Any], to: str) -> list[str]:
    """Write a record as lines of another format, moves in ICCS.

    Args:
        fields: the record's own.
        to: of FORMATS.

    Raises:
        RecordError: the game cannot be read or has an illegal move.
    """
    from nlptasks.xiangqi import pgn
    from nlptasks.xiangqi.games import read_game

    known = named(fields)
    row = rows.parse(Scored, known)
    game = read_game(row.moves, row.fen)
    made = {**known, "result": row.result, "moves": game.iccs}
    made.pop("game", None)  # whose moves these are
    if to == "jsonl":
        return [json.dumps(made, ensure_ascii=False)]
    if to == "pgn":
        return pgn.written(made).splitlines()
    return ["\t".join(" ".join(str(made.get(name) or "").split()) for name in TABLE)]
