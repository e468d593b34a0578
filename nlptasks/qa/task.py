"""Reading-comprehension QA as a task: what it learns from, its answers and its scores."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from torch import Tensor

from nlptasks.backbone.batch import Budget
from nlptasks.backbone.language import LanguageModel
from nlptasks.backbone.text import Text
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import InputError, UsageError
from nlptasks.inference.predictor import answers
from nlptasks.qa import pairs_row
from nlptasks.qa.answers import Answerer
from nlptasks.qa.examples import Encoder, Limits
from nlptasks.qa.layouts import Layout
from nlptasks.qa.model import Loaded, load
from nlptasks.qa.pairs import Asker
from nlptasks.qa.row import Options, Row, Settings, Sweep
from nlptasks.qa.scores import scored
from nlptasks.task import Shown, Work, paired
from nlptasks.task import Task as AnyTask
from nlptasks.writing.draft import Writer

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
#: Passages from which the rarity of tokens is learnt.
WEIGHED = 5000


class Task(AnyTask[LanguageModel]):
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
        self.weighed: list[list[int]] = []

    def fit_labels(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Learn from the passages how rare tokens are."""
        passages = list(dict.fromkeys(row["passage"] for row in rows))[:WEIGHED]
        self.weighed = [one.ids for one in self.text.tokenizer.encode_batch_fast(passages, add_special_tokens=False)]

    def model(self, backbone: Backbone) -> LanguageModel:
        """Put the head that names tokens on a backbone.

        Raises:
            UsageError: more is to be read at once than the backbone can.
        """
        self.limits.check(backbone.bert.config.max_position_embeddings)
        copies, matches = self.settings.copy, self.settings.match
        model = LanguageModel.new(backbone, copies=copies, matches=matches, aligns=copies and not self.layout.writes)
        if model.matcher is not None:
            model.matcher.weigh(self.weighed)
        if model.copier is not None:
            model.copier.follow.requires_grad_(self.layout.writes)  # masks are filled without looking at each other
        return model

    def batch(self, rows: Sequence[Mapping[str, Any]]) -> Work:
        """Lay out what rows teach, for one forward pass."""
        lessons = self.encoder.lessons(rows)
        if self.settings.generate:
            lessons += [replace(lesson, is_asked=False) for lesson in lessons if lesson.answer]
        return self.layout.work(lessons)

    def loss(self, model: LanguageModel, work: Work) -> Tensor:
        """Compute the mean cross entropy of the answers' tokens."""
        return model.token_loss(work.groups, work.taught, follows=self.layout.writes)

    def finish(self, model: LanguageModel, rows: Sequence[Mapping[str, Any]], budget: Budget) -> bool:
        """Tell what was longer than is read at once; the model stays as it is."""
        logger.info(
            "of %(passages)d passages seen, %(windowed)d were longer than a window; %(answers)d answers were cut",
            self.encoder.counts,
        )
        return False

    def score(self, model: LanguageModel, rows: Sequence[Row], budget: Budget) -> dict[str, float]:
        """Answer rows and score the answers."""
        writer = Writer.of(model)
        asked: dict[str, Any] = {
            "options": Options(abstain=self.settings.abstain),
            "limits": self.limits,
            "text": self.text,
        }
        loaded = Loaded(writer=writer, budget=budget, name=self.name, method=self.method, **asked)
        return scores_of(Answerer(loaded), rows)

    def rest(self, model: LanguageModel) -> dict[str, Tensor]:
        """Name the weights beside the encoder's."""
        return model.named()


def scores_of(answerer: Answerer, labelled: Sequence[Row]) -> dict[str, float]:
    """Answer rows and score the answers."""
    found = answers(labelled, answerer, answerer.loaded.budget)
    answerer.report()
    texts, confidences = ([answer[name] for answer in found] for name in ("answer", "score"))
    return scored(texts, [row.answers or [] for row in labelled], confidences)


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


def score_predictions(
    predictions: Sequence[Any], labelled: Sequence[Row], options: Options | None = None
) -> dict[str, float]:
    """Score the predictions of any system.

    Raises:
        InputError: not one prediction for each record, or one without an answer.
    """
    try:
        told = [str(prediction["answer"]) for prediction, _ in paired(predictions, labelled)]
        confidences = [prediction.get("score") for prediction in predictions]
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(
            'a prediction without an answer; expected lines with {"prediction": {"answer": text, "score": number}}'
        ) from error
    sure = all(isinstance(one, int | float) and not isinstance(one, bool) for one in confidences)
    return scored(told, [row.answers or [] for row in labelled], confidences if sure else None)


def examples(loaded: Loaded) -> list[Row]:
    """Give questions to show what the task does."""
    passage = "诺贝尔奖根据瑞典化学家诺贝尔的遗嘱设立，1901年首次颁发，每年在斯德哥尔摩和奥斯陆颁奖。"
    return [Row(question, passage) for question in ("诺贝尔奖是哪年首次颁发的？", "每年在哪里颁奖？")]


def shown(rows: Sequence[Row], predictions: Sequence[Mapping[str, Any]]) -> Iterator[Shown]:
    """Show answers in their passages."""
    for row, one in zip(rows, predictions, strict=True):
        spans = {one["passage"]: [(one["start"], one["end"])]} if one["start"] is not None else {}
        texts = [(text, spans.get(number, [])) for number, text in enumerate(row.texts)]
        answer = one["answer"] or "(none)"
        yield Shown(row.question, texts, ("answer", "score"), [(answer, f"{one['score']:.3f}")])
