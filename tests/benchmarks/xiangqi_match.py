"""Play matches: `python tests/benchmarks/xiangqi_match.py MODEL [--engine fairy-stockfish] [--go "depth 1"]`.

The model plays against random moves, or against another UCI engine with UCI_Variant xiangqi, half of the games as Red.
A game that repeats itself or is not over in time counts as a half for both, whoever is ahead. Prints the score with a
95 % confidence interval. An illegal move, or an engine that stops answering, ends the match with an error.
"""

import argparse
import math
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from nlptasks.backbone.hardware import Machine
from nlptasks.training import checkpoint
from nlptasks.xiangqi import rules
from nlptasks.xiangqi.board import START
from nlptasks.xiangqi.games import Game, check
from nlptasks.xiangqi.model import load
from nlptasks.xiangqi.mover import Mover
from nlptasks.xiangqi.notation import read_uci, uci
from nlptasks.xiangqi.row import Options
from nlptasks.xiangqi.settings import Playing

LONGEST = 300
Opponent = Callable[[Game], int]


def random_mover(seed: int) -> Opponent:
    """Move at random."""
    draw = random.Random(seed)
    return lambda game: int(draw.choice(rules.legal_moves(*rules.laid_out([game.now])).moves.tolist()))


def engine(command: str, go: str) -> Opponent:
    """Start another engine, and let it move."""
    process = subprocess.Popen(command.split(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
    if process.stdin is None or process.stdout is None:
        raise SystemExit("no pipe")
    asking, answering = process.stdin, process.stdout

    def until(word: str) -> str:
        return next(line for line in answering if line.startswith(word))

    asking.write("uci\nsetoption name UCI_Variant value xiangqi\nisready\n")
    until("readyok")

    def move(game: Game) -> int:
        moves = " ".join(map(uci, game.moves))
        asking.write(f"position startpos{' moves ' * bool(moves)}{moves}\ngo {go}\n")
        return read_uci(until("bestmove").split()[1])

    return move


def result(mover: Mover, opponent: Opponent, is_red: bool) -> tuple[float, int]:
    """Play one game: 1 for a win of the model, 0 for a loss, else a half; and its plies."""
    game = Game(rules.start_of(START))
    while len(game.moves) < LONGEST:
        state = game.state
        if state in ("checkmate", "stalemate"):
            return float(game.now.red != is_red), len(game.moves)
        if state == "repetition":
            break
        own = game.now.red == is_red
        move = mover.choice(game).move if own else opponent(game)
        check(game.now, [move])
        game = game.after(move)
    return 0.5, len(game.moves)


def summary(scores: list[float]) -> str:
    """Tell the score, how sure it is, and how games ended."""
    mean = sum(scores) / len(scores)
    spread = 1.96 * math.sqrt(sum((score - mean) ** 2 for score in scores) / max(1, len(scores) - 1) / len(scores))
    ended = f"{scores.count(1.0)} won, {scores.count(0.5)} drawn, {scores.count(0.0)} lost"
    return f"{len(scores)} games: {mean:.3f} ± {spread:.3f}, {ended}"


def main() -> None:
    """Play, and print the score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--games", type=int, default=200)
    parser.add_argument("--search", type=int, default=2)
    parser.add_argument("--engine", help="command of a UCI engine; random moves by default")
    parser.add_argument("--go", default="depth 1", help="how the engine thinks")
    arguments = parser.parse_args()
    loaded = load(checkpoint.open_folder(arguments.model, "xiangqi"), Options(), machine=Machine(device="cpu"))
    mover = Mover(loaded, Playing(search=arguments.search, seed=1))
    opponent = engine(arguments.engine, arguments.go) if arguments.engine else random_mover(1)
    began, scores, plies = time.process_time(), [], 0
    for number in range(arguments.games):
        score, length = result(mover, opponent, number % 2 == 0)
        scores.append(score)
        plies += length
        if (number + 1) % 20 == 0:
            print(f"… {summary(scores)}", flush=True)
    print(f"{summary(scores)}; {plies / len(scores):.0f} plies a game", end="")
    print(f", {(time.process_time() - began) / plies * 2:.3f} s of CPU time a move", flush=True)


if __name__ == "__main__":
    main()
