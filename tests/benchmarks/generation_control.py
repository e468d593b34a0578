"""What a condition is worth: conditional LayerNorm against no condition and against the label as the first token.

    python tests/benchmarks/generation_control.py $NLPK_DATA/generation runs/control --training "--steps 400"

`--training` goes to every `nlpk train generation` alike, so that all have the same budget. Printed are, for
each way, the perplexity of the real texts of sentiment_valid.tsv (of a token, a text's end included, the label's token
not), how much more likely than without a condition a text is on average (in nats, with the standard error of the
mean), and how often a text is likelier with its own label than with the other; then for texts that are written,
`--samples` for each label, what `nlpk eval generation` says, and the accuracy of the judge on real texts. At last two
conditions at once, category and sentiment, on the shopping reviews, every twentieth of which is left out of training
and scored. Models are kept in the folder and not trained again, so that a run can be done in parts: `--only cln`.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from nlptasks.backbone.batch import Budget
from nlptasks.backbone.hardware import Machine
from nlptasks.generation import evaluation
from nlptasks.generation.answers import Answerer
from nlptasks.generation.judge import Judge, taught
from nlptasks.generation.layouts import Layout
from nlptasks.generation.model import Loaded, load
from nlptasks.generation.row import Options, Row
from nlptasks.training import checkpoint

CONDITION, NAMES = "情感", {"1": "正面", "0": "负面"}
MARKS = {"1": "正", "0": "负"}  # one token each
WAYS = ("none", "prefix", "cln")
#: Every so manieth row of the shopping reviews is scored, and so many are enough to teach the judge.
SPARED, TAUGHT = 20, 10_000
TOKENS = 8192

Texts = list[tuple[str, str]]


def nlpk(*arguments: str) -> str:
    """Run a command and give what it printed."""
    command = [sys.executable, "-m", "nlpk", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, encoding="utf-8").stdout


def read(file: Path) -> Texts:
    """Read texts and their labels."""
    lines = file.read_text("utf-8").splitlines()
    return [(text, label) for text, label in (line.split("\t") for line in lines)]


def write(file: Path, rows: Iterable[Sequence[str]]) -> str:
    """Write a table without a header."""
    file.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return str(file)


@dataclass(frozen=True)
class Bench:
    """Where the data and the models are, and how they are trained."""

    data: Path
    folder: Path
    training: Sequence[str]
    limit: int
    samples: int
    guidance: Sequence[float]

    def train(self, name: str, file: str, *options: str) -> Path:
        """Train a model, unless it is there."""
        out = self.folder / name
        if not (out / checkpoint.ABOUT).exists():
            limit = str(self.limit + (name == "prefix"))  # so that all learn the same tokens of a text
            given = ["--method", "cln", "--train", file, "--limit", limit, *options, *self.training]
            nlpk("train", "generation", *given, "--out", str(out))
        return out

    def sentiment(self, way: str) -> Path:
        """Train on the sentiment data in one of the ways."""
        rows = read(self.data / "sentiment_train.tsv")
        columns = ("--columns", f"text,{CONDITION}")
        if way == "prefix":
            marked = write(self.folder / "marked.tsv", [(MARKS[label] + text, label) for text, label in rows])
            return self.train(way, marked, *columns, "--conditions", "")
        named = ("--conditions", CONDITION, "--label-names", f"{CONDITION}:1=正面,0=负面") if way == "cln" else None
        return self.train(way, str(self.data / "sentiment_train.tsv"), *columns, *(named or ("--conditions", "")))

    def shopping(self) -> list[dict[str, Any]]:
        """Train on two conditions at once, and score."""
        lines = (self.data / "online_shopping_10_cats.tsv").read_text("utf-8").splitlines()
        rows = [line.split("\t") for line in lines]
        train = write(self.folder / "shopping.train.tsv", (r for n, r in enumerate(rows) if n % SPARED))
        dev = write(self.folder / "shopping.dev.tsv", rows[::SPARED])
        step = max(1, len(rows) // TAUGHT)
        real = write(self.folder / "shopping.judge.tsv", (r for n, r in enumerate(rows[::step]) if n * step % SPARED))
        names = f"{CONDITION}:1=正面,0=负面"
        columns = ("--columns", f"text,类别,{CONDITION}", "--conditions", f"类别,{CONDITION}", "--label-names", names)
        model = self.train("shopping", train, *columns)
        found = []
        for strength in self.guidance:
            asked = ["--samples", str(max(1, self.samples // 10)), "--judge", real, "--guidance", str(strength)]
            printed = nlpk("eval", "generation", "--model", str(model), dev, "--json", *asked)
            found += [{"guidance": strength, **json.loads(line)} for line in printed.splitlines()]
        return found


def opened(folder: Path, **options: Any) -> Loaded:  # noqa: ANN401
    """Load a model, in float32 where it is to score."""
    found = checkpoint.open_folder(folder, "generation", "cln")
    return load(found, Options(**options), machine=Machine(device="cpu", dtype="auto" if options else "float32"))


def asked(way: str, label: str) -> Row:
    """Make the row by which a way is asked for a text of a label."""
    if way == "prefix":
        return Row(MARKS[label])
    return Row(sets=[f"{CONDITION}={NAMES[label]}"] if way == "cln" else [])


@torch.inference_mode()
def losses(way: str, loaded: Loaded, texts: Texts, limit: int) -> tuple[torch.Tensor, int]:
    """Give for each text the cross entropy of its tokens, the label's own not among them, and how many all have."""
    layout = Layout("cln", loaded.text, limit=limit, source=limit)

    def compute(some: Sequence[tuple[str, str]]) -> list[tuple[float, int]]:
        rows = [asked(way, label) for _, label in some]
        before = layout.tokens([one.prompt for one in rows])
        known = zip(layout.lessons([text for text, _ in some], None), before, strict=True)
        lessons = [replace(lesson, text=[*mark, *lesson.text]) for lesson, mark in known]
        work = layout.work(lessons, *loaded.labels.tensors([one.sets or [] for one in rows], [None] * len(rows)))
        lengths = [len(layout.row(lessons[place])[2]) for place in work.order.tolist()]
        parts = torch.split(loaded.model.surprises(work), lengths)
        found = {place: part[len(before[place]) :] for place, part in zip(work.order.tolist(), parts, strict=True)}
        return [(float(found[place].sum()), len(found[place])) for place in range(len(rows))]

    answers = [one for one in Budget(TOKENS).run(texts, lambda one: len(one[0]) + 2, compute)]
    sums, counts = zip(*answers, strict=True)
    return torch.tensor(sums).double(), sum(counts)


def likelihoods(models: dict[str, Path], texts: Texts, limit: int) -> None:
    """Print how likely each model finds real texts."""
    found = {}
    for way, folder in models.items():
        loaded = opened(folder)
        found[way], count = losses(way, loaded, texts, limit)
        said = f"{way}: perplexity {math.exp(float(found[way].sum()) / count):.3f}"
        if "none" in found and way != "none":
            gains = found["none"] - found[way]
            said += f", {gains.mean():.3f} ± {gains.std() / math.sqrt(len(gains)):.3f} nats a text likelier"
        if way != "none":
            others, _ = losses(way, loaded, [(text, "1" if label == "0" else "0") for text, label in texts], limit)
            said += f", likelier with its own label {(found[way] < others).double().mean():.1%}"
        print(said, flush=True)


def written(way: str, folder: Path, bench: Bench, judge: Judge) -> None:
    """Print what texts are like that are written to each label."""
    for strength in bench.guidance if way == "cln" else [1.0]:
        answerer = Answerer(opened(folder, guidance=strength))
        for label, name in NAMES.items():
            rows = [replace(asked(way, label), id=f"sample {number}") for number in range(bench.samples)]
            samples = evaluation.samples_of(answerer, rows)
            texts = [sample["text"].removeprefix(rows[0].prompt) for sample in samples]
            scores = evaluation.variety(texts) | evaluation.memorised(samples)
            scores["control_accuracy"] = judge.accuracy_of(texts, [name] * len(texts))
            told = ", ".join(f"{key} {value:.3f}" for key, value in scores.items())
            print(f"{way}, guidance {strength:g}, {name}: {told}", flush=True)


def main() -> None:
    """Train what is not there, and print all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the sentiment data and the shopping reviews")
    parser.add_argument("folder", type=Path, help="where models are kept")
    parser.add_argument("--limit", type=int, default=128, help="tokens of a text at most")
    parser.add_argument("--samples", type=int, default=1000, help="texts for each label")
    parser.add_argument("--guidance", default="1,3", help="strengths to write with")
    parser.add_argument("--only", choices=[*WAYS, "shopping", "scores"], help="train or score this alone")
    parser.add_argument("--training", default="", help="options of every nlpk train")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    strengths = [float(one) for one in chosen.guidance.split(",")]
    bench = Bench(chosen.data, chosen.folder, shlex.split(chosen.training), chosen.limit, chosen.samples, strengths)
    if chosen.only in WAYS:
        bench.sentiment(chosen.only)
        return
    if chosen.only != "shopping":
        models = {way: bench.sentiment(way) for way in WAYS}
        dev = read(chosen.data / "sentiment_valid.tsv")
        likelihoods(models, dev, chosen.limit)
        real = [[*zip(*rows, strict=True)] for rows in (read(chosen.data / "sentiment_train.tsv"), dev)]
        (texts, labels), (unseen, known) = real
        judge = taught(texts, [NAMES[one] for one in labels], (unseen, [NAMES[one] for one in known]))
        if judge is None:
            raise SystemExit("the judge needs scikit-learn: pip install 'nlpk[scores]'")
        print(f"judge: {judge.accuracy:.3f} of the real texts right", flush=True)
        for way in ("prefix", "cln"):
            written(way, models[way], bench, judge)
    if chosen.only != "scores":
        for line in bench.shopping():
            told = ", ".join(f"{key} {value:.3f}" for key, value in line["scores"].items() if value is not None)
            print(f"shopping, guidance {line['guidance']:g}, {line['settings']['of']}: {told}", flush=True)


if __name__ == "__main__":
    main()
