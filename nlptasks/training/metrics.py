"""How well numbers tell what is right: correlations and the area under the ROC curve, without importing scipy."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Correlate the ranks of two lists of numbers; ties share their average rank.

    Args:
        x: (N,) numbers.
        y: (N,) numbers.

    Returns:
        From -1 to 1; nan if either list is constant, contains nan, or has fewer than two numbers.

    Raises:
        ValueError: If the lists differ in length.
    """
    return pearson(_average_ranks(_numbers(x)), _average_ranks(_numbers(y)))


def pearson(x: ArrayLike, y: ArrayLike) -> float:
    """Correlate two lists of numbers linearly.

    Args:
        x: (N,) finite numbers.
        y: (N,) finite numbers.

    Returns:
        From -1 to 1; nan if either list is constant, contains nan, or has fewer than two numbers.

    Raises:
        ValueError: If the lists differ in length.
    """
    x, y = _numbers(x), _numbers(y)
    if len(x) != len(y):
        raise ValueError(f"a correlation needs two lists of one length, found {len(x)} and {len(y)} numbers")
    if _is_constant(x) or _is_constant(y):
        return float("nan")
    cosine = np.dot(_direction(x), _direction(y))
    return float(np.clip(cosine, -1.0, 1.0))


def auroc(of_right: ArrayLike, of_wrong: ArrayLike) -> float:
    """Give the share of pairs of a right and a wrong answer in which the right one has the higher number; ties half.

    Args:
        of_right: (N,) numbers.
        of_wrong: (M,) numbers.

    Returns:
        From 0 to 1; nan if either list is empty or contains nan.
    """
    right, wrong = _numbers(of_right), _numbers(of_wrong)
    if not len(right) or not len(wrong):
        return float("nan")
    ranks = _average_ranks(np.concatenate([right, wrong]))[: len(right)]
    return float((ranks.sum() - len(right) * (len(right) + 1) / 2) / (len(right) * len(wrong)))


def _numbers(values: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64).ravel()


def _is_constant(values: NDArray[np.float64]) -> bool:
    """Compare the values themselves: after subtracting the mean, rounding would leave some variance."""
    return bool((values == values[:1]).all())


def _direction(values: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = values - values.mean()
    return np.asarray(centred / np.linalg.norm(centred))


def _average_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rank from 1, (N,) to (N,); nan stays nan."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return np.where(np.isnan(values), np.nan, ranks[inverse])
