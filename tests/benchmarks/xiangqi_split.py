"""Split games into train, dev and test: `python tests/benchmarks/xiangqi_split.py games.tsv OUT`.

A game goes where its first 21 plies, or their mirror image, send it: so no game of one part shares more than 20 plies
with a game of another. About every tenth start goes to test and every hundredth to dev; games without a result stay
out.
"""

import argparse
from pathlib import Path
from zlib import crc32

from nlptasks import files
from nlptasks.xiangqi.tables import BY_ICCS, ICCS, MIRRORED

SHARED = 20


def key(moves: list[str]) -> str:
    """Give the start of a game, the same for its mirror image."""
    start = moves[: SHARED + 1]
    return min(" ".join(start), " ".join(ICCS[MIRRORED[BY_ICCS[move]]] for move in start))


def part(moves: list[str]) -> str:
    """Choose where a game goes."""
    place = crc32(key(moves).encode()) % 100
    return "dev" if place == 0 else "test" if place <= 10 else "train"


def main() -> None:
    """Write the three files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("games")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    lines: dict[str, list[str]] = {"train": [], "dev": [], "test": []}
    for record in files.read_records(arguments.games, names=("moves",), aliases=("result",)):
        moves, result = record.fields["moves"], record.fields.get("result", "*")
        if result != "*":
            lines[part(moves.split())].append(f"{result}\t{moves}\n")
    for name, some in lines.items():
        (arguments.out / f"{name}.tsv").write_text("result\tmoves\n" + "".join(some), encoding="utf-8")
        print(f"{name}: {len(some)} games")


if __name__ == "__main__":
    main()
