"""What may be a value, and what it is in each column."""

import pytest

from nlptasks.nl2sql import candidates
from nlptasks.nl2sql.candidates import Candidate, found, tagged, value
from nlptasks.nl2sql.query import STAR
from nlptasks.nl2sql.tables import Table, of_rows


def at(question: str, text: str, table: Table) -> Candidate:
    return next(one for one in found(question, table, matching=True) if one.text == text)


@pytest.mark.parametrize(
    ("question", "text", "column", "expected", "how"),
    [
        ("恒大集团的收入", "恒大集团", 0, "中国恒大集团有限公司", "part"),
        ("蓝鲸软件有限公司的收入", "蓝鲸软件有限公司", 0, "蓝鲸软件有限公司", "cell"),
        ("收入超过三百万元的", "三百万元", 2, "0.03", "unit"),
        ("收入超过300亿的", "300亿", 2, "300", "unit"),
        ("收入超过300的", "300", 2, "300", "number"),
        ("负债率低于百分之十二的", "百分之十二", 4, "12", "unit"),
        ("2019年3月5日成立的", "2019年3月5日", 3, "2019-03-05", "date"),
        ("二〇二〇年十一月一日成立的", "二〇二〇年十一月一日", 3, "2020-11-01", "date"),
        ("叫“小满”的公司", "小满", 0, "小满", "written"),
    ],
)
def test_values_are_what_the_column_holds(
    companies: Table, question: str, text: str, column: int, expected: str, how: str
) -> None:
    made = value(at(question, text, companies), column, companies)
    assert made is not None
    assert (made.text, made.how) == (expected, how)


@pytest.mark.parametrize(
    ("cell", "said", "operator", "expected"),
    [
        ("2018-07-01", "2018年", "==", [(">=", "2018-01-01"), ("<", "2019-01-01")]),
        ("2018-07-01", "2018年", ">", [(">=", "2019-01-01")]),
        ("2018-07-01", "2018年", ">=", [(">=", "2018-01-01")]),
        ("2018-07-01", "2018年12月", "<=", [("<", "2019-01-01")]),
        ("2018-07-01", "二〇一八年三月", "<", [("<", "2018-03-01")]),
        ("2018/7/1", "2018年3月", "==", [(">=", "2018/3/1"), ("<", "2018/4/1")]),
        ("2018年7月1日", "2018年", "==", [(">=", "2018年1月1日"), ("<", "2019年1月1日")]),
    ],
)
def test_a_year_is_all_days_of_a_column_of_days(
    cell: str, said: str, operator: str, expected: list[tuple[str, str]]
) -> None:
    table = of_rows("t", ["名", "日期"], [["甲", cell], ["乙", cell]])
    made = value(at(f"{said}的有谁", said, table), 1, table)
    assert made is not None
    assert made.period is not None
    assert made.period.comparisons(operator) == expected
    [single] = made.period.comparisons("==", single=True)
    assert single[0] == "like"
    assert cell.startswith(single[1][:4])


def test_a_day_is_all_its_times_in_a_column_of_times() -> None:
    table = of_rows("t", ["名", "入职"], [["甲", "2024-02-29 10:30:00"], ["乙", "2024-03-01 08:00:00"]])
    made = value(at("2024年2月29日的有谁", "2024年2月29日", table), 1, table)
    assert made is not None
    assert made.period is not None
    assert made.period.comparisons("==") == [(">=", "2024-02-29"), ("<", "2024-03-01")]
    assert made.period.comparisons("==", single=True) == [("like", "2024-02-29%")]


@pytest.mark.parametrize(("said", "number"), [("不及格", "60"), ("免费", "0"), ("负的", "0")])
def test_a_spoken_comparison_is_a_number(said: str, number: str) -> None:
    table = of_rows("t", ["名", "数学"], [["甲", 90], ["乙", 30]])
    made = value(at(f"数学{said}的有谁", said, table), 1, table)
    assert made is not None
    assert (made.text, made.how) == (number, "number")


def test_a_month_is_itself_where_the_column_has_months() -> None:
    table = of_rows("t", ["名", "月份"], [["甲", "2018-07"], ["乙", "2018-09"]])
    for said, expected in (("2018年7月", "2018-07"), ("2018年8月", "2018-08")):
        made = value(at(f"{said}的有谁", said, table), 1, table)
        assert made is not None
        assert (made.text, made.how) == (expected, "date")


@pytest.mark.parametrize(
    ("question", "text", "cell"),
    [
        ("国有企业有哪些", "国有", "是"),
        ("不是国有企业的有几家", "不是国有", "否"),
        ("不属于国有的", "不属于国有", "否"),
        ("甲公司是不是国有企业", None, ""),
        ("甲公司是否属于国有企业", None, ""),
        ("甲公司的收入", None, ""),
    ],
)
def test_yes_and_no_are_implied_by_the_name_of_their_column(question: str, text: str | None, cell: str) -> None:
    table = of_rows(
        "t", ["企业", "是否国有", "等级"], [["甲公司", "是", "A"], ["乙公司", "否", "B"], ["丙", "是", "C"]]
    )
    made = [one for one in found(question, table, matching=True) if 1 in one.cells]
    assert [(one.text, one.cells[1].cell) for one in made] == ([(text, cell)] if text else [])
    for one in made:
        implied = value(one, 1, table)
        assert implied is not None
        assert (implied.text, implied.how) == (cell, "implied")


@pytest.mark.parametrize(
    ("question", "text"),
    [("名称包含恒大的公司", "恒大"), ("名称里有蓝鲸两个字的公司", "蓝鲸"), ("名称中含有软件", "软件")],
)
def test_what_names_hold_is_a_candidate(companies: Table, question: str, text: str) -> None:
    assert at(question, text, companies).text == text


def test_text_is_no_number_and_a_weight_no_sum_of_money(companies: Table) -> None:
    assert value(at("恒大集团的收入", "恒大集团", companies), 2, companies) is None
    assert value(at("超过3公斤的", "3公斤", companies), 2, companies) is None


def test_a_year_is_a_number_where_the_column_has_numbers() -> None:
    table = of_rows("t", ["名", "年份"], [["甲", 2019], ["乙", 2020]])
    made = value(at("2019年的是哪个", "2019年", table), 1, table)
    assert made is not None
    assert (made.text, made.how) == ("2019", "year")


def test_the_number_of_rows_is_a_small_whole_number(companies: Table) -> None:
    limit = value(at("最高的三家", "三", companies), STAR, companies)
    assert limit is not None
    assert limit.text == "3"
    assert value(at("超过1.5的", "1.5", companies), STAR, companies) is None
    assert value(at("恒大集团", "恒大集团", companies), STAR, companies) is None


def test_without_matching_no_cell_is_looked_for(companies: Table) -> None:
    assert found("恒大集团的收入", companies, matching=False) == []


def test_parts_that_run_into_a_whole_cell_are_left_out(companies: Table) -> None:
    texts = [one.text for one in found("蓝鲸软件有限公司与万科企业股份有限公司", companies, matching=True)]
    assert texts == ["蓝鲸软件有限公司", "万科企业股份有限公司"]


def test_what_the_model_tags_is_added_once(companies: Table) -> None:
    known = found("恒大集团的 小满 和30", companies, matching=True)
    added = tagged("恒大集团的 小满 和30", [(0, 4), (5, 9), (6, 8), (3, 3)], known, companies)
    assert [(one.text, one.start, one.end, one.source) for one in added] == [("小满", 6, 8, "tag")]


@pytest.mark.parametrize(("text", "shape"), [("2019-03-05", "9999-99-99"), ("2019年3月", "9999年9月")])
def test_dates_have_shapes(text: str, shape: str) -> None:
    assert candidates.shape_of(text) == shape
