"""A search index in a folder: which of many texts are nearest in meaning to a question.

Exact while the index is small; from `exact_below` items on, a graph proposes candidates and the exact vectors decide.
Any number of processes may ask while one adds.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import orjson
from numpy.typing import NDArray
from usearch.index import Matches

from nlptasks.errors import InputError
from nlptasks.similarity import index_store as store
from nlptasks.similarity.index_writer import (
    EXACT_BELOW,
    ROWS_AT_ONCE,
    Writer,
    creating,
    extending,
    normalised,
    open_graph,
)

__all__ = ["EXACT_BELOW", "Hit", "Index", "Writer"]

QUERIES_AT_ONCE = 256
LEAST_CANDIDATES = 64
"""Candidates that are scored again, where four times as many as asked for are fewer."""


@dataclass(frozen=True, slots=True)
class Hit:
    """An item that was found."""

    item: dict[str, Any]
    """The item's own keys, and "id" (its position) unless it brought an "id" of its own."""
    cosine: float
    """Likeness to the question, in [-1, 1]."""
    position: int
    """How many items were added before this one."""


class Index:
    """One state of an index, as it was when opened; what others add later is seen by opening it again."""

    def __init__(self, folder: Path, manifest: store.Manifest) -> None:
        """Map the files of one state; `open`, `create` and `extend` are the ways in.

        Raises:
            FileNotFoundError: a file is missing.
            InputError: the files contradict each other.
        """
        data = folder / manifest.data
        count = manifest.count
        self._folder = folder
        self._manifest = manifest
        self._vectors = _mapped(data / store.VECTORS, "<f4", (count, manifest.width))
        self._items = _mapped(data / store.ITEMS, "u1", (manifest.lengths[store.ITEMS],))
        self._ends = _mapped(data / store.OFFSETS, "<u8", (count,))
        if count and self._ends[-1] != len(self._items):
            raise InputError(f"{folder}: {store.OFFSETS} is damaged; build the index again")
        self._graph = open_graph(data / manifest.graph, manifest, view=True) if manifest.graph else None

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        width: int,
        model: str,
        about: Mapping[str, Any],
        exact_below: int = EXACT_BELOW,
        overwrite: bool = False,
        threads: int = 0,
    ) -> AbstractContextManager[Writer]:
        """Build a new index; it appears in the folder, whole, when the `with` block ends well.

        Args:
            folder: missing or empty, or an index that may be overwritten.
            width: components of a vector.
            model: fingerprint of the model that makes the vectors.
            about: what else describes them, as JSON; complaints name its "model", if there is one.
            exact_below: number of items from which a graph is built.
            overwrite: replace an index that is there; anything else stays.
            threads: for building the graph, 0 for all cores; only 1 gives the same graph every time.

        Raises:
            InputError: the folder holds something that must stay, or another process is building there.
            ValueError: the width is below 1.
        """
        return creating(
            folder,
            width=width,
            model=model,
            about=about,
            exact_below=exact_below,
            overwrite=overwrite,
            threads=threads,
        )

    @classmethod
    def extend(cls, folder: Path, *, threads: int = 0) -> AbstractContextManager[Writer]:
        """Add to an index; the addition becomes valid, as a whole, when the `with` block ends well.

        Args:
            folder: an index.
            threads: for extending the graph, 0 for all cores.

        Raises:
            InputError: there is no index, it is damaged, or another process is writing it.
        """
        return extending(folder, threads=threads)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open an index for asking.

        Raises:
            InputError: there is no index, it is damaged, or was written by a newer version.
        """
        manifest = store.read_manifest(folder)
        while True:
            try:
                store.check_files(folder, manifest)
                return cls(folder, manifest)
            except FileNotFoundError as error:
                newer = store.read_manifest(folder)
                if newer == manifest:
                    raise store.missing(folder, error) from None
                # A writer replaced the state, and deleted what it no longer names, while we were opening it.
                manifest = newer

    @property
    def count(self) -> int:
        """Number of items."""
        return self._manifest.count

    @property
    def width(self) -> int:
        """Components of a vector."""
        return self._manifest.width

    @property
    def model(self) -> str:
        """Fingerprint of the model that made the vectors."""
        return self._manifest.model

    @property
    def about(self) -> dict[str, Any]:
        """What else describes the vectors."""
        return dict(self._manifest.about)

    def check(self, model: str, name: str = "") -> None:
        """Refuse a model other than the one that made the vectors.

        Args:
            model: its fingerprint.
            name: its place, where it is not the one that the index names.

        Raises:
            ModelError: the fingerprints differ.
        """
        self._manifest.check(model, name)

    def query(self, vectors: NDArray[np.float32], k: int) -> list[list[Hit]]:
        """Find the nearest items of each vector, the nearest first; equally near ones in the order they were added.

        Args:
            vectors: (N, K) float, of any length but without NaN.
            k: how many items per vector, 1 or more; all of them where the index has fewer.

        Raises:
            InputError: an item's text is damaged.
            ModelError: the vectors have another width than the index.
            ValueError: k is below 1, or the vectors are not finite.
        """
        if k < 1:
            raise ValueError(f"k must be 1 or more, not {k}")
        queries = normalised(vectors, self._manifest)
        return [self._best(query, candidates, k) for query, candidates in self._candidates(queries, k)]

    def _candidates(self, queries: NDArray[np.float32], k: int) -> Iterator[tuple[NDArray[np.float32], NDArray[Any]]]:
        """Give each query (K,) with the positions (M,) that are worth scoring: more than k, where there are more."""
        fetch = min(self.count, max(4 * k, LEAST_CANDIDATES))
        for start in range(0, len(queries), QUERIES_AT_ONCE):
            some = queries[start : start + QUERIES_AT_ONCE]
            found = self._search_graph(some, fetch) or _scan(self._vectors, some, fetch)
            yield from zip(some, found, strict=True)

    def _search_graph(self, queries: NDArray[np.float32], fetch: int) -> list[NDArray[Any]] | None:
        """Ask the graph for positions; None where there is no graph or it does not reach enough items."""
        if self._graph is None:
            return None
        matches = self._graph.search(queries, fetch)
        found = [matches] if isinstance(matches, Matches) else list(matches)
        return [match.keys for match in found] if all(len(match) == fetch for match in found) else None

    def _best(self, query: NDArray[np.float32], candidates: NDArray[Any], k: int) -> list[Hit]:
        # Row by row in float64, so that equal vectors get equal scores: a matrix product rounds by place in the matrix.
        rows = self._vectors[candidates].astype(np.float64)
        cosines = np.clip((rows * query).sum(axis=1), -1, 1)
        order = np.lexsort((candidates, -cosines))[:k]
        return [self._hit(int(candidates[place]), float(cosines[place])) for place in order]

    def _hit(self, position: int, cosine: float) -> Hit:
        start = int(self._ends[position - 1]) if position else 0
        try:
            item = orjson.loads(self._items[start : int(self._ends[position])].tobytes())
        except orjson.JSONDecodeError:
            raise InputError(f"{self._folder}: item {position} is damaged; build the index again") from None
        return Hit(item, cosine, position)


def _mapped(path: Path, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    # An empty file cannot be mapped.
    return np.memmap(path, dtype=dtype, mode="r", shape=shape) if shape[0] else np.zeros(shape, dtype)


def _scan(vectors: NDArray[np.float32], queries: NDArray[np.float32], fetch: int) -> list[NDArray[np.int64]]:
    """Compare queries (N, K) with all vectors (C, K), block by block; give the positions of the best of each."""
    scores = [np.empty(0, np.float32)] * len(queries)
    positions = [np.empty(0, np.int64)] * len(queries)
    for start in range(0, len(vectors), ROWS_AT_ONCE):
        products = queries @ vectors[start : start + ROWS_AT_ONCE].T
        here = np.arange(start, start + products.shape[1])
        for row, product in enumerate(products):
            all_scores = np.concatenate([scores[row], product])
            kept = _largest(all_scores, fetch)
            scores[row] = all_scores[kept]
            positions[row] = np.concatenate([positions[row], here])[kept]
    return positions


def _largest(scores: NDArray[np.float32], fetch: int) -> NDArray[np.int64]:
    """Give the places of the largest scores, in ascending order; of equal ones the first."""
    if len(scores) <= fetch:
        return np.arange(len(scores))
    smallest = np.partition(scores, -fetch)[-fetch]
    above = np.flatnonzero(scores > smallest)
    equal = np.flatnonzero(scores == smallest)[: fetch - len(above)]
    return np.sort(np.concatenate([above, equal]))
