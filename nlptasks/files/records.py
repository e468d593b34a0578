"""Parsing: JSON lines and documents, tables and plain text as records, with `file:line` in every complaint."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from encodings.aliases import aliases as ALIASES
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from nlptasks.errors import InputError, RecordError
from nlptasks.files import items
from nlptasks.files.lines import Line, lines_of, pieces_of_text
from nlptasks.files.record import Naming, Parts, Reader, Readers, Record
from nlptasks.files.streams import extension, open_bytes
from nlptasks.files.tables import check_unique, csv_rows, table
from nlptasks.files.tagged import is_tagged, tagged

FORMATS = ("jsonl", "json", "tsv", "csv", "text", "bio")
TAGS = "tags"  # a caller that knows this field reads sentences with tags, too
EXTENSIONS = {f".{name}": name for name in ("jsonl", "tsv", "csv", "bio")} | {".ndjson": "jsonl", ".txt": "text"}


def read_records(
    source: str | Path,
    *,
    format: str | None = None,
    columns: Sequence[str] | None = None,
    names: Sequence[str] = ("text",),
    encoding: str | None = None,
    aliases: Collection[str] = (),
    main: str | None = None,
    needed: str | None = None,
    parts: Parts | None = None,
    readers: Readers | None = None,
) -> Iterator[Record]:
    """Read a file, compressed or not, one record per line (CSV: row, JSON document: item); `-` is stdin.

    The file is opened at once, so that a wrong name is known before a model is loaded.

    Args:
        source: file name, or `-`.
        format: one of FORMATS; by default told by the extension, else by the first line that is not blank.
        columns: column names of a TSV or CSV file without a header.
        names: fields the caller knows, main field first: they tell a header from a row, name columns that have no
            name, and the first of them is the field of plain text.
        encoding: by default UTF-8 or GB18030, whichever fits the first MiB, or what a byte order mark says.
        aliases: see `Naming`, as for the next three.
        main: field of plain text.
        needed: field that a table must have.
        parts: gives the records of an item of a JSON document.
        readers: by a file's ending, what reads it as a whole, where it is no lines of records.

    Raises:
        InputError: the file cannot be opened or read, is binary or cut off, an option is not known, or a table's header
            lacks the fields needed.
    """
    check_options(format, columns, encoding)
    stream = open_bytes(source)
    name = "stdin" if str(source) == "-" else str(source)
    if format is None and (own := (readers or {}).get(extension(name))):
        return and_close(stream, whole(stream, name, encoding, own))
    naming = Naming(names, columns or None, aliases, main, needed, parts)
    return and_close(stream, read(stream, name, format, encoding, naming))


def read_stream(
    handle: BinaryIO,
    *,
    source: str = "stdin",
    format: str | None = None,
    columns: Sequence[str] | None = None,
    names: Sequence[str] = ("text",),
    encoding: str | None = None,
    aliases: Collection[str] = (),
    main: str | None = None,
    needed: str | None = None,
    parts: Parts | None = None,
) -> Iterator[Record]:
    """Read records from an open stream of uncompressed bytes, each as soon as its line is there.

    The options are those of `read_records`; `source` is the name for complaints, and its extension tells the format.
    The stream is not closed.
    """
    check_options(format, columns, encoding)
    return read(handle, source, format, encoding, Naming(names, columns or None, aliases, main, needed, parts))


def whole(handle: BinaryIO, source: str, encoding: str | None, reader: Reader) -> Iterator[Record]:
    """Give the records of a file that is read as a whole."""
    yield from reader(handle.read(), source, encoding)


def read(handle: BinaryIO, source: str, format: str | None, encoding: str | None, naming: Naming) -> Iterator[Record]:
    """Read records from a stream of uncompressed bytes."""
    lines = lines_of(handle, source, encoding)
    return records(lines, source, format or EXTENSIONS.get(extension(source)), naming)


def read_text(source: str | Path, *, encoding: str | None = None) -> Iterator[str]:
    """Read a file, compressed or not, as pieces of text: in constant memory, however long its lines are.

    Line ends become LF, and what is not text in the encoding LOST. The file is opened at once.

    Args:
        source: file name, or `-`.
        encoding: by default as for `read_records`.

    Raises:
        InputError: the file cannot be opened or read, is binary or cut off, or the encoding is not known.
    """
    check_options(None, None, encoding)
    return pieces_of_text(open_bytes(source), "stdin" if str(source) == "-" else str(source), encoding)


def check_options(format: str | None, columns: Sequence[str] | None, encoding: str | None) -> None:
    """Refuse what is not known before anything is read.

    Raises:
        InputError: a format or an encoding is not known, or a column is there twice.
    """
    if format is not None and format not in FORMATS:
        raise InputError(f"unknown format {format!r}; choose one of {', '.join(FORMATS)}")
    check_unique(columns or (), "--columns")
    try:
        "\n".encode(encoding or "utf-8")
    except LookupError as error:  # of what is no encoding of text, too, such as rot13
        known = {one for one in {*ALIASES, *ALIASES.values()} if is_of_text(one)}
        near = difflib.get_close_matches(str(encoding).lower(), known, n=1)
        hint = f"did you mean {near[0]}?" if near else "utf-8, gb18030 and utf-16 are some that are known"
        raise InputError(f"unknown encoding {encoding!r}; {hint}") from error


def is_of_text(encoding: str) -> bool:
    """Tell whether a codec that Python knows is an encoding of text."""
    try:
        return isinstance("".encode(encoding), bytes)
    except LookupError:
        return False


def and_close(handle: BinaryIO, records: Iterator[Record]) -> Iterator[Record]:
    """Hand on records, and close their file behind them."""
    with closing(handle):
        yield from records


def records(lines: Iterator[Line], source: str, format: str | None, naming: Naming) -> Iterator[Record]:
    """Parse lines by their format, which is told by the first of them where it is not given."""
    if format in (None, "text") and TAGS in (*naming.names, *naming.aliases):
        seen: list[Line] = []
        is_bio = is_tagged(next_text(lines, seen))
        format, lines = "bio" if is_bio else format, chain(seen, lines)
    if format is None:
        format, lines = sniffed(lines, source, tabs=naming.columns is not None or len(naming.names) > 1)
    if format == "jsonl":
        yield from parsed(lines, source, json_object)
    elif format == "json":
        yield from document(lines, source, naming)
    elif format == "bio":
        yield from tagged(lines, source)
    elif format == "text":
        main = naming.main or naming.names[0]
        yield from parsed(lines, source, lambda text: {main: text})
    elif format == "csv":
        yield from table(csv_rows(lines, source), source, naming)
    else:
        rows = ((number, text.split("\t"), problem) for number, text, problem in lines)
        yield from table(rows, source, naming)


def sniffed(lines: Iterator[Line], source: str, tabs: bool) -> tuple[str, Iterator[Line]]:
    """Tell the format by the first line that is not blank; give back the lines with those that were looked at.

    A line that is an object with a list of items is a document only where no other line follows.
    """
    seen: list[Line] = []
    text = next_text(lines, seen)
    if items.is_opened(text) or (items.has_list(text) and not next_text(lines, seen)):
        return "json", chain(seen, lines)
    lines = chain(seen, lines)
    if text.startswith("{") and text.endswith("}"):
        return "jsonl", lines
    if text and extension(source) == ".json":
        expected = "one JSON object per line, a list of them, or an object with a list 'data'"
        raise InputError(f"{source}: expected {expected}")
    return ("tsv" if tabs and "\t" in text else "text"), lines


def next_text(lines: Iterator[Line], seen: list[Line]) -> str:
    """Find the next line that is not blank, none at the end; the lines on the way are put to those seen."""
    for line in lines:
        seen.append(line)
        if text := line[1].strip():
            return text
    return ""


def document(lines: Iterator[Line], source: str, naming: Naming) -> Iterator[Record]:
    """Read the records of a JSON document item by item.

    Raises:
        InputError: it is damaged, or not text; what stands before is given first.
    """

    def pieces() -> Iterator[str]:
        for number, text, problem in lines:
            if problem:
                raise InputError(f"{source}:{number}: {problem}")
            yield text + "\n"

    count = 0
    for line, item in items.Items(source, pieces()):
        if not isinstance(item, dict):
            count += 1
            yield Record(source, line, {}, "expected a JSON object in the list", count)
            continue
        for fields in naming.parts(item) if naming.parts else [item]:
            count += 1
            yield Record(source, line, fields, None, count)


def parsed(lines: Iterable[Line], source: str, fields: Callable[[str], dict[str, Any]]) -> Iterator[Record]:
    """Parse line by line; one that cannot be is a record with a problem."""
    for number, text, problem in lines:
        if problem is None and (not text or text.isspace()):
            problem = "blank line"
        if problem is not None:
            yield Record(source, number, {}, problem)
            continue
        try:
            record = Record(source, number, fields(text))
        except RecordError as error:
            record = Record(source, number, {}, str(error))
        yield record


def json_object(text: str) -> dict[str, Any]:
    """Parse a line of JSON, keeping what orjson refuses or rounds: lone surrogates, integers beyond 64 bits.

    NaN and Infinity, which JSON does not know but many programs write, are read as null.

    Raises:
        RecordError: it is not JSON, not an object, or holds a number that is too large.
    """
    import orjson  # here, because a machine that only trains on prepared text may lack it

    try:
        try:
            value = orjson.loads(text)
            exact = not may_be_rounded(value)
        except orjson.JSONDecodeError:
            exact = False
        if not exact:
            value = json.loads(text, parse_float=items.finite, parse_constant=lambda _: None)
    except json.JSONDecodeError as error:
        raise RecordError(f"invalid JSON at character {error.pos + 1}: {error.msg}") from error
    except (RecursionError, ValueError) as error:
        raise RecordError(f"JSON nested too deeply or with too large a number: {error}") from error
    if not isinstance(value, dict):
        raise RecordError(f"expected a JSON object, found {text if len(text) < 40 else text[:40] + '…'}")
    return value


def may_be_rounded(value: object) -> bool:
    """Tell whether there is a number so large that it may have lost digits on the way."""
    if isinstance(value, float):
        return abs(value) >= 2**63
    if isinstance(value, dict):
        return any(map(may_be_rounded, value.values()))
    return isinstance(value, list) and any(map(may_be_rounded, value))
