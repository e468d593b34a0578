"""Queries in the forms of TableQA and WikiSQL."""

import pytest

from nlptasks.errors import RecordError
from nlptasks.nl2sql.query import STAR, Condition, Order, Query, as_json, check_columns, of_json

TABLEQA = {"sel": [2], "agg": [5], "cond_conn_op": 2, "conds": [[0, 2, "大黄蜂"], [1, 0, "3"]]}


def test_tableqa_is_read_and_written_again() -> None:
    query = of_json(TABLEQA)
    assert query == Query((("SUM", 2),), (Condition(0, "==", "大黄蜂"), Condition(1, ">", "3")), "or")
    assert as_json(query) == TABLEQA


def test_wikisql_has_other_numbers() -> None:
    query = of_json({"sel": 3, "agg": 1, "conds": [[0, 0, "x"], [2, 2, 7]]})
    assert query == Query((("MAX", 3),), (Condition(0, "==", "x"), Condition(2, "<", "7")), "and")


@pytest.mark.parametrize(
    "found",
    [
        {"sel": [0]},
        {**TABLEQA, "agg": [9]},
        {**TABLEQA, "sel": []},
        {**TABLEQA, "conds": [[0, 2]]},
        {**TABLEQA, "conds": [[-1, 2, "x"]]},
        {**TABLEQA, "agg": [0, 0]},
        {**TABLEQA, "cond_conn_op": True},
    ],
)
def test_other_objects_are_refused(found: dict[str, object]) -> None:
    with pytest.raises(RecordError, match="field 'sql': not a query"):
        of_json(found)


@pytest.mark.parametrize(
    "query",
    [
        Query((("", STAR),)),
        Query((("", 0),), limit=3),
        Query((("", 0),), distinct=True),
        Query((("", 0),), group=(0,)),
        Query((("", 0),), order=Order(1)),
        Query((("", 0),), (Condition(0, ">=", "1"),)),
    ],
)
def test_what_tableqa_cannot_say_is_none(query: Query) -> None:
    assert as_json(query) is None


def test_forms_compare_without_order_and_case_and_as_numbers() -> None:
    one = Query((("", 1), ("", 0)), (Condition(0, "==", "Ab"), Condition(1, ">", "3.0")), "and")
    other = Query((("", 0), ("", 1)), (Condition(1, ">", "3"), Condition(0, "==", "aB")), "and")
    assert one.form() == other.form()
    assert one.form() != Query(one.select, one.conditions, "or").form()


def test_a_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(RecordError, match="column 2 of a table with 2 columns; mend sel or conds"):
        check_columns(of_json(TABLEQA), ["a", "b"])
    check_columns(Query((("COUNT", STAR),)), ["a"])
