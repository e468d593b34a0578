"""Where results go: stdout, or a file that appears when it is complete and can be gone on with after an interrupt."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from nlptasks import files
from nlptasks.errors import InputError, RecordError, UsageError
from nlptasks.files import Record

from . import console
from .options import Writing
from .sinks import Pair, Sink

Used = TypeVar("Used")


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


class Output:
    """Takes windows of answered records and does with the bad ones what was asked for."""

    def __init__(self, sink: Sink, on_error: str, source: str) -> None:
        """Write to a sink what is made of the records of an input."""
        self.sink, self.on_error, self.source, self.count = sink, on_error, source, sink.done
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
                    raise InputError(f"{record.place}: {answer}" if record.place else str(answer))
                self.failures.add(record, answer)
                if self.on_error == "skip":
                    continue
            kept.append((record, answer))
        self.sink.write(kept)

    def end(self) -> None:
        """Say what was not as it should be, and end with status 1 where records failed."""
        if not self.count:
            none = "no records on stdin; name a FILE, or pipe some in"
            console.note(none if self.source == "-" else f"{self.source}: no records in it")
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
            output = Output(make(sys.stdout.buffer, False), writing.on_error, source)
            yield output
            output.sink.close()
        return
    left = Partial(target, source, about) if keep else None
    if left and writing.resume:
        left.check()
    with files.write_beside(target, keep=keep, resume=writing.resume) as handle:
        output = Output(make(handle, writing.resume), writing.on_error, source)
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
