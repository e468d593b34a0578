"""Xiangqi as a task: what it learns from, its answers and its scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from nlptasks.backbone.batch import Budget
from nlptasks.backbone.heads import TokenHead
from nlptasks.backbone.language import LanguageModel
from nlptasks.backbone.text import Text
from nlptasks.backbone.weights import Backbone
from nlptasks.task import Shown, Work
from nlptasks.task import Task as AnyTask
from nlptasks.xiangqi import vocabulary
from nlptasks.xiangqi.answers import Answerer
from nlptasks.xiangqi.board import START, read_fen
from nlptasks.xiangqi.games import Game, numbered
from nlptasks.xiangqi.layouts import Layout
from nlptasks.xiangqi.model import Loaded, choice_loss, load, writer_of
from nlptasks.xiangqi.notation import diagram
from nlptasks.xiangqi.row import Options, Row, Settings, Sweep
from nlptasks.xiangqi.rules import start_of
from nlptasks.xiangqi.scores import compared, scores_of

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

#: For `--curriculum`: up to which share of a run, which part of the length is learnt from.
STAGES = ((1 / 8, 8), (1 / 4, 4), (1 / 2, 2))


class Task(AnyTask[LanguageModel]):
    """One method of xiangqi with its settings."""

    name = "xiangqi"
    best = "top1"

    def __init__(self, method: str, settings: Settings, text: Text) -> None:
        """Keep the method and its settings; the tokens are the method's own, whatever the backbone's are."""
        self.method, self.settings = method, settings
        self.layout = Layout(method)
        self.length = settings.length

    def model(self, backbone: Backbone) -> LanguageModel:
        """Make a model: new, of the backbone's layers, or the one that the backbone is already."""
        if not vocabulary.is_own(self.method, backbone.text):
            vocabulary.taught(backbone, self.method, self.settings)
        if not backbone.rest:  # from scratch, which is no reason to say that a head is missing
            return LanguageModel(backbone.bert, TokenHead(backbone.bert.config))
        return LanguageModel.new(backbone)

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

    def loss(self, model: LanguageModel, work: Work) -> Tensor:
        """Compute the mean loss of the moves' tokens."""
        if self.method == "moves":
            return choice_loss(model, work, self.settings.legality)
        return model.token_loss(work.groups, work.taught)

    def score(self, model: LanguageModel, rows: Sequence[Row], budget: Budget) -> dict[str, float]:
        """Foretell the moves of games and score that."""
        return scores_of(writer_of(model), self.method, budget, rows)

    def rest(self, model: LanguageModel) -> dict[str, Tensor]:
        """Name the weights beside the encoder's."""
        return model.named()


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


def score_predictions(
    predictions: Sequence[Any], labelled: Sequence[Row], options: Options | None = None
) -> dict[str, float]:
    """Score the predictions of any system for the last move of each game."""
    return compared(predictions, labelled)


def examples(loaded: Loaded) -> list[Row]:
    """Give a position to show what the task does."""
    return [Row("h2e2 h9g7")]


def shown(rows: Sequence[Row], predictions: Sequence[Mapping[str, Any]]) -> Iterator[Shown]:
    """Show positions and the likeliest moves."""
    for one in predictions:
        lines = [(move["chinese"], move["iccs"], f"{move['probability']:.3f}") for move in one["moves"]]
        board = diagram(read_fen(one["fen"]))
        yield Shown(f"{one['side']} to move", columns=("in Chinese", "move", "probability"), lines=lines, block=board)
