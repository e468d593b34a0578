"""Records in every form, and what does not fit."""

import json
from pathlib import Path
from typing import Any

import pytest

from nlptasks import rows
from nlptasks.errors import InputError, RecordError, UsageError
from nlptasks.nl2sql.row import Options, Row, Settings, checking, converted, reference, training_rows, traits
from nlptasks.training.data import Source, load
from nlptasks.training.recipes import to_learn

GOOD: dict[str, Any] = {"question": "小区是哪个", "table_id": "x"}
SQL = {"sel": [0], "agg": [0], "cond_conn_op": 0, "conds": [[1, 2, "甲"]]}
OWN = {"header": ["小区", "区域"], "types": ["text", "text"], "rows": [["翠湖", "甲"]]}


def test_a_record_may_bring_its_table_and_sql_text() -> None:
    row = rows.parse(Row, {"question": "问", **OWN, "sql_text": 'SELECT "小区" FROM t', "table": "t"})
    assert json.loads(row.inline or "") == OWN
    assert row.sql == 'SELECT "小区" FROM t'


def test_queries_of_every_form_are_read() -> None:
    assert reference(json.dumps(SQL), ["a", "b"]) == reference("SELECT a FROM t WHERE b = '甲'", ["a", "b"])
    assert reference("{}", ["a"]) is None
    assert reference("SELECT a FROM t WHERE anything > 1", None) is None
    with pytest.raises(RecordError, match="found something else than one SELECT"):
        reference("DROP TABLE t", None)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"question": "  ", "sql": SQL}, "field 'question': found only blanks"),
        ({"question": "多" * 2001, "sql": SQL}, "field 'question': found 2,001 characters, expected 2,000 or less"),
        ({"sql": SQL}, "field 'question' is missing"),
        ({"question": "问"}, "field 'sql' is missing"),
        ({"question": "问", "sql": "{no"}, "field 'sql': invalid JSON"),
        ({"question": "问", "sql": {"sel": [0]}}, "field 'sql': not a query"),
        ({"question": "问", "sql": "SELECT 1 HAVING 1", **OWN}, "field 'sql': found"),
    ],
)
def test_records_that_cannot_be_learnt_from_are_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RecordError, match=complaint):
        training_rows("slots", fields)


def files(tmp_path: Path, **sql: object) -> tuple[Path, Path]:
    tables, questions = tmp_path / "tables.json", tmp_path / "train.json"
    tables.write_text(json.dumps({"id": "x", **OWN}, ensure_ascii=False) + "\n", encoding="utf-8")
    found = [{**GOOD, "sql": SQL}, {**GOOD, "sql": {**SQL, "sel": [7]}}, {**GOOD, "table_id": "y", "sql": SQL}]
    questions.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in found), encoding="utf-8")
    return tables, questions


def test_labels_that_do_not_fit_their_table_are_named_by_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from nlptasks.nl2sql import row

    tables, questions = files(tmp_path)
    with caplog.at_level("INFO"):
        table = load(Source(str(questions)), to_learn(row, "slots", beside=[str(tables)]))
    assert (len(table.rows), table.bad) == (1, 2)
    assert "train.json:2: field 'sql': column 7 of a table with 2 columns" in caplog.text
    assert f"train.json:3: no table 'y' in {tables}" in caplog.text
    with pytest.raises(InputError, match="there is no such file"):
        checking({"tables": [str(tmp_path / "none.json")]})


def test_records_are_counted_by_what_they_have() -> None:
    assert traits({**GOOD, "sql": {}})["unanswerable"]
    assert traits({**GOOD, "sql": "SELECT 小区 FROM t"})["sql_text"]
    assert traits({**GOOD, "sql": {**SQL, "agg": [4]}})["aggregates"]


def test_records_are_converted() -> None:
    (line,) = converted({**GOOD, "sql": SQL}, "tableqa")
    assert json.loads(line) == {"table_id": "x", "question": "小区是哪个", "sql": SQL}
    (line,) = converted({"question": "问", **OWN, "sql_text": 'SELECT "小区" FROM t'}, "jsonl")
    assert json.loads(line) == {"question": "问", "sql": 'SELECT "小区" FROM t', **OWN}


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"question": "问", "sql": SQL}, "no table_id; TableQA's form names its table by one"),
        ({**GOOD, "sql": {}}, "no query that TableQA's form can say"),
        (GOOD, "no query that TableQA's form can say"),
        ({**GOOD, **OWN, "sql": "SELECT * FROM t"}, "no query that TableQA's form can say"),
    ],
)
def test_what_tableqa_cannot_hold_is_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RecordError, match=complaint):
        converted(fields, "tableqa")


def test_settings_out_of_their_range_are_refused() -> None:
    with pytest.raises(UsageError, match="--question-limit 200: expected at most half of --limit 256"):
        Settings(question_limit=200)
    with pytest.raises(UsageError, match="--limit 10: expected 64 or more"):
        Settings(limit=10)
    with pytest.raises(UsageError, match="--seconds 0: expected more than 0"):
        Options(seconds=0)
    with pytest.raises(UsageError, match="--table and --tables"):
        Options(table="a.csv", tables=["b.json"])
