"""Compare the rules of xiangqi with pyffish's, and their speed: `python tests/benchmarks/xiangqi_rules.py [GAMES.tsv]`.

pyffish (GPL, `pip install pyffish`) is asked here only, to check; nothing of nlpk needs it. Positions come from random
games and from the games of a file, if one is named. Where cchess (GPL) is installed, the speed of its legal moves is
measured, too, on boards that are set up already.
"""

import argparse
import importlib.util
import random
import time
from collections.abc import Iterator, Sequence
from itertools import islice

import pyffish

from nlptasks import files
from nlptasks.xiangqi import rules, tables
from nlptasks.xiangqi.board import START, Position, read_fen

CHUNK = 2000


def random_positions(seed: int) -> Iterator[Position]:
    """Play at random, with a liking for captures, so that endings come, too."""
    draw = random.Random(seed)
    while True:
        position = read_fen(START)
        for _ in range(300):
            found = rules.legal_moves(*rules.laid_out([position])).moves.tolist()
            if not found:
                break
            captures = [one for one in found if position.squares[tables.TARGETS[one]]]
            chosen = draw.choice(captures if captures and draw.random() < 0.3 else found)
            position = position.after(*tables.MOVES[chosen].tolist())
            yield position


def real_positions(name: str) -> Iterator[Position]:
    """Give every position of the games of a file, every tenth game."""
    for number, record in enumerate(files.read_records(name, names=("moves",), aliases=("result", "fen"))):
        if number % 10 == 0:
            start = rules.start_of(record.fields.get("fen") or START)
            yield from rules.replayed(start, [tables.BY_ICCS[move] for move in record.fields["moves"].split()])


def theirs(position: Position) -> set[str]:
    """Ask pyffish for the legal moves, in UCI, whose ranks count from 1."""
    return set(pyffish.legal_moves("xiangqi", position.fen, []))


def uci(number: int) -> str:
    """Write a move as UCI does."""
    name = tables.ICCS[number]
    return f"{name[0]}{int(name[1]) + 1}{name[2]}{int(name[3]) + 1}"


def ours(positions: Sequence[Position]) -> list[set[str]]:
    """Ask our own rules, for all positions together."""
    found = rules.legal_moves(*rules.laid_out(positions))
    moves: list[set[str]] = [set() for _ in positions]
    for row, number in zip(found.boards.tolist(), found.moves.tolist(), strict=True):
        moves[row].add(uci(number))
    return moves


def timed(positions: Sequence[Position]) -> float:
    """Measure the CPU seconds of our rules alone."""
    boards, red = rules.laid_out(positions)
    before = time.process_time()
    rules.legal_moves(boards, red)
    return time.process_time() - before


def cchess_rate(positions: Sequence[Position]) -> float:
    """Measure how many positions a second of CPU time cchess finds the legal moves of."""
    from cchess import ChessBoard

    boards = [ChessBoard(position.fen) for position in positions]
    before = time.process_time()
    for board in boards:
        for source, target in list(board.create_moves()):
            board.is_checked_move(source, target)
    return len(positions) / (time.process_time() - before)


def compared(kind: str, source: Iterator[Position], most: int) -> None:
    """Count differences, and measure both."""
    count = differences = 0
    cchess = ""
    our_time = their_time = 0.0
    while some := list(islice(source, min(CHUNK, most - count))):
        our_time += timed(some)
        before = time.process_time()
        wanted = [theirs(position) for position in some]
        their_time += time.process_time() - before
        for position, mine, other in zip(some, ours(some), wanted, strict=True):
            if mine != other:
                differences += 1
                print("differs:", position.fen, sorted(mine ^ other))
        if not count and importlib.util.find_spec("cchess"):
            cchess = f", cchess {cchess_rate(some):,.0f}"
        count += len(some)
    rates = f"ours {count / our_time:,.0f}, pyffish {count / their_time:,.0f}{cchess} positions a second of CPU time"
    print(f"{kind}: {count} positions, {differences} differences; {rates}", flush=True)


def main() -> None:
    """Compare on random games, and on real ones where a file is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("games", nargs="?", help="TSV of real games")
    parser.add_argument("--positions", type=int, default=50_000, help="of each kind")
    arguments = parser.parse_args()
    if arguments.games:
        compared("real", real_positions(arguments.games), arguments.positions)
    compared("random", random_positions(1), arguments.positions)


if __name__ == "__main__":
    main()
