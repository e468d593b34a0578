"""Write the generation samples from the phrases in `source/`: `python data/generation/make.py`.

`reviews.txt` holds categories, and below each what can be said of it, good (+) or bad (-): in short, then in several
wordings:

    # 酒店
    + 房间大 | a wording | another wording
    - 吵 | a wording | another wording

`words.txt` holds beginnings, and endings of either sentiment. A review is put together from two or three things to say
about one category, all good or all bad; its `source` says them in short. No combination of wordings stands in both
train and dev.
"""

import random
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SEED = 7
SENTIMENTS = {"+": "正面", "-": "负面"}
TRAIN, DEV = 100, 10
"""Reviews of each category and sentiment."""
COLUMNS = ("text", "source", "类别", "label")
LEAST_WORDINGS = 2


@dataclass(frozen=True)
class Thing:
    """Something to be said of a category: in short, and in several wordings."""

    short: str
    wordings: tuple[str, ...]


def build(source: Path) -> dict[str, str]:
    """Make the text of every sample file from the phrases in a folder.

    Raises:
        ValueError: a file is not of the form above.
    """
    words = sections(source / "words.txt")
    reviews = sections(source / "reviews.txt")
    drawn = random.Random(SEED)
    train: list[tuple[str, ...]] = []
    dev: list[tuple[str, ...]] = []
    for category, lines in reviews.items():
        for sign, sentiment in SENTIMENTS.items():
            things = [thing(line) for line in lines if line.startswith(sign)]
            made = compositions(things, words, sentiment, drawn)
            rows = [(text, f"{category}：{short}", category, sentiment) for short, text in made]
            train += rows[:TRAIN]
            dev += rows[TRAIN : TRAIN + DEV]
    drawn.shuffle(train)
    drawn.shuffle(dev)
    return {"train.tsv": table(train), "dev.tsv": table(dev)}


def write(folder: Path) -> None:
    """Write the sample files into a folder, over those that are there."""
    for name, text in build(FOLDER / "source").items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def sections(path: Path) -> dict[str, list[str]]:
    """Read a file of lines below headings.

    Raises:
        ValueError: a line stands above the first heading, or a heading has no lines.
    """
    found: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            below = found.setdefault(line[2:], [])
        elif line:
            if not found:
                raise ValueError(f"{path.name}: {line!r} stands above the first heading")
            below.append(line)
    if empty := [name for name, lines in found.items() if not lines]:
        raise ValueError(f"{path.name}: nothing stands below {empty[0]!r}")
    return found


def thing(line: str) -> Thing:
    """Read one thing to say.

    Raises:
        ValueError: it has too few wordings.
    """
    short, *wordings = (part.strip() for part in line[1:].split("|"))
    if not short or len(wordings) < LEAST_WORDINGS or not all(wordings):
        raise ValueError(f"{line!r} needs something in short and {LEAST_WORDINGS} wordings or more, separated by |")
    return Thing(short, tuple(wordings))


def compositions(
    things: list[Thing], words: dict[str, list[str]], sentiment: str, drawn: random.Random
) -> list[tuple[str, str]]:
    """Put reviews together, in short and in full, as many as are needed, each of other wordings.

    Raises:
        ValueError: there are too few things to say.
    """
    chosen = [some for size in (2, 3) for some in combinations(things, size)]
    found: dict[tuple[str, ...], tuple[str, str]] = {}
    for attempt in range(50 * (TRAIN + DEV)):
        some = drawn.sample(chosen[attempt % len(chosen)], k=len(chosen[attempt % len(chosen)])) if chosen else []
        wordings = tuple(drawn.choice(one.wordings) for one in some)
        beginning = drawn.choice(words["开头"]) if drawn.random() < 0.5 else ""
        ending = drawn.choice(words[sentiment]) if drawn.random() < 0.5 else ""
        text = f"{beginning}{'，'.join(wordings)}。{ending}"
        if some and tuple(sorted(wordings)) not in found:
            found[tuple(sorted(wordings))] = "，".join(one.short for one in some), text
        if len(found) == TRAIN + DEV:
            return list(found.values())
    raise ValueError(f"{len(found)} different reviews, expected {TRAIN + DEV}: write more wordings")


def table(rows: list[tuple[str, ...]]) -> str:
    """Write rows as a table with a header."""
    return "".join("\t".join(row) + "\n" for row in [COLUMNS, *rows])


if __name__ == "__main__":
    write(FOLDER)
