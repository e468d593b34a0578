"""What NL2SQL can be told, while it is asked and while it is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nlptasks.errors import UsageError
from nlptasks.training.settings import Ranges, TrainingSettings, check_ranges

Dialect = Literal["duckdb", "sqlite", "mysql", "postgres", "tsql", "oracle", "hive", "spark", "clickhouse", "snowflake"]

#: Tables of the sample data, which stand in where no file of tables is named.
SAMPLE_TABLES = "tables.jsonl"
OPTIONS_RANGES: Ranges = {
    "seconds": (lambda x: x > 0, "more than 0"),
    "row_limit": (lambda x: x >= 1, "1 or more"),
}
SETTINGS_RANGES: Ranges = {
    "limit": (lambda x: x >= 64, "64 or more"),
    "question_limit": (lambda x: x >= 8, "8 or more"),
    "max_rows": (lambda x: x >= 2, "2 or more"),
}


@dataclass(frozen=True)
class Options:
    """What asking can be told."""

    table: str | None = None
    """Table that is asked: a CSV, TSV, Excel or Parquet file; with --db, the name of one in the database."""
    tables: list[str] | None = None
    """File of the tables that records name by table_id, as TableQA and WikiSQL have it; may be repeated."""
    sheet: str | None = None
    """For --table with a workbook: its sheet; the first that is not empty by default."""
    db: str | None = None
    """SQLite or DuckDB file that holds the table, or the rows of all tables of --tables."""
    from_: str | None = None
    """Name of the table in the SQL that is printed; by default the file's, as DuckDB reads it."""
    dialect: Dialect | None = None
    """Dialect of the SQL; by default that of the database that holds the table, DuckDB's for a file."""
    sql_only: bool = False
    """Print the SQL alone, a line for each record."""
    execute: bool = True
    """Run the query, and give its rows."""
    seconds: float = 5.0
    """Time that a query may take."""
    row_limit: int = 100
    """Rows of a result to give at most."""
    rerank: bool = True
    """Take the next likely query where the likeliest fails or finds nothing."""

    def __post_init__(self) -> None:
        """Refuse what does not fit together.

        Raises:
            UsageError: a number out of its range, or a table of its own and a file of tables.
        """
        check_ranges(self, OPTIONS_RANGES)
        if self.table and self.tables:
            raise UsageError("--table and --tables: one table is asked, or many by their table_id; give one of them")
        if self.sheet and (not self.table or self.db):
            raise UsageError(f"--sheet {self.sheet}: goes with --table and a workbook")


@dataclass(frozen=True)
class Sweep:
    """What is compared while scoring: nothing yet."""


@dataclass(frozen=True, kw_only=True)
class Settings(TrainingSettings):
    """What training can be told."""

    tables: list[str] | None = None
    """File of the tables that training records name; the sample's by default; may be repeated."""
    dev_tables: list[str] | None = None
    """File of the tables that dev records name; those of the training records by default; may be repeated."""
    limit: int = 256
    """Tokens read at once: more columns than go in are read in several passes."""
    question_limit: int = 128
    """Tokens of a question that are read."""
    types: bool = True
    """Tell columns of text, numbers and dates apart."""
    matching: bool = True
    """Look for the table's cells in the question."""
    cues: bool = True
    """Look for words that tell operators and aggregates, such as 超过 and 平均."""
    max_rows: int | None = None
    """Train on this many rows, drawn by the seed; all by default."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with.

        Raises:
            UsageError: a number out of its range, no room for columns, or what every training run refuses.
        """
        super().__post_init__()
        check_ranges(self, SETTINGS_RANGES)
        if 2 * self.question_limit > self.limit:
            raise UsageError(f"--question-limit {self.question_limit}: expected at most half of --limit {self.limit}")
