"""Plain text, or one field of a table's records, as a stream of documents in constant memory."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from nlptasks import files, rows
from nlptasks.errors import InputError, RecordError, UsageError

logger = logging.getLogger(__name__)

#: Characters of a document; what is longer becomes several.
LONGEST = 1 << 16
#: Share of a stretch of text that may be lost in decoding.
UNREADABLE = 0.01
#: The same of a text that is shorter than such a stretch: its few characters say less.
OF_SHORT = 0.2
#: Characters at the start of a file that tell whether blank lines part its documents.
SAMPLE = 1 << 20
BLANK = re.compile(r"\n[^\S\n]*\n\s*")
LINE = re.compile(r"\n")


@dataclass(frozen=True)
class Source:
    """One file of a corpus, and how to read it."""

    name: str
    format: str | None = None
    """One of nlptasks.files.FORMATS; told by the extension by default, else text."""
    field: str | None = None
    """Field that holds the text of a record; `text` by default. Naming one says that a file is JSON lines."""
    encoding: str | None = None
    columns: Sequence[str] | None = None
    """Names of the columns of a table without a header."""

    @property
    def kind(self) -> str:
        """Tell the format; that of a `.json` file, lines of objects or a list of them, is told by its beginning."""
        ending = files.extension(Path(self.name).name)
        by_name = "json" if ending == ".json" else files.EXTENSIONS.get(ending, "text")
        return self.format or ("jsonl" if self.field and by_name == "text" else by_name)

    def check(self) -> None:
        """Refuse what does nothing in a file of this format.

        Raises:
            UsageError: columns of what is no table, or a field of plain text.
        """
        if self.columns and self.kind not in ("tsv", "csv"):
            raise UsageError(f"{self.name}: --columns names those of TSV and CSV files; leave it out, or give --format")
        if self.field and self.kind == "text":
            raise UsageError(f"{self.name}: plain text has no fields; leave out --field, or --format text")


def read(source: Source) -> Iterator[str]:
    """Read the documents of a file, none of them blank or longer than LONGEST characters.

    In plain text a blank line stands between two documents; where the first million characters have none, each line
    is a document.

    Raises:
        InputError: the file cannot be opened or read, is binary or cut off, in another encoding, or has no such field.
    """
    if source.kind == "text":
        return split(readable(files.read_text(source.name, encoding=source.encoding), source))
    return from_records(source)


def readable(pieces: Iterator[str], source: Source) -> Iterator[str]:
    """Hand on a text, of which a character that cannot be decoded now and then does no harm.

    Raises:
        InputError: in some stretch of LONGEST characters, or in all of a short text, too many cannot.
    """
    stretch = lost = 0
    is_short = True
    for piece in pieces:
        for start in range(0, len(piece), LONGEST):
            part = piece[start : start + LONGEST]
            stretch, lost = stretch + len(part), lost + part.count(files.LOST)
            if stretch >= LONGEST:
                check_lost(source, lost, stretch, UNREADABLE)
                stretch, lost, is_short = 0, 0, False
            yield part.replace(files.LOST, "\N{REPLACEMENT CHARACTER}")
    if is_short:
        check_lost(source, lost, stretch, OF_SHORT)
    else:
        check_lost(source, lost, LONGEST, UNREADABLE)


def check_lost(source: Source, lost: int, stretch: int, most: float) -> None:
    """Refuse a stretch of text of which a larger share than `most` cannot be decoded.

    Raises:
        InputError: it is so.
    """
    if lost > most * stretch:
        found = f"{lost / stretch:.0%} of a part of it is not text in {source.encoding or 'UTF-8 or GB18030'}"
        raise InputError(f"{source.name}: {found}; name its encoding with --encoding, or mend the file")


def split(pieces: Iterable[str]) -> Iterator[str]:
    """Split a stream of text into documents."""
    pieces = iter(pieces)
    head = ""
    for piece in pieces:
        head += piece
        if len(head) >= SAMPLE:
            break
    separator = BLANK if BLANK.search(head.strip()) else LINE
    rest = ""
    for piece in chain([head], pieces):
        *whole, rest = separator.split(rest + piece)
        for document in whole:
            yield from cut(document)
        if len(rest) > LONGEST:
            end = len(rest) - len(rest) % LONGEST
            yield from cut(rest[:end])
            rest = rest[end:]
    yield from cut(rest)


def cut(document: str) -> Iterator[str]:
    """Cut a document into parts of at most LONGEST characters; blank ones are left out."""
    for start in range(0, len(document), LONGEST):
        part = document[start : start + LONGEST].strip()
        if part:
            yield part


def from_records(source: Source) -> Iterator[str]:
    """Read the documents of a table; records that cannot be used are counted, and the first of them named.

    Raises:
        InputError: no record has the field.
    """
    field, bad, first, found = source.field or "text", 0, "", False
    is_json = source.kind == "json" and files.extension(Path(source.name).name) == ".json"
    told = None if is_json else source.kind  # of .json, lines or a list, its beginning tells the form
    records = files.read_records(
        source.name, format=told, columns=source.columns, names=(field,), encoding=source.encoding, needed=field
    )
    for record in records:
        try:
            text = rows.convert(record.fields[field], str)
            if record.problem or not text.strip():
                raise RecordError(record.problem or "no text")
        except KeyError:
            there = ", ".join(record.fields) or "none"
            problem = record.problem or f"found the fields {there}, expected {field}; name the text's with --field"
        except RecordError as error:
            problem = str(error)
        else:
            found = True
            yield from cut(text)
            continue
        if problem != "blank line":
            bad += 1
            first = first or f"{record.place}: {problem}"
    if bad and not found:
        raise InputError(first)
    if bad:
        logger.info("%s; records that cannot be used: %s, this being the first", first, f"{bad:,}")
