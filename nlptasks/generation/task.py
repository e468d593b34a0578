"""Generation as a task: what it learns from, its texts and its scores."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from torch import Tensor

from nlptasks.backbone.batch import Budget
from nlptasks.backbone.text import Text
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import InputError, UsageError
from nlptasks.generation import evaluation
from nlptasks.generation.answers import Answerer
from nlptasks.generation.labels import Labels
from nlptasks.generation.layouts import Layout, Pass
from nlptasks.generation.model import CONDITION, SEEN, Generator, Loaded, assembled, load
from nlptasks.generation.row import Options, Row, Settings, Sweep
from nlptasks.generation.seen import Seen
from nlptasks.task import Shown, paired
from nlptasks.task import Task as AnyTask

__all__ = [
    "Answerer",
    "Loaded",
    "Task",
    "evaluations",
    "examples",
    "load",
    "score_predictions",
    "shown",
    "worker",
]

logger = logging.getLogger(__name__)
#: Texts to show at most.
SHOWN = 4


class Task(AnyTask[Generator]):
    """One method of generation with its settings."""

    name = "generation"
    best = "logprob"

    def __init__(self, method: str, settings: Settings, text: Text) -> None:
        """Keep the method, its settings and the tokenizer.

        Raises:
            UsageError: a method that reads nothing is to copy.
        """
        if settings.copy and method != "seq2seq":
            raise UsageError(f"--copy: {method} reads nothing that it could copy; use --method seq2seq")
        self.method, self.settings, self.text = method, settings, text
        self.layout = Layout(method, text, limit=settings.limit, source=settings.source_limit)
        self.labels = Labels()
        self.seen: Seen | None = None

    def fit_labels(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Collect the labels of the conditions, and the runs of characters that would be memorised."""
        self.labels = Labels.fit(rows)
        self.seen = Seen.of(row["text"] for row in rows)
        return self.labels.state()

    def model(self, backbone: Backbone) -> Generator:
        """Put the head on a backbone, and let its norms listen to the conditions.

        Raises:
            UsageError: texts are to be longer than the backbone can read.
        """
        self.layout.check(backbone.bert.config.max_position_embeddings)
        return assembled(backbone, self.labels, asdict(self.settings))

    def check_row(self, row: Row) -> None:
        """Refuse a dev row of a label that no training row has, or of another vector."""
        self.labels.check(row.sets or [], row.vector)

    def batch(self, rows: Sequence[Mapping[str, Any]]) -> Pass:
        """Lay out what rows teach, for one forward pass."""
        return self.laid(self.layout, rows)

    def laid(self, layout: Layout, rows: Sequence[Mapping[str, Any]]) -> Pass:
        """Lay out rows; a layout counts what it cuts."""
        sources = [row["source"] for row in rows] if layout.reads else None
        lessons = layout.lessons([row["text"] for row in rows], sources)
        tensors = self.labels.tensors([row["sets"] or [] for row in rows], [row["vector"] for row in rows])
        return layout.work(lessons, *tensors)

    def loss(self, model: Generator, work: Pass) -> Tensor:
        """Compute the mean cross entropy of the texts' tokens."""
        loss: Tensor = model(work)
        return loss

    def finish(self, model: Generator, rows: Sequence[Mapping[str, Any]], budget: Budget) -> bool:
        """Tell what was cut and what the vocabulary lacks; the model stays as it is."""
        counts = self.layout.counts
        if counts["texts"]:
            logger.info(
                "of %(texts)d texts seen, %(cut)d were cut; of %(tokens)d tokens, %(unknown)d were unknown", counts
            )
        return False

    def score(self, model: Generator, rows: Sequence[Row], budget: Budget) -> dict[str, float]:
        """Measure how likely the model finds texts."""
        layout = Layout(self.method, self.text, limit=self.settings.limit, source=self.settings.source_limit)
        return evaluation.perplexities(model, layout, self.labels, rows, budget)["all"]

    def rest(self, model: Generator) -> dict[str, Tensor]:
        """Name the weights beside the encoder's, and the filter of what was learnt from."""
        named = model.named()
        if model.condition is not None:
            named |= {CONDITION + name: tensor.detach() for name, tensor in model.condition.state_dict().items()}
        return named | ({SEEN: self.seen.tensor()} if self.seen else {})


def worker(loaded: Loaded) -> Answerer:
    """Make what answers the task's rows."""
    return Answerer(loaded)


def evaluations(
    loaded: Loaded, labelled: Sequence[Row], sweep: Sweep
) -> Iterator[tuple[dict[str, Any], dict[str, float]]]:
    """Score labelled rows: how likely the model finds them, then how good the texts are that it writes.

    Yields:
        What is scored, and its scores.
    """
    found = evaluation.perplexities(loaded.model, loaded.layout, loaded.labels, labelled, loaded.budget)
    for name, scores in found.items():
        yield {"of": name}, scores
    if sweep.samples:
        yield from evaluation.written(Answerer(loaded), labelled, sweep)


def score_predictions(
    predictions: Sequence[Any], labelled: Sequence[Row], options: Options | None = None
) -> dict[str, float]:
    """Score the predictions of any system.

    Raises:
        InputError: not one prediction for each record, or one without a text.
    """
    try:
        given = [prediction["samples"] for prediction, _ in paired(predictions, labelled)]
        texts = [[str(sample["text"]) for sample in samples] for samples in given]
        first = [one[0] for one in texts]
    except (KeyError, TypeError, IndexError) as error:
        raise InputError(
            'a prediction without a text; expected lines with {"prediction": {"samples": [{"text": text}]}}'
        ) from error
    scores = evaluation.variety([text for one in texts for text in one])
    if any(row.source for row in labelled):
        scores |= evaluation.likeness(first, [row.text or "" for row in labelled])
    return scores


def examples(loaded: Loaded) -> list[Row]:
    """Give conditions to show what the task does: some labels of the one that has most."""
    labels = loaded.labels.known
    most = min(SHOWN, max(map(len, labels.values()), default=1))
    turns = ([f"{name}={known[place % len(known)]}" for name, known in labels.items()] for place in range(most))
    return [Row(sets=sets) for sets in turns]


def shown(rows: Sequence[Row], predictions: Sequence[Mapping[str, Any]]) -> Iterator[Shown]:
    """Show texts below what they were written to."""
    for row, one in zip(rows, predictions, strict=True):
        asked = [*(row.sets or []), *filter(None, (row.set, row.label, row.prompt, row.source))]
        yield Shown(", ".join(asked) or "anything", [(sample["text"], []) for sample in one["samples"]])
