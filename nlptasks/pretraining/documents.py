"""Plain text, or one field of a table's records, as a stream of documents in constant memory."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from nlptasks import files
from nlptasks.errors import InputError

logger = logging.getLogger(__name__)

#: Characters of a document; what is longer becomes several.
LONGEST = 1 << 16
#: Share of a text's beginning that may be lost in decoding.
UNREADABLE = 0.01
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

    @property
    def kind(self) -> str:
        """Tell the format."""
        known = [files.EXTENSIONS.get(suffix) for suffix in Path(self.name.lower()).suffixes[-2:]]
        by_name = next((kind for kind in known if kind and kind != "text"), None)
        return self.format or by_name or ("jsonl" if self.field else "text")


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
        InputError: at its start too many cannot.
    """
    for first in filter(None, pieces):
        if (lost := first.count("\N{REPLACEMENT CHARACTER}")) > UNREADABLE * len(first):
            found = f"{lost / len(first):.0%} of its beginning is not text in {source.encoding or 'UTF-8 or GB18030'}"
            raise InputError(f"{source.name}: {found}; name its encoding with --encoding")
        yield first
        break
    yield from pieces


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
    records = files.read_records(
        source.name, format=source.kind, names=(field,), encoding=source.encoding, needed=source.field
    )
    for record in records:
        text = record.fields.get(field)
        if isinstance(text, str):
            found = True
            yield from cut(text)
        elif record.problem != "blank line":
            bad += 1
            first = first or f"{record.place}: {record.problem or f'no text in the field {field!r}'}"
    if bad and not found:
        raise InputError(f"{first}; name the field that holds the text with --field")
    if bad:
        logger.info("%s; records that cannot be used: %s, this being the first", first, f"{bad:,}")
