"""How good queries are."""

import pytest

from nlptasks.nl2sql.query import Condition, Query
from nlptasks.nl2sql.scores import Judged, execution, scored
from nlptasks.nl2sql.tables import Table

RIGHT = Query((("", 2),), (Condition(0, "==", "蓝鲸软件有限公司"),))
SAME_ROWS = Query((("", 2),), (Condition(1, "==", "软件"),))
EMPTY = Query((("", 2),), (Condition(1, "==", "无"),))


def test_right_answers_score_one(companies: Table) -> None:
    scores = scored([Judged(RIGHT, RIGHT, companies), Judged(None, None, companies)])
    assert set(scores.values()) == {1.0}
    assert {"logical_form", "execution", "answerable", "values"} <= scores.keys()


def test_another_form_with_the_same_rows_is_right_by_execution(companies: Table) -> None:
    scores = scored([Judged(SAME_ROWS, RIGHT, companies)])
    assert (scores["logical_form"], scores["execution"], scores["select"], scores["columns"]) == (0.0, 1.0, 1.0, 0.0)
    assert "answerable" not in scores


def test_only_references_that_find_rows_are_executed(companies: Table) -> None:
    assert execution(Judged(EMPTY, EMPTY, companies)) is None
    assert execution(Judged(EMPTY, RIGHT, companies)) is False
    assert execution(Judged(None, RIGHT, companies)) is False
    assert "execution" not in scored([Judged(RIGHT, EMPTY, companies)])


def test_saying_that_the_table_cannot_answer_is_scored(companies: Table) -> None:
    scores = scored([Judged(None, RIGHT, companies), Judged(RIGHT, None, companies)])
    assert scores["answerable"] == scores["logical_form"] == scores["select"] == 0.0


@pytest.mark.parametrize("slot", ["select", "values", "operators", "rest"])
def test_every_slot_is_scored_by_itself(companies: Table, slot: str) -> None:
    changes = {
        "select": Query((("", 1),), RIGHT.conditions),
        "values": Query(RIGHT.select, (Condition(0, "==", "x"),)),
        "operators": Query(RIGHT.select, (Condition(0, "!=", "蓝鲸软件有限公司"),)),
        "rest": Query(RIGHT.select, RIGHT.conditions, limit=1),
    }
    scores = scored([Judged(changes[slot], RIGHT, companies)])
    assert scores[slot] == 0.0
    assert scores["aggregate"] == 1.0
