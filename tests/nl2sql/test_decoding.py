"""From scores to queries: with scores made up, so that only the rules decide."""

from __future__ import annotations

import numpy as np
import pytest

from nlptasks.nl2sql.decoding import SlotScores, found_at, hypotheses, spans_of
from nlptasks.nl2sql.encoding import Encoder, Example
from nlptasks.nl2sql.lessons import IGNORED, WHOLE, lesson
from nlptasks.nl2sql.query import ALL_OPERATORS, STAR, Condition, Order, Query
from nlptasks.nl2sql.tables import Table, of_rows

SURE = 9.0


def logs(made: np.ndarray) -> np.ndarray:
    found: np.ndarray = made - np.log(np.exp(made).sum(-1, keepdims=True))
    return found


def certain(example: Example, query: Query) -> SlotScores:
    """Score as a model does that has learnt the query by heart."""
    select, group, sort, whole, pair, tags = lesson(example, query)
    width = 1 + (len(example.table.columns) + 1) * len(ALL_OPERATORS)

    def of(targets: np.ndarray, classes: int) -> np.ndarray:
        made = np.zeros((len(targets), classes), np.float32)
        made[np.arange(len(targets)), np.maximum(targets, 0)] = SURE
        return logs(made)

    heads = {name: of(whole[:, at], size)[0] for at, (name, size) in enumerate(WHOLE.items())}
    return SlotScores(of(select, 7), of(group, 2), of(sort, 3), heads, of(pair, width), of(tags, 3))


QUERIES = {
    "恒大集团的收入": Query((("", 2),), (Condition(0, "==", "中国恒大集团有限公司"),)),
    "收入在1.2到300亿元之间的有几家": Query(
        (("COUNT", 0),), (Condition(2, ">=", "1.2"), Condition(2, "<=", "300")), "and"
    ),
    "恒大集团和万科企业股份有限公司的行业": Query(
        (("", 1),),
        (Condition(0, "==", "中国恒大集团有限公司"), Condition(0, "==", "万科企业股份有限公司")),
        "or",
    ),
    "2019年成立的公司": Query((("", 0),), (Condition(3, ">=", "2019-01-01"), Condition(3, "<", "2020-01-01")), "and"),
    "2019年12月以后成立的公司": Query((("", 0),), (Condition(3, ">=", "2020-01-01"),)),
    "2019年2月前成立的公司": Query((("", 0),), (Condition(3, "<", "2019-02-01"),)),
    "2001年到2004年成立的恒大集团": Query(
        (("", 0),),
        (
            Condition(3, ">=", "2001-01-01"),
            Condition(3, "<", "2005-01-01"),
            Condition(0, "==", "中国恒大集团有限公司"),
        ),
        "and",
    ),
    "收入最高的2家公司": Query((("", 0),), order=Order(2, "", True), limit=2),
    "收入最低的公司": Query((("", 0),), order=Order(2), limit=1),
    "每个行业有几家": Query((("", 1), ("COUNT", STAR)), group=(1,)),
    "哪个行业的公司最多": Query((("", 1),), group=(1,), order=Order(STAR, "COUNT", True), limit=1),
    "一共有几种行业": Query((("COUNT", 1),), distinct=True),
    "全部信息": Query((("", STAR),)),
    "名称里带“大集”的": Query((("", 0),), (Condition(0, "like", "%大集%"),)),
}


@pytest.mark.parametrize(("question", "query"), QUERIES.items())
def test_certain_scores_give_the_query_they_mean(
    companies: Table, encoder: Encoder, question: str, query: Query
) -> None:
    example = encoder.read(question, companies)
    first = next(iter(hypotheses(example, certain(example, query))))
    assert first.query.form() == query.form()
    assert first.logprob > -1


def test_each_condition_knows_where_it_came_from(companies: Table, encoder: Encoder) -> None:
    question, query = next(iter(QUERIES.items()))
    example = encoder.read(question, companies)
    (found,) = next(iter(hypotheses(example, certain(example, query)))).found
    assert (question[found.candidate.start : found.candidate.end], found.how) == ("恒大集团", "part")


def test_years_of_which_one_is_enough_are_told_by_how_days_start(companies: Table, encoder: Encoder) -> None:
    query = Query((("", 0),), (Condition(3, "like", "2019-%"), Condition(3, "like", "2021-%")), "or")
    example = encoder.read("2019年和2021年成立的公司", companies)
    scores = certain(example, Query((("", 0),)))
    place = 1 + 3 * len(ALL_OPERATORS) + ALL_OPERATORS.index("==")
    for number, one in enumerate(example.candidates):
        if one.date:
            scores.pair[number] = logs(np.where(np.arange(scores.pair.shape[1]) == place, SURE, 0.0))
    first = next(iter(hypotheses(example, scores)))
    assert first.query.form() == query.form()
    assert [one.how for one in first.found] == ["period", "period"]


def test_what_several_cells_begin_with_is_told_by_their_start(encoder: Encoder) -> None:
    table = of_rows("t", ["客户", "地址"], [["甲", "江苏南京"], ["乙", "江苏苏州"], ["丙", "浙江宁波"]])
    example = encoder.read("江苏的客户", table)
    [candidate] = [number for number, one in enumerate(example.candidates) if one.text == "江苏"]
    for operator, expected in (("==", Condition(1, "like", "江苏%")), ("like", Condition(1, "like", "%江苏%"))):
        made = found_at(example, candidate, 1 + len(ALL_OPERATORS) + ALL_OPERATORS.index(operator), 0.0)
        assert made is not None
        assert (made.condition, made.how) == (expected, "start")
    assert found_at(example, candidate, 1 + len(ALL_OPERATORS) + ALL_OPERATORS.index("!="), 0.0) is None


def test_what_can_only_be_a_choice_teaches_no_connective(companies: Table, encoder: Encoder) -> None:
    example = encoder.read("恒大集团和万科的收入", companies)
    both = tuple(Condition(0, "==", name) for name in ("中国恒大集团有限公司", "万科企业股份有限公司"))
    mixed = (both[0], Condition(2, ">", "3"))
    taught = [
        int(lesson(example, Query((("", 2),), conditions, "or"))[3][0, 0]) for conditions in (both, mixed, mixed[:1])
    ]
    assert taught == [IGNORED, 2, IGNORED]


def test_beside_an_aggregate_stand_no_columns_and_no_second_count(companies: Table, encoder: Encoder) -> None:
    example = encoder.read("平均收入", companies)
    scores = certain(example, Query((("AVG", 2),)))
    scores.select[0] = logs(np.where(np.arange(7) == 0, SURE, 0.0))
    assert next(iter(hypotheses(example, scores))).query.select == (("AVG", 2),)
    scores.group[1] = logs(np.array([0.0, SURE]))
    assert next(iter(hypotheses(example, scores))).query.select == (("", 0), ("AVG", 2))
    counted = certain(example, Query((("COUNT", 0),)))
    counted.select[1] = logs(np.where(np.arange(7) == 4, SURE / 2, 0.0))
    assert next(iter(hypotheses(example, counted))).query.select == (("COUNT", 0),)


def test_what_is_counted_to_be_ordered_by_is_grouped(companies: Table, encoder: Encoder) -> None:
    example = encoder.read("哪个行业的公司最多", companies)
    scores = certain(example, QUERIES["哪个行业的公司最多"])
    scores.group[:] = logs(np.array([SURE, 0.0]))
    assert next(iter(hypotheses(example, scores))).query.form() == QUERIES["哪个行业的公司最多"].form()


def test_other_queries_follow_the_likelier_first(companies: Table, encoder: Encoder) -> None:
    question, query = next(iter(QUERIES.items()))
    example = encoder.read(question, companies)
    scores = certain(example, query)
    number = next(at for at, one in enumerate(example.candidates) if one.text == "恒大集团")
    place = 1 + 1 * len(ALL_OPERATORS) + 2
    scores.pair[number] = logs(np.where(np.arange(scores.pair.shape[1]) == place, SURE - 1, scores.pair[number] + SURE))
    found = list(hypotheses(example, scores))
    assert found[0].query.conditions != found[1].query.conditions
    assert found[1].query.conditions[0].column in (0, 1)


def test_something_is_always_given(companies: Table, encoder: Encoder) -> None:
    example = encoder.read("随便", companies)
    scores = certain(example, Query((("", 0),)))
    scores.select[:, :6] = -5.0
    scores.select[:, 6] = 0.0
    scores.select[3, 2] = -1.0
    assert next(iter(hypotheses(example, scores))).query.select == (("MAX", 3),)


def test_what_overlaps_is_not_said_twice(companies: Table, encoder: Encoder) -> None:
    example = encoder.read("恒大集团", companies, [(0, 2), (1, 4)])
    scores = certain(example, QUERIES["恒大集团的收入"])
    scores.pair[:] = logs(np.where(np.arange(scores.pair.shape[1]) == 3, SURE, 0.0)[None, :])
    assert len(next(iter(hypotheses(example, scores))).found) == 1


def test_tags_become_stretches() -> None:
    tags = np.eye(3)[[0, 1, 2, 0, 2, 1, 1]]
    offsets = [(at, at + 1) for at in range(7)]
    assert spans_of(tags, offsets) == [(1, 3), (4, 5), (5, 6), (6, 7)]
