"""Scores of any scale, brought to one before files are mixed."""

from collections.abc import Sequence

import pytest
from datasets import Dataset
from datasets.arrow_dataset import Column

from nlptasks.backbone.weights import Backbone
from nlptasks.similarity.row import Settings
from nlptasks.similarity.task import Task


def scored(scores: Sequence[float]) -> Dataset:
    return Dataset.from_dict({"a": ["甲"] * len(scores), "b": ["乙"] * len(scores), "score": list(scores)})


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.0, 2.5, 5.0], [0.0, 0.5, 1.0]),
        ([0.25, 1.0], [0.25, 1.0]),
        ([0.0, 0.0], [0.0, 0.0]),
        ([-4.0, -1.0, -2.0], [-1.0, -0.25, -0.5]),  # divided by -1 their order would turn round
        ([-1.0, 0.5], [-1.0, 0.5]),
    ],
)
def test_scores_of_any_scale_keep_their_order(tiny: Backbone, scores: list[float], expected: list[float]) -> None:
    made = Task("cosent", Settings(), tiny.text).scaled(scored(scores))
    assert list(made["score"]) == expected
    assert made.features == scored(scores).features | {"score": made.features["score"]}
    assert list(made["a"]) == ["甲"] * len(scores)


def test_scores_of_chosen_rows_are_scaled_by_those_rows(tiny: Backbone) -> None:
    made = Task("cosent", Settings(), tiny.text).scaled(scored([9.0, 1.0, 2.0, 8.0, 4.0]).select([4, 1, 2]))
    assert list(made["score"]) == [1.0, 0.25, 0.5]


def test_scores_are_taken_as_a_column_and_not_one_by_one(tiny: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = scored([float(number % 6) for number in range(3000)])
    with monkeypatch.context() as patch:
        patch.delattr(Column, "__iter__")
        patch.delattr(Column, "__getitem__")
        made = Task("cosent", Settings(), tiny.text).scaled(rows)
    assert [made[number]["score"] for number in (5, 2, 2998)] == [1.0, 0.4, 0.8]


def test_only_cosent_has_scores_to_scale(tiny: Backbone) -> None:
    rows = scored([1.0, 5.0])
    assert Task("simcse", Settings(), tiny.text).scaled(rows) is rows
