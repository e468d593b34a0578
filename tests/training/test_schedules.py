import math
from typing import Any

import pytest

from nlptasks.training.schedules import share_of_rate
from nlptasks.training.settings import TrainingSettings

TOTAL = 40


def shares(**settings: Any) -> list[float]:  # noqa: ANN401
    made = TrainingSettings(**settings)
    return [share_of_rate(made, update, TOTAL) for update in range(TOTAL)]


def test_a_constant_rate_stays() -> None:
    assert shares(schedule="constant", warmup=0.0) == [1.0] * TOTAL


def test_a_linear_rate_falls_evenly_to_nothing_behind_the_last_update() -> None:
    assert shares(schedule="linear", warmup=0.0) == pytest.approx([1 - update / TOTAL for update in range(TOTAL)])


def test_a_cosine_rate_falls_as_half_a_wave() -> None:
    expected = [(1 + math.cos(math.pi * update / TOTAL)) / 2 for update in range(TOTAL)]
    assert shares(schedule="cosine", warmup=0.0) == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
@pytest.mark.parametrize("warmup", [0.25, 10.0])
def test_the_rate_first_rises_evenly_for_a_share_or_a_count_of_updates(schedule: str, warmup: float) -> None:
    made = shares(schedule=schedule, warmup=warmup)
    assert made[:11] == pytest.approx([(update + 1) / 11 for update in range(11)])
    assert max(made) == made[10] == 1.0
    rest = {"constant": [1.0] * 30, "linear": [1 - update / 30 for update in range(30)]}
    rest["cosine"] = [(1 + math.cos(math.pi * update / 30)) / 2 for update in range(30)]
    assert made[10:] == pytest.approx(rest[schedule])


def test_a_warmup_longer_than_the_run_only_rises() -> None:
    made = shares(schedule="linear", warmup=100.0)
    assert made == sorted(made)
    assert made[-1] == pytest.approx(40 / 101)


def test_a_piecewise_rate_goes_through_its_points_and_is_level_outside() -> None:
    made = shares(schedule="piecewise", pieces="5:0,15:1,25:0.2")
    assert made[0] == made[5] == 0.0
    assert made[10] == pytest.approx(0.5)
    assert made[15] == 1.0
    assert made[20] == pytest.approx(0.6)
    assert [made[25], made[39]] == pytest.approx([0.2, 0.2])
