"""Tables in DuckDB: Parquet files and its own, locked against files, extensions, other databases and settings."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nlptasks.errors import InputError
from nlptasks.nl2sql.stores import Bounds, Result, bounded, distinct, extremes, quoted, refused, too_slow

#: What locks DuckDB, run in this order.
LOCKS = (
    "SET autoinstall_known_extensions=false",
    "SET autoload_known_extensions=false",
    "SET temp_directory=''",
    "SET enable_external_access=false",
    "SET memory_limit='1GB'",
    "SET threads=2",
    "SET lock_configuration=true",
)


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
            only_asks(cursor, sql)
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

    def extremes(self, column: int) -> tuple[Any, Any]:
        """Give the least and the greatest number; see `Store`."""
        return extremes(self, column)


def only_asks(connection: Any, sql: str) -> None:  # noqa: ANN401
    """Let nothing pass but one SELECT: COPY could write where a query may read.

    Raises:
        duckdb.Error: it is something else.
    """
    import duckdb

    kinds = [one.type for one in connection.extract_statements(sql)]
    if kinds != [duckdb.StatementType.SELECT]:
        raise duckdb.PermissionException("only one SELECT may run")


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
        pattern = re.sub(r"[\[*?]", r"[\g<0>]", name)  # what DuckDB reads is a pattern of names
        connection.execute(f"CREATE VIEW {quoted('table')} AS SELECT * FROM read_parquet('{pattern}')")
        connection.execute(f"SET allowed_paths=['{name}', '{pattern}']")
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
