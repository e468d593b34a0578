"""Reading-comprehension QA as a task: what it learns from, its answers and its scores."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from nlptasks.backbone.batch import Budget
from nlptasks.backbone.text import Text
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import InputError, RecordError, UsageError
from nlptasks.inference.predictor import stream
from nlptasks.qa import pairs_row
from nlptasks.qa.answers import Answerer
from nlptasks.qa.examples import Encoder, Limits
from nlptasks.qa.layouts import Layout
from nlptasks.qa.model import NO_MODEL, TOKENS, Loaded, Reader, assembled, load
from nlptasks.qa.pairs import Asker
from nlptasks.qa.row import METHODS, Options, Row, Settings, Sweep
from nlptasks.qa.scores import scored
from nlptasks.task import Work
from nlptasks.training import models
from nlptasks.writing.draft import Writer

__all__ = [
    "TOKENS",
    "Answerer",
    "Loaded",
    "Task",
    "demo",
    "evaluations",
    "load",
    "score_predictions",
    "worker",
]

logger = logging.getLogger(__name__)


class Task:
    """One method of QA with its settings."""

    name = "qa"
    best = "f1"

    def __init__(self, method: str, settings: Settings, text: Text) -> None:
        """Keep the method, its settings and the tokenizer.

        Raises:
            UsageError: a method that does not write is to learn to write questions.
        """
        if settings.generate and method != "seq2seq":
            raise UsageError(f"--generate: {method} cannot write questions; use --method seq2seq")
        self.method, self.settings, self.text = method, settings, text
        self.limits = Limits.of(asdict(settings))
        self.encoder = Encoder(text, self.limits)
        self.layout = Layout(method, text, self.limits.answer)

    def scaled(self, rows: Any) -> Any:  # noqa: ANN401 - a table of the datasets library
        """Leave the rows as they are: answers have no scale."""
        return rows

    def chosen(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """Draw the rows to train on, where fewer than all are asked for."""
        most = self.settings.max_rows
        if most is None or most >= len(rows):
            return rows
        return [rows[place] for place in random.Random(self.settings.seed).sample(range(len(rows)), most)]

    def model(self, backbone: Backbone) -> Reader:
        """Put the head that names tokens on a backbone.

        Raises:
            UsageError: more is to be read at once than the backbone can.
        """
        self.limits.check(backbone.bert.config.max_position_embeddings)
        return assembled(backbone)

    def check(self, model: Reader, rows: Sequence[Mapping[str, Any]]) -> None:
        """Refuse nothing: `finish` has nothing to do."""

    def batch(self, rows: Sequence[Mapping[str, Any]]) -> Work:
        """Lay out what rows teach, for one forward pass."""
        lessons = self.encoder.lessons(rows)
        if self.settings.generate:
            lessons += [replace(lesson, is_asked=False) for lesson in lessons if lesson.answer]
        return self.layout.work(lessons)

    def loss(self, model: Reader, work: Work) -> Tensor:
        """Compute the mean cross entropy of the answers' tokens."""
        if work.targets is None:
            raise ValueError("training needs targets")
        loss: Tensor = model(work.groups, work.targets)
        return loss

    def finish(self, model: Reader, rows: Sequence[Mapping[str, Any]], budget: Budget) -> bool:
        """Tell what was longer than is read at once; the model stays as it is."""
        logger.info(
            "of %(passages)d passages seen, %(windowed)d were longer than a window; %(answers)d answers were cut",
            self.encoder.counts,
        )
        return False

    def score(self, model: Reader, rows: Sequence[Row], budget: Budget) -> dict[str, float]:
        """Answer rows and score the answers."""
        writer = Writer.of(model.bert, model.head)
        loaded = Loaded(writer, self.text, Options(), self.limits, budget, self.name, self.method, Path())
        return scores_of(Answerer(loaded), rows)

    def rest(self, model: Reader) -> dict[str, Tensor]:
        """Name the weights beside the encoder's."""
        return {name: tensor.detach() for name, tensor in model.head.named().items()}


def scores_of(answerer: Answerer, labelled: Sequence[Row]) -> dict[str, float]:
    """Answer rows and score the answers."""
    texts: list[str] = []
    for window in stream(labelled, same, answerer, answerer.loaded.budget):
        for _, answer in window:
            if isinstance(answer, RecordError):
                raise answer
            texts.append(answer["answer"])
    answerer.report()
    return scored(texts, [row.answers or [] for row in labelled])


def same(row: Row) -> Row:
    """Take a row as it is."""
    return row


def worker(loaded: Loaded) -> Answerer | Asker:
    """Make what answers the task's rows, or asks about passages."""
    return Asker(loaded) if isinstance(loaded.options, pairs_row.Options) else Answerer(loaded)


def evaluations(
    loaded: Loaded, labelled: Sequence[Row], sweep: Sweep
) -> Iterator[tuple[dict[str, Any], dict[str, float]]]:
    """Score labelled rows.

    Yields:
        The setting and its scores.
    """
    answerer = Answerer(loaded)
    settings = {name: getattr(answerer.options, name) for name in ("mode", "beam", "abstain")}
    yield settings, scores_of(answerer, labelled)


def score_predictions(predictions: Sequence[Any], labelled: Sequence[Row]) -> dict[str, float]:
    """Score the predictions of any system.

    Raises:
        InputError: not one prediction for each record, or one without an answer.
    """
    if len(predictions) != len(labelled):
        raise InputError(f"{len(predictions)} predictions for {len(labelled)} records; expected one for each, in order")
    try:
        answers = [str(prediction["answer"]) for prediction in predictions]
    except (KeyError, TypeError) as error:
        raise InputError(
            'a prediction without an answer; expected lines with {"prediction": {"answer": text}}'
        ) from error
    return scored(answers, [row.answers or [] for row in labelled])


def demo() -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
    """Answer a few questions with the model that answers by default; without one, tell what could be trained."""
    found = models.find("qa")
    if found is None:
        return NO_MODEL, ("method", "what it does"), [(name, method.summary) for name, method in METHODS.items()]
    answerer = Answerer(load(found, Options()))
    passage = "诺贝尔奖根据瑞典化学家诺贝尔的遗嘱设立，1901年首次颁发，每年在斯德哥尔摩和奥斯陆颁奖。"
    rows = [Row(question, passage) for question in ("诺贝尔奖是哪年首次颁发的？", "诺贝尔是哪国人？")]
    answers = answerer.answer(answerer.read(rows))
    told = [(row.question, one["answer"] or "(none)", one["score"]) for row, one in zip(rows, answers, strict=True)]
    lines: list[tuple[str, ...]] = [(question, answer, f"{score:.3f}") for question, answer, score in told]
    return f"qa: {passage}", ("question", "answer", "score"), lines
