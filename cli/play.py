"""`nlpk play`: xiangqi on a board in the terminal, against the model or between two people."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from nlptasks.errors import NlpkError, UsageError
from nlptasks.xiangqi.settings import Playing

from . import console
from .board import rows
from .options import Computing, Model, flat

if TYPE_CHECKING:
    from nlptasks.xiangqi.games import Game

HELP = (
    "a move such as 炮二平五 or h2e2 (or just the two squares); "
    "hint, undo, moves, flip, fen, save FILE (.pgn, .svg, .tsv), help, quit"
)
ENDINGS = (".pgn", ".svg", ".tsv")
OVER = {"checkmate": "checkmate", "stalemate": "no move left", "repetition": "the position has stood three times"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("play")(flat(play))


@dataclass(frozen=True)
class Board:
    """The game and the board."""

    side: Literal["red", "black", "both", "none"] = "red"
    """Your side; both for two people at one board, which needs no model; none lets the model play itself."""
    fen: str | None = None
    """Position to start from, as FEN; the usual start by default."""
    moves: str = ""
    """Moves made already, separated by spaces."""
    traditional: bool = False
    """Show pieces and moves in traditional characters."""
    limit: int = 200
    """Plies after which a game of the model with itself ends."""
    save: str | None = None
    """File to write the game into when it ends (.pgn, .svg, .tsv)."""


def play(*, board: Board, playing: Playing, model: Model, machine: Computing) -> None:
    """Play xiangqi: a board in the terminal, legal moves only, in Chinese or ICCS notation.

    Type help for what can be typed; an empty line or the end of the input changes nothing or ends the game.
    """
    from nlptasks.xiangqi.games import read_game

    table = Table(board, lambda: loaded(playing, model, machine), read_game(board.moves, board.fen))
    if board.side != "both":
        table.mover  # noqa: B018 - so that a model which is missing is told at once
    table.run()


def loaded(playing: Playing, model: Model, machine: Computing) -> Any:  # noqa: ANN401 - a class that needs torch
    """Load the model that plays."""
    from .uci import mover

    return mover(playing, model, machine)


class Table:
    """A game under way."""

    def __init__(self, board: Board, load: Callable[[], Any], game: Game) -> None:
        """Sit down.

        Args:
            board: who plays, and how it looks.
            load: loads the model, when it is needed.
            game: to go on with.
        """
        self.board, self.load, self.game = board, load, game
        self.flipped = board.side == "black"
        self.last = ""
        self.written: set[Path] = set()
        if board.save is not None:
            self.writable(board.save)

    @cached_property
    def mover(self) -> Any:  # noqa: ANN401 - as above
        """Give the model, loaded at its first use."""
        return self.load()

    def run(self) -> None:
        """Play until the input ends, or the game that nobody else takes part in, and keep it however that comes."""
        try:
            self.turns()
        finally:
            if self.board.save is not None:
                self.store(self.board.save)

    def turns(self) -> None:
        """Let both sides move, one after the other."""
        self.show()
        told: Game | None = None
        goes_on = True
        while goes_on:
            if self.is_over() and told is not self.game:
                told = self.game
                console.console(True).print(f"{OVER.get(self.game.state, 'the end')}: {self.result()}")
            if self.is_over() and self.board.side == "none":
                break
            goes_on = self.obey(asked()) if self.is_over() or self.is_mine() else self.answer()

    def answer(self) -> bool:
        """Let the model move; where it cannot, a person may still say what is to be done."""
        try:
            move = self.mover.choice(self.game).move
        except NlpkError as error:
            console.note(str(error))
            return self.board.side != "none" and self.obey(asked())
        self.make(move)
        self.show()
        return True

    def is_over(self) -> bool:
        """Tell whether nobody can, or is to, move any more."""
        alone = self.board.side == "none" and (
            len(self.game.moves) >= self.board.limit or self.game.state == "repetition"
        )
        return alone or self.game.state in ("checkmate", "stalemate")

    def is_mine(self) -> bool:
        """Tell whether a person is to move."""
        return self.board.side == "both" or self.board.side == ("red" if self.game.now.red else "black")

    def result(self) -> str:
        """Give the result as PGN has it."""
        if self.game.state not in ("checkmate", "stalemate"):
            return "*"
        return "0-1" if self.game.now.red else "1-0"

    def make(self, move: int) -> None:
        """Make a move, and remember how it is written."""
        from nlptasks.xiangqi.notation import chinese, iccs

        text = chinese(self.game.now, move, traditional=self.board.traditional)
        self.last = f"{'Red' if self.game.now.red else 'Black'}: {text} ({iccs(move)})"
        self.game = self.game.after(move)

    def obey(self, line: str | None) -> bool:
        """Do what was typed; tell whether the game goes on."""
        words = (line or "").split()
        if line is None or (words[:1] and words[0].lower() in ("quit", "exit", "q")):
            return False
        commands: dict[str, Callable[[list[str]], object]] = {
            "help": lambda rest: console.console(True).print(HELP),
            "hint": self.hint,
            "undo": self.undo,
            "moves": lambda rest: console.console(True).print(self.game.iccs or "none yet"),
            "flip": self.flip,
            "fen": lambda rest: print(self.game.now.fen, flush=True),
            "save": self.save,
        }
        try:
            if words and words[0].lower() in commands:
                commands[words[0].lower()](words[1:])
            elif words:
                self.typed(" ".join(words))
        except NlpkError as error:
            console.note(str(error))
        return True

    def typed(self, text: str) -> None:
        """Make the move that was typed.

        Raises:
            RecordError: it cannot be read, or is illegal.
        """
        from nlptasks.xiangqi.games import check
        from nlptasks.xiangqi.notation import read_move

        move = read_move(text.replace(" ", ""), self.game.now)
        check(self.game.start, (*self.game.moves, move))
        self.make(move)
        self.show()

    def hint(self, words: list[str]) -> None:
        """Show what the model would play."""
        from nlptasks.xiangqi.notation import chinese, iccs

        for move, chance in self.mover.advice(self.game)[:3]:
            text = chinese(self.game.now, move, traditional=self.board.traditional)
            console.console(True).print(f"{text} ({iccs(move)}) {chance:.0%}")

    def undo(self, words: list[str]) -> None:
        """Take back the last move of a person, and the answer to it."""
        from nlptasks.xiangqi.games import Game

        back = 1 if self.board.side == "both" else 2
        if len(self.game.moves) < back:
            console.note("nothing to take back")
            return
        self.game, self.last = Game(self.game.start, self.game.moves[:-back]), ""
        self.show()

    def flip(self, words: list[str]) -> None:
        """Turn the board round."""
        self.flipped = not self.flipped
        self.show()

    def save(self, words: list[str]) -> None:
        """Write the game into a file."""
        if not words:
            console.note("save where? Give a name: save game.pgn")
            return
        self.store(" ".join(words))

    def writable(self, name: str) -> Path:
        """Take a name for the game's file, where nothing else is lost by that.

        Raises:
            UsageError: of no known ending, or there is such a file already, and not of this game.
        """
        path = Path(name)
        if path.suffix.lower() not in ENDINGS:
            raise UsageError(f"{name}: found the ending {path.suffix!r}, expected {', '.join(ENDINGS)}")
        if path.exists() and path not in self.written:
            raise UsageError(f"{name}: already there; choose another name")
        return path

    def store(self, name: str) -> None:
        """Write the game into a file.

        Raises:
            UsageError: it cannot be written.
        """
        path = self.writable(name)
        text = saved(self.game, self.result(), path.suffix.lower(), traditional=self.board.traditional)
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{name}: cannot be written ({error.strerror}); choose another name") from None
        self.written.add(path)
        console.note(f"game saved in {name}")

    def show(self) -> None:
        """Draw the board."""
        out = console.console(True)
        coloured = out.is_terminal and not out.no_color
        drawn = rows(self.game, flipped=self.flipped, traditional=self.board.traditional, coloured=coloured)
        for line in drawn:
            out.print(line, soft_wrap=True)
        state = {"check": " 将军 check!", "repetition": " (this position has stood three times)"}.get(
            self.game.state, ""
        )
        out.print(f"{self.last}{state}" if self.last or state else "type a move, or help")


def asked() -> str | None:
    """Ask for a line; none at the end of the input."""
    if sys.stdin.isatty():
        try:
            return input("> ")
        except EOFError:
            return None
    line: bytes = sys.stdin.buffer.readline()
    return line.decode("utf-8", "replace") if line else None


def saved(game: Game, result: str, ending: str, *, traditional: bool) -> str:
    """Write a game as a file of one of ENDINGS."""
    from nlptasks.xiangqi import pgn, row, svg

    if ending == ".svg":
        return svg.drawn(game.now, game.moves[-1] if game.moves else None, traditional=traditional)
    fields = {"moves": game.iccs, "fen": game.start.fen, "result": result}
    if ending == ".tsv":
        return "\n".join([row.HEADERS["tsv"], *row.converted(fields, "tsv"), ""])
    return pgn.written(fields, traditional=traditional)
