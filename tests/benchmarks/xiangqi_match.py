"""Play matches: `python tests/benchmarks/xiangqi_match.py MODEL [--engine fairy-stockfish] [--go "depth 1"]`.

The model plays against random moves, or against another UCI engine with UCI_Variant xiangqi, half of the games as Red.
Prints its score with a 95 % confidence interval.
"""

import argparse
import math
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

from nlptasks.backbone.hardware import Machine
from nlptasks.training import checkpoint
from nlptasks.xiangqi import rules
from nlptasks.xiangqi.board import START
from nlptasks.xiangqi.games import Game
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


def result(mover: Mover, opponent: Opponent, is_red: bool) -> float:
    """Play one game: 1 for a win of the model, 0 for a loss, else a half."""
    game = Game(rules.start_of(START))
    while len(game.moves) < LONGEST:
        state = game.state
        if state in ("checkmate", "stalemate"):
            return float(game.now.red != is_red)
        if state == "repetition":
            return 0.5
        own = game.now.red == is_red
        game = game.after(mover.choice(game).move if own else opponent(game))
    return 0.5


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
    scores = [result(mover, opponent, number % 2 == 0) for number in range(arguments.games)]
    mean = sum(scores) / len(scores)
    spread = 1.96 * math.sqrt(sum((score - mean) ** 2 for score in scores) / max(1, len(scores) - 1) / len(scores))
    print(f"{len(scores)} games: {mean:.3f} ± {spread:.3f}, {scores.count(1.0)} won, {scores.count(0.0)} lost")


if __name__ == "__main__":
    main()
