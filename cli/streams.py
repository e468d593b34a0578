"""Where records come from: a file, a pipe, or the options of the command line."""

from __future__ import annotations

import codecs
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from nlptasks import files
from nlptasks.errors import InputError, UsageError
from nlptasks.files import Record
from nlptasks.files.lines import WIDER
from nlptasks.files.records import check_options

from .options import Reading

#: What bytes of the command line become that are no text.
NO_TEXT = re.compile("[\udc80-\udcff]")
#: Bytes of a value that a complaint shows.
SHOWN = 40


def records(
    file: str | None,
    reading: Reading,
    names: tuple[str, ...],
    **naming: Any,  # noqa: ANN401 - strings and collections of them
) -> tuple[str, Iterator[Record]]:
    """Open a file, or stdin where there is a pipe: its name and its records.

    Args:
        file: its name; `-` or none is stdin.
        reading: how it is read.
        names: fields that the command knows, main field first.
        naming: more of `files.Naming`.

    Raises:
        UsageError: no file, and nothing on stdin that could be read.
        InputError: the file cannot be read.
    """
    if file is None and is_unfed():
        raise UsageError("no input: name a FILE, or pipe something in; --help shows how")
    source = file or "-"
    return source, read(source, reading, names, **naming)


def read(source: str, reading: Reading, names: tuple[str, ...], **naming: Any) -> Iterator[Record]:  # noqa: ANN401
    """Read the records of a file, or of stdin for `-`; `naming` is as for `records`."""
    return files.read_records(
        source, format=reading.format, columns=reading.names(), names=names, encoding=reading.encoding, **naming
    )


def one(**fields: str | list[str]) -> Iterator[Record]:
    """Make the only record of a command line, given by its options: it has no place that could be named."""
    return iter([Record("", 0, dict(fields))])


def refuse_input(file: str | None, **outputs: str | Path | None) -> None:
    """Refuse an output that is the input, which it would replace; a link to it is it, too.

    Args:
        file: the input; `-` or none is stdin, which may have been redirected from a file.
        outputs: the outputs by their options, each none where there is none.

    Raises:
        UsageError: one is the input.
    """
    with suppress(OSError, ValueError, AttributeError):
        read_from = os.stat(file) if file not in (None, "-") else os.fstat(sys.stdin.buffer.fileno())
        for name, path in outputs.items():
            if path is not None and stat.S_ISREG(read_from.st_mode) and same(read_from, path):
                raise UsageError(f"--{name.replace('_', '-')} {path}: this is the input; choose another name")


def same(read_from: os.stat_result, path: str | Path) -> bool:
    """Tell whether a path leads to the file that was looked at."""
    return os.path.exists(path) and os.path.samestat(read_from, os.stat(path))


def is_unfed() -> bool:
    """Tell whether nothing can come from stdin: it is a terminal, or the null device, as in a script's background."""
    with suppress(OSError, ValueError, AttributeError):
        if os.path.samestat(os.fstat(sys.stdin.fileno()), os.stat(os.devnull)):
            return True
    return sys.stdin is not None and sys.stdin.isatty()


def skip(found: Iterator[Record], number: int) -> Iterator[Record]:
    """Leave out the records that an earlier run has answered."""
    for _ in range(number):
        if next(found, None) is None:
            return
    yield from found


def value_of(text: str, encoding: str | None = None) -> str:
    """Read an option's value: `@file` from a file, `-` from stdin, both in an encoding; anything else is itself.

    Raises:
        InputError: the file cannot be read, or it holds nothing.
        UsageError: the value has bytes that are no text.
    """
    if text == "-":
        return decoded(sys.stdin.buffer.read(), "stdin", encoding)
    if not text.startswith("@") or len(text) == 1:
        if NO_TEXT.search(text):
            raise UsageError(f"found {ascii(os.fsencode(text)[:SHOWN])[1:]}, which is not UTF-8; put it into a file")
        return text
    name = text[1:]
    try:
        return decoded(Path(name).read_bytes(), name, encoding)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{name}: cannot be read ({reason}); @FILE takes a text file") from error


def decoded(raw: bytes, name: str, encoding: str | None) -> str:
    """Read bytes as text of an encoding, or else as UTF-8 or GB18030, without the line ends at its end.

    Raises:
        InputError: they are something else, or blank, or there is no such encoding.
    """
    check_options(None, None, encoding)
    for tried in [encoding] if encoding else ["utf-8", "gb18030"]:
        known = codecs.lookup(tried).name
        with suppress(UnicodeError):
            text = raw.decode(WIDER.get(known, known)).removeprefix("\ufeff").rstrip("\r\n")
            if not text.strip():
                raise InputError(f"{name}: found {'only blanks' if text else 'nothing'}, expected a text")
            return text
    if encoding:
        raise InputError(f"{name}: give the right --encoding: this is not {encoding.upper()} text")
    raise InputError(f"{name}: neither UTF-8 nor GB18030 text; name its encoding with --encoding")
