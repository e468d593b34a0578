"""Count the mates in one that a model finds: `python tests/benchmarks/xiangqi_mates.py MODEL mate_puzzles.jsonl`.

A puzzle is a line with `fen` and `mate_in`; those of 1 are asked, as positions without a game before them. A mate is
found where what is ranked first ends the game. `--search N` looks ahead, which must find every one.
"""

import argparse
import json
from pathlib import Path

from nlptasks.backbone.hardware import Machine
from nlptasks.training import checkpoint
from nlptasks.xiangqi import search
from nlptasks.xiangqi.games import Game, read_game
from nlptasks.xiangqi.layouts import Layout
from nlptasks.xiangqi.model import load
from nlptasks.xiangqi.policy import Asked, opinions
from nlptasks.xiangqi.row import Options

TOGETHER = 64


def mates(game: Game, move: int) -> bool:
    """Tell whether a move ends a game."""
    return game.after(move).state in ("checkmate", "stalemate")


def main() -> None:
    """Ask, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("puzzles", type=Path)
    parser.add_argument("--search", type=int, default=0)
    parser.add_argument("--most", type=int, help="puzzles to ask; all by default")
    arguments = parser.parse_args()
    loaded = load(checkpoint.open_folder(arguments.model, "xiangqi"), Options(), machine=Machine(device="cpu"))
    layout = Layout(loaded.method)
    puzzles = map(json.loads, arguments.puzzles.read_text(encoding="utf-8").splitlines())
    games = [read_game("", puzzle["fen"]) for puzzle in puzzles if puzzle["mate_in"] == 1][: arguments.most]
    first = within = 0
    for start in range(0, len(games), TOGETHER):
        some = games[start : start + TOGETHER]
        said = opinions(loaded.player, layout, [Asked(game, layout.laid(game), [0]) for game in some])
        for game, [opinion] in zip(some, said, strict=True):
            ranked = opinion.ranked()
            if arguments.search:
                ranked = search.merged(ranked, search.values(loaded, game, arguments.search))
            found = [mates(game, move) for move, _ in ranked[:5]]
            first += found[0]
            within += any(found)
    print(f"{len(games)} mates in one: {first} ranked first, {within} among the first five")


if __name__ == "__main__":
    main()
