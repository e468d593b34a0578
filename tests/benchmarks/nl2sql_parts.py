"""Compare NL2SQL's default with the baseline, and with itself without each of its parts, all on equal budgets.

Run by hand: `python tests/benchmarks/nl2sql_parts.py OUT --steps 600 --train FILE… --tables FILE… …`.
Every model learns for the same number of updates from the same rows; a model that is there already is only scored.
`--no-rerank` needs no model of its own. Without files it is the sample data.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "nl2sql"
#: What a model is trained with, and what it is asked with.
MODELS = {
    "slots": ["--method", "slots"],
    "no types": ["--method", "slots", "--no-types"],
    "no cues": ["--method", "slots", "--no-cues"],
    "no matching": ["--method", "slots", "--no-matching"],
    "baseline": ["--method", "baseline"],
}
ASKED = {"slots": {"": [], "no rerank": ["--no-rerank"]}}
SHOWN = (
    "logical_form",
    "execution",
    "select",
    "aggregate",
    "connective",
    "columns",
    "operators",
    "values",
    "answerable",
)


def repeated(flag: str, values: list[str]) -> list[str]:
    """Give a flag once for each value."""
    return [part for value in values for part in (flag, value)]


def nlpk(*arguments: str) -> str:
    """Run a command line, and give what it prints; some records of a file may be bad."""
    done = subprocess.run([sys.executable, "-m", "nlpk", *arguments], check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode > 1:
        raise SystemExit(done.returncode)
    return done.stdout


def main() -> None:
    """Train what is missing, and print a line for each model and file."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("out", type=Path)
    options.add_argument("--steps", type=int, default=600)
    options.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    options.add_argument("--train", nargs="*", default=[str(SAMPLES / "train.jsonl")])
    options.add_argument("--tables", nargs="*", default=[])
    options.add_argument("--score", nargs="*", default=[str(SAMPLES / "dev.jsonl")], metavar="FILE[:TABLES]")
    given = options.parse_args()
    print("model", "file", *SHOWN, sep="\t")
    for name in given.models:
        folder = given.out / name.replace(" ", "-")
        if not folder.exists():
            learned = [*repeated("--train", given.train), *repeated("--tables", given.tables)]
            nlpk("train", "nl2sql", *MODELS[name], *learned, "--steps", str(given.steps), "--out", str(folder))
        for asked, flags in ASKED.get(name, {"": []}).items():
            for file, _, tables in (one.partition(":") for one in given.score):
                where = ["--tables", tables] if tables else []
                found = json.loads(nlpk("eval", "nl2sql", "--model", str(folder), file, *where, *flags, "--json"))
                scores = [f"{found['scores'].get(score, float('nan')):.3f}" for score in SHOWN]
                print(asked or name, Path(file).name, *scores, sep="\t", flush=True)


if __name__ == "__main__":
    main()
