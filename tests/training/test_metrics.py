"""Correlations against values by hand, and against scipy where it is installed."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from nlptasks.training.metrics import auroc, pearson, spearman

Correlation = Callable[[list[float], list[float]], float]


def test_auroc_counts_pairs() -> None:
    right, wrong = [0.9, 0.5, 0.5], [0.1, 0.5, 0.95]
    pairs = [(one > other) + 0.5 * (one == other) for one in right for other in wrong]
    assert auroc(right, wrong) == pytest.approx(sum(pairs) / 9)
    assert (auroc([2, 3], [1]), auroc([1], [2, 3])) == (1, 0)
    assert math.isnan(auroc([], [1]))
    assert math.isnan(auroc([1], []))
    assert math.isnan(auroc([math.nan], [1]))


def test_spearman_by_hand() -> None:
    assert spearman([1, 2, 3, 4], [10, 20, 30, 1e9]) == pytest.approx(1)
    assert spearman([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    # Without ties it is 1 - 6 * sum of squared rank differences / (n (n^2 - 1)).
    assert spearman([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]) == pytest.approx(1 - 6 * 4 / (5 * 24))


def test_spearman_gives_ties_their_average_rank() -> None:
    assert spearman([1, 1, 2], [1, 2, 3]) == pytest.approx(pearson([1.5, 1.5, 3], [1, 2, 3]))


def test_pearson_by_hand() -> None:
    assert pearson([1, 2, 3], [3, 5, 7]) == pytest.approx(1)
    assert pearson([1, 2, 3], [1, 3, 2]) == pytest.approx(0.5)


@pytest.mark.parametrize("correlation", [spearman, pearson])
@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([0.1, 0.1, 0.1], [1, 2, 3]),  # the mean of three 0.1 is not 0.1
        ([1, 2, 3], [7, 7, 7]),
        ([1], [2]),
        ([], []),
        ([1, math.nan, 3], [1, 2, 3]),
    ],
)
def test_without_variance_or_with_nan_there_is_no_correlation(
    correlation: Correlation, x: list[float], y: list[float]
) -> None:
    assert math.isnan(correlation(x, y))


@pytest.mark.parametrize("correlation", [spearman, pearson])
def test_lists_of_two_lengths_are_refused(correlation: Correlation) -> None:
    with pytest.raises(ValueError, match="two lists of one length, found 3 and 2"):
        correlation([1, 2, 3], [1, 2])


@pytest.mark.parametrize("levels", [2, 6, 1_000_000])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_equal_to_scipy(levels: int, dtype: type[np.floating]) -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(levels)
    labels = rng.integers(0, levels, 500)
    scores = np.round(labels / levels + rng.normal(size=500), 2).astype(dtype)
    assert spearman(scores, labels) == pytest.approx(stats.spearmanr(scores, labels).statistic, abs=1e-12)
    exact = stats.pearsonr(scores.astype(np.float64), labels).statistic
    assert pearson(scores, labels) == pytest.approx(exact, abs=1e-12)
