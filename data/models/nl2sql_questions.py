"""Write more questions about the sample tables: `python data/models/nl2sql_questions.py OUT.jsonl --each 600`.

They are asked of the tables of `../nl2sql/source/train.txt` in the phrases of training and those of `phrases.toml`. No
table and no phrase of the samples' dev file is used.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent / "nl2sql" / "source"
sys.path.insert(0, str(HERE.parent / "nl2sql"))  # the maker of the samples, which is a script

import make as samples  # noqa: E402
from drawing import read  # noqa: E402


def phrases() -> dict[str, list[str]]:
    """Put the phrases of training and more of them together.

    Raises:
        ValueError: one of them stands in the dev part, too.
    """
    known = tomllib.loads((SOURCE / "phrases.toml").read_text(encoding="utf-8"))
    more = tomllib.loads((HERE / "phrases.toml").read_text(encoding="utf-8"))
    shared = {(kind, one) for kind, some in more.items() for one in some if one in known["dev"][kind]}
    shared = {(kind, one) for kind, one in shared if kind != "named"}  # a bare name is no wording
    if shared or more.keys() - known["train"].keys():
        raise ValueError(
            f"phrases of the dev part, or of no part: {sorted(shared)}, {more.keys() - known['train'].keys()}"
        )
    return {kind: list(dict.fromkeys([*some, *more.get(kind, [])])) for kind, some in known["train"].items()}


def main() -> None:
    """Write the questions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--each", type=int, default=600, help="questions of a table")
    arguments = parser.parse_args()
    samples.PER_TABLE["train"] = arguments.each
    made = samples.questions(read(SOURCE / "train.txt"), "train", phrases())
    arguments.out.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in made), encoding="utf-8")


if __name__ == "__main__":
    main()
