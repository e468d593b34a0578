"""WikiSQL as it is published: its tables, its questions, and its databases with names of their own and lower case."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from nlptasks.errors import RecordError
from nlptasks.nl2sql.library import Library
from nlptasks.nl2sql.query import Condition
from nlptasks.nl2sql.row import Options, checking, fitting, reference
from nlptasks.nl2sql.scores import Judged, scored
from nlptasks.nl2sql.tables import Table

TABLE = {
    "id": "1-10007452-3",
    "header": ["Order Year", "Manufacturer", "Model", "Fleet Series (Quantity)", "Length (ft.)"],
    "page_title": "A bus company",
    "section_title": "Current fleet",
    "caption": "Buses",
    "types": ["real", "text", "text", "text", "text"],
    "rows": [[1992, "Gillig", "Phantom", "444 (1)", "40"], [1996, "Gillig", "Phantom (High Floor)", "464 (15)", "30"]],
    "name": "table_10007452_3",
}
SQL = {"sel": 2, "agg": 3, "conds": [[1, 0, "GILLIG"], [0, 1, 1993]]}
QUESTION = {"phase": 1, "table_id": "1-10007452-3", "question": "How many models by GILLIG after 1993?", "sql": SQL}


@pytest.fixture
def tables(tmp_path: Path) -> str:
    path = tmp_path / "dev.tables.jsonl"
    path.write_text(json.dumps(TABLE) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def database(tmp_path: Path) -> str:
    with sqlite3.connect(tmp_path / "dev.db") as made:
        made.execute("CREATE TABLE table_1_10007452_3 (col0 REAL, col1 TEXT, col2 TEXT, col3 TEXT, col4 TEXT)")
        rows = [[cell.lower() if isinstance(cell, str) else cell for cell in row] for row in TABLE["rows"]]
        made.executemany("INSERT INTO table_1_10007452_3 VALUES (?, ?, ?, ?, ?)", rows)
    made.close()
    return str(tmp_path / "dev.db")


def table_of(**where: object) -> Table:
    return Library.asked(Options(**where)).table(TABLE["id"], None)  # type: ignore[arg-type]


def test_a_question_is_read_with_its_table(tables: str) -> None:
    checking({"tables": [tables]})(QUESTION)
    assert fitting(QUESTION, None) == ["slots", "baseline", "eval"]
    table = table_of(tables=[tables])
    query = reference(json.dumps(SQL), table.names)
    assert query is not None
    assert (query.select, query.connective) == ((("COUNT", 2),), "and")
    assert query.conditions == (Condition(1, "==", "GILLIG"), Condition(0, ">", "1993"))


def test_its_database_is_asked_under_its_own_names(tables: str, database: str) -> None:
    table = table_of(tables=[tables], db=database)
    assert (table.store.table, table.names) == ("table_1_10007452_3", ["col0", "col1", "col2", "col3", "col4"])
    assert [column.header for column in table.columns][:2] == ["Order Year", "Manufacturer"]
    right = reference(json.dumps(SQL), table.names)
    answer = reference(json.dumps(SQL | {"conds": [[1, 0, "gillig"], [0, 1, 1993]]}), table.names)
    assert scored([Judged(answer, right, table)])["execution"] == 1.0


def test_a_database_of_other_tables_is_told(tables: str, tmp_path: Path) -> None:
    for columns, complaint in (("a", "has 1 columns, 1-10007452-3 in --tables 5"), ("", "no table 'table_10007452_3'")):
        path = tmp_path / f"x{columns}.db"
        with sqlite3.connect(path) as made:
            made.execute(f"CREATE TABLE {'table_1_10007452_3' if columns else 'other'} (a TEXT)")
        made.close()
        with pytest.raises(RecordError, match=complaint):
            table_of(tables=[tables], db=str(path))
