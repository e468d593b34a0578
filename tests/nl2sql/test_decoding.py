"""From scores to queries: with scores made up, so that only the rules decide."""

from __future__ import annotations

import numpy as np
import pytest

from nlptasks.nl2sql.decoding import SlotScores, hypotheses, spans_of
from nlptasks.nl2sql.encoding import Encoder, Example
from nlptasks.nl2sql.lessons import WHOLE, lesson
from nlptasks.nl2sql.query import ALL_OPERATORS, STAR, Condition, Order, Query
from nlptasks.nl2sql.tables import Table

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
