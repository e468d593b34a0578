"""Xiangqi as a task: what it learns from, its answers and its scores."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from nlptasks.backbone.batch import Budget
from nlptasks.backbone.text import Text
from nlptasks.backbone.weights import Backbone
from nlptasks.task import Work
from nlptasks.training import models
from nlptasks.xiangqi import vocabulary
from nlptasks.xiangqi.answers import Answerer
from nlptasks.xiangqi.board import START
from nlptasks.xiangqi.games import Game, numbered
from nlptasks.xiangqi.layouts import Layout
from nlptasks.xiangqi.model import NO_MODEL, TOKENS, Loaded, Player, assembled, load, writer_of
from nlptasks.xiangqi.row import METHODS, Options, Row, Settings, Sweep
from nlptasks.xiangqi.rules import start_of
from nlptasks.xiangqi.scores import compared, scores_of

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

#: For `--curriculum`: up to which share of a run, which part of the length is learnt from.
STAGES = ((1 / 8, 8), (1 / 4, 4), (1 / 2, 2))


class Task:
    """One method of xiangqi with its settings."""

    name = "xiangqi"
    best = "top1"

    def __init__(self, method: str, settings: Settings, text: Text) -> None:
        """Keep the method and its settings; the tokens are the method's own, whatever the backbone's are."""
        self.method, self.settings = method, settings
        self.layout = Layout(method)
        self.length = settings.length

    def scaled(self, rows: Any) -> Any:  # noqa: ANN401 - a table of the datasets library
        """Leave the rows as they are: moves have no scale."""
        return rows

    def chosen(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """Draw the rows to train on, where fewer than all are asked for."""
        most = self.settings.max_rows
        if most is None or most >= len(rows):
            return rows
        return [rows[place] for place in random.Random(self.settings.seed).sample(range(len(rows)), most)]

    def model(self, backbone: Backbone) -> Player:
        """Make a model: new, of the backbone's layers, or the one that the backbone is already."""
        if not vocabulary.is_own(self.method, backbone.text):
            vocabulary.taught(backbone, self.method, self.settings)
        return assembled(backbone)

    def check(self, model: Player, rows: Sequence[Mapping[str, Any]]) -> None:
        """Refuse nothing: `finish` has nothing to do."""

    def stage(self, share: float) -> None:
        """Learn from the first part of each game as long as the curriculum says so; `share` is that of the run."""
        parts = [part for until, part in STAGES if share < until] if self.settings.curriculum else []
        self.length = max(self.layout.span, self.settings.length // max(parts, default=1))

    def batch(self, rows: Sequence[Mapping[str, Any]]) -> Work:
        """Lay out games for one forward pass."""
        lessons = []
        for row in rows:
            start = start_of(row["fen"] or START)
            lessons.append((Game(start, tuple(numbered(start, row["moves"].split()))), row["result"]))
        return self.layout.work(lessons, self.length)

    def loss(self, model: Player, work: Work) -> Tensor:
        """Compute the mean loss of the moves' tokens."""
        if work.targets is None:
            raise ValueError("training needs targets")
        loss: Tensor = model(work.groups, work.targets, self.settings.legality)
        return loss

    def finish(self, model: Player, rows: Sequence[Mapping[str, Any]], budget: Budget) -> bool:
        """Leave the model as it is."""
        return False

    def score(self, model: Player, rows: Sequence[Row], budget: Budget) -> dict[str, float]:
        """Foretell the moves of games and score that."""
        return scores_of(writer_of(model), self.method, budget, rows)

    def rest(self, model: Player) -> dict[str, Tensor]:
        """Name the weights beside the encoder's."""
        return {name: tensor.detach() for name, tensor in model.head.named().items()}


def worker(loaded: Loaded) -> Answerer:
    """Make what answers the task's rows."""
    return Answerer(loaded)


def evaluations(
    loaded: Loaded, labelled: Sequence[Row], sweep: Sweep
) -> Iterator[tuple[dict[str, Any], dict[str, float]]]:
    """Score labelled games.

    Yields:
        The setting and its scores.
    """
    yield {}, scores_of(loaded.player, loaded.method, loaded.budget, labelled)


def score_predictions(predictions: Sequence[Any], labelled: Sequence[Row]) -> dict[str, float]:
    """Score the predictions of any system for the last move of each game."""
    return compared(predictions, labelled)


def demo() -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
    """Show the likeliest first moves by the model that answers by default; without one, tell what could be trained."""
    found = models.find("xiangqi")
    if found is None:
        return NO_MODEL, ("method", "what it does"), [(name, method.summary) for name, method in METHODS.items()]
    answerer = Answerer(load(found, Options()))
    examples = [example for example in answerer.read([Row()]) if not isinstance(example, Exception)]
    moves = answerer.answer(examples)[0]["moves"]
    lines: list[tuple[str, ...]] = [(one["iccs"], one["chinese"], f"{one['probability']:.3f}") for one in moves]
    return "xiangqi: the first move", ("move", "in Chinese", "probability"), lines
