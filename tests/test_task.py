"""What every task has without saying so, and predictions of any system beside their records."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from torch import Tensor, nn

from nlptasks.backbone.batch import Budget
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import InputError
from nlptasks.task import Task, paired


class Plain(Task[nn.Module]):
    name, best = "plain", "score"

    def __init__(self, max_rows: int | None = None, seed: int = 1) -> None:
        self.settings = SimpleNamespace(max_rows=max_rows, seed=seed)

    def model(self, backbone: Backbone) -> nn.Module:
        raise NotImplementedError

    def batch(self, rows: Sequence[Any]) -> Any:  # noqa: ANN401
        raise NotImplementedError

    def loss(self, model: nn.Module, work: Any) -> Tensor:  # noqa: ANN401
        raise NotImplementedError

    def score(self, model: nn.Module, rows: Sequence[Any], budget: Budget) -> dict[str, float]:
        raise NotImplementedError

    def rest(self, model: nn.Module) -> dict[str, Tensor]:
        raise NotImplementedError


ROWS = [{"x": number} for number in range(50)]


def test_rows_are_drawn_by_the_seed_where_fewer_are_asked_for() -> None:
    drawn = Plain(max_rows=10).chosen(ROWS)
    assert len(drawn) == len({row["x"] for row in drawn}) == 10
    assert drawn == Plain(max_rows=10).chosen(ROWS)
    assert drawn != Plain(max_rows=10, seed=2).chosen(ROWS)
    for most in (None, 50, 51):
        assert Plain(max_rows=most).chosen(ROWS) is ROWS


def test_a_plain_task_has_no_labels_no_scale_and_nothing_to_finish() -> None:
    task, model = Plain(), nn.Identity()
    assert task.fit_labels(ROWS) is None
    assert task.scaled(ROWS) is ROWS
    assert task.finish(model, ROWS, Budget(1)) is False


def test_predictions_stand_beside_their_records() -> None:
    assert list(paired("ab", [1, 2])) == [("a", 1), ("b", 2)]
    with pytest.raises(InputError, match="3 predictions for 2 records; expected one for each, in order"):
        paired("abc", [1, 2])
