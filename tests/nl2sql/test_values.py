"""Numbers and dates as people write them."""

import pytest

from nlptasks.nl2sql.values import dates, in_unit, numbers, shown


@pytest.mark.parametrize(
    ("text", "found", "value"),
    [
        ("三百万以上", "三百万", 3e6),
        ("1.2亿元", "1.2亿元", 1.2e8),
        ("百分之五", "百分之五", 0.05),
        ("超过50%", "50%", 0.5),
        ("打2.5折", "2.5折", 0.25),
        ("85折", "85折", 0.85),
        ("两千三百公里", "两千三百公里", 2.3e6),
        ("半小时", "半小时", 1800),
        ("1,234.5元", "1,234.5元", 1234.5),
        ("-3度", "-3", -3),
        ("负三度", "负三", -3),
        ("三个半", "三", 3),
        ("三十亿千瓦时", "三十亿", 3e9),
        ("两万五", "两万五", 25000),
        ("1万5到2万", "1万5", 15000),
        ("3万2千5百块", "3万2千5百块", 32500),
        ("3亿5千万元", "3亿5千万元", 3.5e8),
        ("1万5千米", "1万", 10000),
        ("2万3年", "2万", 20000),
        ("3个亿", "3个亿", 3e8),
    ],
)
def test_a_number_is_read(text: str, found: str, value: float) -> None:
    number = next(numbers(text))
    assert text[number.start : number.end] == found
    assert number.value == pytest.approx(value)


@pytest.mark.parametrize("text", ["百姓", "万一", "一个", "两种", "没有数字", "", "千", "百分之"])
def test_words_of_number_characters_are_no_numbers(text: str) -> None:
    assert [one for one in numbers(text) if one.end - one.start > 1] == []


@pytest.mark.parametrize("text", ["百二", "二百十百", "零百", "点五", "十百千万亿", "亿万零", "一点"])
def test_no_string_of_numerals_is_too_strange(text: str) -> None:
    assert all(one.end > one.start for one in numbers(text))


def test_a_range_has_two_numbers_and_no_sign() -> None:
    assert [one.value for one in numbers("1-3")] == [1, 3]


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("3.5亿元", "万元", 35000),
        ("三百万", "亿元", 0.03),
        ("500", "万元", 500),
        ("50%", "%", 50),
        ("百分之五", "%", 5),
        ("2公里", "米", 2000),
        ("3斤", "公斤", 1.5),
        ("90分钟", "小时", 1.5),
        ("12", "", 12),
        ("1.5万", "人", 15000),
        ("2GB", "MB", 2048),
        ("100", "元/㎡", 100),
        ("十亿千瓦时", "亿千瓦时", 10),
        ("8亿千瓦时", "亿千瓦时", 8),
        ("五百千瓦", "千瓦", 500),
        ("3千米", "公里", 3),
    ],
)
def test_a_number_is_scaled_to_the_unit_of_a_column(text: str, unit: str, value: float) -> None:
    assert in_unit(next(numbers(text)), unit)[0] == pytest.approx(value)


def test_a_measure_of_something_else_is_no_value_of_the_column() -> None:
    assert in_unit(next(numbers("3公斤")), "公里") == []


@pytest.mark.parametrize("text", ["2019年3月5日", "2019-03-05", "2019/3/5", "二〇一九年三月五日", "2019.3.5"])
def test_a_date_is_read_and_written_as_cells_do(text: str) -> None:
    date = next(dates(text))
    assert (date.year, date.month, date.day, date.start, date.end) == (2019, 3, 5, 0, len(text))
    assert {"2019-03-05", "2019年3月5日", "2019/03/05"} <= set(date.forms())


def test_months_and_years_are_dates_and_impossible_ones_are_not() -> None:
    assert next(dates("2020年11月的")).forms()[:2] == ["2020-11", "2020年11月"]
    assert next(dates("2020年")).forms() == ["2020", "2020年"]
    assert list(dates("2020年13月40日 3000-1-1 2023年2月29日 没有")) == []


@pytest.mark.parametrize(
    ("text", "last", "following"),
    [
        ("2024年1月到3月", "2024-03", (2024, 4, 1)),
        ("二〇二四年一月至十二月的", "2024-12", (2025, 1, 1)),
        ("2024年2月20日-2月29日", "2024-02-29", (2024, 3, 1)),
    ],
)
def test_the_end_of_a_range_has_the_year_of_its_start(text: str, last: str, following: tuple[int, int, int]) -> None:
    first, end = dates(text)
    assert first.end < end.start
    assert end.forms()[0] == last
    assert (end.following.year, end.following.month, end.following.day) == following


@pytest.mark.parametrize(("value", "text"), [(3.0, "3"), (0.05, "0.05"), (1e12, "1000000000000"), (1e-7, "0.0000001")])
def test_numbers_are_written_without_exponents(value: float, text: str) -> None:
    assert shown(value) == text
