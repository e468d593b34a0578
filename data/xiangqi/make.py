"""Write the xiangqi samples: `python data/xiangqi/make.py`.

Games begin with a line of `openings.txt` and go on by the rules of `nlptasks.xiangqi` with the simplest of tactics:
take what is worth more than what the answer takes back, mate where that is possible in one, now and then anything. A
game without a mate ends after some plies; it is won where one side is clearly ahead in pieces, else drawn.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nlptasks.xiangqi import rules
from nlptasks.xiangqi.board import START
from nlptasks.xiangqi.games import Game, numbered
from nlptasks.xiangqi.tables import SOURCES, TARGETS

FOLDER = Path(__file__).resolve().parent
SEED = 8
FILES = {"train.tsv": 120, "dev.tsv": 24}
LONGEST = 44
#: Pieces in pawns, by their kind; a king counts by the end of the game.
WORTH = np.array([0.0, 0.0, 2.0, 2.0, 4.0, 9.0, 4.5, 1.0])
AHEAD, MATE, WHIM = 4.0, 1000.0, 0.15
HEADER = "result\topening\tdate\tfen\tmoves\n"


def build(counts: dict[str, int] | None = None) -> dict[str, str]:
    """Make the text of every sample file; fewer games are the first of them."""
    text = (FOLDER / "openings.txt").read_text(encoding="utf-8")
    openings = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    made = {}
    for number, name in enumerate(FILES):
        games = played(openings, random.Random(SEED + number))
        count = (counts or FILES)[name]
        made[name] = HEADER + "".join(line for line, _ in zip(games, range(count), strict=False))
    return made


def played(openings: list[list[str]], draw: random.Random) -> Iterator[str]:
    """Play games without end, each another one."""
    seen: set[str] = set()
    start = rules.start_of(START)
    while True:
        game = Game(start, tuple(numbered(start, draw.choice(openings))))
        result = None
        while result is None:
            game = game.after(best(game, draw))
            result = ended(game)
        if game.iccs not in seen:
            seen.add(game.iccs)
            yield f"{result}\t\t\t\t{game.iccs}\n"


def best(game: Game, draw: random.Random) -> int:
    """Choose a move: the one that wins the most in pieces, chance between equals, now and then any."""
    boards, red = game.boards[0][-1:], game.boards[1][-1:]
    moves = rules.legal_moves(boards, red).moves
    after = rules.moved(boards.repeat(len(moves), 0), SOURCES[moves], TARGETS[moves])
    answers = rules.legal_moves(after, ~red.repeat(len(moves)))
    taken = WORTH[np.abs(after[answers.boards, TARGETS[answers.moves]])]
    lost = np.full(len(moves), -MATE)
    np.maximum.at(lost, answers.boards, taken)
    values = WORTH[np.abs(boards[0, TARGETS[moves]])] - 0.9 * lost
    if draw.random() < WHIM and values.max() < MATE / 2:
        return int(draw.choice(moves.tolist()))
    return int(draw.choice(moves[values >= values.max() - 0.2].tolist()))


def ended(game: Game) -> str | None:
    """Tell the result of a game, if it is over."""
    lost = "0-1" if game.now.red else "1-0"
    if game.state in ("checkmate", "stalemate"):
        return lost
    if len(game.moves) < LONGEST and game.state != "repetition":
        return None
    balance = sum(np.sign(piece) * WORTH[abs(piece)] for piece in game.now.squares)
    return "1-0" if balance >= AHEAD else "0-1" if balance <= -AHEAD else "1/2-1/2"


def write(folder: Path) -> None:
    """Write the sample files into a folder."""
    for name, text in build().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(FOLDER)
