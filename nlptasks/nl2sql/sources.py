"""Opening what the user calls a table: CSV, TSV, Excel, Parquet, SQLite and DuckDB files, told by name or content."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from nlptasks import files
from nlptasks.errors import InputError, UsageError
from nlptasks.files.lines import lines_of
from nlptasks.files.tables import csv_rows
from nlptasks.nl2sql import duck, excel, stores
from nlptasks.nl2sql.columns import LOOKED_AT, is_foreign, is_nothing, number_of, padded
from nlptasks.nl2sql.duck import DuckDB
from nlptasks.nl2sql.stores import SQLiteFile, Store
from nlptasks.nl2sql.tables import Table, of_rows, of_store

EXCEL = (".xlsx", ".xls", ".xlsb", ".ods", ".xlsm")
JSON = (".json", ".jsonl", ".ndjson")
#: First bytes of a SQLite file, and those of a DuckDB file with where they stand.
SQLITE, DUCKDB, DUCKDB_AT = b"SQLite format 3\x00", b"DUCK", 8
#: What lists every table with its columns, in order.
COLUMNS_IN_SQLITE = (
    "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c "
    "WHERE m.type IN ('table', 'view') ORDER BY m.name, c.cid"
)
COLUMNS_IN_DUCKDB = (
    "SELECT table_name, column_name FROM information_schema.columns "
    "WHERE table_schema = 'main' AND table_catalog = current_database() ORDER BY table_name, ordinal_position"
)


def open_table(name: str, sheet: str | None = None) -> Table:
    """Open a file as a table.

    Args:
        name: of the file; SQL names it in the same way, as DuckDB does.
        sheet: of a workbook; the first that is not empty by default.

    Raises:
        InputError: it cannot be read, holds no table, or one that is too wide.
        UsageError: it is a database, or no workbook though a sheet is asked for.
    """
    path = Path(name)
    ending = path.suffix.lower()
    if sheet is not None and ending not in EXCEL:
        raise UsageError(f"--sheet {sheet}: {name} is no workbook; leave it out")
    if ending in (".parquet", ".pq"):
        check_there(path)
        connection = duck.open_parquet(path)
        table = of_store(DuckDB(connection, "table", names_in(connection, "table")), path.stem)
    elif ending in EXCEL:
        check_there(path)
        table = of_cells(name, excel.rows(path, sheet))
    elif ending in JSON:
        raise UsageError(f"--table {name}: JSON, as files of tables are; --tables {name}")
    elif (kind := database_of(path)) is not None:
        raise UsageError(f"--table {name}: a {kind} file, which holds several tables; --db {name} --table NAME")
    else:
        table = of_cells(name, text_rows(name))
    table.name = name
    return table


@dataclass(frozen=True)
class Database:
    """A SQLite or DuckDB file that is open and locked.

    Attributes:
        name: of the file.
        dialect: sqlite or duckdb.
        connection: to it.
        tables: the columns of each table and view.
    """

    name: str
    dialect: str
    connection: Any
    tables: dict[str, list[str]]

    def store(self, *wanted: str | None) -> Store:
        """Give the store of a table, by the first name that is there.

        Args:
            wanted: names; None for the only table that there is.

        Raises:
            UsageError: there is no such table, or several of which none is named.
        """
        table = self.chosen(*wanted)
        store = SQLiteFile if self.dialect == "sqlite" else DuckDB
        return store(self.connection, table, self.tables[table])

    def chosen(self, *wanted: str | None) -> str:
        """Choose a table; see `store`."""
        for one in wanted:
            if one in self.tables:
                return str(one)
        if wanted == (None,) and len(self.tables) == 1:
            return next(iter(self.tables))
        listed = ", ".join([*islice(self.tables, 8), *["…"][: len(self.tables) > 8]]) or "none"
        found = f"no table {wanted[0]!r}" if wanted[0] else "several tables" if self.tables else "no tables"
        raise UsageError(f"--db {self.name}: {found}; --table NAME of {listed}")


def open_database(name: str) -> Database:
    """Open a SQLite or DuckDB file.

    Raises:
        InputError: it cannot be read, or is neither.
    """
    path = Path(name)
    check_there(path)
    kind = database_of(path)
    if kind == "SQLite":
        connection = stores.open_sqlite(path)
        found = connection.execute(COLUMNS_IN_SQLITE).fetchall()
        return Database(name, "sqlite", stores.Locked(connection), by_table(found))
    if kind == "DuckDB":
        connection = duck.open_duckdb(path)
        found = connection.execute(COLUMNS_IN_DUCKDB).fetchall()
        return Database(name, "duckdb", connection, by_table(found))
    raise InputError(f"{name}: neither a SQLite nor a DuckDB file; a table in a file of its own goes with --table")


def by_table(found: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Gather pairs of a table and a column."""
    tables: dict[str, list[str]] = {}
    for table, column in found:
        tables.setdefault(table, []).append(column)
    return tables


def names_in(connection: Any, table: str) -> list[str]:  # noqa: ANN401
    """List the columns of a table in DuckDB."""
    cursor = connection.execute(f"SELECT * FROM {stores.quoted(table)} LIMIT 0")
    return [one[0] for one in cursor.description]


def check_there(path: Path) -> None:
    """Refuse a file that cannot be opened, in the words used for all files.

    Raises:
        InputError: it cannot be.
    """
    files.open_bytes(path).close()


def database_of(path: Path) -> str | None:
    """Tell by its first bytes which database a file is; none where it is none."""
    try:
        with path.open("rb") as handle:
            start = handle.read(16)
    except OSError:
        return None
    if start.startswith(SQLITE):
        return "SQLite"
    return "DuckDB" if start[DUCKDB_AT : DUCKDB_AT + len(DUCKDB)] == DUCKDB else None


def text_rows(name: str) -> list[list[str]]:
    """Read the rows of CSV or TSV, compressed or not, in UTF-8 or GB18030.

    Raises:
        InputError: it cannot be read, or a row has more or fewer cells than the first.
    """
    with files.open_bytes(name) as handle:
        lines = list(lines_of(handle, name, None))
    first = next((line[1] for line in lines if line[1].strip()), "")
    tabs = "\t" in first and first.count("\t") >= first.count(",")
    cells = (
        ((number, text.split("\t"), problem) for number, text, problem in lines)
        if tabs
        else csv_rows(iter(lines), name)
    )
    rows: list[list[str]] = []
    for number, row, problem in cells:
        if problem:
            raise InputError(f"{name}:{number}: {problem}")
        if not any(one.strip() for one in row):
            continue
        if rows and len(row) != len(rows[0]):
            raise InputError(f"{name}:{number}: found {len(row)} cells, expected {len(rows[0])} as in the first row")
        rows.append(row)
    return rows


def of_cells(name: str, rows: Sequence[Sequence[Any]]) -> Table:
    """Make a table of rows of which the first may be the header.

    Raises:
        InputError: there are none.
    """
    if not rows:
        raise InputError(f"{name}: empty; expected a header and rows below it")
    is_named = is_header(rows)
    header = ["" if cell is None or not is_named else str(cell) for cell in rows[0]]
    columns = [padded(column) for column in zip(*rows[is_named:], strict=True)]
    table = of_rows(name, header, list(zip(*columns, strict=True)))
    table.foreign = [
        one.name
        for one, cells in zip(table.columns, columns, strict=False)
        if one.kind == "real" and any(map(is_foreign, cells))
    ]
    return table


def is_header(rows: Sequence[Sequence[Any]]) -> bool:
    """Tell a header from a row: it has no numbers, unless the column below it has none either."""
    first, below = rows[0], rows[1 : LOOKED_AT + 1]
    if not below:
        return True
    for number, cell in enumerate(first):
        if number_of(cell) is None or is_nothing(cell):
            continue
        if all(is_nothing(row[number]) or number_of(row[number]) is not None for row in below):
            return is_year(cell) and any(number_of(other) is None and not is_nothing(other) for other in first)
    return True


def is_year(cell: object) -> bool:
    """Tell whether a number may be the name of a column of figures by years."""
    found = number_of(cell)
    return found is not None and 1900 <= found <= 2100 and float(found).is_integer()
