"""Rows of TSV and CSV as records, with a header or without."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence

from nlptasks.errors import InputError
from nlptasks.files.lines import Line
from nlptasks.files.record import Naming, Record
from nlptasks.files.streams import extension

#: What the name of a column looks like where it cannot be a sentence.
COLUMN = re.compile(r"[A-Za-z]\w{0,31}", re.ASCII)
QUOTED = 10_000  # lines that a row of CSV may have; a quote that is never closed would swallow the rest of the file

#: Number of the first line, cells, problem.
Cells = tuple[int, list[str], str | None]


def csv_rows(lines: Iterator[Line], source: str) -> Iterator[Cells]:
    """Split lines into rows; a row is numbered by its first line.

    Raises:
        InputError: a row goes on for so long that a quote in it must have been left open.
    """
    csv.field_size_limit(2**31 - 1)  # one limit for the whole process; the default refuses long texts
    taken: list[Line] = []

    def texts() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            if len(taken) > QUOTED:
                what = f"a quote opens in this row and is not closed within {QUOTED:,} lines"
                raise InputError(f"{source}:{taken[0][0]}: {what}; close it, or write it twice where it is text")
            yield line[1] + "\n"

    rows = csv.reader(texts(), strict=True)
    while True:
        cells: list[str] = []
        problem = None
        taken.clear()
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            problem = f"invalid CSV: {error}"
            if len(taken) > 1:
                problem += f", after {len(taken)} lines; is a quote left open here?"
        yield taken[0][0], cells, next((line[2] for line in taken if line[2]), problem)


def table(rows: Iterable[Cells], source: str, naming: Naming) -> Iterator[Record]:
    """Name the cells of rows by the columns given, by a header, or by position."""
    columns, names = naming.columns, naming.names
    header, first = columns, True
    for number, cells, problem in with_known_header(iter(rows), source, naming):
        if problem is None and is_blank(cells):
            problem = "blank line"
        if problem is None and first:
            first = False
            stripped = [cell.strip() for cell in cells]
            if columns is None and is_known(stripped, naming):
                check_unique(stripped, f"{source}:{number}")
                header = stripped
                continue
            if columns is not None and cells == list(columns):
                continue
        if problem is None and header is not None and len(cells) != len(header):
            problem = f"found {count(cells)}, expected {len(header)} ({', '.join(header)})"
        named = header or [*names, *(f"column_{at + 1}" for at in range(len(names), len(cells)))]
        yield Record(source, number, {} if problem else dict(zip(named, cells, strict=False)), problem)


def with_known_header(rows: Iterator[Cells], source: str, naming: Naming) -> Iterator[Cells]:
    """Hand on the rows, unless the first of them is a header of other fields; see `Naming`.

    Only in a file by its extension is the row below waited for: a pipe may want its first answer now.

    Raises:
        InputError: it is.
    """
    for row in rows:
        if row[2] is not None or is_blank(row[1]):
            yield row
            continue
        stripped, below = [cell.strip() for cell in row[1]], None
        found = f"{source}:{row[0]}: found the columns {', '.join(naming.columns or stripped)}"
        if naming.needed and naming.needed not in (naming.columns or stripped):
            remedy = "name one of them with --field, or all with --columns where there is no header"
            raise InputError(f"{found}, expected {naming.needed}; {remedy}")
        tells = naming.columns is None and not is_known(stripped, naming) and are_columns(stripped)
        if tells and extension(source) in (".tsv", ".csv"):
            below = next(rows, None)
        if below and not are_columns(below[1]):
            remedy = "name the text's with --field" if len(naming.names) == 1 else "rename them"
            remedy += ", or give --columns where this is a record"
            raise InputError(f"{found}, expected {', '.join(naming.names)}; {remedy}")
        yield row
        if below:
            yield below
        break
    yield from rows


def is_blank(cells: Sequence[str]) -> bool:
    """Tell whether a row has nothing in it."""
    return all(not cell or cell.isspace() for cell in cells)


def is_known(cells: Sequence[str], naming: Naming) -> bool:
    """Tell whether one of the cells is a name that the caller knows."""
    return not {*naming.names, *naming.aliases}.isdisjoint(cells)


def are_columns(cells: Sequence[str]) -> bool:
    """Tell whether cells look like the names of columns and nothing else."""
    return len(set(cells)) == len(cells) > 0 and all(COLUMN.fullmatch(cell.strip()) for cell in cells)


def count(cells: Sequence[str]) -> str:
    """Say how many columns a row has."""
    return f"{len(cells)} column{'s' if len(cells) > 1 else ''}"


def check_unique(columns: Sequence[str], place: str) -> None:
    """Refuse names of columns that are not distinct.

    Raises:
        InputError: one is there twice.
    """
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None:
        raise InputError(f"{place}: the column {twice!r} is there twice; give each column a name of its own")
