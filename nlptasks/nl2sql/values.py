"""Values in a question: numbers in figures and in Chinese, with units, shares, dates; each with the place it stands."""

from __future__ import annotations

import math
import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

import cn2an

#: Units that multiply, the longest first.
SCALES = {
    "万亿": 1e12,
    "个亿": 1e8,
    "千万": 1e7,
    "百万": 1e6,
    "亿": 1e8,
    "万": 1e4,
    "千": 1e3,
    "百": 1e2,
    "k": 1e3,
    "K": 1e3,
    "w": 1e4,
}
#: Units of a measure, by what they are of and their size in it.
SIZES = {
    "length": "毫米 0.001, 厘米 0.01, 米 1, 公里 1000, 千米 1000, 里 500, mm 0.001, cm 0.01, m 1, km 1000",
    "weight": "克 0.001, 斤 0.5, 公斤 1, 千克 1, 吨 1000, g 0.001, kg 1, t 1000",
    "time": "秒 1, 秒钟 1, 分钟 60, 小时 3600, 天 86400, 日 86400, 周 604800, s 1, min 60, h 3600",
    "area": "平方米 1, 平米 1, 平 1, ㎡ 1, m² 1, m2 1, 亩 666.666666667, 公顷 10000, 平方公里 1000000, km² 1000000",
    "money": "分 0.01, 角 0.1, 元 1, 块 1, 块钱 1, 人民币 1, ￥ 1",
    "storage": "KB 1, MB 1024, GB 1048576, TB 1073741824, M 1024, G 1048576, T 1073741824",
    "share": "% 0.01, ％ 0.01, ‰ 0.001, 折 0.1, 成 0.1",
}
MEASURES: dict[str, tuple[str, float]] = {
    unit: (measure, float(size))
    for measure, sizes in SIZES.items()
    for unit, size in (one.split() for one in sizes.split(", "))
}
#: Units that begin with what elsewhere is a factor.
KILO = re.compile("|".join([*map(re.escape, MEASURES), "千瓦", "千卡", "千伏", "千帕", "千赫", "百分"]))
FIGURES = r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
CHINESE = r"[零〇一二两三四五六七八九十百千万亿]+(?:点[零〇一二三四五六七八九]+)?"
SCALE = "|".join(map(re.escape, SCALES))
MEASURE = "|".join(re.escape(unit) for unit in sorted(MEASURES, key=len, reverse=True))
#: Figures behind a factor, as the 5千 and the 5 of 1万5千 and 1万5.
LESSER = r"\d+(?:\.\d+)?(?:千万|百万|[万千百])(?![瓦卡伏帕赫米克])"
LAST = r"(?<=[亿万千百])\d(?![\d.,年月日号点时亿万千百])"
NUMBER = re.compile(
    rf"(?P<share>百分之|千分之|万分之)?(?P<minus>负|(?<!\d)-(?=\d))?(?P<digits>{FIGURES}|{CHINESE}|半)"
    rf"(?P<scales>(?:(?!千[瓦卡伏帕赫])(?:{SCALE}))*)(?P<lesser>(?:(?<=[亿万千百])(?:{LESSER})*(?:{LAST})?)?)"
    rf"(?P<half>半)?\s?(?P<unit>{MEASURE})?"
)
YEAR = r"\d{4}|[零〇一二三四五六七八九]{4}"
MONTH = r"\d{1,2}|十[一二]?|[一二三四五六七八九]"
DAY = r"\d{1,2}|[一二三]?十[一二三四五六七八九]?|[一二三四五六七八九]"
DATE = re.compile(
    rf"(?P<year>{YEAR})\s?[年\-/.](?:\s?(?P<month>{MONTH})\s?(?:[月\-/.](?:\s?(?P<day>{DAY})\s?[日号]?)?)?)?"
)
#: Behind a date the end of a range, which has the same year: 2024年1月到3月.
UNTIL = re.compile(rf"\s?(?:到|至|[~～—–-])\s?(?P<month>{MONTH})\s?月(?:\s?(?P<day>{DAY})\s?[日号])?")
DIGITS = str.maketrans("零〇一二两三四五六七八九", "001223456789")
SHARES = {"百分之": 0.01, "千分之": 0.001, "万分之": 0.0001}
#: Chinese words of number characters that are no number where nothing follows.
IDLE = re.compile(r"[百千万亿]+|[一两](?=[个些下起共定样直般])")


@dataclass(frozen=True)
class Number:
    """A number in a question.

    Attributes:
        start: of its first character.
        end: behind its last character.
        value: in the measure's own unit, or a plain number.
        scaled: whether it was written with a factor such as 万.
        bare: what was written, without the unit of a measure.
        measure: what it measures, empty where that is not said.
        unit: as written.
    """

    start: int
    end: int
    value: float
    scaled: bool
    bare: float
    measure: str
    unit: str


@dataclass(frozen=True)
class Date:
    """A date in a question; month and day are 0 where they are not said."""

    start: int
    end: int
    year: int
    month: int
    day: int

    @property
    def whole(self) -> Date:
        """Give the first day of the year or the month."""
        return replace(self, month=self.month or 1, day=self.day or 1)

    @property
    def following(self) -> Date:
        """Give the first day behind the year, the month or the day."""
        if not self.month:
            return replace(self, year=self.year + 1, month=1, day=1)
        last = date(self.year, self.month, self.day or monthrange(self.year, self.month)[1])
        after = last + timedelta(days=1)
        return replace(self, year=after.year, month=after.month, day=after.day)

    def forms(self) -> list[str]:
        """Write it in the ways that cells do, the usual first."""
        y, m, d = self.year, self.month, self.day
        if d:
            made = f"{y:04}-{m:02}-{d:02} {y}年{m}月{d}日 {y}年{m:02}月{d:02}日 {y}/{m}/{d} {y}/{m:02}/{d:02}"
            return f"{made} {y}.{m}.{d} {y}.{m:02}.{d:02} {y:04}{m:02}{d:02} {y:04}-{m}-{d}".split()
        if m:
            return f"{y:04}-{m:02} {y}年{m}月 {y}年{m:02}月 {y}/{m} {y}/{m:02} {y}.{m} {y}.{m:02} {y:04}{m:02}".split()
        return [str(y), f"{y}年"]


def numbers(text: str) -> Iterator[Number]:
    """Find the numbers of a question, in order."""
    for match in NUMBER.finditer(text):
        digits, bare = longest_figure(match["digits"])
        if bare is None or (IDLE.fullmatch(digits) and not match["scales"]):
            continue
        if digits != match["digits"]:  # 三十亿千瓦时: what follows is another word
            end = match.start("digits") + len(digits)
            yield Number(match.start(), end, bare, True, bare, "", "")
            continue
        scale = math.prod(SCALES[part] for part in re.findall(SCALE, match["scales"]))
        value = (bare + (0.5 if match["half"] else 0.0)) * scale + lesser(match["lesser"], scale)
        value *= -1 if match["minus"] else 1
        measure, size = MEASURES.get(match["unit"] or "", ("", 1.0))
        if match["share"]:
            measure, size = "share", SHARES[match["share"]]
        if match["unit"] == "折" and value >= 10:  # 85折 is 8.5折
            size = 0.01
        scaled = scale != 1.0 or any(letter in "万亿" for letter in digits)
        unit = match["share"] or match["unit"] or ""
        yield Number(match.start(), match.end(), value * size, scaled, value, measure, unit)


def lesser(text: str, scale: float) -> float:
    """Read what stands behind a factor, as the 5千 of 1万5千, and the 5 of 1万5, five times a tenth of the factor."""
    total, last = 0.0, scale
    for figures, factor in re.findall(r"(\d+(?:\.\d+)?)(千万|百万|[万千百])?", text):
        last = SCALES[factor] if factor else last / 10
        total += float(figures) * last
    return total


def longest_figure(digits: str) -> tuple[str, float | None]:
    """Read as many numerals as make a number, from the first on."""
    for end in range(len(digits), 0, -1):
        found = figure(digits[:end])
        if found is not None:
            return digits[:end], found
    return digits, None


def figure(digits: str) -> float | None:
    """Read figures or Chinese numerals; none where they are no number."""
    if digits == "半":
        return 0.5
    if digits[0].isdigit() and digits[0].isascii():
        return float(digits.replace(",", ""))
    if len(digits) > 1 and not set(digits) & set("十百千万亿点"):
        return float(digits.translate(DIGITS))  # 二〇一九, digit by digit
    try:
        return float(cn2an.cn2an(digits.replace("〇", "零"), "smart"))
    except (ValueError, KeyError):  # the latter where it stumbles, as over 百二
        return None


def dates(text: str) -> Iterator[Date]:
    """Find the dates of a question that name a year, and the ends of ranges that begin with one."""
    for match in DATE.finditer(text):
        year = int(match["year"].translate(DIGITS))
        first = dated(match, year)
        if first is None:
            continue
        yield first
        until = UNTIL.match(text, match.end()) if first.month else None
        if until and (last := dated(until, year)):
            yield last


def dated(match: re.Match[str], year: int) -> Date | None:
    """Make the date of a match; none where the calendar has no such day."""
    month, day = (int(figure(match[name]) or 0) if match[name] else 0 for name in ("month", "day"))
    is_there = 1000 <= year <= 2999 and month <= 12 and (not day or (month and day <= monthrange(year, month)[1]))
    return Date(match.start("month" if match.re is UNTIL else 0), match.end(), year, month, day) if is_there else None


def in_unit(number: Number, unit: str) -> list[float]:
    """Say what a number is in a column's unit, the likeliest first.

    Args:
        number: of the question.
        unit: of the column, such as 亿元 or %; empty where it is not known.
    """
    factor, measure, size = unit_of(unit)
    if measure and number.measure == measure:
        return [number.value / size / factor]
    if number.measure == "share" and not measure:
        return [number.value, number.bare] if factor == 1 else [number.value / factor]
    if number.measure and measure:
        return []
    if measure == "share":
        return [number.bare] if number.bare > 1 or not number.bare else [number.bare, number.bare * 100]
    if factor != 1 and number.scaled:
        return [number.bare / factor]
    return [number.bare]


def unit_of(unit: str) -> tuple[float, str, float]:
    """Take a column's unit apart: factor, measure, and the size of its unit in the measure."""
    factor, rest = 1.0, unit.strip()
    while (scale := next((one for one in SCALES if rest.startswith(one) and not KILO.match(rest)), None)) is not None:
        factor, rest = factor * SCALES[scale], rest[len(scale) :]
    rest = re.split(r"[/每]", rest)[0]
    measure, size = MEASURES.get(rest, ("", 1.0))
    return factor, measure, size


def shown(value: float) -> str:
    """Write a number as SQL does, without an exponent or a needless point."""
    text = f"{value:.10g}"
    if "e" in text:
        text = f"{value:.10f}".rstrip("0").rstrip(".")
    return text
