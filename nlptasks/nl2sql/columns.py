"""Columns: what they are called, in which unit, and what kind of cells they hold."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nlptasks.nl2sql.values import unit_of

#: Cells by which a column of dates is told.
LOOKED_AT = 50
#: Share of a column's cells that have to be numbers for it to be one of numbers.
NUMERIC = 0.95
#: What stands for nothing in a column of numbers.
NOTHING = frozenset({"", "-", "--", "—", "/", "n/a", "na", "nan", "null", "none", "无", "暂无", "未知"})
UNIT = re.compile(r"\s*[(（\[【](?P<unit>[^()（）\[\]【】]{1,12})[)）\]】]\s*$")
#: Blanks that a name on one line cannot have; DuckDB keeps the others.
BREAKS = re.compile(r"[^\S \u3000\xa0]+")
#: A month or day of one figure, which would sort behind those of two.
SINGLE = re.compile(r"(?<=[-/.年月])(\d)(?!\d)")
DATE = re.compile(r"\d{4}([-/.年]\d{1,2}([-/.月](\d{1,2}日?)?)?|年)([ T]\d\d:\d\d(:\d\d)?)?")


@dataclass(frozen=True)
class Column:
    """A column as questions speak of it.

    Attributes:
        name: in the database.
        header: without its unit and needless blanks.
        unit: from the header, empty where it names none.
        kind: of KINDS.
    """

    name: str
    header: str
    unit: str
    kind: str


@dataclass(frozen=True)
class Extent:
    """What the values of a column are like: the least and the greatest number, and whether all are the same."""

    least: float
    greatest: float
    constant: bool


def described(names: Sequence[str], kinds: Sequence[str]) -> list[Column]:
    """Take the units off headers."""
    columns = []
    for name, kind in zip(names, kinds, strict=True):
        text = " ".join(unicodedata.normalize("NFKC", name).split())
        match = UNIT.search(text)
        unit = match["unit"].strip() if match else ""
        known = bool(unit) and (unit_of(unit)[0] != 1 or bool(unit_of(unit)[1]) or kind == "real")
        columns.append(
            Column(name, text[: match.start()].strip() or text if match and known else text, unit * known, kind)
        )
    return columns


def bounded(least: object, greatest: object) -> Extent:
    """Make the extent of a column of its least and greatest number; none where it has none."""
    low, high = number_of(least), number_of(greatest)
    if low is None or high is None:
        return Extent(math.inf, -math.inf, False)
    return Extent(float(low), float(high), low == high)


def unique(names: Sequence[str]) -> list[str]:
    """Give each column a name of its own, as DuckDB does: `column2` for none, `a_1` for a second `a`."""
    wide = len(str(len(names) - 1))
    made: dict[str, str] = {}
    for number, name in enumerate(names):
        base = BREAKS.sub(" ", name).strip() or f"column{number:0{wide}}"
        chosen, count = base, 0
        while chosen.lower() in made:
            count += 1
            chosen = f"{base}_{count}"
        made[chosen.lower()] = chosen
    return list(made.values())


def kind_of(cells: Iterable[Any]) -> str:
    """Tell what a column holds: numbers where nearly all cells are, and none is a code such as 007."""
    total = numbers = 0
    for one in cells:
        if is_nothing(one):
            continue
        total += 1
        numbers += number_of(one) is not None
        if isinstance(one, str) and re.fullmatch(r"0\d+", one.strip()):
            return "text"
    return "real" if total and numbers >= NUMERIC * total else "text"


def dated_kind(kind: str, cells: Sequence[Any]) -> str:
    """Tell a column of dates from other text."""
    texts = [str(one).strip() for one in cells if not is_nothing(one)]
    is_dated = kind == "text" and bool(texts) and all(DATE.fullmatch(text) for text in texts)
    return "date" if is_dated else kind


def padded(cells: Sequence[Any]) -> list[Any]:
    """Give months and days of a column of dates two figures, so that text sorts as time does; other columns stay."""
    if dated_kind("text", cells[:LOOKED_AT]) != "date":
        return list(cells)
    return [SINGLE.sub(r"0\1", one) if isinstance(one, str) and DATE.fullmatch(one.strip()) else one for one in cells]


def is_foreign(value: object) -> bool:
    """Tell whether other programs read what is a number here as text: 12,000, 8 %, or a dash for nothing."""
    if not isinstance(value, str) or not value.strip():
        return False
    try:
        return not math.isfinite(float(value))
    except ValueError:
        return True


def is_nothing(value: object) -> bool:
    """Tell whether a cell is empty, or holds what is written for nothing."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and value.strip().lower() in NOTHING)


def number_of(value: object) -> float | int | None:
    """Read a cell as a number; none where it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    text = unicodedata.normalize("NFKC", str(value)).strip().replace(",", "").removesuffix("%")
    if "_" in text:
        return None
    try:
        found = float(text)
    except ValueError:
        return None
    if not math.isfinite(found):
        return None
    return int(text) if re.fullmatch(r"-?\d{1,18}", text) else found


def cell(value: object, kind: str) -> Any:  # noqa: ANN401
    """Give a cell as its column's kind holds it; what is no number in a column of numbers stays text."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if kind != "real":
        if isinstance(value, str) and not value.strip():
            return None  # as DuckDB reads CSV
        return value if isinstance(value, str) else storable_text(value)
    found = number_of(value)
    if found is not None:
        return found
    return None if is_nothing(value) else str(value)


def storable_text(value: object) -> str:
    """Write a value of a column of text: 3.0, as programs write a whole number, is 3."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
