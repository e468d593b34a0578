"""An engine for boards and matches: the UCI protocol with UCI_Variant xiangqi, line by line.

What is no command is answered with `info string` and changes nothing. A move is thought out before the next line is
read, which is soon; `go infinite` and `go ponder` keep it until `stop`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

from nlptasks.errors import NlpkError, RecordError
from nlptasks.xiangqi import rules
from nlptasks.xiangqi.board import LONG, START
from nlptasks.xiangqi.games import Game, check
from nlptasks.xiangqi.mover import Choice, Mover
from nlptasks.xiangqi.notation import read_uci, uci
from nlptasks.xiangqi.search import BREADTHS, LATER, LOST

#: Moves that the rest of the time must do for, and the share of a move's time that is thought through.
MOVES_LEFT, SHARE = 30, 0.8
#: For `go nodes`: positions that a look ahead of so many plies looks at, about.
NODES = tuple(10 * 30**plies for plies in range(len(BREADTHS) + 1))


class Engine:
    """One conversation."""

    def __init__(self, mover: Mover, name: str) -> None:
        """Begin with the usual start."""
        self.mover, self.name = mover, name
        self.game: Game | None = Game(rules.start_of(START))
        self.kept: str | None = None
        self.commands: dict[str, Callable[[list[str]], Iterable[str]]] = {
            "uci": self.uci,
            "isready": lambda words: ["readyok"],
            "ucinewgame": self.ucinewgame,
            "setoption": self.setoption,
            "position": self.position,
            "go": self.go,
            "stop": self.stop,
            "ponderhit": self.stop,
            "debug": lambda words: [],
            "d": self.show,
        }

    def answers(self, lines: Iterable[str]) -> Iterator[str]:
        """Answer lines until `quit` or their end."""
        for line in lines:
            words = line.split()
            if words[:1] == ["quit"]:
                break
            if not words:
                continue
            command = self.commands.get(words[0])
            if command is None:
                yield f"info string unknown command {words[0][:40]!r}"
                continue
            try:
                yield from command(words[1:])
            except NlpkError as error:
                yield f"info string {error}"

    def uci(self, words: Sequence[str]) -> Iterable[str]:
        """Say who this is and what can be set."""
        yield f"id name {self.name}"
        yield "id author the nlpk project"
        yield "option name UCI_Variant type combo default xiangqi var xiangqi"
        yield f"option name Search type spin default {self.mover.depth} min 0 max {len(BREADTHS)}"
        yield "uciok"

    def ucinewgame(self, words: Sequence[str]) -> Iterable[str]:
        """Go back to the usual start."""
        self.game, self.kept = Game(rules.start_of(START)), None
        return []

    def setoption(self, words: Sequence[str]) -> Iterable[str]:
        """Set an option."""
        text = " ".join(words)
        name, _, value = text.removeprefix("name ").partition(" value ")
        if name.lower() == "uci_variant" and value == "xiangqi":
            return []
        if name.lower() == "search" and value.isdecimal() and int(value) <= len(BREADTHS):
            self.mover.depth = int(value) if self.mover.loaded.method == "moves" else 0
            return []
        return [f"info string no option {name[:40]!r} with value {value[:40]!r}"]

    def position(self, words: Sequence[str]) -> Iterable[str]:
        """Set up a position; where it cannot be, there is none until another one comes.

        Raises:
            RecordError: it is no position, or a move is illegal.
        """
        self.game, self.kept = None, None
        place = words.index("moves") if "moves" in words else len(words)
        kind, told = words[:1], words[1:place]
        if kind not in (["startpos"], ["fen"]) or (kind == ["startpos"] and told):
            raise RecordError(f"position {' '.join(words)[:40]!r}: expected startpos or fen FEN, then moves and moves")
        start = rules.start_of(" ".join(told) if kind == ["fen"] else START)
        moves = [read_uci(word) for word in words[place + 1 :]]
        try:
            check(start, moves)
        except RecordError as error:
            raise RecordError(f"{error} (squares in ICCS, whose ranks begin with 0)") from None
        self.game = Game(start, tuple(moves))
        return []

    def go(self, words: Sequence[str]) -> Iterable[str]:
        """Choose a move."""
        self.kept = None
        if self.game is None:
            return ["info string no position", "bestmove (none)"]
        if self.game.state in ("checkmate", "stalemate"):
            return ["bestmove (none)"]
        told = numbers(words)
        began = time.monotonic()
        choice = self.mover.choice(self.game, seconds(told, self.game.now.red), depth(told))
        spent = max(1, round(1000 * (time.monotonic() - began)))
        best = f"bestmove {uci(choice.move)}"
        if "infinite" in words or "ponder" in words:
            self.kept = best
            return [report(choice, spent)]
        return [report(choice, spent), best]

    def stop(self, words: Sequence[str]) -> Iterable[str]:
        """Give the move that was kept, if any."""
        kept, self.kept = self.kept, None
        return [kept] if kept else []

    def show(self, words: Sequence[str]) -> Iterable[str]:
        """Show the position."""
        return [f"info string {self.game.now.fen if self.game else 'no position'}"]


def numbers(words: Sequence[str]) -> dict[str, int]:
    """Read the numbers of `go`, such as movetime 100; what is no number is left out."""
    return {
        name: int(value)
        for name, value in pairwise(words)
        if value.removeprefix("-").isdecimal() and len(value) <= LONG and not name.isdecimal()
    }


def seconds(told: dict[str, int], red: bool) -> float | None:
    """Work out how long a move may take; without a clock there is no bound."""
    if "movetime" in told:
        return SHARE * told["movetime"] / 1000
    left, more = ("wtime", "winc") if red else ("btime", "binc")
    if left not in told:
        return None
    moves = told.get("movestogo") or MOVES_LEFT
    return SHARE * max(0.0, told[left] / moves + told.get(more, 0)) / 1000


def depth(told: dict[str, int]) -> int | None:
    """Work out how many plies to look ahead; none where nothing is said of that."""
    if "depth" in told:
        return max(0, min(told["depth"], len(BREADTHS)))
    if "nodes" in told:
        return max((plies for plies, count in enumerate(NODES) if count <= told["nodes"]), default=0)
    return None


def report(choice: Choice, spent: int) -> str:
    """Say what was found."""
    value = choice.value or 0.0
    score = f"cp {round(100 * value)}"
    if abs(value) > LOST / 2:
        plies = 1 + round(math.log(abs(value) / LOST, LATER))
        score = f"mate {max(1, plies // 2) * (1 if value > 0 else -1)}"
    return f"info depth {max(1, choice.plies)} score {score} time {spent} pv {uci(choice.move)}"
