"""Write the similarity samples from the groups in `source/`: `python data/similarity/make.py`.

A source file is a topic, a block of lines in it is a group, and each line starts with its score against the
group's core, which are the lines marked 5:

    5 same meaning            2 related: another question about the same thing, or the opposite claim
    4 nearly the same         1 only the topic or the wording in common
    3 roughly equivalent

Sentences of two groups score 1 within a topic, else 0 (unrelated). The lines marked 2 and 1 share words with the core
on purpose, so that counting characters does not tell the score. Whole groups go either to training or to dev, hence
no sentence is in both.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SEED = 20
DEV_SHARE = 6
"""One group of so many goes to dev, in each topic."""
TRIPLETS_PER_GROUP = 2
MIXED = frozenset({"news"})
"""Files that hold sentences of one kind rather than of one topic: two of their groups have nothing in common."""
SHORTEST, LONGEST = 5, 40
TRAIN_PAIRS = {"5": 400, "4": 280, "3": 170, "2": 350, "1": 150, "other group": 80, "other topic": 170}
DEV_PAIRS = {"5": 75, "4": 53, "3": 32, "2": 64, "1": 28, "other group": 16, "other topic": 32}


@dataclass(frozen=True)
class Group:
    """Sentences around one meaning."""

    topic: str
    """The name of the source file."""
    lines: tuple[tuple[int, str], ...]
    """Score against the core, and sentence, as in the file."""

    def marked(self, low: int, high: int) -> list[str]:
        """Return the sentences whose score is from `low` to `high`, both included."""
        return [sentence for score, sentence in self.lines if low <= score <= high]

    @property
    def core(self) -> list[str]:
        """The sentences of exactly the group's meaning."""
        return self.marked(5, 5)


@dataclass(frozen=True)
class Pair:
    """Two sentences and how close they are, from 0 to 5."""

    a: str
    b: str
    score: int


def build(source: Path) -> dict[str, str]:
    """Make the text of every sample file from the groups in a folder.

    Args:
        source: a folder of `TOPIC.txt` files.

    Returns:
        File name to content.

    Raises:
        ValueError: a line or a group is not of the form above, or a sentence occurs twice.
    """
    groups = [group for path in sorted(source.glob("*.txt")) for group in read_groups(path)]
    refuse_repeats(groups)
    train, dev = split(groups)
    sentences = [sentence for group in train for _, sentence in group.lines]
    return {
        "sentences.txt": "".join(f"{sentence}\n" for sentence in shuffled(sentences)),
        "pairs.tsv": as_tsv(draw_pairs(train, TRAIN_PAIRS)),
        "dev.tsv": as_tsv(draw_pairs(dev, DEV_PAIRS)),
        "triplets.jsonl": as_json_lines(triplet for group in train for triplet in triplets(group)),
    }


def write(folder: Path) -> None:
    """Write the sample files into a folder, over those that are there."""
    for name, text in build(FOLDER / "source").items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def read_groups(path: Path) -> list[Group]:
    """Parse one source file.

    Raises:
        ValueError: a line is not `SCORE SENTENCE`, or a group lacks what pairs and triplets need.
    """
    groups = []
    for block in path.read_text(encoding="utf-8").strip().split("\n\n"):
        group = Group(path.stem, tuple(parse_line(line) for line in block.splitlines()))
        if len(group.core) < 2 or len(group.marked(4, 5)) < 3 or not group.marked(1, 2):
            raise ValueError(
                f"{path.name}: the group of {group.lines[0][1]!r} needs two lines marked 5, three marked 5 or 4 "
                "and one marked 2 or less"
            )
        groups.append(group)
    return groups


def parse_line(line: str) -> tuple[int, str]:
    """Split a source line into score and sentence.

    Raises:
        ValueError: there is no score from 1 to 5, or the sentence's length is out of bounds.
    """
    mark, _, sentence = line.partition(" ")
    if mark not in {"1", "2", "3", "4", "5"} or not SHORTEST <= len(sentence) <= LONGEST:
        raise ValueError(
            f"{line!r} is not a score from 1 to 5, a space and a sentence of {SHORTEST} to {LONGEST} characters"
        )
    return int(mark), sentence


def refuse_repeats(groups: Sequence[Group]) -> None:
    """Raise ValueError when a sentence stands in the sources twice: it could end up in training and dev."""
    seen: set[str] = set()
    for group in groups:
        for _, sentence in group.lines:
            if sentence in seen:
                raise ValueError(f"{group.topic}: {sentence!r} occurs twice, remove one of them")
            seen.add(sentence)


def split(groups: Sequence[Group]) -> tuple[list[Group], list[Group]]:
    """Divide the groups into training and dev, with the same share of every topic."""
    train: list[Group] = []
    dev: list[Group] = []
    for topic in sorted({group.topic for group in groups}):
        drawn = sorted((group for group in groups if group.topic == topic), key=lambda group: rank(group.core[0]))
        count = len(drawn) // DEV_SHARE
        dev += drawn[:count]
        train += drawn[count:]
    return train, dev


def draw_pairs(groups: Sequence[Group], wanted: dict[str, int]) -> list[Pair]:
    """Draw labelled pairs.

    Args:
        groups: the groups of one split.
        wanted: how many pairs of each kind: a score within a group, or `other group`, `other topic`.

    Returns:
        Pairs in random order, no two of the same sentences.
    """
    within = [pair for group in groups for pair in pairs_within(group)]
    across = list(pairs_across(groups))
    drawn: list[Pair] = []
    for score in range(1, 6):
        drawn += draw((pair for pair in within if pair.score == score), wanted[str(score)])
    drawn += draw((pair for pair in across if pair.score == 1), wanted["other group"])
    drawn += draw((pair for pair in across if pair.score == 0), wanted["other topic"])
    return [turned(pair) for pair in sorted(drawn, key=lambda pair: rank(f"{pair.b} {pair.a}"))]


def pairs_within(group: Group) -> Iterator[Pair]:
    """Yield the core sentences with each other and with the group's other sentences.

    A sentence marked 1 resembles one wording of the core and would be plainly unrelated beside another,
    so it is paired with the core sentence nearest to it only.
    """
    for a, b in combinations(group.core, 2):
        yield Pair(a, b, 5)
    for score, sentence in group.lines:
        if score < 5:
            for core in group.core if score > 1 else [closest(sentence, group.core)]:
                yield Pair(core, sentence, score)


def pairs_across(groups: Sequence[Group]) -> Iterator[Pair]:
    """Yield one core sentence of each two groups: score 1 within a topic, else 0."""
    for one, other in combinations(groups, 2):
        a = min(one.core, key=lambda sentence: rank(sentence + other.core[0]))
        b = min(other.core, key=lambda sentence: rank(sentence + one.core[0]))
        yield Pair(a, b, int(one.topic == other.topic and one.topic not in MIXED))


def triplets(group: Group) -> Iterator[dict[str, str]]:
    """Yield triplets that are hard by wording: the least alike paraphrase, the most alike other meaning."""
    for number, text in enumerate(group.core[:TRIPLETS_PER_GROUP]):
        positives = [sentence for sentence in group.marked(4, 5) if sentence != text]
        negatives = sorted(group.marked(1, 2), key=lambda sentence: -shared_characters(text, sentence))
        yield {
            "text": text,
            "positive": min(positives, key=lambda sentence: shared_characters(text, sentence)),
            "negative": negatives[number % len(negatives)],
        }


def shared_characters(a: str, b: str) -> float:
    """Return the Jaccard similarity of two sentences' sets of characters, from 0 to 1."""
    return len(set(a) & set(b)) / len(set(a) | set(b))


def closest(sentence: str, others: Sequence[str]) -> str:
    """Return the one of `others` that shares most characters with the sentence, the first of equals."""
    return max(others, key=lambda other: shared_characters(sentence, other))


def draw(pairs: Iterable[Pair], count: int) -> list[Pair]:
    """Draw up to `count` pairs without replacement."""
    return sorted(pairs, key=lambda pair: rank(f"{pair.a}\t{pair.b}"))[:count]


def shuffled(sentences: Iterable[str]) -> list[str]:
    """Put sentences into a random order."""
    return sorted(sentences, key=rank)


def turned(pair: Pair) -> Pair:
    """Swap the sides of every other pair, so that a side tells nothing about the score."""
    return Pair(pair.b, pair.a, pair.score) if int(rank(pair.a + pair.b), 16) % 2 else pair


def rank(text: str) -> str:
    """Return a key that sorts at random: a seeded hash, the same with every version of Python."""
    return hashlib.sha256(f"{SEED} {text}".encode()).hexdigest()


def as_tsv(pairs: Iterable[Pair]) -> str:
    """Format pairs as a table with a header."""
    return "a\tb\tscore\n" + "".join(f"{pair.a}\t{pair.b}\t{pair.score}\n" for pair in pairs)


def as_json_lines(rows: Iterable[dict[str, str]]) -> str:
    """Format rows as JSON lines, Chinese as it is."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


if __name__ == "__main__":
    write(FOLDER)
