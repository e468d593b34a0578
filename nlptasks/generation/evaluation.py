"""How good a model is: how likely it finds real texts, and what the texts are like that it writes."""

from __future__ import annotations

import logging
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from nlptasks import files, rows
from nlptasks.backbone.batch import Budget
from nlptasks.errors import InputError, RecordError
from nlptasks.generation.answers import Answerer
from nlptasks.generation.judge import Judge, taught
from nlptasks.generation.labels import Labels
from nlptasks.generation.layouts import Layout
from nlptasks.generation.model import Generator
from nlptasks.generation.naming import pair
from nlptasks.generation.row import Row, Sweep
from nlptasks.generation.scores import likeness as likeness
from nlptasks.generation.scores import variety as variety

logger = logging.getLogger(__name__)
#: What is scored, and its scores.
Scores = Iterator[tuple[dict[str, Any], dict[str, float]]]


@torch.no_grad()
def perplexities(
    model: Generator, layout: Layout, labels: Labels, labelled: Sequence[Row], budget: Budget
) -> dict[str, dict[str, float]]:
    """Measure how likely a model finds texts, together as `all` and by label; for each token, a text's end included."""
    device = model.bert.tokens.weight.device
    was_training = model.training
    model.eval()

    def compute(chosen: list[Row]) -> list[tuple[float, int]]:
        sources = [row.source or "" for row in chosen] if layout.reads else None
        lessons = layout.lessons([row.text or "" for row in chosen], sources)
        tensors = labels.tensors([row.sets or [] for row in chosen], [row.vector for row in chosen])
        work = layout.work(lessons, *tensors).to(device)
        lengths = [len(layout.row(lessons[place])[2]) for place in work.order.tolist()]
        sums = [float(part.sum()) for part in torch.split(model.surprises(work), lengths)]
        found = dict(zip(work.order.tolist(), zip(sums, lengths, strict=True), strict=True))
        return [found[place] for place in range(len(chosen))]

    answers = budget.run(labelled, lambda row: len(row.text or "") + len(row.source or "") + 1, compute)
    model.train(was_training)
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0])
    for row, answer in zip(labelled, answers, strict=True):
        if isinstance(answer, Exception):
            raise answer
        for name in ("all", *(row.sets or ())):
            sums[name][0] += answer[0]
            sums[name][1] += answer[1]
    ordered = ["all", *sorted(name for name in sums if name != "all")]
    return {
        name: {"perplexity": math.exp(sums[name][0] / sums[name][1]), "logprob": -sums[name][0] / sums[name][1]}
        for name in ordered
    }


def written(answerer: Answerer, labelled: Sequence[Row], sweep: Sweep) -> Scores:
    """Write texts and score them: for each source one, or so many as are asked for to each combination of labels."""
    if answerer.layout.reads:
        samples = samples_of(answerer, labelled)
        texts = [sample["text"] for sample in samples]
        scores = likeness(texts, [row.text or "" for row in labelled]) | variety(texts) | memorised(samples)
        yield {"of": "written", "texts": len(texts)}, scores
        return
    asked = wanted(labelled, sweep.samples)
    judges = judges_of(answerer, labelled, sweep.judge)  # first, since a file that cannot be read is found at once
    samples = samples_of(answerer, asked)
    named = {"written": list(range(len(asked)))}
    for place, row in enumerate(asked):
        for one in row.sets or ():
            named.setdefault(f"written to {one}", []).append(place)
    for name, places in named.items():
        chosen = [samples[place] for place in places]
        texts = [sample["text"] for sample in chosen]
        rows = [asked[place] for place in places]
        yield {"of": name, "texts": len(texts)}, variety(texts) | memorised(chosen) | controlled(judges, texts, rows)


def wanted(labelled: Sequence[Row], count: int) -> list[Row]:
    """Ask for texts: so many to each combination of labels that there is, or to vectors of the rows one by one."""
    if any(row.vector is not None for row in labelled):
        return [
            replace(row, prompt="", text=None, id=f"sample {number}") for number, row in enumerate(labelled[:count])
        ]
    combinations = dict.fromkeys(tuple(row.sets or ()) for row in labelled)
    return [Row(sets=list(sets), id=f"sample {number}") for sets in sorted(combinations) for number in range(count)]


def samples_of(answerer: Answerer, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Write the first text for each row.

    Raises:
        RecordError: one cannot be written to.
    """
    examples = answerer.read([replace(row, text=None) for row in rows])
    for example in examples:
        if isinstance(example, RecordError):
            raise example
    found = answerer.loaded.budget.run(examples, answerer.size, answerer.answer)  # type: ignore[arg-type]
    samples = []
    for answer in found:
        if isinstance(answer, RecordError):
            raise answer
        samples.append(answer["samples"][0])
    return samples


def memorised(samples: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Give the share of texts that share a long run with a training text; nothing where that is not known."""
    if any(sample["memorised"] is None for sample in samples):
        return {}
    return {"memorised": sum(sample["memorised"] for sample in samples) / len(samples)}


def judges_of(answerer: Answerer, labelled: Sequence[Row], file: str | None) -> dict[str, Judge]:
    """Teach a judge for each condition, from a file or from the rows that are scored."""
    real, judges = (real_rows(answerer, file) if file else labelled), {}
    for place, name in enumerate(answerer.loaded.labels.known):
        texts, labels = texts_and_labels(real, place)
        judge = taught(texts, labels, texts_and_labels(labelled, place) if file else None)
        if judge is not None:
            judges[name] = judge
    return judges


def real_rows(answerer: Answerer, file: str) -> list[Row]:
    """Read a file of labelled rows.

    Raises:
        InputError: it cannot be read, or holds no usable record.
    """
    naming, found, bad = answerer.loaded.naming, [], []
    for record in files.read_records(file, names=naming.columns):
        try:
            if record.problem:
                raise RecordError(record.problem)
            row = rows.parse(Row, naming(record.fields))
            answerer.loaded.check(row)
            if not (row.text or "").strip():
                raise RecordError("no text")
            found.append(row)
        except RecordError as error:
            bad.append(f"{record.place}: {error}")
    if bad:
        logger.info("%d records cannot be used, first %s", len(bad), bad[0])
    if not found:
        raise InputError(f"{file}: no labelled text for the judge; expected {', '.join(naming.columns)}")
    return found


def texts_and_labels(labelled: Sequence[Row], place: int) -> tuple[list[str], list[str]]:
    """Give the texts of rows, and their labels of one condition."""
    return [row.text or "" for row in labelled], [(row.sets or [])[place].partition("=")[2] for row in labelled]


def controlled(judges: Mapping[str, Judge], texts: Sequence[str], asked: Sequence[Row]) -> dict[str, float]:
    """Give the share of texts in which judges see what was asked for, and how often these are right on real texts."""
    if not judges:
        return {}
    found: dict[str, float] = {}
    for name, judge in judges.items():
        end = "" if len(judges) == 1 else f"_{name}"
        labels = [dict(map(pair, row.sets or []))[name] for row in asked]
        found[f"control_accuracy{end}"] = judge.accuracy_of(texts, labels)
        found[f"judge_accuracy{end}"] = judge.accuracy
    return found
