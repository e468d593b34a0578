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
#: Plies more, at most, that the long half of a mirror image begins behind.
EARLY = 8
Lesson = tuple[str, str, str]


def of(method: str, moves: str, fen: str | None, result: str) -> list[Lesson]:
    """Make lessons of a game: moves, FEN of their start, result.

    For `moves` these are the game, its mirror image from a position of the opening on, and both from a position in the
    middle; half of them with the result, half without. The game itself decides where and which. The first moves are
    learnt as they are alone, since in books few games begin on the left.

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
    room = len(game.moves) - BEFORE - BEHIND
    if room <= 0:
        return [(game.iccs, start, result), (game.iccs, start, "*")]
    drawn, image = crc32(game.iccs.encode()), reflected(game)
    one, other = (result, "*") if drawn & 1 else ("*", result)
    early, first, second = (
        BEFORE + drawn // spread % some for spread, some in ((7, min(room, EARLY)), (2, room), (1009, room))
    )
    return [(game.iccs, start, one), part(image, early, other), part(game, first, other), part(image, second, one)]


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
