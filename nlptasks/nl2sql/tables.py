"""Tables, whatever they come from: what their columns are called and hold, and the store of their rows."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from nlptasks.errors import InputError, RecordError
from nlptasks.nl2sql.cells import Cells
from nlptasks.nl2sql.columns import LOOKED_AT, Column, Extent, bounded, cell, dated_kind, described, kind_of, unique
from nlptasks.nl2sql.stores import Bounds, Rows, Store, quoted

#: SQLite's own limit, too.
MOST_COLUMNS = 2000
#: Distinct cells of a column that are looked at for a match.
MOST_CELLS = 2_000_000
KINDS = ("text", "real", "date")


#: Times as many distinct cells as the first column has another one that names the rows in its place.
MORE = 2


class Table:
    """A table: its columns, and the store of its rows."""

    def __init__(
        self,
        id: str,
        title: str,
        columns: Sequence[Column],
        store: Store,
        name: str | None = None,
        header: Sequence[str] = (),
    ) -> None:
        """Put it together.

        Args:
            id: by which records name it.
            title: what it is about, perhaps empty.
            columns: in the store's order.
            store: of the rows.
            name: by which SQL names it; the store's by default.
            header: by which labels name its columns; the database's names by default.
        """
        self.id, self.title, self.columns, self.store = id, title, list(columns), store
        self.name = name or store.table
        self.header = list(header) or self.names
        self.foreign: list[str] = []
        """Columns of numbers that the file writes in ways that DuckDB reads as text."""
        self.numeric = [column.kind == "real" for column in self.columns]
        self.found: dict[int, list[Any]] = {}

    @property
    def names(self) -> list[str]:
        """Give the columns' names in the database."""
        return [column.name for column in self.columns]

    def distinct(self, column: int) -> list[Any]:
        """Give the distinct values of a column, which are looked for once."""
        if column not in self.found:
            self.found[column] = self.store.distinct(column, MOST_CELLS)
        return self.found[column]

    @cached_property
    def cells(self) -> Cells:
        """Index the cells of the columns that do not hold numbers."""
        places = enumerate(self.numeric)
        return Cells([[] if numeric else [str(cell) for cell in self.distinct(at)] for at, numeric in places])

    @cached_property
    def answers(self) -> dict[int, list[str]]:
        """Give the cells of each column that holds two words or one, such as 是 and 否."""
        short = {}
        for number, numeric in enumerate(self.numeric):
            if not numeric and self.has_cells[number] and len(self.distinct(number)) <= 2:
                short[number] = [str(cell) for cell in self.distinct(number)]
        return short

    @cached_property
    def extents(self) -> list[Extent]:
        """Look at the values of each column; the numbers of a large table stay where they are."""
        return [
            bounded(*self.store.extremes(at)) if numeric else Extent(math.inf, -math.inf, len(self.distinct(at)) == 1)
            for at, numeric in enumerate(self.numeric)
        ]

    @cached_property
    def has_cells(self) -> list[bool]:
        """Tell which columns have values."""
        return [bool(self.store.distinct(at, 1)) for at in range(len(self.columns))]

    @cached_property
    def naming(self) -> int:
        """Tell which column says what a row is: the first, or where its cells repeat, the next text that repeats less.

        Tables that models learn from have it first; people write 部门 in front of 姓名, too.
        """
        kinds = [column.kind for column in self.columns]
        if kinds[0] != "text":
            return 0
        counts = {at: len(self.distinct(at)) for at, kind in enumerate(kinds) if kind == "text"}
        return next((at for at, count in counts.items() if count >= MORE * counts[0]), 0)

    @property
    def is_empty(self) -> bool:
        """Tell whether there are no values at all."""
        return not any(self.has_cells)


def of_rows(
    id: str,
    header: Sequence[Any],
    rows: Sequence[Sequence[Any]],
    *,
    kinds: Sequence[str] | None = None,
    title: str = "",
) -> Table:
    """Make a table of rows in memory.

    Args:
        id: of the table.
        header: names of the columns, which may be empty or repeated.
        rows: cells; text that is a number becomes one in a column of numbers.
        kinds: text or real for each column; by default what the cells are.
        title: what it is about.

    Raises:
        InputError: too many columns, or none, or a kind that is not known.
    """
    check_width(id, len(header))
    told = [kind_of([row[number] for row in rows]) for number in range(len(header))] if kinds is None else list(kinds)
    for kind in told:
        if kind not in KINDS:
            raise InputError(f"table {id}: found the type {kind!r}, expected text, real or date")
    dated = [dated_kind(kind, [row[number] for row in rows[:LOOKED_AT]]) for number, kind in enumerate(told)]
    names = unique([str(name) for name in header])
    made = [[cell(value, kind) for value, kind in zip(row, dated, strict=True)] for row in rows]
    return Table(id, title, described(names, dated), Rows(names, made, dated))


def check_width(name: str, width: int) -> None:
    """Refuse a table that is too wide or has no columns.

    Raises:
        InputError: it is.
    """
    if not 0 < width <= MOST_COLUMNS:
        raise InputError(f"{name}: found {width:,} columns, expected 1 to {MOST_COLUMNS:,}; choose those you ask about")


# TableQA's files of tables


class Tables(Mapping[str, Table]):
    """The tables of a file, by their ids; each is made when it is first asked for."""

    def __init__(self, source: str, found: dict[str, dict[str, Any]]) -> None:
        """Keep what was read.

        Args:
            source: the file's name, for complaints.
            found: id, and the fields of each table.
        """
        self.source, self.found = source, found
        self.made: dict[str, Table] = {}

    def __getitem__(self, id: str) -> Table:
        """Make a table.

        Raises:
            RecordError: there is none of that id, or it cannot be used.
        """
        if id not in self.made:
            if id not in self.found:
                raise RecordError(f"no table {id!r} in {self.source}; add it, or name the file it is in with --tables")
            try:
                self.made[id] = of_json(id, self.found[id])
            except InputError as error:
                raise RecordError(f"{self.source}: {error}") from None
        return self.made[id]

    def __iter__(self) -> Any:  # noqa: ANN401
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)


def read_tables(source: str | Path) -> Tables:
    """Read a file of tables as TableQA and WikiSQL have it: a JSON object a line with id, header, types and rows.

    Raises:
        InputError: it cannot be read, or a table has no id or header.
    """
    from nlptasks import files

    found: dict[str, dict[str, Any]] = {}
    for record in files.read_records(source, format=None if str(source).endswith(".json") else "jsonl"):
        if record.problem:
            raise InputError(f"{record.place}: {record.problem}")
        missing = next((name for name in ("id", "header") if not record.fields.get(name)), None)
        if missing:
            raise InputError(f"{record.place}: a table without {missing}; expected id, header, types and rows")
        if (id := str(record.fields["id"])) in found:
            raise InputError(f"{record.place}: a second table with the id {id!r}; give each its own")
        found[id] = record.fields
    if not found:
        raise InputError(f"{source}: no tables; expected a JSON object a line with id, header, types and rows")
    return Tables(str(source), found)


def of_json(id: str, fields: Mapping[str, Any]) -> Table:
    """Make a table of an object of TableQA, WikiSQL, or a record that brings its own table.

    Raises:
        InputError: header, types and rows are no lists, or do not fit together.
    """
    header, types, rows = fields["header"], fields.get("types"), fields.get("rows") or []
    for name, found in (("header", header), ("types", [] if types is None else types), ("rows", rows)):
        if not isinstance(found, list):
            raise InputError(f"table {id}: {name} is {shortened(found)}, expected a list; mend it")
    no_row = next((number for number, row in enumerate(rows) if not isinstance(row, list)), None)
    if no_row is not None:
        raise InputError(
            f"table {id}: row {no_row + 1} is {shortened(rows[no_row])}, expected a list of cells; mend it"
        )
    no_name = next((one for one in header if isinstance(one, dict | list)), None)
    if no_name is not None:
        raise InputError(f"table {id}: {shortened(no_name)} in header, expected the names of columns; mend it")
    if types is not None and len(types) != len(header):
        raise InputError(f"table {id}: {len(types)} types for {len(header)} columns; give one for each")
    wrong = next((number for number, row in enumerate(rows) if len(row) != len(header)), None)
    if wrong is not None:
        raise InputError(f"table {id}: row {wrong + 1} has {len(rows[wrong])} cells, its header {len(header)}; mend it")
    title = str(fields.get("title") or fields.get("page_title") or "")
    return of_rows(id, header, rows, kinds=types, title=title)


def shortened(value: object) -> str:
    """Show a value in a complaint."""
    return json.dumps(value, ensure_ascii=False)[:40]


def in_database(table: Table, store: Store) -> Table:
    """Let a table be asked in a database, where its columns have other names: col_1 in TableQA, col0 in WikiSQL.

    Raises:
        InputError: the database's table has more columns or fewer.
    """
    if len(store.columns) != len(table.columns):
        found = f"table {store.table} of the database has {len(store.columns)} columns, {table.id} in --tables"
        raise InputError(f"{found} {len(table.columns)}; name the database that belongs to the tables")
    columns = [replace(column, name=name) for column, name in zip(table.columns, store.columns, strict=True)]
    return Table(table.id, table.title, columns, store, header=table.names)


def of_store(store: Store, name: str) -> Table:
    """Make a table of a database; what its columns hold is told by a part of the rows."""
    check_width(name, len(store.columns))
    sample = store.run(f"SELECT * FROM {quoted(store.table)} LIMIT 1000", Bounds(60.0, 1000)).rows
    columns = [[row[number] for row in sample] for number in range(len(store.columns))]
    kinds = [dated_kind(typed(cells), cells) for cells in columns]
    return Table(name, "", described(store.columns, kinds), store, name)


def typed(cells: Sequence[Any]) -> str:
    """Tell by the values of a database whether a column holds numbers; figures in text are text there."""
    held = [one for one in cells if one is not None]
    is_real = bool(held) and all(not isinstance(one, bool | str | bytes) and number_like(one) for one in held)
    return "real" if is_real else "text"


def number_like(value: object) -> bool:
    """Tell whether a value of a database is a number."""
    from decimal import Decimal

    return isinstance(value, int | float | Decimal)
