"""What is learnt from a game: itself, its mirror image, and how it goes on from positions in its middle."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

from nlptasks.errors import RecordError
from nlptasks.xiangqi.board import SQUARES, Position, mirrored
from nlptasks.xiangqi.games import STARTING, Game, read_game
from nlptasks.xiangqi.tables import ICCS, MIRRORED

#: Plies before and behind a position in the middle, at least.
BEFORE, BEHIND = 4, 4
Lesson = tuple[str, str, str]


def of(method: str, moves: str, fen: str | None, result: str) -> list[Lesson]:
    """Make lessons of a game: moves, FEN of their start, result.

    For `moves` these are the game with its result and the mirror image without it, and the same from two positions in
    the middle, which the game itself decides.

    Raises:
        RecordError: the game cannot be read; for `chars`, it does not start as usual.
    """
    game = read_game(moves, fen)
    is_usual = same_start(game.start, STARTING)
    if method == "chars":
        if not is_usual:
            raise RecordError("field 'fen': the game starts from a position, and chars learns whole games; use moves")
        return [(game.iccs, "", "*")]
    start = "" if is_usual else game.start.fen
    image = reflected(game)
    other = "" if is_usual else image.start.fen
    found = [(game.iccs, start, result), (image.iccs, other, "*")]
    room = len(game.moves) - BEFORE - BEHIND
    if room > 0:
        drawn = crc32(game.iccs.encode())
        said = (result, "*") if drawn & 1 else ("*", result)
        first, second = (BEFORE + drawn // spread % room for spread in (2, 1009))
        found += [part(game, first, said[0]), part(image, second, said[1])]
    return found


def same_start(one: Position, other: Position) -> bool:
    """Tell whether two positions are the same but for their counts."""
    return one.squares == other.squares and one.red == other.red


def part(game: Game, ply: int, result: str) -> Lesson:
    """Take what follows a ply, from the position there."""
    return written(game.moves[ply:]), game.positions[ply].fen, result


def written(moves: Sequence[int]) -> str:
    """Write moves in ICCS."""
    return " ".join(ICCS[move] for move in moves)


def reflected(game: Game) -> Game:
    """Give a game's mirror image: left and right change places."""
    squares = tuple(game.start.squares[mirrored(square)] for square in range(SQUARES))
    start = Position(squares, game.start.red, game.start.quiet, game.start.number)
    return Game(start, tuple(MIRRORED[list(game.moves)].tolist()))
