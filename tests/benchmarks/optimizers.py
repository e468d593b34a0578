"""Spearman of CoSENT on STS-B by optimizer: the best of a few rates by one seed, then that rate with three others.

    OMP_NUM_THREADS=1 python tests/benchmarks/optimizers.py $NLPK_DATA/similarity runs/optimizers

Every run makes equally many updates from the embedded backbone and is scored once, after the last of them, on the dev
rows, which the rate was chosen by as well. Scores are kept in the folder, and what is there is not computed again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from nlptasks.similarity import row as form
from nlptasks.training.data import Source
from nlptasks.training.run import Plan, Training
from nlptasks.training.settings import as_plain, resolve

RATES = {
    "adamw": (1e-4, 3e-4, 1e-3),
    "lamb": (3e-4, 1e-3, 3e-3),
    "adafactor": (1e-3, 3e-3, 1e-2),
    "lion": (3e-5, 1e-4, 3e-4),
    "tiger": (3e-5, 1e-4, 3e-4),
    "muon": (3e-4, 1e-3, 3e-3),
}
#: Added to AdamW at the rate that suits it alone.
ADDED: dict[str, dict[str, Any]] = {
    "--lookahead 5": {"lookahead": 5},
    "--lazy-embeddings": {"lazy_embeddings": True},
    "--adaptive-rate": {"adaptive_rate": True},
    "--schedule constant": {"schedule": "constant"},
    "--schedule constant --adaptive-rate": {"schedule": "constant", "adaptive_rate": True},
}
CHOOSING, SCORING = 1, (2, 3, 4)


class Table:
    """Scores and seconds by settings, in a folder that remembers them."""

    def __init__(self, data: Path, folder: Path, updates: int, batch_size: int) -> None:
        """Go on from what the folder holds."""
        self.data, self.common = data, {"steps": updates, "batch_size": batch_size, "evaluate_every": updates}
        folder.mkdir(parents=True, exist_ok=True)
        self.kept = folder / "scores.json"
        self.found: dict[str, list[float]] = json.loads(self.kept.read_text()) if self.kept.exists() else {}

    def score(self, **flags: Any) -> list[float]:  # noqa: ANN401 - settings are of many types
        """Train and score once; give Spearman and the seconds of an update."""
        key = json.dumps({**self.common, **flags})
        if key not in self.found:
            settings = resolve(form.Settings, form.METHODS["cosent"].defaults, flags={**self.common, **flags})
            train, dev = (Source(str(self.data / f"stsb_zh_{split}.tsv")) for split in ("train", "valid"))
            with tempfile.TemporaryDirectory() as out:
                plan = Plan("similarity", "cosent", as_plain(settings), (train,), dev, None, "", "0")
                training = Training(plan, Path(out, "run"), device="cpu")
                started, seconds = time.monotonic(), 0.0
                for progress in training:
                    seconds = seconds if progress.scores else (time.monotonic() - started) / progress.step
            self.found[key] = [training.scores["spearman"], seconds]
            self.kept.write_text(json.dumps(self.found, indent=1))
        return self.found[key]

    def line(self, name: str, rate: float, **flags: Any) -> None:  # noqa: ANN401
        """Print a line of the table from the three seeds."""
        found = [self.score(learning_rate=rate, seed=seed, **flags) for seed in SCORING]
        scores, seconds = zip(*found, strict=True)
        spread = f"{statistics.mean(scores):.4f} ± {statistics.stdev(scores):.4f}"
        print(f"| {name} | {rate:g} | {spread} | {statistics.median(seconds):.2f} |", flush=True)

    def best(self, optimizer: str) -> float:
        """Choose the rate of an optimizer, and say what the others gave."""
        scores = {
            rate: self.score(learning_rate=rate, seed=CHOOSING, optimizer=optimizer)[0] for rate in RATES[optimizer]
        }
        tried = ", ".join(f"{rate:g}: {score:.4f}" for rate, score in scores.items())
        print(f"<!-- {optimizer}, seed {CHOOSING}: {tried} -->", flush=True)
        return max(scores, key=lambda rate: scores[rate])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the data sets")
    parser.add_argument("folder", type=Path, help="folder that keeps the scores")
    parser.add_argument("--updates", type=int, default=36)
    parser.add_argument("--batch-size", type=int, default=32)
    given = parser.parse_args()
    table = Table(given.data, given.folder, given.updates, given.batch_size)
    chosen = {optimizer: table.best(optimizer) for optimizer in RATES}
    print("| Optimizer | rate | Spearman, 3 seeds | s per update |\n| --- | ---: | ---: | ---: |", flush=True)
    for optimizer, rate in chosen.items():
        table.line(f"`{optimizer}`", rate, optimizer=optimizer)
    for name, flags in ADDED.items():
        table.line(f"`adamw {name}`", chosen["adamw"], optimizer="adamw", **flags)


if __name__ == "__main__":
    main()
