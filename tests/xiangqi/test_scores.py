import math

import pytest

from nlptasks.errors import InputError
from nlptasks.xiangqi.row import Row
from nlptasks.xiangqi.scores import Guess, compared, foretold, scored


def test_scores_by_phase() -> None:
    guesses = [Guess(1, 1, math.log(0.5), 0.9), Guess(10, 5, math.log(0.25), 0.7), Guess(11, 6, math.log(0.5), 0.8)]
    found = scored(guesses)
    assert found["top1"] == pytest.approx(1 / 3)
    assert found["top5"] == pytest.approx(2 / 3)
    assert found["legal"] == pytest.approx(0.8)
    assert found["perplexity"] == pytest.approx((2 * 4 * 2) ** (1 / 3))
    assert found["perplexity_legal"] == pytest.approx((2 * 0.9 * 4 * 0.7 * 2 * 0.8) ** (1 / 3))
    assert found["top1_opening"] == 0.5
    assert found["top5_middle"] == 0
    assert "top1_end" not in found


def test_nothing_has_no_scores() -> None:
    assert all(math.isnan(value) for value in scored([]).values())


def test_any_system_can_be_scored() -> None:
    labelled = [Row("h2e2 h9g7"), Row("h2e2")]
    right = {"moves": [{"iccs": "h9g7", "probability": 0.5}]}
    wrong = {"moves": [{"iccs": "a0a1", "probability": 1.0}]}
    found = compared([right, wrong], labelled)
    assert found == {"top1": 0.5, "top5": 0.5, "top1_opening": 0.5, "top5_opening": 0.5}  # a1 says nothing of h2e2
    assert compared([right], labelled[:1])["perplexity"] == pytest.approx(2)
    assert foretold([(1, 0.5), (2, 0.25)], 2, 3) == Guess(3, 2, math.log(0.25), 1.0)
    with pytest.raises(InputError, match="1 predictions for 2 records; expected one for each, in order"):
        compared([right], labelled)
    for bad in (None, {}, {"moves": [{"iccs": "x", "probability": 1}]}):
        with pytest.raises(InputError, match="a prediction without moves; expected lines with"):
            compared([right, bad], labelled)
