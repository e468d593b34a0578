"""Asking tables from the command line, as a user does."""

import json
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Nlpk = Callable[..., Any]
QUESTION = "翠湖花园的面积是多少"


@pytest.fixture
def houses(tmp_path: Path) -> Path:
    path = tmp_path / "houses.csv"
    path.write_text("小区,面积(㎡)\n翠湖花园,89.5\n金桂苑,112\n", encoding="utf-8")
    return path


def test_one_question_gives_one_line(nlpk: Nlpk, nl2sql_model: Path, houses: Path) -> None:
    result = nlpk("predict", "nl2sql", "--model", nl2sql_model, "--table", houses, "--question", QUESTION)
    assert (result.status, result.err) == (0, "")
    (line,) = result.lines
    assert line["question"] == QUESTION
    answer = line["prediction"]
    expected = {"sql", "query", "score", "answerable", "conditions", "columns", "rows", "truncated"}
    assert set(answer) - {"problem"} == expected
    assert 0 <= answer["score"] <= 1


def test_plain_lines_of_sql_can_be_piped_on(nlpk: Nlpk, nl2sql_model: Path, houses: Path, tmp_path: Path) -> None:
    questions = tmp_path / "questions.txt"
    questions.write_text(f"{QUESTION}\n有几个小区\n", encoding="utf-8")
    flags = ("--model", nl2sql_model, "--table", houses, "--sql-only", "--no-execute")
    result = nlpk("predict", "nl2sql", questions, *flags)
    assert result.status == 0
    lines = result.out.decode().splitlines()
    assert len(lines) == 2
    assert all(line.startswith("-- ") or (line.startswith("SELECT ") and str(houses) in line) for line in lines)
    named = nlpk("predict", "nl2sql", questions, *flags, "--from", "房源", "--dialect", "mysql").out.decode()
    assert all(line.startswith("-- ") or "FROM `房源`" in line for line in named.splitlines())
    refused = nlpk("predict", "nl2sql", questions, *flags, "--out", tmp_path / "x.sql", "--resume")
    assert refused.status == 2


def test_it_does_not_matter_where_the_name_stands(nlpk: Nlpk, tmp_path: Path) -> None:
    rows = [("销售", "张三", 8000), ("研发", "李四", 12000), ("研发", "王五", 11000), ("销售", "钱七", 9000)]
    table = tmp_path / "staff.csv"
    table.write_text("部门,姓名,工资\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows), encoding="utf-8")
    asked = tmp_path / "asked.txt"
    asked.write_text("每个部门的平均工资\n谁的工资最低\n", encoding="utf-8")
    found = [line["prediction"]["rows"] for line in nlpk("predict", "nl2sql", asked, "--table", table).lines]
    assert [sorted(one) for one in found] == [[["研发", 11500.0], ["销售", 8500.0]], [["张三"]]]


def test_sql_that_duckdb_reads_otherwise_is_told(nlpk: Nlpk, nl2sql_model: Path, tmp_path: Path) -> None:
    table = tmp_path / "pay.csv"
    table.write_text('姓名,工资\n甲,"12,000"\n乙,9000\n', encoding="utf-8")
    asked = ("predict", "nl2sql", "--model", nl2sql_model, "--table", table, "--question", "工资最高的人")
    assert "DuckDB reads 工资 as text" in nlpk(*asked, "--sql-only").err
    assert "DuckDB" not in nlpk(*asked, "--sql-only", "--dialect", "mysql").err
    assert "DuckDB" not in nlpk(*asked).err


def test_labels_without_their_tables_are_checked_for_their_form(nlpk: Nlpk, tmp_path: Path) -> None:
    path = tmp_path / "dev.jsonl"
    lines = [{"question": "问", "table_id": "x", "sql": sql} for sql in ("SELECT a FROM t", "DROP TABLE t")]
    path.write_text("".join(json.dumps(one) + "\n" for one in lines), encoding="utf-8")
    result = nlpk("data", "check", "nl2sql", path)
    assert (result.status, result.lines[0]["bad"]) == (1, 1)
    assert "dev.jsonl:2: field 'sql': found something else than one SELECT" in result.err
    assert "records are not held against the tables that they name; --tables FILE does that" in result.err


def test_a_bad_record_gives_an_empty_line_of_sql(nlpk: Nlpk, nl2sql_model: Path, houses: Path) -> None:
    given = json.dumps({"question": QUESTION}) + "\n{}\n"
    flags = ("--model", nl2sql_model, "--table", houses, "--sql-only", "--format", "jsonl")
    result = nlpk("predict", "nl2sql", *flags, stdin=given)
    assert result.status == 1
    assert [bool(line) for line in result.out.decode().split("\n")] == [True, False, False]


def test_a_database_is_asked_by_its_table(nlpk: Nlpk, nl2sql_model: Path, tmp_path: Path) -> None:
    db = tmp_path / "shop.db"
    made = sqlite3.connect(db)
    made.executescript("CREATE TABLE orders (\"客户\" TEXT); INSERT INTO orders VALUES ('甲')")
    made.close()
    flags = ("--model", nl2sql_model, "--db", db, "--table", "orders", "--question", "有几个客户")
    result = nlpk("predict", "nl2sql", *flags)
    assert (result.status, result.err) == (0, "")
    answer = result.lines[0]["prediction"]
    assert answer["sql"] == "" or 'FROM "orders"' in answer["sql"]
    assert "no table 'x'" in nlpk("predict", "nl2sql", *flags[:5], "x", *flags[6:]).complaint


def test_hostile_questions_headers_and_cells_change_nothing(nlpk: Nlpk, nl2sql_model: Path, tmp_path: Path) -> None:
    evil = '"; DROP TABLE "table"; --'
    path = tmp_path / "evil.csv"
    path.write_text(f'"{evil.replace(chr(34), chr(34) * 2)}",b\n\'; ATTACH x; --,1\n', encoding="utf-8")
    for question in (evil, "'; ATTACH 'x' AS y; --", "read_csv('/etc/passwd')", "PRAGMA x; load_extension('y')"):
        result = nlpk("predict", "nl2sql", "--model", nl2sql_model, "--table", path, "--question", question)
        assert result.status == 0
        assert "problem" not in result.lines[0]["prediction"]


def test_no_table_is_told_in_one_line(nlpk: Nlpk, nl2sql_model: Path, tmp_path: Path) -> None:
    result = nlpk("predict", "nl2sql", "--model", nl2sql_model, "--question", QUESTION)
    assert (result.status, result.complaint) == (
        2,
        "no table to ask: name one with --table FILE, or give table_id and --tables FILE",
    )
    missing = nlpk("predict", "nl2sql", "--model", nl2sql_model, "--table", tmp_path / "no.csv", "--question", "问")
    assert "there is no such file" in missing.complaint


def test_files_of_questions_are_scored_and_labels_that_do_not_fit_are_named(
    nlpk: Nlpk, nl2sql_model: Path, tmp_path: Path
) -> None:
    tables, questions = tmp_path / "tables.json", tmp_path / "dev.json"
    own = {"header": ["小区", "面积"], "types": ["text", "real"], "rows": [["翠湖花园", 3]]}
    tables.write_text(json.dumps({"id": "x", **own}) + "\n")
    good = {"question": QUESTION, "table_id": "x", "sql": {"sel": [1], "agg": [0], "cond_conn_op": 0, "conds": []}}
    bad = {**good, "sql": {**good["sql"], "sel": [5]}}  # type: ignore[dict-item]
    questions.write_text(json.dumps(good) + "\n" + json.dumps(bad) + "\n")
    flags = ("--model", nl2sql_model, "--tables", tables, "--json")
    result = nlpk("eval", "nl2sql", questions, *flags)
    assert result.status == 1
    assert f"{questions}:2: field 'sql': column 5 of a table with 2 columns" in result.err
    (line,) = result.lines
    assert {"logical_form", "execution", "select", "values"} <= line["scores"].keys()
    checked = nlpk("data", "check", "nl2sql", questions, "--tables", tables)
    assert (checked.status, checked.lines[0]["records"], checked.lines[0]["bad"]) == (1, 1, 1)


def test_questions_are_scored_on_the_rows_of_a_database(nlpk: Nlpk, nl2sql_model: Path, tmp_path: Path) -> None:
    tables, questions, answers, db = (tmp_path / name for name in ("t.json", "dev.json", "answers.jsonl", "dev.db"))
    tables.write_text(json.dumps({"id": "x", "name": "Table_x", "header": ["小区", "面积"], "types": ["text", "real"]}))
    sql = {"sel": [1], "agg": [0], "cond_conn_op": 0, "conds": [[0, 2, "翠湖花园"]]}
    questions.write_text(json.dumps({"question": QUESTION, "table_id": "x", "sql": sql}) + "\n")
    answers.write_text(json.dumps({"prediction": {"sql": "SELECT col_2 FROM t WHERE col_1 = '翠湖花园'"}}) + "\n")
    made = sqlite3.connect(db)
    made.executescript("CREATE TABLE Table_x (col_1 TEXT, col_2 REAL); INSERT INTO Table_x VALUES ('翠湖花园', 3)")
    made.close()
    asked = ("eval", "nl2sql", questions, "--tables", tables, "--json")
    assert "execution" not in nlpk(*asked, "--model", nl2sql_model).lines[0]["scores"]
    assert "execution" in nlpk(*asked, "--model", nl2sql_model, "--db", db).lines[0]["scores"]
    scores = nlpk(*asked, "--predictions", answers, "--db", db).lines[0]["scores"]
    assert scores["logical_form"] == scores["execution"] == 1.0


def test_only_tasks_with_tables_are_checked_with_them(nlpk: Nlpk, tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_text("a\tb\n")
    assert (
        "records of similarity name no tables" in nlpk("data", "check", "similarity", path, "--tables", "x").complaint
    )


def test_predictions_of_another_system_are_scored(nlpk: Nlpk, tmp_path: Path) -> None:
    questions, answers = tmp_path / "dev.jsonl", tmp_path / "answers.jsonl"
    own = {"header": ["小区", "面积"], "types": ["text", "real"], "rows": [["翠湖花园", 3]]}
    questions.write_text(json.dumps({"question": QUESTION, "sql": 'SELECT "面积" FROM t', **own}) + "\n")
    answers.write_text(json.dumps({"prediction": {"sql": "SELECT `面积` FROM `x`"}}) + "\n")
    scores = nlpk("eval", "nl2sql", questions, "--predictions", answers, "--json").lines[0]["scores"]
    assert scores["logical_form"] == scores["execution"] == 1.0
    answers.write_text(json.dumps({"prediction": {"text": "x"}}) + "\n")
    assert "a prediction without a query" in nlpk("eval", "nl2sql", questions, "--predictions", answers).complaint


def test_a_closed_pipe_ends_quietly(
    spawn: Callable[..., subprocess.Popen[bytes]], nl2sql_model: Path, houses: Path
) -> None:
    process = spawn("predict", "nl2sql", "--model", nl2sql_model, "--table", houses, "--sql-only")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write((QUESTION + "\n").encode())
    process.stdin.close()
    assert process.stdout.readline()
    assert process.wait(60) == 0
