"""What similarity can be told, and what it refuses before anything is loaded."""

import math
import re

import pytest

from nlptasks.errors import UsageError
from nlptasks.similarity.row import flaw
from nlptasks.similarity.settings import Embedding, Options, Settings

OUT_OF_RANGE = [
    *[(name, value, "more than 0") for name in ("temperature", "scale") for value in (0, -1, math.inf, math.nan)],
    *[("limit", value, "3 or more") for value in (2, -1)],
    *[("hidden_dropout", value, "0 or more, below 1") for value in (-0.1, 1, math.nan)],
    *[("max_rows", value, "2 or more") for value in (1, 0)],
    *[("dims", value, "1 or more") for value in (0, -3)],
    *[(name, value, "a finite number") for name in ("whiten_beta", "whiten_gamma") for value in (math.inf, math.nan)],
    ("batch_size", 0, "1 or more"),  # one of those that every training run refuses
]


@pytest.mark.parametrize(("name", "value", "expected"), OUT_OF_RANGE)
def test_a_setting_out_of_its_range_is_refused_by_its_flag(name: str, value: float, expected: str) -> None:
    said = f"--{name.replace('_', '-')} {value:g}: expected {expected}"
    with pytest.raises(UsageError, match=f"^{re.escape(said)}$"):
        Settings(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 1e-3, "scale": 1e-3, "limit": 3, "hidden_dropout": 0.0, "max_rows": 2, "dims": 1},
        {"hidden_dropout": None, "max_rows": None, "dims": None, "whiten_beta": -1.0, "whiten_gamma": 0.0},
    ],
)
def test_the_ends_of_the_ranges_are_within_them(settings: dict[str, float | None]) -> None:
    made = Settings(**settings)  # type: ignore[arg-type]
    assert {name: getattr(made, name) for name in settings} == settings


def test_a_limit_without_room_for_text_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^--limit 2: expected 3 or more$"):
        Options(limit=2)
    assert Options(limit=3).limit == 3


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("dims", 0, "1 or more"),
        ("whiten_beta", math.nan, "a finite number"),
        ("whiten_gamma", -math.inf, "a finite number"),
    ],
)
def test_vectors_out_of_range_are_refused(name: str, value: float, expected: str) -> None:
    with pytest.raises(UsageError, match=f"^--{name.replace('_', '-')} {value:g}: expected {expected}$"):
        Embedding(**{name: value})  # type: ignore[arg-type]


def pairs(*scores: float) -> list[dict[str, object]]:
    return [{"a": "甲", "b": "乙", "score": score} for score in scores]


def triplets(*negatives: str | None) -> list[dict[str, object]]:
    return [{"text": "甲", "positive": "乙", "negative": negative} for negative in negatives]


@pytest.mark.parametrize(
    ("method", "rows", "said"),
    [
        ("cosent", pairs(1, 1, 1), "all scores are equal; cosent learns from their order"),
        ("cosent", pairs(1), "all scores are equal"),
        ("supervised-simcse", triplets("1", None, "0.5"), "every negative is a number, such as 1, .* --method cosent"),
    ],
)
def test_rows_that_teach_nothing_together_are_told(method: str, rows: list[dict[str, object]], said: str) -> None:
    assert re.match(said, str(flaw(method, rows)))


@pytest.mark.parametrize(
    ("method", "rows"),
    [
        ("cosent", pairs(1, 1, 0)),
        ("cosent", []),
        ("supervised-simcse", triplets("1", "丙")),
        ("supervised-simcse", triplets(None, None)),
        ("simcse", [{"text": "甲"}]),
    ],
)
def test_other_rows_are_fit(method: str, rows: list[dict[str, object]]) -> None:
    assert flaw(method, rows) is None
