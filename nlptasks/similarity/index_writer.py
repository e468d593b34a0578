"""Writing a search index: a new one, or more items for one that is there."""

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from usearch.index import Index as Graph

from nlptasks.errors import InputError, ModelError, RecordError
from nlptasks.similarity import index_store as store

EXACT_BELOW = 100_000
ROWS_AT_ONCE = 16_384
"""Rows of the vectors file that are in memory at the same time."""
EXPANSION = 128
"""Nodes of the graph that a search keeps in view: more find more and take longer."""

log = logging.getLogger(__name__)


class Writer:
    """Appends items to an index; nothing of it is valid before the surrounding `with` block ends well."""

    def __init__(self, folder: Path, manifest: store.Manifest, *, threads: int) -> None:
        """Open the files at the end of their valid part; cut off what an interrupted writer left behind it."""
        self._data = folder / manifest.data
        self._before = manifest
        self._threads = threads
        self._count = manifest.count
        self._ends = manifest.lengths[store.ITEMS]
        self._data.mkdir(exist_ok=True)
        names = (store.VECTORS, store.ITEMS, store.OFFSETS)
        self._files = {name: (self._data / name).open("ab") for name in names}
        for name, file in self._files.items():
            file.truncate(manifest.lengths[name])
            file.seek(manifest.lengths[name])

    @property
    def count(self) -> int:
        """Number of items, those added so far included."""
        return self._count

    def check(self, model: str) -> None:
        """Refuse a model other than the one that made the vectors.

        Raises:
            ModelError: the fingerprints differ.
        """
        self._before.check(model)

    def add(self, items: Sequence[Mapping[str, Any]], vectors: NDArray[np.float32]) -> None:
        """Append items and their vectors; nothing is appended when one of them is refused.

        Args:
            items: N mappings that JSON can express; each gets an "id", its position, unless it has one of its own.
            vectors: (N, K) float, of any length but without NaN.

        Raises:
            ModelError: the vectors have another width than the index.
            RecordError: JSON cannot express an item.
            ValueError: vectors and items differ in number, or a vector is not finite.
        """
        rows = normalised(vectors, self._before)
        if len(rows) != len(items):
            raise ValueError(f"{len(items)} items came with {len(rows)} vectors")
        lines = [_line(position, item) for position, item in enumerate(items, start=self._count)]
        ends = self._ends + np.cumsum([len(line) for line in lines], dtype="<u8")
        self._files[store.VECTORS].write(rows.tobytes())
        self._files[store.ITEMS].write(b"".join(lines))
        self._files[store.OFFSETS].write(ends.tobytes())
        self._count += len(lines)
        self._ends += sum(map(len, lines))

    def finish(self) -> store.Manifest:
        """Bring everything to the disk and describe the new state, which a manifest has yet to make valid."""
        lengths = {name: file.tell() for name, file in self._files.items()}
        self.close()
        for name in lengths:
            store.sync(self._data / name)
        graph = self._write_graph()
        if graph:
            lengths[graph] = (self._data / graph).stat().st_size
        store.sync(self._data)
        return replace(self._before, count=self._count, lengths=lengths, graph=graph)

    def close(self) -> None:
        """Close the files; what was added stays invalid unless `finish` was called."""
        for file in self._files.values():
            file.close()

    def _write_graph(self) -> str | None:
        before = self._before
        if self._count == 0 or self._count < before.exact_below:
            return None
        if before.graph and self._count == before.count:
            return before.graph
        graph = open_graph(self._data / before.graph, before) if before.graph else _new_graph(before.width)
        log.info("adding %d vectors to the search graph", self._count - len(graph))
        vectors = np.memmap(self._data / store.VECTORS, dtype="<f4", mode="r", shape=(self._count, before.width))
        for start in range(len(graph), self._count, ROWS_AT_ONCE):
            rows = vectors[start : start + ROWS_AT_ONCE]
            graph.add(np.arange(start, start + len(rows), dtype=np.uint64), rows, threads=self._threads)
        name = f"graph-{self._count}.usearch"
        graph.save(str(self._data / name))
        store.sync(self._data / name)
        return name


@contextmanager
def creating(
    folder: Path,
    *,
    width: int,
    model: str,
    about: Mapping[str, Any],
    exact_below: int = EXACT_BELOW,
    overwrite: bool = False,
    threads: int = 0,
) -> Iterator[Writer]:
    """Build an index beside `folder` and put it there when the block ends well.

    Raises:
        InputError: the folder holds something that must stay, or another process is building there.
        ValueError: the width is below 1.
    """
    if width < 1:
        raise ValueError(f"an index needs a width of 1 or more, not {width}")
    folder = folder.resolve()
    replaces = store.is_replaced(folder, overwrite=overwrite)
    part = folder.with_name(f".{folder.name}.part")
    empty = store.new_manifest(width=width, model=model, about=about, exact_below=exact_below)
    with ExitStack() as stack:
        if replaces:
            stack.enter_context(store.locked(folder))
        store.make_folder(part)
        stack.enter_context(store.locked(part))
        try:
            store.sweep(part, empty)
            writer = Writer(part, empty, threads=threads)
            stack.callback(writer.close)
            yield writer
            store.publish(part, folder, writer.finish(), replaces=replaces)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise


@contextmanager
def extending(folder: Path, *, threads: int = 0) -> Iterator[Writer]:
    """Add to an index; the addition becomes valid as a whole when the block ends well.

    Raises:
        InputError: there is no index, it is damaged, or another process is writing it.
    """
    store.read_manifest(folder)
    with store.locked(folder), ExitStack() as stack:
        before = store.read_manifest(folder)
        try:
            store.check_files(folder, before)
        except FileNotFoundError as error:
            raise store.missing(folder, error) from None
        writer = Writer(folder, before, threads=threads)
        stack.callback(writer.close)
        yield writer
        after = writer.finish()
        store.write_manifest(folder, after)
        store.sweep(folder, after)


def normalised(vectors: NDArray[np.float32], manifest: store.Manifest) -> NDArray[np.float32]:
    """Bring vectors to length 1; those of length 0 stay as they are.

    Args:
        vectors: (N, K) float.
        manifest: of the index that they are meant for.

    Returns:
        (N, K) little-endian float32.

    Raises:
        ModelError: K is not the width of the index.
        ValueError: the array has not two dimensions, or a component is not finite.
    """
    if vectors.ndim != 2:
        raise ValueError(f"vectors must be an array (N, K), not of shape {vectors.shape}")
    if vectors.shape[1] != manifest.width:
        raise ModelError(
            f"vectors of width {vectors.shape[1]} do not fit an index of width {manifest.width}; "
            f"use the model that built it ({manifest.built_with})"
        )
    if not np.isfinite(vectors).all():
        raise ValueError("a vector has components that are not finite (NaN or infinite)")
    # In float64, where the squares of large float32 components do not overflow.
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return (wide / np.where(lengths == 0, 1, lengths)).astype("<f4")


def open_graph(path: Path, manifest: store.Manifest, *, view: bool = False) -> Graph:
    """Load a graph, or map it from the file where it is only asked.

    Raises:
        FileNotFoundError: the file is missing.
        InputError: the file is not the graph that the manifest names.
    """
    try:
        graph = Graph.restore(str(path), view=view, expansion_search=EXPANSION)
    except (ValueError, RuntimeError):
        graph = None
    if graph is None or (len(graph), graph.ndim) != (manifest.count, manifest.width):
        path.stat()
        raise InputError(f"{path}: the search graph is damaged; build the index again")
    return graph


def _new_graph(width: int) -> Graph:
    """Start a graph of the kind of Malkov and Yashunin, https://arxiv.org/abs/1603.09320.

    Half precision halves the file; what the graph finds is scored again with the exact vectors.
    """
    return Graph(ndim=width, metric="ip", dtype="f16")


def _line(position: int, item: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps({"id": position, **item}) + b"\n"
    except TypeError as error:
        raise RecordError(f"item {position} cannot be written as JSON ({error}); change that value") from None
