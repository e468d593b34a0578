"""One record of a file, and what its fields are called."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Parts = Callable[[Mapping[str, Any]], list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a file or stream, or what stands in the way of using it."""

    source: str
    """File name as given, or `stdin`."""
    line: int
    """Where the record starts, from 1, in the decompressed stream; 0 where there are no lines."""
    fields: dict[str, Any]
    """The record's own keys; empty where it could not be parsed."""
    problem: str | None = None
    """One sentence where the record cannot be used."""
    number: int = 0
    """Which record of a JSON document it is, from 1; 0 elsewhere."""

    @property
    def place(self) -> str:
        """Say where the record stands, as `file:line`, and in a JSON document which one it is."""
        number = f" (record {self.number})" if self.number else ""
        return f"{self.source}:{self.line}{number}" if self.line else self.source


#: Gives the records of a whole file: its bytes, its name for complaints, and the encoding, if that was given.
Reader = Callable[[bytes, str, str | None], Iterator[Record]]
Readers = Mapping[str, Reader]


@dataclass(frozen=True, slots=True)
class Naming:
    """What the fields of a record are called where it does not say so itself, and how a header is told from a row.

    The first row of a table is its header where `columns` are not given and one of its cells is a known name. Where
    none is, rows are named by position; but a first row of a .tsv or .csv file that is nothing but distinct short
    ASCII names, with something else below it, is refused as a header without the fields needed: it would become data
    without a word. A header in Chinese cannot be told from a sentence and stays a row.
    """

    names: Sequence[str] = ("text",)
    """Fields the caller knows, main field first: they name the columns of a table without a header, in order."""
    columns: Sequence[str] | None = None
    """Names of the columns of a table without a header, as the user gave them."""
    aliases: Collection[str] = ()
    """Other names by which a header is known."""
    main: str | None = None
    """Field of plain text; the first of the names by default."""
    needed: str | None = None
    """Field that the user asked for by its name: a table without such a column is refused."""
    parts: Parts | None = None
    """Gives the records of an item of a JSON document; by default the item is one."""
