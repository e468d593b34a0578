"""Write the NL2SQL samples from the tables described in `source/`: `python data/nl2sql/make.py`.

Training and dev share no table and no wording: each has phrases of its own, which stand in `phrases.toml`. All is drawn
with a fixed seed, so the result is the same on every machine.
"""

import json
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

from asking import Asker
from drawing import SEED, Table, read

FOLDER = Path(__file__).resolve().parent
PER_TABLE = {"train": 200, "dev": 300}
#: Questions of each table from which those that other tables can't answer are taken.
REHEARSED = 60


def questions(
    tables: Sequence[Table],
    split: str,
    phrases: dict[str, list[str]],
    *,
    each: int,
    made_by: Callable[..., Asker] = Asker,
) -> Iterator[dict[str, object]]:
    """Ask every table so many questions, none twice; the second round has what other tables were asked."""
    strange = [{"table": "", "question": "今天天气怎么样"}]
    for rehearsal in (True, False):
        asked: list[dict[str, str]] = []
        for table in tables:
            asker = made_by(table, phrases, Random(f"{SEED} {split} {table.id}"), strange)
            seen: set[str] = set()
            while len(seen) < (REHEARSED if rehearsal else each):
                made = asker.question()
                if made is None or str(made["question"]) in seen:
                    continue
                seen.add(str(made["question"]))
                asked.append({"table": table.id, "question": str(made["question"])})
                if not rehearsal:
                    yield made
        strange = [one for one in asked if len(one["question"]) > 8]


def build(source: Path) -> dict[str, str]:
    """Make the text of every sample file.

    Args:
        source: a folder with `train.txt`, `dev.txt` and `phrases.toml`.

    Returns:
        File name to content.
    """
    files, listed = {}, []
    phrases = tomllib.loads((source / "phrases.toml").read_text(encoding="utf-8"))
    for split in ("train", "dev"):
        tables = read(source / f"{split}.txt")
        listed += [table.as_json() for table in tables]
        asked = questions(tables, split, phrases[split], each=PER_TABLE[split])
        files[f"{split}.jsonl"] = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in asked)
    files["tables.jsonl"] = "".join(f"{line}\n" for line in listed)
    return files


def write(folder: Path) -> None:
    """Write the sample files into a folder."""
    for name, content in build(FOLDER / "source").items():
        (folder / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    write(FOLDER)
