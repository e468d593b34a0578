"""Spearman of raw, whitened, SimCSE and CoSENT vectors by pooling, three seeds, through the commands that users type.

    python tests/benchmarks/similarity_table.py $NLPK_DATA/similarity runs/table [--backbone DIR]

SimCSE learns from 10,000 unlabelled sentences of the very file that is scored, as kexue.fm/archives/8348 does; CoSENT
once from stsb_zh_train and atec_train, one epoch, so ATEC and STS-B are in its domain and the other sets are not. No
labelled row of a scored file is ever learnt from. What was computed is kept in the folder and not again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SETS = {"STS-B zh": "stsb_zh", "LCQMC": "lcqmc", "BQ": "bq", "PAWSX": "pawsx", "ATEC": "atec"}
LIMITS = {"PAWSX": "128"}
SEEDS = ("1", "2", "3")
LIMIT = "64"  # tokens; where LIMITS has no other


def nlpk(*arguments: str) -> str:
    """Run a command and give what it printed."""
    command = [sys.executable, "-m", "nlpk", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, encoding="utf-8").stdout


class Table:
    """Scores by method, pooling and data set, in a folder that remembers them."""

    def __init__(self, data: Path, folder: Path, backbone: Sequence[str]) -> None:
        """Go on from what the folder holds."""
        self.data, self.folder, self.backbone = data, folder, backbone
        folder.mkdir(parents=True, exist_ok=True)
        self.kept = folder / "scores.json"
        self.scores: dict[str, list[float]] = json.loads(self.kept.read_text()) if self.kept.exists() else {}

    def file(self, name: str, split: str) -> str:
        """Name a file of the data."""
        return str(self.data / f"{SETS[name]}_{split}.tsv")

    def evaluated(self, name: str, *options: str) -> list[dict[str, Any]]:
        """Score a set with `nlpk eval`."""
        limit = LIMITS.get(name, LIMIT)
        printed = nlpk("eval", "similarity", self.file(name, "valid"), "--json", "--limit", limit, *options)
        return [json.loads(line) for line in printed.splitlines()]

    def keep(self, method: str, pooling: str, name: str, score: float) -> None:
        """Add a score, and write all of them down."""
        self.scores.setdefault(f"{method} {pooling} {name}", []).append(score)
        self.kept.write_text(json.dumps(self.scores, indent=1))
        print(method, pooling, name, f"{score:.4f}", flush=True)

    def untrained(self) -> list[str]:
        """Score every set raw and whitened; give the poolings that the backbone has."""
        poolings = list(dict.fromkeys(key.split(" ")[1] for key in self.scores))
        for name in SETS:
            if poolings and all(f"whitened {pooling} {name}" in self.scores for pooling in poolings):
                continue
            for found in self.evaluated(name, "--sweep", *self.backbone):
                settings = found["settings"]
                if settings["pooling"] not in poolings:
                    poolings.append(settings["pooling"])
                method = "whitened" if settings["whitened"] == "yes" else "raw"
                if f"{method} {settings['pooling']} {name}" not in self.scores:
                    self.keep(method, settings["pooling"], name, found["scores"]["spearman"])
        return poolings

    def trained(self, method: str, pooling: str, seed: str, train: Sequence[str], names: Sequence[str]) -> None:
        """Train a model without looking at any score, then score it on some sets."""
        if all(len(self.scores.get(f"{method} {pooling} {name}", ())) >= int(seed) for name in names):
            return
        model = self.folder / "model"
        shutil.rmtree(model, ignore_errors=True)
        options = ["--method", method, "--pooling", pooling, "--seed", seed, *self.backbone]
        nlpk("train", "similarity", *options, *train, "--out", str(model))
        for name in names:
            [found] = self.evaluated(name, "--model", str(model))
            self.keep(method, pooling, name, found["scores"]["spearman"])

    def fill(self) -> None:
        """Compute what is missing."""
        poolings = self.untrained()
        pairs = ["--train", self.file("STS-B zh", "train"), "--train", self.file("ATEC", "train"), "--epochs", "1"]
        for seed in SEEDS:
            for pooling in poolings:
                for name in SETS:
                    train = ["--train", self.file(name, "valid"), "--max-rows", "10000"]
                    self.trained("simcse", pooling, seed, [*train, "--limit", LIMITS.get(name, LIMIT)], [name])
                self.trained("cosent", pooling, seed, pairs, list(SETS))

    def markdown(self) -> str:
        """Write the table: means of the seeds, and the standard deviation where there are several."""
        lines = [f"| | {' | '.join(SETS)} |", "|---|" + "---|" * len(SETS)]
        rows = dict.fromkeys(" ".join(key.split(" ")[:2]) for key in self.scores)
        for row in sorted(rows, key=lambda row: ("raw", "whitened", "simcse", "cosent").index(row.split()[0])):
            cells = [cell(self.scores.get(f"{row} {name}", [])) for name in SETS]
            lines.append(f"| {row.replace(' ', ', ')} | {' | '.join(cells)} |")
        return "\n".join(lines)


def cell(scores: Sequence[float]) -> str:
    """Write scores x 100: their mean ± their standard deviation."""
    if len(scores) < 2:
        return f"{100 * scores[0]:.1f}" if scores else ""
    return f"{100 * statistics.mean(scores):.1f} ± {100 * statistics.stdev(scores):.1f}"


def main() -> None:
    """Fill the table and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the five sets")
    parser.add_argument("folder", type=Path, help="where models and scores are kept")
    parser.add_argument("--backbone")
    chosen = parser.parse_args()
    table = Table(chosen.data, chosen.folder, ["--backbone", chosen.backbone] if chosen.backbone else [])
    table.fill()
    print(table.markdown())


if __name__ == "__main__":
    main()
