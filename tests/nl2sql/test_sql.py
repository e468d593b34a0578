"""Queries as SQL and back, whatever is in names and values."""

import pytest

from nlptasks.errors import UsageError
from nlptasks.nl2sql.parsing import read
from nlptasks.nl2sql.query import STAR, Condition, Order, Query
from nlptasks.nl2sql.sql import DIALECTS, written

HEADER = ["车型", "销量(万辆)", "品牌", 'a"b; DROP TABLE x; --']
NUMERIC = [False, True, False, False]
QUERIES = {
    'SELECT "车型" FROM "t" WHERE "销量(万辆)" BETWEEN 1 AND 2 AND "品牌" = \'a\'': Query(
        (("", 0),), (Condition(1, ">=", "1"), Condition(1, "<=", "2"), Condition(2, "==", "a")), "and"
    ),
    'SELECT "车型" FROM "t" WHERE "销量(万辆)" >= 1 OR "销量(万辆)" <= 2': Query(
        (("", 0),), (Condition(1, ">=", "1"), Condition(1, "<=", "2")), "or"
    ),
    'SELECT "车型" FROM "t" WHERE "销量(万辆)" >= 1 AND "销量(万辆)" >= 2': Query(
        (("", 0),), (Condition(1, ">=", "1"), Condition(1, ">=", "2")), "and"
    ),
    'SELECT "车型" FROM "t"': Query((("", 0),)),
    'SELECT AVG("销量(万辆)"), "品牌" FROM "t" GROUP BY "品牌"': Query((("AVG", 1), ("", 2)), group=(2,)),
    'SELECT COUNT(*) FROM "t" WHERE "销量(万辆)" >= -1.5': Query((("COUNT", STAR),), (Condition(1, ">=", "-1.5"),)),
    'SELECT "车型" FROM "t" WHERE TRY_CAST("品牌" AS DOUBLE) > 30': Query((("", 0),), (Condition(2, ">", "30"),)),
    'SELECT "车型" FROM "t" WHERE TRY_CAST("品牌" AS DOUBLE) BETWEEN 3 AND 30': Query(
        (("", 0),), (Condition(2, ">=", "3"), Condition(2, "<=", "30")), "and"
    ),
    'SELECT "车型" FROM "t" WHERE "品牌" > \'2024-01-01\'': Query((("", 0),), (Condition(2, ">", "2024-01-01"),)),
    'SELECT COUNT(DISTINCT "品牌") FROM "t"': Query((("COUNT", 2),), distinct=True),
    'SELECT DISTINCT "品牌" FROM "t"': Query((("", 2),), distinct=True),
    'SELECT * FROM "t" WHERE "车型" LIKE \'%驰%\'': Query((("", STAR),), (Condition(0, "like", "%驰%"),)),
    'SELECT "车型" FROM "t" ORDER BY "销量(万辆)" DESC LIMIT 3': Query(
        (("", 0),), order=Order(1, descending=True), limit=3
    ),
    'SELECT "品牌" FROM "t" GROUP BY "品牌" ORDER BY COUNT(*) DESC LIMIT 1': Query(
        (("", 2),), group=(2,), order=Order(STAR, "COUNT", True), limit=1
    ),
    'SELECT "车型" FROM "t" WHERE "品牌" = \'a\' OR "品牌" = \'b\'': Query(
        (("", 0),), (Condition(2, "==", "a"), Condition(2, "==", "b")), "or"
    ),
}


@pytest.mark.parametrize(("text", "query"), QUERIES.items())
def test_queries_are_written_and_read_again(text: str, query: Query) -> None:
    assert written(query, "t", HEADER, NUMERIC, "duckdb").replace(" NULLS LAST", "") == text
    assert read(text, HEADER) == query


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_quotes_every_name(dialect: str) -> None:
    text = written(
        QUERIES['SELECT "车型" FROM "t" ORDER BY "销量(万辆)" DESC LIMIT 3'], "我 的", HEADER, NUMERIC, dialect
    )
    for name in ("车型", "销量(万辆)", "我 的"):
        before, _, behind = text.partition(name)
        assert before[-1] + behind[0] in ('""', "``", "[]")


def test_a_dialect_that_is_not_known_is_refused() -> None:
    with pytest.raises(UsageError, match="--dialect cobol: expected one of duckdb"):
        written(Query((("", 0),)), "t", HEADER, NUMERIC, "cobol")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_name_or_value_becomes_syntax(dialect: str) -> None:
    import sqlglot
    from sqlglot import exp

    evil = "'; DROP TABLE x; -- \" ` ] \\' /* */"
    query = Query((("", 3),), (Condition(3, "==", evil), Condition(1, ">", "1; DROP TABLE x")), "and")
    text = written(query, evil, HEADER, NUMERIC, dialect)
    parsed = sqlglot.parse(text, read=dialect)
    assert len(parsed) == 1
    assert parsed[0] is not None
    assert not list(parsed[0].find_all(exp.Drop, exp.Command))
    assert {literal.this for literal in parsed[0].find_all(exp.Literal)} == {evil, "1; DROP TABLE x"}
