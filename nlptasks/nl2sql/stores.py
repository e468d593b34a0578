"""Where a table's rows are, and running a query on them: read-only, bounded in time and rows; here with SQLite.

What is run is printed from a syntax tree (see `sql`). The bounds hold even if it were not: SQLite's authorizer lets
nothing but reads of tables pass, and DuckDB (see `duck`) is locked.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nlptasks.errors import InputError, RecordError

#: Steps of SQLite's machine between two looks at the clock.
STEPS = 10_000
#: What may be called in SQLite, by a query or by a view that it asks: what only computes.
FUNCTIONS = frozenset(
    {"avg", "count", "group_concat", "max", "min", "sum", "total"}
    | {"like", "abs", "round", "coalesce", "ifnull", "iif", "nullif", "typeof"}
    | {"upper", "lower", "substr", "substring", "trim", "ltrim", "rtrim", "replace", "length", "instr"}
    | {"printf", "format", "date", "time", "datetime", "julianday", "strftime"}
)


@dataclass(frozen=True)
class Result:
    """What a query gave: names, rows, and whether there were more."""

    columns: list[str]
    rows: list[list[Any]]
    truncated: bool


@dataclass(frozen=True)
class Bounds:
    """How long a query may run, and how many rows it may give."""

    seconds: float = 5.0
    rows: int = 100


class Store(Protocol):
    """The rows of one table."""

    dialect: str
    table: str
    columns: Sequence[str]

    def run(self, sql: str, bounds: Bounds) -> Result:
        """Run a query in the store's dialect.

        Raises:
            RecordError: it takes too long, or the database refuses it.
        """
        ...

    def distinct(self, column: int, most: int) -> list[Any]:
        """Give a column's distinct values, without nothing, at most so many."""
        ...

    def extremes(self, column: int) -> tuple[Any, Any]:
        """Give the least and the greatest number of a column, none where it has none."""
        ...


class Rows:
    """Rows in memory, which become a SQLite table when the first query comes."""

    dialect = "sqlite"

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[Any]], kinds: Sequence[str]) -> None:
        """Keep the rows; the names of columns differ in more than their case."""
        self.columns, self.rows, self.kinds = columns, rows, kinds
        self.table = "table"
        self.lock = threading.Lock()
        self.connection: Locked | None = None

    def run(self, sql: str, bounds: Bounds) -> Result:
        """Run a query; see `Store`."""
        with self.lock:
            if self.connection is None:
                self.connection = self.loaded()
        return self.connection.run(sql, bounds)

    def loaded(self) -> Locked:
        """Put the rows into a database, and lock it."""
        connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        types = ["REAL" if kind == "real" else "TEXT" for kind in self.kinds]
        names = ", ".join(f"{quoted(name)} {kind}" for name, kind in zip(self.columns, types, strict=True))
        connection.execute(f"CREATE TABLE {quoted(self.table)} ({names})")
        marks = ", ".join("?" * len(self.columns))
        cells = ([storable(cell) for cell in row] for row in self.rows)
        connection.execute("BEGIN")
        connection.executemany(f"INSERT INTO {quoted(self.table)} VALUES ({marks})", cells)
        connection.execute("COMMIT")
        return Locked(connection)

    def distinct(self, column: int, most: int) -> list[Any]:
        """Give distinct values; see `Store`."""
        found: dict[Any, None] = {}
        for row in self.rows:
            if (cell := row[column]) is not None and cell == cell:
                found[cell] = None
                if len(found) >= most:
                    break
        return list(found)

    def extremes(self, column: int) -> tuple[Any, Any]:
        """Give the least and the greatest number; see `Store`."""
        cells = [
            row[column] for row in self.rows if isinstance(row[column], int | float) and row[column] == row[column]
        ]
        return min(cells, default=None), max(cells, default=None)


class SQLiteFile:
    """A table of a SQLite file that is opened read-only."""

    dialect = "sqlite"

    def __init__(self, connection: Locked, table: str, columns: Sequence[str]) -> None:
        """Take a connection, which tables of the same file may share."""
        self.connection, self.table, self.columns = connection, table, columns

    def run(self, sql: str, bounds: Bounds) -> Result:
        """Run a query; see `Store`."""
        return self.connection.run(sql, bounds)

    def distinct(self, column: int, most: int) -> list[Any]:
        """Give distinct values; see `Store`."""
        return distinct(self, column, most)

    def extremes(self, column: int) -> tuple[Any, Any]:
        """Give the least and the greatest number; see `Store`."""
        return extremes(self, column)


def distinct(store: Store, column: int, most: int) -> list[Any]:
    """Ask a store for the distinct values of a column."""
    name = quoted(store.columns[column])
    sql = f"SELECT DISTINCT {name} FROM {quoted(store.table)} WHERE {name} IS NOT NULL"
    return [row[0] for row in store.run(sql, Bounds(60.0, most)).rows]


def extremes(store: Store, column: int) -> tuple[Any, Any]:
    """Ask a store for the least and the greatest value of a column."""
    name = quoted(store.columns[column])
    row = store.run(f"SELECT MIN({name}), MAX({name}) FROM {quoted(store.table)}", Bounds(60.0, 1)).rows[0]
    return row[0], row[1]


def open_sqlite(path: Path) -> sqlite3.Connection:
    """Open a SQLite file read-only.

    Raises:
        InputError: it cannot be opened.
    """
    try:
        uri = f"{path.resolve().as_uri()}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
    except sqlite3.Error as error:
        raise InputError(f"{path}: not a SQLite database that can be read ({error})") from error
    return connection


class Locked:
    """A connection to SQLite that reads tables and nothing else, for one thread at a time.

    A lock of its own, because a thread that sets the handler waits for SQLite's mutex and keeps Python's lock, for
    which the handler of another thread waits that has the mutex; and there is one handler, which bounds one query.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take a connection, and let it do no more than `allowed` says."""
        self.connection, self.lock = connection, threading.Lock()
        connection.set_authorizer(allowed)

    def run(self, sql: str, bounds: Bounds) -> Result:
        """Run a query until it is done or its time is up, which starts when no other runs.

        Raises:
            RecordError: the time is up, or SQLite refuses the query.
        """
        with self.lock:
            end = time.monotonic() + bounds.seconds
            self.connection.set_progress_handler(lambda: int(time.monotonic() > end), STEPS)
            try:
                with closing(self.connection.cursor()) as cursor:
                    cursor.execute(sql)
                    names = [one[0] for one in cursor.description]
                    rows = cursor.fetchmany(bounds.rows + 1)
            except sqlite3.OperationalError as error:
                raise too_slow(bounds) if str(error) == "interrupted" else refused(error) from error
            except (sqlite3.Error, OverflowError) as error:
                raise refused(error) from error
            finally:
                self.connection.set_progress_handler(None, 0)
        return bounded(names, rows, bounds)


def allowed(action: int, first: str | None, second: str | None, base: str | None, trigger: str | None) -> int:
    """Say whether SQLite may do something: read tables, and call functions that do no more."""
    if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ):
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in FUNCTIONS:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def bounded(names: list[str], rows: Sequence[Sequence[Any]], bounds: Bounds) -> Result:
    """Cut rows to the most that are given."""
    return Result(names, [list(row) for row in rows[: bounds.rows]], len(rows) > bounds.rows)


def too_slow(bounds: Bounds) -> RecordError:
    """Say that the time is up."""
    return RecordError(f"the query ran for more than {bounds.seconds:g} s; allow more with --seconds, or --no-execute")


def refused(error: Exception) -> RecordError:
    """Say that a database refuses a query."""
    return RecordError(f"the database refuses the query ({str(error).splitlines()[0][:120]}); --no-execute leaves it")


def quoted(name: str) -> str:
    """Quote an identifier, for the few statements that are not made from a tree."""
    return '"' + name.replace('"', '""') + '"'


def storable(cell: Any) -> Any:  # noqa: ANN401
    """Give a cell as SQLite can hold it."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, int) and not -(2**63) <= cell < 2**63:
        return str(cell)
    return cell if isinstance(cell, str | int | float | None) else str(cell)
