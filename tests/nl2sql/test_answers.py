"""Answers: which hypothesis is taken, and how it is written."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from nlptasks.nl2sql.answers import Answerer, cell_shown, says_something
from nlptasks.nl2sql.candidates import Candidate
from nlptasks.nl2sql.decoding import Found, Hypothesis
from nlptasks.nl2sql.encoding import Example
from nlptasks.nl2sql.query import Condition, Query
from nlptasks.nl2sql.row import Options
from nlptasks.nl2sql.stores import Bounds, Result
from nlptasks.nl2sql.tables import Table


def answerer(options: Options) -> Answerer:
    return Answerer(cast("Any", SimpleNamespace(options=options)))


def hypothesis(column: int, value: str, logprob: float = -0.1) -> Hypothesis:
    found = Found(Condition(column, "==", value), Candidate(0, 2, "恒大"), "part", logprob)
    return Hypothesis(Query((("", 2),), (found.condition,)), (found,), logprob)


def asked(table: Table, options: Options, hypotheses: Iterable[Hypothesis], answerable: float = 0.9) -> dict[str, Any]:
    example = cast("Example", SimpleNamespace(table=table))
    one = answerer(options)
    return one.shown(table, one.chosen(example, hypotheses, answerable))


RIGHT, WRONG = hypothesis(0, "中国恒大集团有限公司"), hypothesis(1, "恒大")


def test_an_answer_says_what_it_did(companies: Table) -> None:
    made = asked(companies, Options(), [RIGHT])
    assert made["sql"] == 'SELECT "营业收入(亿元)" FROM "table" WHERE "企业名称" = \'中国恒大集团有限公司\''
    assert made["query"] == {"sel": [2], "agg": [0], "cond_conn_op": 0, "conds": [[0, 2, "中国恒大集团有限公司"]]}
    condition = {
        "column": "企业名称",
        "operator": "==",
        "value": "中国恒大集团有限公司",
        "start": 0,
        "end": 2,
        "how": "part",
    }
    assert made["conditions"] == [condition]
    assert (made["columns"], made["rows"], made["truncated"]) == (["营业收入(亿元)"], [[250.5]], False)
    assert 0 < made["score"] < 1


def test_a_query_that_finds_nothing_gives_way_to_one_that_does(companies: Table) -> None:
    assert asked(companies, Options(), [WRONG, RIGHT])["rows"] == [[250.5]]
    assert asked(companies, Options(rerank=False), [WRONG, RIGHT])["rows"] == []
    assert asked(companies, Options(), [WRONG])["rows"] == []


def test_nothing_is_run_where_that_is_not_wanted(companies: Table) -> None:
    made = asked(companies, Options(execute=False), [WRONG, RIGHT])
    assert "rows" not in made
    assert made["conditions"][0]["column"] == "行业"


def test_a_table_that_cannot_answer_gives_no_query(companies: Table) -> None:
    made = asked(companies, Options(), [RIGHT], 0.2)
    assert (made["sql"], made["query"], made["answerable"], made["rows"]) == ("", None, False, [])
    assert "rows" not in asked(companies, Options(execute=False), [RIGHT], 0.2)


def test_what_cannot_be_run_is_told(companies: Table) -> None:
    companies.store.table = "gone"
    assert companies.store.run("SELECT 1", Bounds()).rows == [[1]]
    companies.store.table = "gone again"
    made = asked(companies, Options(), [RIGHT])
    assert "the database refuses the query (no such table: gone again)" in made["problem"]


def test_names_and_dialects_are_the_users(companies: Table) -> None:
    companies.name = "houses.csv"
    assert 'FROM "houses.csv"' in asked(companies, Options(), [RIGHT])["sql"]
    assert "FROM `houses`" in asked(companies, Options(dialect="mysql"), [RIGHT])["sql"]
    made = asked(companies, Options(from_="t`x", dialect="mysql"), [RIGHT])
    assert "FROM `t``x`" in made["sql"]


@pytest.mark.parametrize(
    ("rows", "says"), [([[1]], True), ([[0]], False), ([[None]], False), ([], False), ([[None], ["x"]], True)]
)
def test_a_result_says_something_or_not(rows: list[list[object]], says: bool) -> None:
    assert says_something(Result(["a"], rows, False)) is says


def test_cells_are_shown_as_json_can() -> None:
    assert [cell_shown(cell) for cell in (Decimal("1.5"), float("nan"), None, b"x")] == [1.5, None, None, "b'x'"]
