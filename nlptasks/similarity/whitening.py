"""Whitening of sentence vectors: statistics from a stream, the linear map they give, and its file.

Source: Su et al. 2021, Whitening Sentence Representations, arXiv 2103.15316; kexue.fm 8069, with beta and gamma 9079.
"""

import json
import logging
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from nlptasks.errors import InputError, ModelError, UsageError
from nlptasks.files import write_beside

CLIP = 1e-6
"""Eigenvalues below this share of the largest are noise: dividing by their root would blow them up."""

_METADATA = "nlpk_whitening"

log = logging.getLogger(__name__)


class Moments:
    """Count, mean and scatter of vectors that come in any portions.

    Merging two parts a and b, d = mean_b - mean_a: mean = mean_a + d * n_b / n and
    scatter = scatter_a + scatter_b + d d^T * n_a * n_b / n.
    Source: Chan, Golub and LeVeque 1983, Algorithms for computing the sample variance.

    Attributes:
        count: The number of vectors seen.
        mean: (H,) float64.
        scatter: (H, H) float64, the sum of (x - mean) (x - mean)^T.
    """

    def __init__(self, width: int) -> None:
        """Start with no vectors of the given width H."""
        self.count = 0
        self.mean: NDArray[np.float64] = np.zeros(width)
        self.scatter: NDArray[np.float64] = np.zeros((width, width))

    def update(self, vectors: NDArray[np.floating[Any]]) -> None:
        """Take in more vectors; a row that is not finite stands for a failed sentence and is skipped.

        Args:
            vectors: (n, H) of any float type; n may be 0.

        Raises:
            ValueError: If the vectors have another width.
        """
        rows = np.asarray(vectors, dtype=np.float64)
        rows = rows[np.isfinite(rows).all(axis=1)]
        if not len(rows):
            return
        part = Moments(rows.shape[1])
        part.count = len(rows)
        part.mean = rows.mean(axis=0)
        centred = rows - part.mean
        part.scatter = centred.T @ centred
        self.merge(part)

    def merge(self, other: "Moments") -> None:
        """Take in the vectors that another has seen, for example in another process.

        Raises:
            ValueError: If the vectors have another width.
        """
        if len(other.mean) != len(self.mean):
            raise ValueError(f"vectors of width {len(self.mean)} were expected, found {len(other.mean)}")
        total = self.count + other.count
        if not total:
            return
        shift = other.mean - self.mean
        self.scatter = self.scatter + other.scatter + np.outer(shift, shift) * (self.count * other.count / total)
        self.mean = self.mean + shift * (other.count / total)
        self.count = total


@dataclass(frozen=True, eq=False)
class Whitening:
    """The fitted map y = W x + b, one linear layer, together with what it was fitted on."""

    weight: NDArray[np.float32]
    """(K, H)."""
    bias: NDArray[np.float32]
    """(K,)."""
    count: int
    """The number of sentences that it was fitted on."""
    variance_kept: float
    """The share of the variance that the K dimensions hold, 0 to 1."""
    beta: float
    """How much of the mean is subtracted."""
    gamma: float
    """How far the variances are evened out: 0 not at all, 1 wholly."""
    pooling: str
    """The pooling that made the vectors."""
    model: str
    """The fingerprint of the model that made the vectors."""

    def __call__(self, vectors: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Whiten vectors, (n, H) of any float type to (n, K); they are not normalised."""
        # In float64, because subtracting a large mean from float32 products would cost digits.
        whitened = np.asarray(vectors, dtype=np.float64) @ self.weight.T.astype(np.float64) + self.bias
        return np.asarray(whitened, dtype=np.float32)

    def check(self, model: str, pooling: str) -> None:
        """Make sure that the vectors to come are of the kind that the whitening was fitted on.

        Raises:
            ModelError: If the model or the pooling is another.
        """
        remedy = "or fit again with --whiten --save-whitening"
        if pooling != self.pooling:
            found = f"the whitening was fitted for pooling {self.pooling}, but the vectors come from {pooling}"
            raise ModelError(f"{found}; use --pooling {self.pooling}, {remedy}")
        if model != self.model:
            found = f"the whitening was fitted for model {self.model[:12]}, but the vectors come from {model[:12]}"
            raise ModelError(f"{found}; use the first, {remedy}")

    def save(self, path: str | Path) -> None:
        """Write a safetensors file, beside and renamed into place.

        Raises:
            InputError: If the file cannot be written there.
        """
        described = {name: getattr(self, name) for name in _described()}
        with write_beside(path) as file:
            file.write(save({"weight": self.weight, "bias": self.bias}, {_METADATA: json.dumps(described)}))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ModelError: If the file is missing, damaged or something else.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                described = _read_description(file.metadata())
                weight, bias = file.get_tensor("weight"), file.get_tensor("bias")
            if weight.ndim != 2 or bias.shape != weight.shape[:1]:
                raise ValueError(f"weight {weight.shape} and bias {bias.shape} do not fit together")
        except (OSError, SafetensorError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ModelError(
                f"{path}: this is no whitening that can be read ({reason}); write one with --whiten --save-whitening"
            ) from error
        return cls(weight=weight, bias=bias, **described)


def fit(
    moments: Moments,
    *,
    dims: int | None = None,
    beta: float = 1.0,
    gamma: float = 1.0,
    pooling: str = "",
    model: str = "",
) -> Whitening:
    """Fit y = (x - beta * mu) U Lambda^(-gamma / 2), first K columns, with U Lambda U^T = Sigma.

    Sigma is the covariance taken about beta * mu: (scatter + N * (1 - beta)^2 * mu mu^T) / (N - 1).

    Args:
        moments: Of the sentence vectors.
        dims: K, from 1 to H; all H by default.
        beta: 1 subtracts the mean, 0 leaves it.
        gamma: 1 evens the variances out; 0 only rotates, so that with beta 0 the cosines stay as they are
            and `dims` is nearly free: the safe choice for an encoder that is already fine-tuned.
        pooling: Kept for `Whitening.check`.
        model: Kept for `Whitening.check`.

    Raises:
        UsageError: If `dims` is out of range.
        InputError: If the sentences are too few for the covariance, or all the same.
    """
    kept = check(moments.count, len(moments.mean), dims=dims, gamma=gamma)
    if np.trace(moments.scatter) <= 1e-12 * moments.count * (moments.mean @ moments.mean):
        raise InputError(
            f"whitening needs sentences that differ, found {moments.count} with the same vector: give other text"
        )
    about_mean = moments.count * (1 - beta) ** 2 * np.outer(moments.mean, moments.mean)
    values, vectors = _eigen((moments.scatter + about_mean) / (moments.count - 1))
    weight = (vectors[:, :kept] * _clipped(values, kept, gamma) ** (-gamma / 2)).T.astype(np.float32)
    # From the rounded weight, so that the rounding of a large mean cancels out.
    bias = -beta * (weight.astype(np.float64) @ moments.mean)
    return Whitening(
        weight=np.ascontiguousarray(weight),
        bias=bias.astype(np.float32),
        count=moments.count,
        variance_kept=float(values[:kept].sum() / values.sum()),
        beta=beta,
        gamma=gamma,
        pooling=pooling,
        model=model,
    )


def check(count: int, width: int, *, dims: int | None = None, gamma: float = 1.0) -> int:
    """Refuse what would give noise: with N <= H the smallest eigenvalues are rounding, not variance.

    Args:
        count: N, the number of sentences, or that there are at least so many where it is above H.
        width: H.
        dims: As for `fit`.
        gamma: As for `fit`.

    Returns:
        K, the number of dimensions to keep.

    Raises:
        UsageError: If `dims` is out of range.
        InputError: If the sentences are too few for the covariance.
    """
    kept = width if dims is None else dims
    if not 1 <= kept <= width:
        raise UsageError(f"--dims {kept} is out of range: these vectors have {width} dimensions, choose 1 to {width}")
    if count < 2:
        raise InputError(f"whitening needs at least 2 sentences to estimate a covariance, found {count}: give more")
    if gamma > 0 and count <= width and kept > count // 2:
        needed = min(width + 1, 2 * kept)
        raise InputError(
            f"whitening to {kept} of {width} dimensions needs at least {needed} sentences to estimate a covariance, "
            f"found {count}: give more, or keep at most --dims {count // 2}, or use --whiten-gamma 0"
        )
    return kept


def _eigen(covariance: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return eigenvalues (H,), the largest first, and eigenvectors (H, H) as columns, with signs fixed for good."""
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1].clip(min=0), vectors[:, ::-1]
    largest = np.abs(vectors).argmax(axis=0)
    signs = np.where(vectors[largest, np.arange(len(values))] < 0, -1.0, 1.0)
    return values, vectors * signs


def _clipped(values: NDArray[np.float64], kept: int, gamma: float) -> NDArray[np.float64]:
    """Return the first eigenvalues, none below the floor; say so where it matters."""
    floor = CLIP * values[0]
    small = int((values[:kept] < floor).sum())
    if small and gamma:
        log.info("%d of %d dimensions hold next to no variance and are not amplified any further", small, kept)
    return values[:kept].clip(min=floor)


def _described() -> list[str]:
    """Name the fields that go into the metadata of the file: all but the tensors."""
    return [field.name for field in fields(Whitening) if field.name not in ("weight", "bias")]


def _read_description(metadata: dict[str, str] | None) -> dict[str, Any]:
    described = json.loads((metadata or {}).get(_METADATA, "null"))
    if not isinstance(described, dict) or sorted(described) != sorted(_described()):
        raise ValueError("its metadata does not describe a whitening")
    return described
