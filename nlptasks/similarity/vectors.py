"""Vectors on their way to a file: .npy and .parquet that grow in constant memory, and the spool between two passes."""

from __future__ import annotations

import json
import pickle
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from nlptasks.errors import RecordError
from nlptasks.files import Record
from nlptasks.similarity.row import ALIASES
from nlptasks.similarity.whitening import Moments, Whitening

ROWS_AT_ONCE = 8192
Answered = tuple[Record, "np.ndarray | RecordError"]
Window = list[Answered]


class Npy:
    """An .npy file of rows (N, K) whose number is known only at the end; a bad record is a row of NaN."""

    def __init__(self, handle: BinaryIO, width: int, dtype: str, *, resume: bool = False) -> None:
        """Write the header, or go on behind the whole rows of a partial file.

        Args:
            handle: open for reading and writing; a partial file where `resume` is set.
            width: K.
            dtype: float32 or float16.
            resume: keep the rows that are there.
        """
        self.handle, self.width, self.dtype = handle, width, np.dtype(dtype)
        self.done = self.failed = self.rows = 0
        self.header()
        if resume:
            self.recount()
        handle.truncate()

    def recount(self) -> None:
        """Count the whole rows behind the header, and go to their end."""
        size = self.width * self.dtype.itemsize
        while len(block := self.handle.read(size * ROWS_AT_ONCE)) >= size:
            rows = np.frombuffer(block[: len(block) // size * size], self.dtype).reshape(-1, self.width)
            self.failed += int(np.isnan(rows[:, 0]).sum())
            self.rows += len(rows)
        self.done = self.rows
        self.header()
        self.handle.seek(self.rows * size, 1)

    def header(self) -> None:
        """Write the header for the rows so far; its length is the same for any number of rows."""
        self.handle.seek(0)
        shape = {"descr": npy.dtype_to_descr(self.dtype), "fortran_order": False, "shape": (self.rows, self.width)}
        npy.write_array_header_1_0(self.handle, shape)

    def write(self, window: Sequence[Answered]) -> None:
        """Write some records."""
        if not window:
            return
        rows = filled(window, self.width).astype(self.dtype)
        self.handle.write(rows.tobytes())
        self.handle.flush()
        self.rows += len(rows)

    def close(self) -> None:
        """Write the number of rows into the header."""
        self.header()
        self.handle.seek(0, 2)


class Parquet:
    """A Parquet file: text, vector (a list of K float32), error, and the record's other keys as JSON in `fields`."""

    def __init__(self, handle: BinaryIO, width: int, name: str, field: str) -> None:
        """Open the writer.

        Args:
            handle: open for writing.
            width: K.
            name: of the vector's column.
            field: the record's field that holds the text.
        """
        import pyarrow
        from pyarrow import parquet

        self.done = self.failed = 0
        self.width, self.name, self.field = width, name, field
        columns = [(field, pyarrow.string()), (name, pyarrow.list_(pyarrow.float32(), width))]
        self.schema = pyarrow.schema([*columns, ("error", pyarrow.string()), ("fields", pyarrow.string())])
        self.arrow = pyarrow
        self.writer = parquet.ParquetWriter(handle, self.schema, compression="zstd")

    def write(self, window: Sequence[Answered]) -> None:
        """Write some records as a row group."""
        if not window:
            return
        vectors = self.arrow.FixedSizeListArray.from_arrays(
            self.arrow.array(filled(window, self.width).reshape(-1)), self.width
        )
        texts = [text_of(record, self.field) for record, _ in window]
        errors = [str(answer) if isinstance(answer, RecordError) else None for _, answer in window]
        others = [rest_of(record, self.field) for record, _ in window]
        columns = [self.arrow.array(texts, self.arrow.string()), vectors]
        columns += [self.arrow.array(values, self.arrow.string()) for values in (errors, others)]
        self.writer.write_table(self.arrow.Table.from_arrays(columns, schema=self.schema))

    def close(self) -> None:
        """Write the footer."""
        self.writer.close()


def text_of(record: Record, field: str) -> str | None:
    """Give a record's text, lone surrogates replaced; none where there is none."""
    value = record.fields.get(key_of(record, field))
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def key_of(record: Record, field: str) -> str:
    """Find the key of a record's text: the field itself, or where the record lacks it another name of it."""
    if field in record.fields:
        return field
    return next((name for name in record.fields if ALIASES.get(name) == field), field)


def rest_of(record: Record, field: str) -> str | None:
    """Give a record's other keys as JSON; none where there are none."""
    text = key_of(record, field)
    others = {key: value for key, value in record.fields.items() if key != text}
    return json.dumps(others) if others else None


def filled(window: Sequence[Answered], width: int) -> np.ndarray:
    """Stack a window's vectors (n, K) float32, NaN for bad records."""
    empty = np.full(width, np.nan, np.float32)
    return np.stack([empty if isinstance(answer, RecordError) else answer for _, answer in window])


class Spool:
    """Raw vectors and their records on disk, while the whitening is fitted on them."""

    def __init__(self, folder: Path | None, width: int, *, with_records: bool) -> None:
        """Open a nameless file.

        Args:
            folder: where there is room; the system's place for such files by default.
            width: H.
            with_records: keep the records too; without them only their number is known afterwards.
        """
        self.file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as the spool
        self.with_records = with_records
        self.moments = Moments(width)
        self.width = width

    def add(self, windows: Iterable[Window]) -> Iterator[int]:
        """Take in all windows, and give the size of each as it goes."""
        for window in windows:
            vectors = filled(window, self.width)
            self.moments.update(vectors)
            places = [(record.source, record.line) for record, _ in window]
            records = (
                [record for record, _ in window] if self.with_records else [Record(*place, {}) for place in places]
            )
            errors = [answer if isinstance(answer, RecordError) else None for _, answer in window]
            pickle.dump((records, vectors, errors), self.file, protocol=5)
            yield len(window)

    def windows(self) -> Iterator[Window]:
        """Give everything back, in order."""
        self.file.seek(0)
        while True:
            try:
                records, vectors, errors = pickle.load(self.file)
            except EOFError:
                return
            yield [
                (record, vector if error is None else error)
                for record, vector, error in zip(records, vectors, errors, strict=True)
            ]


class Finish:
    """The last steps of a vector: whitening, the first K dimensions, length 1."""

    def __init__(self, whitening: Whitening | None, dims: int | None, normalize: bool) -> None:
        """Keep what to do."""
        self.whitening, self.dims, self.normalize = whitening, dims, normalize

    def __call__(self, window: Window) -> Window:
        """Finish the vectors of a window; bad records stay as they are."""
        good = [place for place, (_, answer) in enumerate(window) if not isinstance(answer, RecordError)]
        if not good:
            return window
        vectors = np.stack([window[place][1] for place in good])  # type: ignore[misc]
        if self.whitening is not None:
            vectors = self.whitening(vectors)
        vectors = vectors[:, : self.dims]
        if self.normalize:
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        finished = list(window)
        for place, vector in zip(good, vectors, strict=True):
            finished[place] = window[place][0], vector
        return finished


def text_reader(field: str, taken: Sequence[str] = ()) -> Any:  # noqa: ANN401 - a function of Record
    """Make the function that takes the text out of a record.

    Args:
        field: that holds it.
        taken: keys that the output needs, and a record must not have.
    """

    def read(record: Record) -> str:
        if record.problem:
            raise RecordError(record.problem)
        for name in taken:
            if name in record.fields:
                raise RecordError(f"the record already has a field {name!r}; choose another key with --as NAME")
        value = record.fields.get(key_of(record, field))
        if not isinstance(value, str):
            found = ", ".join(map(str, record.fields)) or "none"
            raise RecordError(f"no text in field {field!r}; found {found}; name the field with --field")
        if not value.strip():
            raise RecordError("blank text")
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise RecordError("a lone surrogate, half of a character, in the text; it is no valid Unicode")
        return value

    return read
