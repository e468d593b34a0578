"""Write and read every move of games: `python tests/benchmarks/xiangqi_notation.py FILE…`.

Each move is written in ICCS, UCI, Chinese and traditional Chinese at its own position. Whole games are then read again
from their Chinese notation. Prints what does not come back.
"""

import argparse
import time
from collections import Counter

from nlptasks import files
from nlptasks.xiangqi.games import Game, read_game
from nlptasks.xiangqi.notation import chinese, iccs, read_move, read_uci, uci
from nlptasks.xiangqi.row import READERS


def compared(game: Game, place: str, counts: Counter[str]) -> None:
    """Write and read the moves of one game, and count."""
    texts = []
    for position, move in zip(game.positions, game.moves, strict=False):
        texts.append(chinese(position, move))
        back = {
            "ICCS": read_move(iccs(move), position),
            "UCI": read_uci(uci(move)),
            "Chinese": read_move(texts[-1], position),
            "traditional": read_move(chinese(position, move, traditional=True), position),
        }
        for name, found in back.items():
            if found != move:
                counts[f"wrong in {name}"] += 1
                print(place, position.fen, iccs(move), texts[-1], name, iccs(found))
    again = read_game(" ".join(texts), game.start.fen)
    counts["games"] += 1
    counts["moves"] += len(texts)
    counts["pieces told apart by 前, 中, 后 or a number"] += sum(text[0] in "前中后一二三四五" for text in texts)
    counts["games that differ"] += again.moves != game.moves


def main() -> None:
    """Compare, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("games", nargs="+", help="TSV, PGN or XQF")
    parser.add_argument("--every", type=int, default=1, help="take every N-th game only")
    arguments = parser.parse_args()
    for name in arguments.games:
        counts: Counter[str] = Counter()
        began = time.process_time()
        records = files.read_records(name, names=("moves",), aliases=("result", "fen"), readers=READERS)
        for number, record in enumerate(records):
            if record.problem:
                print(record.place, record.problem)
            elif number % arguments.every == 0:
                game = read_game(record.fields["moves"], record.fields.get("fen") or None)
                compared(game, record.place, counts)
        told = ", ".join(f"{count:,} {what}" for what, count in counts.items())
        print(f"{name}: {told}; {time.process_time() - began:.0f} s of CPU time", flush=True)


if __name__ == "__main__":
    main()
