"""Write the samples for information extraction from `source/`: `python data/ie/make.py`.

`names.txt` has the names of each type, one type a heading. `sentences.txt` has sentences with types in braces, of
which `{人物2}` is another name of the type, and behind a bar the triples that they say; `=TYPE:NAME` is a name that the
sentence has itself. One name of five, of each type, stands in dev alone. All facts are invented.
"""

import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
SEED = 11
TRAIN, DEV = 12, 3
"""Sentences made of each pattern."""
KEPT_BACK = 5
"""One name of so many, of each type, stands in dev alone."""
SLOT = re.compile(r"\{(\w+?)(\d?)\}")


@dataclass(frozen=True)
class Pattern:
    """A sentence with slots, and its triples of slots."""

    text: str
    triples: tuple[tuple[str, str, str], ...]


def build(source: Path) -> dict[str, str]:
    """Make the text of every sample file: file name to content."""
    names, patterns = read_names(source / "names.txt"), list(read_patterns(source / "sentences.txt"))
    draw = random.Random(SEED)
    known = {kind: [name for at, name in enumerate(every) if (at + 1) % KEPT_BACK] for kind, every in names.items()}
    train = [made(pattern, known, draw) for pattern in patterns for _ in range(TRAIN)]
    dev = [made(pattern, names, draw) for pattern in patterns for _ in range(DEV)]
    train = list({row["text"]: row for row in train}.values())
    seen = {row["text"] for row in train}
    dev = list({row["text"]: row for row in dev if row["text"] not in seen}.values())
    draw.shuffle(train)
    draw.shuffle(dev)
    said = sorted({(t["subject"]["text"], t["predicate"], t["object"]["text"]) for r in train for t in r["triples"]})
    return {
        "train.jsonl": as_lines(train),
        "dev.jsonl": as_lines(dev),
        "entities.txt": "\n".join(tagged(row) for row in train if not is_nested(row)),
        "schema.jsonl": as_lines(schema(train)),
        "knowledge.tsv": "".join("\t".join(one) + "\n" for one in said),
    }


def read_names(path: Path) -> dict[str, list[str]]:
    """Read the names of each type."""
    names: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            kind = line[2:]
        else:
            names.setdefault(kind, []).extend(line.split())
    return names


def read_patterns(path: Path) -> Iterator[Pattern]:
    """Read the sentences with slots."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            text, _, said = line.partition("|")
            parts = [tuple(one.split()) for one in said.split(";") if one.strip()]
            yield Pattern(text.strip(), tuple((a, b, c) for a, b, c in parts))


def made(pattern: Pattern, names: Mapping[str, Sequence[str]], draw: random.Random) -> dict[str, Any]:
    """Fill the slots of a sentence with names, no name twice."""
    text, at = "", 0
    places: dict[str, dict[str, Any]] = {}
    used: set[str] = set()
    for slot in SLOT.finditer(pattern.text):
        text += pattern.text[at : slot.start()]
        kind = slot[1]
        name = draw.choice([one for one in names[kind] if one not in used])
        used.add(name)
        places[slot[1] + slot[2]] = entity(name, kind, len(text))
        text += name
        at = slot.end()
    text += pattern.text[at:]
    triples = []
    for subject, predicate, other in pattern.triples:
        ends = [places[one] if one in places else fixed(one, text) for one in (subject, other)]
        places.update({str(len(places)): one for one in ends if one not in places.values()})
        triples.append({"subject": ends[0], "predicate": predicate, "object": ends[1]})
    entities = sorted(places.values(), key=lambda one: (one["start"], one["end"]))
    return {"text": text, "triples": triples, "entities": entities}


def fixed(name: str, text: str) -> dict[str, Any]:
    """Find a name that a sentence has itself, `=TYPE:NAME`; what follows a name that begins another is told apart."""
    kind, _, name = name.removeprefix("=").partition(":")
    return entity(name, kind, text.index(name))


def entity(name: str, kind: str, start: int) -> dict[str, Any]:
    """Describe a mention."""
    return {"text": name, "type": kind, "start": start, "end": start + len(name)}


def is_nested(row: Mapping[str, Any]) -> bool:
    """Tell whether an entity stands in another, which tags cannot say."""
    ends = row["entities"]
    return any(a["end"] > b["start"] for a, b in pairwise(ends))


def tagged(row: Mapping[str, Any]) -> str:
    """Write a sentence in BIO, a character and its tag a line."""
    tags = ["O"] * len(row["text"])
    for one in row["entities"]:
        tags[one["start"] : one["end"]] = [f"B-{one['type']}", *[f"I-{one['type']}"] * (len(one["text"]) - 1)]
    return "".join(f"{letter}\t{tag}\n" for letter, tag in zip(row["text"], tags, strict=True))


def schema(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """List the predicates with the types of their ends."""
    found = {t["predicate"]: (t["subject"]["type"], t["object"]["type"]) for row in rows for t in row["triples"]}
    return [{"subject_type": a, "predicate": name, "object_type": b} for name, (a, b) in sorted(found.items())]


def as_lines(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


if __name__ == "__main__":
    for name, content in build(FOLDER / "source").items():
        (FOLDER / name).write_text(content, encoding="utf-8")
