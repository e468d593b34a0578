"""Sentences a second of models of information extraction, in turn: `python tests/benchmarks/ie_rate.py FILE DIR…`.

Each DIR is a trained model. `--large` adds CasRel on an encoder of 12 layers, 768 wide, with random weights, which
finds nothing: what it is measured by is its encoder alone. Ratios are to the last one, the median of the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import torch

from nlptasks import form, rows
from nlptasks.backbone import hardware, weights
from nlptasks.backbone.batch import Budget
from nlptasks.backbone.bert import Bert, Config
from nlptasks.backbone.hardware import Machine
from nlptasks.ie import model
from nlptasks.ie.answers import Finder
from nlptasks.ie.labels import Labels
from nlptasks.ie.row import Options, Row, Settings
from nlptasks.ie.task import Task
from nlptasks.inference.predictor import stream
from nlptasks.training import checkpoint
from nlptasks.training.data import Source, load
from nlptasks.training.recipes import to_score
from nlptasks.training.settings import as_plain


def large(folder: Path, like: Path) -> Path:
    """Write CasRel of 12 layers, 768 wide, with the labels of another model."""
    about = checkpoint.open_folder(like).about
    text = weights.load().text
    task = Task("casrel", Settings(), text)
    task.labels = Labels.of_json(about["labels"])
    config = Config(
        vocab_size=len(text), hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072
    )
    made = model.fresh("casrel", Bert(config), task.labels, as_plain(Settings()), task.extras)
    told = {"nlpk": "0", "task": "ie", "method": "casrel", "settings": as_plain(Settings()), "labels": about["labels"]}
    checkpoint.save(folder, made.bert, text, task.rest(made), told)  # type: ignore[arg-type]
    return folder


def seconds(loaded: model.Loaded, asked: list[Row]) -> float:
    """Answer all rows."""
    started = time.perf_counter()
    for _ in stream(asked, lambda row: row, Finder(loaded), Budget(loaded.budget.tokens)):
        pass
    return time.perf_counter() - started


def main() -> None:
    """Let all answer in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="texts; what is to be found in them may stand there, too")
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", default="bf16", choices=list(hardware.DTYPES))
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    table = load(Source(chosen.file), to_score(form("ie"))).rows
    asked = [Row(rows.parse(Row, dict(one)).text) for one in list(table)[: chosen.texts]]
    with ExitStack() as stack:
        folders = {f"{checkpoint.open_folder(one).method} ({one.name})": one for one in chosen.models}
        if chosen.large:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            folders["casrel (12 layers, 768 wide)"] = large(folder, chosen.models[0])
        ready = {
            name: model.load(checkpoint.open_folder(one), Options(), machine=Machine(device="cpu", dtype=chosen.dtype))
            for name, one in folders.items()
        }
        for loaded in ready.values():
            seconds(loaded, asked[:16])
        rounds = [{name: seconds(loaded, asked) for name, loaded in ready.items()} for _ in range(chosen.rounds)]
    last = list(ready)[-1]
    for name in ready:
        rate = statistics.median(len(asked) / one[name] for one in rounds)
        ratio = statistics.median(one[last] / one[name] for one in rounds)
        print(f"{name}\t{rate:,.1f} sentences/s\t{ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
