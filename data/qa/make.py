"""Write the QA samples from the passages in `source/`: `python data/qa/make.py`.

A source file is a topic and holds passages one after another, each with its questions:

    # title
    The passage, in one line.
    ? a question
    = an answer as the passage writes it | another wording that is right, too
    ? a question that the passage does not answer
    =

Whole passages go either to training or to dev, and so do those that stand beside them in the rows of several. Every
question is asked of its own passage; each one with an answer also of several passages, and some of several without
the right one. The passages put beside are those most like the question that hold none of its answers.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SEED = 4
DEV_SHARE = 4
"""One passage of so many goes to dev, in each topic."""
WITHOUT_SHARE = 3
"""One question of so many, of those with an answer, is also asked of passages that do not answer it."""
MOST_BESIDE = 3
SHORTEST, LONGEST = 60, 400


@dataclass(frozen=True)
class Question:
    """A question on a passage and what counts as right; none where the passage does not say."""

    text: str
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Document:
    """A passage with its questions."""

    name: str
    """Topic and number, such as nature-3."""
    passage: str
    questions: tuple[Question, ...]


def build(source: Path) -> dict[str, str]:
    """Make the text of every sample file from the passages in a folder.

    Args:
        source: a folder of `TOPIC.txt` files.

    Returns:
        File name to content.

    Raises:
        ValueError: a file is not of the form above, or an answer does not stand in its passage.
    """
    topics = [read(path) for path in sorted(source.glob("*.txt"))]
    refuse_repeats([document for documents in topics for document in documents])
    train: list[Document] = []
    dev: list[Document] = []
    for documents in topics:
        drawn = sorted(documents, key=lambda document: rank(document.passage))
        count = len(drawn) // DEV_SHARE
        dev += drawn[:count]
        train += drawn[count:]
    return {"train.jsonl": as_json_lines(rows(train)), "dev.jsonl": as_json_lines(rows(dev))}


def write(folder: Path) -> None:
    """Write the sample files into a folder, over those that are there."""
    for name, text in build(FOLDER / "source").items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def read(path: Path) -> list[Document]:
    """Parse one source file.

    Raises:
        ValueError: it is not of the form above.
    """
    documents = []
    blocks = path.read_text(encoding="utf-8").removeprefix("# ").rstrip("\n").split("\n# ")
    for number, block in enumerate(blocks, 1):
        title, passage, *lines = block.split("\n")
        if not SHORTEST <= len(passage) <= LONGEST:
            raise ValueError(
                f"{path.name}: {title!r} is not followed by a passage of {SHORTEST} to {LONGEST} characters"
            )
        documents.append(Document(f"{path.stem}-{number}", passage, tuple(questions(lines, passage))))
    return documents


def questions(lines: Sequence[str], passage: str) -> Iterator[Question]:
    """Parse the questions of a passage.

    Raises:
        ValueError: a question without its line of answers, or an answer that the passage does not hold.
    """
    if not lines or len(lines) % 2:
        raise ValueError(f"{passage[:20]!r}: expected lines of questions and answers by turns, found {len(lines)}")
    for asked, right in zip(lines[::2], lines[1::2], strict=True):
        if not asked.startswith("? ") or right[:2].strip() != "=":
            raise ValueError(f"{asked!r}, {right!r}: expected a question after '? ' and its answers after '= '")
        answers = tuple(answer.strip() for answer in right[1:].split("|") if answer.strip())
        for answer in answers:
            if answer not in passage:
                raise ValueError(f"{asked!r}: the answer {answer!r} does not stand in the passage")
        yield Question(asked[2:], answers)


def refuse_repeats(documents: Iterable[Document]) -> None:
    """Raise ValueError when a passage or a question stands in the sources twice: it could end up in both files."""
    seen: set[str] = set()
    for document in documents:
        for text in (document.passage, *(question.text for question in document.questions)):
            if text in seen:
                raise ValueError(f"{document.name}: {text[:20]!r} occurs twice, remove one of them")
            seen.add(text)


def rows(documents: Sequence[Document]) -> list[dict[str, object]]:
    """Make the rows of one file, in random order."""
    made = [
        row
        for document in documents
        for number, question in enumerate(document.questions, 1)
        for row in rows_of(question, f"{document.name}-{number}", document, documents)
    ]
    return sorted(made, key=lambda row: rank(str(row["id"])))


def rows_of(
    question: Question, name: str, document: Document, documents: Sequence[Document]
) -> Iterator[dict[str, object]]:
    """Yield a question with its own passage and, if it has an answer, with several, perhaps without the right one."""
    answers = list(question.answers)
    yield {"id": name, "question": question.text, "passage": document.passage, "answers": answers}
    if not answers:
        return
    beside = alike(question, document, documents)
    count = 1 + int(rank(name), 16) % MOST_BESIDE
    several = sorted([document.passage, *beside[:count]], key=lambda passage: rank(name + passage))
    yield {"id": f"{name}-several", "question": question.text, "passages": several, "answers": answers}
    if int(rank(f"{name} without"), 16) % WITHOUT_SHARE == 0:
        others = sorted(beside[: count + 1], key=lambda passage: rank(name + passage))
        yield {"id": f"{name}-without", "question": question.text, "passages": others, "answers": []}


def alike(question: Question, document: Document, documents: Sequence[Document]) -> list[str]:
    """Return the other passages that hold no answer, those with most pairs of the question's letters first."""
    pairs = set(pairwise(question.text))
    others = [
        other.passage
        for other in documents
        if other != document and not any(answer in other.passage for answer in question.answers)
    ]
    return sorted(others, key=lambda passage: (-len(pairs & set(pairwise(passage))), rank(question.text + passage)))


def rank(text: str) -> str:
    """Return a key that sorts at random: a seeded hash, the same with every version of Python."""
    return hashlib.sha256(f"{SEED} {text}".encode()).hexdigest()


def as_json_lines(rows: Iterable[dict[str, object]]) -> str:
    """Format rows as JSON lines, Chinese as it is."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


if __name__ == "__main__":
    write(FOLDER)
