"""Where records come from: a file, a pipe, or the options of the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from nlptasks import files
from nlptasks.errors import InputError, UsageError
from nlptasks.files import Record

from .options import Reading


def records(file: str | None, reading: Reading, names: tuple[str, ...]) -> tuple[str, Iterator[Record]]:
    """Open a file, or stdin where there is a pipe: its name and its records.

    Raises:
        UsageError: no file, and a terminal on stdin.
        InputError: the file cannot be read.
    """
    if file is None and is_terminal():
        raise UsageError("no input: name a FILE, or pipe something in; --help shows how")
    source = file or "-"
    return source, read(source, reading, names)


def read(source: str, reading: Reading, names: tuple[str, ...]) -> Iterator[Record]:
    """Read the records of a file, or of stdin for `-`."""
    return files.read_records(
        source, format=reading.format, columns=reading.names(), names=names, encoding=reading.encoding
    )


def is_terminal() -> bool:
    """Tell whether stdin is a terminal, where nothing is piped in."""
    return sys.stdin is not None and sys.stdin.isatty()


def skip(found: Iterator[Record], number: int) -> Iterator[Record]:
    """Leave out the records that an earlier run has answered."""
    for _ in range(number):
        if next(found, None) is None:
            return
    yield from found


def value_of(text: str) -> str:
    """Read an option's value: `@file` from a file, `-` from stdin, anything else is itself.

    Raises:
        InputError: the file cannot be read.
    """
    if text == "-":
        return decoded(sys.stdin.buffer.read(), "stdin")
    if not text.startswith("@") or len(text) == 1:
        return text
    name = text[1:]
    try:
        return decoded(Path(name).read_bytes(), name)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{name}: cannot be read ({reason}); @FILE takes a text file") from error


def decoded(raw: bytes, name: str) -> str:
    """Read bytes as UTF-8 text, without the line ends at its end.

    Raises:
        InputError: they are something else.
    """
    try:
        return raw.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not UTF-8 text ({error.reason}); convert it: iconv -t utf-8") from error
