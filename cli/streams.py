"""Where records come from and where results go: stdin or a file, stdout or a file that can be resumed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from nlptasks import files
from nlptasks.errors import InputError, RecordError, UsageError
from nlptasks.files import Record

from .options import Reading, Writing


def records(file: str | None, reading: Reading, names: tuple[str, ...]) -> Iterator[Record]:
    """Read the records of a file, or of stdin where there is a pipe."""
    source = file_or_pipe(file)
    return files.read_records(
        source, format=reading.format, columns=reading.names(), names=names, encoding=reading.encoding
    )


def file_or_pipe(file: str | None) -> str:
    """Choose stdin where no file is named and something is piped in.

    Raises:
        UsageError: no file, and a terminal on stdin.
    """
    if file is None and sys.stdin.isatty():
        raise UsageError("no input: name a FILE, pipe something in, or give the record by its options (see --help)")
    return file or "-"


def bad_record(record: Record, error: Exception) -> dict[str, Any]:
    """Give what stands in the place of an answer: the record's own keys and what is wrong with it."""
    return {**(record.fields or {"line": record.line}), "error": str(error)}


class Lines:
    """JSON lines on stdout or in a file, one for each record, flushed window by window."""

    def __init__(self, writing: Writing, source: str, about: Mapping[str, Any]) -> None:
        """Open the output.

        Args:
            writing: file, resume, what to do with bad records.
            source: the input's file name, `-` for stdin.
            about: what must be the same for a partial file to be gone on with.

        Raises:
            UsageError: the options do not fit together.
            InputError: the partial file is another run's.
        """
        self.writing, self.failed, self.done = writing, 0, 0
        self.stack = ExitStack()
        self.handle: BinaryIO = sys.stdout.buffer
        self.partial: Partial | None = None
        if writing.resume and (writing.out is None or writing.on_error == "skip" or source == "-"):
            raise UsageError("--resume needs an input FILE and --out FILE, and does not go with --on-error skip")
        if writing.out is not None:
            self.partial = Partial(Path(writing.out), source, about)
            if writing.resume:
                self.partial.check()
            self.handle = self.stack.enter_context(
                files.write_beside(writing.out, keep=source != "-", resume=writing.resume)
            )
            self.done = whole_lines(self.handle) if writing.resume else 0
            self.partial.note()

    def __enter__(self) -> Lines:
        """Begin."""
        return self

    def __exit__(self, *error: Any) -> None:  # noqa: ANN401
        """Rename a complete file into place; keep a partial one."""
        self.stack.__exit__(*error)
        if self.partial and error[0] is None:
            self.partial.forget()

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Write one window and flush it."""
        self.handle.write(b"".join(encoded(row) for row in rows))
        self.handle.flush()

    def failure(self, record: Record, error: Exception) -> list[dict[str, Any]]:
        """Count a bad record and give what is written for it.

        Raises:
            InputError: one bad record is one too many.
        """
        self.failed += 1
        if self.writing.on_error == "fail":
            raise InputError(f"{record.place}: {error}")
        return [] if self.writing.on_error == "skip" else [bad_record(record, error)]

    def finish(self) -> None:
        """End with status 1 where records failed."""
        end(self.failed)


def end(failed: int) -> None:
    """Say how many records failed and end with status 1, or return where none did."""
    if failed:
        from . import console

        console.note(f"{failed} {'record' if failed == 1 else 'records'} failed")
        raise SystemExit(1)


def encoded(row: Mapping[str, Any]) -> bytes:
    """Turn a result into a line of JSON; numpy vectors too."""
    import orjson

    try:
        return orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # lone surrogates and integers over 64 bits, which came in and must go out again
        plain = {key: value.tolist() if hasattr(value, "tolist") else value for key, value in row.items()}
        return (json.dumps(plain, ensure_ascii=True) + "\n").encode()


def whole_lines(handle: BinaryIO) -> int:
    """Count the whole lines of a partial file and cut off what follows them; the file stands at its end."""
    handle.seek(0)
    count = end = 0
    for line in handle:
        if line.endswith(b"\n"):
            count, end = count + 1, end + len(line)
    handle.seek(end)
    handle.truncate()
    return count


class Partial:
    """Says beside a partial file what run it belongs to."""

    def __init__(self, out: Path, source: str, about: Mapping[str, Any]) -> None:
        """Describe the run by its input and options."""
        self.path = files.part_of(out).with_suffix(".part.json")
        self.out = out
        self.source = source
        self.options = dict(about)

    def about(self) -> dict[str, Any]:
        """Give what identifies the run."""
        return {"input": None if self.source == "-" else files.fingerprint(self.source), **self.options}

    def check(self) -> None:
        """Make sure that the partial file is this run's.

        Raises:
            InputError: it is not.
        """
        if not files.part_of(self.out).is_file():
            return
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = None
        if found != json.loads(json.dumps(self.about())):
            part = files.part_of(self.out)
            raise InputError(f"{part}: made from other input, model or options; delete it, or run without --resume")

    def note(self) -> None:
        """Leave the description."""
        if self.source != "-":
            self.path.write_text(json.dumps(self.about()), encoding="utf-8")

    def forget(self) -> None:
        """Take the description away."""
        self.path.unlink(missing_ok=True)


def value_of(text: str) -> str:
    """Read an option's value: `@file` from a file, `-` from stdin, anything else is itself.

    Raises:
        InputError: the file cannot be read.
    """
    if text == "-":
        return sys.stdin.read().rstrip("\n")
    if text.startswith("@") and len(text) > 1:
        try:
            return Path(text[1:]).read_text(encoding="utf-8-sig").rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{text[1:]}: cannot be read as UTF-8 text ({error}); @FILE takes a text file") from error
    return text


__all__ = ["InputError", "Lines", "RecordError", "end", "records"]
