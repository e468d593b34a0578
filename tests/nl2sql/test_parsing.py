"""SQL of any system as queries, or refused."""

import pytest

from nlptasks.errors import RecordError
from nlptasks.nl2sql.parsing import read
from nlptasks.nl2sql.query import Condition, Order

HEADER = ["车型", "销量(万辆)", "品牌"]


def test_ranges_lists_and_flipped_sides_are_read() -> None:
    assert read('SELECT "车型" FROM t WHERE "销量(万辆)" BETWEEN 1 AND 2', HEADER).conditions == (
        Condition(1, ">=", "1"),
        Condition(1, "<=", "2"),
    )
    found = read("SELECT 车型 FROM t WHERE 品牌 IN ('a', 'b')", HEADER)
    assert (found.conditions, found.connective) == ((Condition(2, "==", "a"), Condition(2, "==", "b")), "or")
    assert read("SELECT 车型 FROM t WHERE 3 < `销量(万辆)`", HEADER).conditions == (Condition(1, ">", "3"),)


@pytest.mark.parametrize("order", ["", " NULLS LAST"])
def test_nothing_may_stand_last(order: str) -> None:
    for text in (f"SELECT 车型 FROM t ORDER BY 品牌{order}", f"SELECT `车型` FROM t ORDER BY 品牌{order}"):
        assert read(text, HEADER).order == Order(2, "", False)
    assert read(f"SELECT 车型 FROM t ORDER BY 品牌 DESC{order}", HEADER).order == Order(2, "", True)


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
        ("SELECT 车型 FROM t FETCH FIRST 5 ROWS ONLY", "found FETCH"),
        ("SELECT COUNT() FROM t", "nothing in the place of a column"),
        ("SELECT 车型 FROM t WHERE 品牌 = 1" + " AND 品牌 = 1" * 3000, "more conditions or brackets|not SQL"),
        ("SELECT 车型 FROM t WHERE " + "(" * 1500 + "品牌 = 1" + ")" * 1500, "more conditions or brackets|not SQL"),
        ("SELECT 车型 FROM t LIMIT '²'", "LIMIT ²"),
        (f"SELECT 车型 FROM t LIMIT {'9' * 5000}", "LIMIT 999"),
        ("SELECT DISTINCT ON (品牌) 车型 FROM t", "ON in DISTINCT"),
        ("SELECT COUNT(DISTINCT 品牌, 车型) FROM t", "DISTINCT of several columns or in COUNT"),
        ("SELECT SUM(DISTINCT 品牌) FROM t", "DISTINCT of several columns or in SUM"),
        ("SELECT DISTINCT COUNT(品牌) FROM t", "DISTINCT for a part"),
        ("SELECT COUNT(DISTINCT 品牌), COUNT(车型) FROM t", "DISTINCT for a part"),
        ("SELECT 品牌 FROM t GROUP BY 品牌 ORDER BY COUNT(DISTINCT 车型)", "ORDER BY of DISTINCT values"),
        ("SELECT COUNT(品牌, 车型) FROM t", "EXPRESSIONS in COUNT"),
        ("SELECT * EXCEPT (品牌) FROM t", "EXCEPT in STAR"),
        ("SELECT t.* REPLACE (品牌 AS 车型) FROM t", "REPLACE in STAR"),
        ("SELECT 车型 FROM t TABLESAMPLE (5 ROWS)", "SAMPLE in TABLE"),
        ("SELECT 车型 FROM t AS x(车型)", "COLUMNS in TABLEALIAS"),
        ("SELECT 车型 FROM t GROUP BY ALL", "ALL in GROUP"),
        ("SELECT 车型 FROM t LIMIT 5 PERCENT", "LIMIT_OPTIONS in LIMIT"),
        ("SELECT 车型 FROM t ORDER BY 车型 NULLS FIRST", "NULLS_FIRST in ORDERED"),
        ("SELECT 车型 FROM t ORDER BY 车型 DESC NULLS FIRST", "NULLS_FIRST in ORDERED"),
        ("SELECT `车型` FROM t ORDER BY 车型 NULLS FIRST", "NULLS_FIRST in ORDERED"),
    ],
)
def test_other_sql_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(RecordError, match=complaint):
        read(text, HEADER)
