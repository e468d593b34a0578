"""Where a table's rows are, and running a query on them: SQLite or DuckDB, read-only, bounded in time and rows.

What is run is printed from a syntax tree (see `sql`). The bounds here hold even if it were not: SQLite's authorizer
lets nothing but reads of tables pass, and DuckDB is locked against files, extensions, other databases and settings.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nlptasks.errors import InputError, RecordError

#: Steps of SQLite's machine between two looks at the clock.
STEPS = 10_000
#: What a query may call in SQLite.
FUNCTIONS = frozenset({"avg", "max", "min", "count", "sum", "like"})
#: What locks DuckDB, run in this order.
LOCKS = (
    "SET autoinstall_known_extensions=false",
    "SET autoload_known_extensions=false",
    "SET enable_external_access=false",
    "SET memory_limit='1GB'",
    "SET threads=2",
    "SET lock_configuration=true",
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


class Rows:
    """Rows in memory, which become a SQLite table when the first query comes."""

    dialect = "sqlite"

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[Any]], kinds: Sequence[str]) -> None:
        """Keep the rows; the names of columns differ in more than their case."""
        self.columns, self.rows, self.kinds = columns, rows, kinds
        self.table = "table"
        self.connection: sqlite3.Connection | None = None

    def run(self, sql: str, bounds: Bounds) -> Result:
        """Run a query; see `Store`."""
        if self.connection is None:
            self.connection = self.loaded()
        return run_sqlite(self.connection, sql, bounds)

    def loaded(self) -> sqlite3.Connection:
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
        return locked(connection)

    def distinct(self, column: int, most: int) -> list[Any]:
        """Give distinct values; see `Store`."""
        found: dict[Any, None] = {}
        for row in self.rows:
            if (cell := row[column]) is not None and cell == cell:
                found[cell] = None
                if len(found) >= most:
                    break
        return list(found)


class SQLiteFile:
    """A table of a SQLite file, opened read-only."""

    dialect = "sqlite"

    def __init__(self, path: Path, table: str, columns: Sequence[str]) -> None:
        """Open the file.

        Raises:
            InputError: it is none, or has no such table.
        """
        self.table, self.columns, self.path = table, columns, path
        self.connection = locked(open_sqlite(path))

    def run(self, sql: str, bounds: Bounds) -> Result:
        """Run a query; see `Store`."""
        return run_sqlite(self.connection, sql, bounds)

    def distinct(self, column: int, most: int) -> list[Any]:
        """Give distinct values; see `Store`."""
        return distinct(self, column, most)


class DuckDB:
    """A table or file in DuckDB, locked."""

    dialect = "duckdb"

    def __init__(self, connection: Any, table: str, columns: Sequence[str]) -> None:  # noqa: ANN401 - imported late
        """Take a connection on which `lock` has been called."""
        self.connection, self.table, self.columns = connection, table, columns

    def run(self, sql: str, bounds: Bounds) -> Result:
        """Run a query; see `Store`."""
        import duckdb

        cursor = self.connection.cursor()
        timer = threading.Timer(bounds.seconds, cursor.interrupt)
        timer.start()
        try:
            cursor.execute(sql)
            names = [one[0] for one in cursor.description]
            rows = cursor.fetchmany(bounds.rows + 1)
        except duckdb.InterruptException as error:
            raise too_slow(bounds) from error
        except duckdb.Error as error:
            raise refused(error) from error
        finally:
            timer.cancel()
            cursor.close()
        return bounded(names, rows, bounds)

    def distinct(self, column: int, most: int) -> list[Any]:
        """Give distinct values; see `Store`."""
        return distinct(self, column, most)


def distinct(store: Store, column: int, most: int) -> list[Any]:
    """Ask a store for the distinct values of a column."""
    name = quoted(store.columns[column])
    sql = f"SELECT DISTINCT {name} FROM {quoted(store.table)} WHERE {name} IS NOT NULL"
    return [row[0] for row in store.run(sql, Bounds(60.0, most)).rows]


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


def locked(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Let a connection read tables, and nothing else."""

    def allow(action: int, first: str | None, second: str | None, base: str | None, trigger: str | None) -> int:
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in FUNCTIONS:
            return sqlite3.SQLITE_OK
        return sqlite3.SQLITE_DENY

    connection.set_authorizer(allow)
    return connection


def run_sqlite(connection: sqlite3.Connection, sql: str, bounds: Bounds) -> Result:
    """Run a query until it is done or its time is up.

    Raises:
        RecordError: the time is up, or SQLite refuses the query.
    """
    end = time.monotonic() + bounds.seconds
    connection.set_progress_handler(lambda: int(time.monotonic() > end), STEPS)
    try:
        with closing(connection.cursor()) as cursor:
            cursor.execute(sql)
            names = [one[0] for one in cursor.description]
            rows = cursor.fetchmany(bounds.rows + 1)
    except sqlite3.OperationalError as error:
        raise too_slow(bounds) if str(error) == "interrupted" else refused(error) from error
    except (sqlite3.Error, OverflowError) as error:
        raise refused(error) from error
    finally:
        connection.set_progress_handler(None, 0)
    return bounded(names, rows, bounds)


def bounded(names: list[str], rows: Sequence[Sequence[Any]], bounds: Bounds) -> Result:
    """Cut rows to the most that are given."""
    return Result(names, [list(row) for row in rows[: bounds.rows]], len(rows) > bounds.rows)


def too_slow(bounds: Bounds) -> RecordError:
    """Say that the time is up."""
    return RecordError(f"the query ran for more than {bounds.seconds:g} s; allow more with --seconds, or --no-execute")


def refused(error: Exception) -> RecordError:
    """Say that a database refuses a query."""
    return RecordError(f"the database refuses the query ({str(error).splitlines()[0][:120]}); --no-execute leaves it")


@contextmanager
def opening(path: Path) -> Iterator[Any]:
    """Import DuckDB, and name the file in its complaints.

    Raises:
        InputError: it is not installed, or cannot read the file.
    """
    try:
        import duckdb
    except ImportError as error:
        raise InputError(f"{path}: reading it needs DuckDB; pip install duckdb") from error
    try:
        yield duckdb
    except duckdb.Error as error:
        raise InputError(f"{path}: DuckDB cannot read it ({str(error).splitlines()[0][:120]})") from error


def open_parquet(path: Path) -> Any:  # noqa: ANN401
    """Open a Parquet file as the view `table` of a locked connection; it is read where a query needs it."""
    with opening(path) as duckdb:
        connection = duckdb.connect(":memory:")
        name = str(path.resolve()).replace("'", "''")
        connection.execute(f"CREATE VIEW {quoted('table')} AS SELECT * FROM read_parquet('{name}')")
        connection.execute(f"SET allowed_paths=['{name}']")
        return lock(connection)


def open_duckdb(path: Path) -> Any:  # noqa: ANN401
    """Open a DuckDB file read-only, and lock it."""
    with opening(path) as duckdb:
        return lock(duckdb.connect(str(path), read_only=True))


def lock(connection: Any) -> Any:  # noqa: ANN401
    """Close DuckDB to everything but what is open; a file that is open already in this process is locked."""
    is_locked = connection.execute("SELECT current_setting('lock_configuration')").fetchone()[0]
    for line in () if is_locked else LOCKS:
        connection.execute(line)
    return connection


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
