"""What results are written as: JSON lines, or lines of text."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, BinaryIO, Protocol

from nlptasks.errors import RecordError
from nlptasks.files import Record

from .options import JSON_LINES, Writing, refuse_other_endings

TABLES = (".npy", ".parquet")  # what only vectors go into
Pair = tuple[Record, Any]  # a record, and its answer or the RecordError that kept it from one


class Sink(Protocol):
    """Writes answered records in one format."""

    done: int
    """Records that an earlier run has written."""
    failed: int
    """How many of those failed."""

    def write(self, window: Sequence[Pair]) -> None:
        """Write some records; what stands for a bad one keeps its place."""
        ...

    def close(self) -> None:
        """Write what can only be known at the end."""
        ...


class JsonLines:
    """JSON lines, one for each record, flushed window by window."""

    def __init__(self, handle: BinaryIO, resume: bool, *, key: str, first: bool = False) -> None:
        """Begin, or go on behind the whole lines of a partial file.

        Args:
            handle: open for writing; a partial file, open for reading too, where `resume` is set.
            resume: keep the lines that are there.
            key: of the answer.
            first: write the answer before the record's own keys.
        """
        self.handle, self.key, self.first = handle, key, first
        self.done = self.failed = 0
        if resume:
            self.recount()

    def recount(self) -> None:
        """Count the whole lines of a partial file and cut off what follows them; the file stands at its end."""
        self.handle.seek(0)
        end = 0
        for line in self.handle:
            if line.endswith(b"\n"):
                self.done, end = self.done + 1, end + len(line)
                self.failed += b'"error"' in line and self.key not in json.loads(line)
        self.handle.seek(end)
        self.handle.truncate()

    def write(self, window: Sequence[Pair]) -> None:
        """Write some records and flush them; line by line, so that an interrupt finds whole lines in the buffer."""
        for record, answer in window:
            self.handle.write(encoded(self.row(record, answer)))
        self.handle.flush()

    def row(self, record: Record, answer: Any) -> dict[str, Any]:  # noqa: ANN401 - of any task
        """Put an answer, or what is wrong, to the record's own keys."""
        if isinstance(answer, RecordError):
            return {**(record.fields or {"line": record.line}), "error": str(answer)}
        return {self.key: answer, **record.fields} if self.first else {**record.fields, self.key: answer}

    def close(self) -> None:
        """Do nothing: every line is written."""


class PlainLines:
    """Lines of text: those that a task's `plain_lines` makes of an answer, and an empty one for a bad record."""

    def __init__(self, handle: BinaryIO, resume: bool, *, lines: Callable[[Any], list[str]]) -> None:
        """Begin; a partial file is not gone on with, since its records cannot be told apart."""
        self.handle, self.lines = handle, lines
        self.done = self.failed = 0

    def write(self, window: Sequence[Pair]) -> None:
        """Write some records and flush them."""
        for _, answer in window:
            for text in [""] if isinstance(answer, RecordError) else self.lines(answer):
                self.handle.write(f"{' '.join(text.splitlines())}\n".encode(errors="surrogatepass"))
        self.handle.flush()

    def close(self) -> None:
        """Do nothing: every line is written."""


def json_lines(writing: Writing, key: str) -> Callable[[BinaryIO, bool], Sink]:
    """Write JSON lines, for commands that know no other output.

    Raises:
        UsageError: the file's name says something else.
    """
    refuse_other_endings(writing, JSON_LINES)
    return partial(JsonLines, key=key)


def encoded(row: Mapping[str, Any]) -> bytes:
    """Turn a result into a line of JSON; numpy vectors too."""
    import orjson

    try:
        return orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # lone surrogates and integers over 64 bits, which came in and must go out again
        plain = {key: value.tolist() if hasattr(value, "tolist") else value for key, value in row.items()}
        return (json.dumps(plain, ensure_ascii=True, separators=(",", ":")) + "\n").encode()
