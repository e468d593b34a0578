"""What in a question may be a value, and what it would be in each column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from nlptasks.nl2sql import cues
from nlptasks.nl2sql.cells import Mention, folded
from nlptasks.nl2sql.query import STAR
from nlptasks.nl2sql.tables import Table
from nlptasks.nl2sql.values import Date, Number, dates, in_unit, numbers, shown, unit_of

#: Cells of columns that say yes or no, in the words of questions: 是国有企业的 asks for 是 in 是否国有.
YES = frozenset(("是", "有", "可", "能", "y", "yes", "true"))
NO = frozenset(("否", "无", "不", "没有", "不可", "不能", "n", "no", "false"))
WHETHER = re.compile(r"^(是否|有无|能否|可否|是不是|有没有)")
ASKED = re.compile(r"(是否|有无|能否|可否|是不是|有没有)(都?属于|为|是)?$")
#: What stands behind words for holding a piece of text.
HELD = re.compile(r"(?:包含|包括|含有|带有|里有|中有|含|带)([^的，。？、\s]{1,16}?)(?=的|[两二三四几]?个?字|字样|$)")
DENIED = re.compile(r"(不是|并非|不属于|没有|不|非|无|未|没)[^的，。]?$")
QUOTED = re.compile(r"[“\"「『《'‘]([^“”\"「」『』《》'‘’]{1,40})[”\"」』》'’]")
LATIN = re.compile(r"[A-Za-z][A-Za-z0-9_.&+-]*(?:[ '][A-Z0-9][A-Za-z0-9_.&+-]*)*|\d+[A-Za-z][A-Za-z0-9-]*")
#: Score of a cell that is not in the question itself, and what is said of scores.
IMPLIED = 0.995
HOW = {1.0: "cell", IMPLIED: "implied"}
#: Candidates of one question at most.
MOST = 32


@dataclass(frozen=True)
class Candidate:
    """A stretch of a question that may be a value.

    Attributes:
        start: its first character.
        end: behind its last character.
        text: what stands there.
        cells: by column, the cell that it mentions.
        number: what it is as a number, if one.
        date: what it is as a date, if one.
        source: rule, or tag where only the model says that there is a value.
    """

    start: int
    end: int
    text: str
    cells: dict[int, Mention] = field(default_factory=dict, hash=False)
    number: Number | None = None
    date: Date | None = None
    source: str = "rule"


@dataclass(frozen=True)
class Period:
    """A year or a month in a column of days, or a day in one of times.

    Attributes:
        first: its first day, as the column's cells are written.
        following: the first day behind it.
        start: what all its days start with.
    """

    first: str
    following: str
    start: str

    def comparisons(self, operator: str, *, single: bool = False) -> list[tuple[str, str]]:
        """Say what comparing with it is as SQL: operators and values, of which all have to hold.

        Args:
            operator: of ALL_OPERATORS; what is not in a period is none that SQL says in one row of conditions.
            single: give no more than one.
        """
        if operator == "!=":
            return []
        if operator in ("==", "like"):
            return [("like", f"{self.start}%")] if single else [(">=", self.first), ("<", self.following)]
        return [(">=" if ">" in operator else "<", self.first if operator in (">=", "<") else self.following)]


@dataclass(frozen=True)
class Value:
    """What a candidate is in one column.

    Attributes:
        text: the value.
        how: cell, part, start, implied, number, unit, date, period, year or written.
        score: 1 where nothing had to be guessed.
        period: where it is one.
    """

    text: str
    how: str
    score: float
    period: Period | None = None


def found(question: str, table: Table, *, matching: bool) -> list[Candidate]:
    """Find what may be a value.

    Args:
        question: any text.
        table: that it is asked of.
        matching: look for the table's cells.
    """
    mentions: list[Mention] = []
    if matching:
        whole = [one for one in table.cells.whole(question) if one.end - one.start > 1 or is_rare(one, table)]
        parts = [one for one in table.cells.parts(question) if not any(inside(one, other) for other in whole)]
        starts = [
            one for one in table.cells.starts(question) if not any(inside(one, other) for other in (*whole, *parts))
        ]
        mentions = [*whole, *parts, *starts, *implied(question, table)]
    said = list(dates(question))
    figures = [one for one in numbers(question) if not any(within(one.start, one.end, date) for date in said)]
    made = [Candidate(one.start, one.end, question[one.start : one.end], date=one) for one in said]
    made += [Candidate(one.start, one.end, question[one.start : one.end], number=one) for one in figures]
    for match in cues.SPOKEN_PATTERN.finditer(question):
        bound = cues.SPOKEN[match[0]][1]
        spoken = Number(match.start(), match.end(), bound, False, bound, "", "")
        made.append(Candidate(match.start(), match.end(), match[0], number=spoken))
    for pattern, group in ((QUOTED, 1), (LATIN, 0), (HELD, 1)):
        made += [Candidate(match.start(group), match.end(group), match[group]) for match in pattern.finditer(question)]
    made += [Candidate(m.start, m.end, question[m.start : m.end], {m.column: m}) for m in mentions]
    return merged(made)[:MOST]


def implied(question: str, table: Table) -> Iterator[Mention]:
    """Find what a question says of columns that hold yes or no: their names without 是否, perhaps denied."""
    text = folded(question)
    for number, cells in table.answers.items():
        stem = WHETHER.sub("", folded(table.columns[number].header))
        start = text.find(stem) if len(stem) > 1 else -1
        if start < 0 or ASKED.search(text[:start]):
            continue
        denied = DENIED.search(text[:start])
        cell = next((one for one in cells if folded(one.strip()) in (NO if denied else YES)), None)
        if cell is not None:
            yield Mention(denied.start() if denied else start, start + len(stem), number, cell, IMPLIED)


def is_rare(mention: Mention, table: Table) -> bool:
    """Tell whether a cell of one letter says enough: 是 and 否 stand in many questions that do not mean them."""
    return mention.cell not in ("是", "否", "有", "无", "不", "的", "个", "中", "大", "小", "一")


def inside(mention: Mention, other: Mention) -> bool:
    """Tell whether a part of a cell lies in a whole one, or runs into one of its own column."""
    lies = other.start <= mention.start and mention.end <= other.end
    return lies or (mention.column == other.column and mention.start < other.end and other.start < mention.end)


def within(start: int, end: int, date: Date) -> bool:
    """Tell whether a number is a part of a date."""
    return date.start <= start and end <= date.end


def merged(made: Iterable[Candidate]) -> list[Candidate]:
    """Make one of the candidates of one place, in the order of the question."""
    by_place: dict[tuple[int, int], Candidate] = {}
    for one in made:
        known = by_place.get((one.start, one.end))
        if known is None:
            by_place[one.start, one.end] = one
            continue
        cells = {
            **known.cells,
            **{c: m for c, m in one.cells.items() if c not in known.cells or m.score > known.cells[c].score},
        }
        by_place[one.start, one.end] = replace(
            known, cells=cells, number=known.number or one.number, date=known.date or one.date
        )
    return [by_place[place] for place in sorted(by_place)]


def tagged(
    question: str, spans: Iterable[tuple[int, int]], known: Sequence[Candidate], table: Table
) -> list[Candidate]:
    """Add what the model takes for values where no rule saw one."""
    places = {(one.start, one.end) for one in known}
    added = []
    for start, end in spans:
        text = question[start:end].strip()
        start = question.index(text, start) if text else start
        if not text or (start, start + len(text)) in places:
            continue
        places.add((start, start + len(text)))
        number = next((one for one in numbers(text) if one.end - one.start == len(text)), None)
        date = next((one for one in dates(text) if one.end - one.start == len(text)), None)
        added.append(Candidate(start, start + len(text), text, {}, number, date, "tag"))
    return added


def value(candidate: Candidate, column: int, table: Table) -> Value | None:
    """Say what a candidate is in a column; none where it can be nothing there."""
    if column == STAR:
        return limit_value(candidate)
    kind = table.columns[column].kind
    if kind == "real":
        return number_value(candidate, column, table)
    mention = candidate.cells.get(column)
    is_told = mention is not None and (mention.score == 1.0 or kind != "date" or candidate.date is None)
    if mention is not None and is_told:
        how = "start" if mention.is_start else HOW.get(mention.score, "part")
        return Value(mention.cell, how, mention.score)
    if candidate.date and (kind == "date" or candidate.date.month or table.is_empty):
        return date_value(candidate.date, column, table)
    return Value(candidate.text, "written", 0.5)


def limit_value(candidate: Candidate) -> Value | None:
    """Say how many rows a candidate asks for."""
    number = candidate.number
    if number is None or number.measure or not number.value.is_integer() or not 0 < number.value < 10_000:
        return None
    return Value(str(int(number.value)), "number", 1.0)


def number_value(candidate: Candidate, column: int, table: Table) -> Value | None:
    """Say which number a candidate is in the unit of a column."""
    if candidate.date is not None and not candidate.date.month:
        return Value(str(candidate.date.year), "year", 1.0)
    if candidate.number is None:
        return None
    unit = table.columns[column].unit
    choices = in_unit(candidate.number, unit)
    if not choices:
        return None
    extent = table.extents[column]
    fitting = [one for one in choices if extent.least <= one <= extent.greatest]
    best = (fitting or choices)[0]
    converted = best != candidate.number.bare or bool(candidate.number.measure and unit_of(unit)[1])
    return Value(shown(best), "unit" if converted else "number", 1.0)


def date_value(date: Date, column: int, table: Table) -> Value:
    """Write a date as a column's cells do."""
    forms = date.forms()
    cells = [str(cell) for cell in table.distinct(column)[:1000]]
    held = set(cells)
    exact = next((form for form in forms if form in held), None)
    if exact:
        return Value(exact, "date", 1.0)
    shape = shape_of(cells[0]) if cells else ""
    alike = next((form for form in forms if shape_of(form) == shape), None)
    day = re.split("[ T]", shape)[0]
    if alike is None and table.columns[column].kind == "date" and (not date.day or day != shape):
        return Value(forms[0], "period", 0.8, period_of(date, day))
    return Value(alike or forms[0], "date", 0.8)


def period_of(date: Date, shape: str) -> Period:
    """Make a period of a date, written as cells are whose days have a shape."""
    first, following = (
        next((form for form in one.forms() if shape_of(form) == shape), one.forms()[0])
        for one in (date.whole, date.following)
    )
    match = re.match(r"\d{4}\D?\d{1,2}\D?" if date.month else r"\d{4}\D?", first) if not date.day else None
    return Period(first, following, match[0] if match else first)


def shape_of(text: str) -> str:
    """Say what a date looks like."""
    return re.sub(r"\d+", lambda match: "9" * min(2, len(match[0])) if len(match[0]) < 4 else "9999", text)


def is_same(text: str, other: str) -> bool:
    """Compare values without case and width."""
    return folded(text.strip()) == folded(other.strip())
