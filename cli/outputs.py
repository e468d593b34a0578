"""Where results go: stdout, or a file that appears when it is complete and can be gone on with after an interrupt."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

from nlptasks import files
from nlptasks.errors import InputError, RecordError, UsageError
from nlptasks.files import Record

from . import console
from .options import JSON_LINES, Writing, refuse_other_endings

TABLES = (".npy", ".parquet")  # what only vectors go into
Used = TypeVar("Used")
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


class Failures:
    """Counts the records that cannot be used, and names the first few."""

    def __init__(self, shown: int = 5, *, ending: str = "", before: int = 0) -> None:
        """Start to count.

        Args:
            shown: how many are named.
            ending: what follows each complaint.
            before: failures of an earlier run that this one goes on from.
        """
        self.shown, self.ending, self.before, self.count = shown, ending, before, 0

    def add(self, record: Record, error: Exception) -> None:
        """Count a record."""
        self.count += 1
        if self.count <= self.shown:
            console.note(f"{record.place}: {error}{self.ending}")

    def end(self) -> None:
        """Say how many there were and end with status 1; return where there was none."""
        if total := self.count + self.before:
            console.note(f"{total:,} {'record' if total == 1 else 'records'} failed")
            raise SystemExit(1)


def each(found: Iterable[Record], use: Callable[[Record], Used], failures: Failures) -> Iterator[tuple[int, Used]]:
    """Give what is made of each record, with its place from 0; bad records are counted and named."""
    for place, record in enumerate(found):
        try:
            if record.problem:
                raise RecordError(record.problem)
            used = use(record)
        except RecordError as error:
            failures.add(record, error)
            continue
        yield place, used


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
        return (json.dumps(plain, ensure_ascii=True) + "\n").encode()


class Output:
    """Takes windows of answered records and does with the bad ones what was asked for."""

    def __init__(self, sink: Sink, on_error: str) -> None:
        """Write to a sink."""
        self.sink, self.on_error, self.count = sink, on_error, sink.done
        self.failures = Failures(before=sink.failed)

    @property
    def done(self) -> int:
        """Count the records that an earlier run has written."""
        return self.sink.done

    def write(self, window: Iterable[Pair]) -> None:
        """Write one window.

        Raises:
            InputError: a record is bad, and one is one too many; those before it are written.
        """
        kept: list[Pair] = []
        for record, answer in window:
            self.count += 1
            if isinstance(answer, RecordError):
                if self.on_error == "fail":
                    self.sink.write(kept)
                    raise InputError(f"{record.place}: {answer}")
                self.failures.add(record, answer)
                if self.on_error == "skip":
                    continue
            kept.append((record, answer))
        self.sink.write(kept)

    def end(self) -> None:
        """Say what was not as it should be, and end with status 1 where records failed."""
        if not self.count:
            console.note("no records in the input")
        self.failures.end()


@contextmanager
def opened(
    writing: Writing,
    source: str,
    about: Mapping[str, Any],
    make: Callable[[BinaryIO, bool], Sink],
    *,
    resumable: bool = True,
) -> Iterator[Output]:
    """Open the output; a file appears under its name when the block ends well, and can be gone on with where not.

    Args:
        writing: file, resume, what to do with bad records.
        source: the input's file name, `-` for stdin.
        about: what must be the same for a partial file to be gone on with.
        make: gives the sink for a handle, which goes on with what is there if asked to.
        resumable: the sink can go on with a partial file.

    Raises:
        UsageError: the options do not fit together.
        InputError: the partial file is another run's, or the output cannot be written.
    """
    target = writing.target
    keep = resumable and target is not None and is_regular(source) and writing.on_error != "skip" and may_become(target)
    if writing.resume and not keep:
        raise UsageError("--resume needs an input FILE and --out FILE, and does not go with --on-error skip")
    if target is None:
        with complaints("stdout"):
            output = Output(make(sys.stdout.buffer, False), writing.on_error)
            yield output
            output.sink.close()
        return
    left = Partial(target, source, about) if keep else None
    if left and writing.resume:
        left.check()
    with files.write_beside(target, keep=keep, resume=writing.resume) as handle:
        output = Output(make(handle, writing.resume), writing.on_error)
        if left:
            left.leave()
        yield output
        output.sink.close()
    if left:
        left.forget()


@contextmanager
def complaints(name: object) -> Iterator[None]:
    """Name the output where the system takes no more of it.

    Raises:
        InputError: it does not; a closed pipe stays what it is.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except Exception as error:
        reason = system_reason(error)
        if reason is None:
            raise
        raise InputError(f"{name}: cannot be written ({reason}); make room") from error


def system_reason(error: Exception) -> str | None:
    """Say why the system refused, where it was the system and it did not name another file."""
    if isinstance(error, OSError):
        return (error.strerror or str(error)) if error.filename is None else None
    found = re.search(r"(.*) \(os error \d+\)", str(error))  # from a library written in Rust
    return found[1] if found else None


def is_regular(source: str) -> bool:
    """Tell whether the input is a file that can be read twice, not a pipe."""
    return source != "-" and os.path.isfile(source)


def may_become(target: Path) -> bool:
    """Tell whether a file can appear there, unlike in the place of a device or a pipe."""
    return not os.path.exists(target) or os.path.isfile(target)


class Partial:
    """Says beside a partial file what run it belongs to."""

    def __init__(self, target: Path, source: str, about: Mapping[str, Any]) -> None:
        """Describe the run by its input and options."""
        self.part = files.part_of(target)
        self.path = self.part.with_name(self.part.name + ".json")
        self.about = json.loads(json.dumps({"input": files.fingerprint(source), **about}))

    def check(self) -> None:
        """Make sure that the partial file, where there is one, is this run's.

        Raises:
            InputError: it is not.
        """
        if not self.part.is_file():
            return
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = None
        if found != self.about:
            raise InputError(f"{self.part}: made from other input, model or options; delete it, or leave out --resume")

    def leave(self) -> None:
        """Write the description."""
        self.path.write_text(json.dumps(self.about), encoding="utf-8")

    def forget(self) -> None:
        """Take the description away."""
        self.path.unlink(missing_ok=True)
