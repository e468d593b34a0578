"""Queries as SQL and back, whatever is in names and values."""

import pytest

from nlptasks.errors import RecordError, UsageError
from nlptasks.nl2sql.query import STAR, Condition, Order, Query
from nlptasks.nl2sql.sql import DIALECTS, read, written

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


def test_ranges_lists_and_flipped_sides_are_read() -> None:
    assert read('SELECT "车型" FROM t WHERE "销量(万辆)" BETWEEN 1 AND 2', HEADER).conditions == (
        Condition(1, ">=", "1"),
        Condition(1, "<=", "2"),
    )
    found = read("SELECT 车型 FROM t WHERE 品牌 IN ('a', 'b')", HEADER)
    assert (found.conditions, found.connective) == ((Condition(2, "==", "a"), Condition(2, "==", "b")), "or")
    assert read("SELECT 车型 FROM t WHERE 3 < `销量(万辆)`", HEADER).conditions == (Condition(1, ">", "3"),)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("SELEC", "expected a SELECT of|not SQL"),
        ("", "expected a SELECT|not SQL"),
        ("DROP TABLE t", "something else than one SELECT"),
        ("SELECT 1; SELECT 2", "something else than one SELECT"),
        ('SELECT "颜色" FROM t', "no column '颜色' in the table; it has 车型"),
        ('SELECT "车型" FROM t JOIN u', "found JOINS"),
        ('SELECT "车型" FROM t GROUP BY "车型" HAVING COUNT(*) > 1', "found HAVING"),
        ('SELECT "车型" FROM (SELECT 1)', "a query in its place"),
        ("SELECT 1", "no table"),
        ('SELECT "车型" FROM t WHERE "品牌" = (SELECT 1)', "in the place of a value"),
        ('SELECT "车型" FROM t WHERE "品牌" IS NULL', "as a condition"),
        ('SELECT "车型" FROM t ORDER BY "车型", "品牌"', "ORDER BY of several columns"),
        ('SELECT "车型" FROM t LIMIT 1.5', "LIMIT 1.5"),
        ('SELECT "车型" + 1 FROM t', "in the place of a column"),
        ("SELECT load_extension('x') FROM t", "in the place of a column"),
        ("SELECT 车型 FROM read_csv('/etc/passwd')", "no table, or a query in its place"),
        ("ATTACH 'x' AS y", "something else than one SELECT"),
        ("PRAGMA database_list", "something else than one SELECT"),
    ],
)
def test_other_sql_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(RecordError, match=complaint):
        read(text, HEADER)
