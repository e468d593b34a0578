"""Questions about one table, with their SQL, drawn from its cells and from phrases."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from drawing import Column, Table, plain

#: Share of the numbers that are asked for in other words or another unit, where they can be.
CONVERTED = 0.7
DIGITS = "零一二三四五六七八九"
FACTORS = {"万": 10_000, "亿": 100_000_000}
#: Other units in which a number may be asked for: unit of the column, unit of the question, and factor between them.
OTHER_UNITS = {
    "亿元": ("万元", 10_000.0),
    "万元": ("亿元", 1e-4),
    "米": ("公里", 1e-3),
    "公里": ("米", 1000.0),
    "公斤": ("斤", 2.0),
    "克": ("公斤", 1e-3),
    "厘米": ("米", 0.01),
    "小时": ("分钟", 60.0),
}


@dataclass(frozen=True)
class Piece:
    """A condition: its words, which stand in front of what a row is called, and what it says."""

    text: str
    column: int
    operator: str
    value: str


#: What is asked, and how often.
SHAPES = {
    **{"named": 14, "which": 16, "both": 5, "ask": 12, "COUNT": 12, "all": 4, "unanswerable": 18},
    **dict.fromkeys(("AVG", "MAX", "MIN", "SUM", "top"), 6),
    **dict.fromkeys(("each", "most"), 4),
    **dict.fromkeys(("last", "least", "each AVG", "each SUM", "each most", "distinct", "count distinct"), 3),
    **dict.fromkeys(("down", "up"), 2),
}


class Asker:
    """Asks questions of one table."""

    def __init__(
        self, table: Table, phrases: dict[str, list[str]], random: Random, strange: Sequence[dict[str, str]]
    ) -> None:
        """Know the table, the phrases, and questions of other tables."""
        self.table, self.phrases, self.random, self.strange = table, phrases, random, strange
        self.texts = [at for at, one in enumerate(table.columns) if one.kind == "text"]
        self.reals = [at for at, one in enumerate(table.columns) if one.kind == "real"]
        self.ordered = [at for at, one in enumerate(table.columns) if one.kind in ("real", "year", "date")]
        self.shown = [at for at, one in enumerate(table.columns) if at and one.kind != "bool"]

    def say(self, phrase: str, **words: str) -> str:
        """Choose a phrase and fill it in."""
        return self.random.choice(self.phrases[phrase]).format(n=self.table.noun, m=self.table.measure, **words)

    def called(self, at: int) -> str:
        """Choose a name for a column."""
        name: str = self.random.choice(self.table.columns[at].names)
        return name

    def words(self, at: int) -> dict[str, str]:
        """Give the words for much and little of a column."""
        return dict(zip("gl", self.table.columns[at].words, strict=True))

    def question(self) -> dict[str, object] | None:
        """Ask one question of a shape drawn by chance; none where the table has nothing for it."""
        shape = self.random.choices(list(SHAPES), list(SHAPES.values()))[0]
        if shape == "unanswerable":
            return self.unanswerable()
        if shape in ("top", "last", "most", "least", "down", "up"):
            return self.sorted(shape)
        if shape.startswith("each") or "distinct" in shape:
            return self.grouped(shape)
        return self.filtered(shape)

    def made(self, text: str, sql: dict[str, object] | str) -> dict[str, object]:
        """Put a record together."""
        return {"question": text, "table_id": self.table.id, "sql": sql}

    def unanswerable(self) -> dict[str, object] | None:
        """Take a question of another table that has nothing to do with this one."""
        own = {name for one in self.table.columns for name in one.names}
        other = self.random.choice(self.strange)
        if other["table"] == self.table.id or any(name in other["question"] for name in own):
            return None
        return self.made(other["question"], {})

    # Conditions

    def pieces(self, count: int) -> list[Piece]:
        """Draw conditions on different columns."""
        columns = self.random.sample(range(1, len(self.table.columns)), count)
        return [self.piece(at) for at in columns]

    def piece(self, at: int) -> Piece:
        """Draw a condition on a column."""
        one = self.table.columns[at]
        cell = self.random.choice(one.cells)
        if one.kind == "text":
            operator = self.random.choice(["==", "==", "==", "!="])
            return Piece(self.say(operator, c=self.called(at), v=str(cell)), at, operator, str(cell))
        if one.kind == "bool":
            return Piece(self.say("yes" if cell == "是" else "no", c=self.called(at)), at, "==", str(cell))
        if one.kind == "date":
            operator, phrase = self.random.choice([(">", "after"), ("<", "before")])
            return Piece(self.say(phrase, c=self.called(at), v=self.date(str(cell))), at, operator, str(cell))
        if one.kind == "year":
            operator, phrase = self.random.choice([(">", "after"), ("<", "before")])
            return Piece(self.say(phrase, c=self.called(at), v=f"{cell}年"), at, operator, str(cell))
        operator = self.random.choice([">", ">", "<", "<", ">=", "<=", "=="])
        value, text = self.number(one, float(str(cell)), exact=operator == "==")
        phrase = "number" if operator == "==" else operator
        return Piece(self.say(phrase, c=self.called(at), v=text), at, operator, value)

    def date(self, cell: str) -> str:
        """Write a date as people do."""
        year, month, day = (int(part) for part in cell.split("-"))
        spelt = "".join(DIGITS[int(digit)] for digit in str(year)).replace("零", "〇")
        return self.random.choice(
            [f"{year}年{month}月{day}日", cell, f"{year}/{month}/{day}", f"{spelt}年{month}月{day}日"]
        )

    def number(self, one: Column, value: float, *, exact: bool) -> tuple[str, str]:
        """Write a number in one of the ways that people do: the value in the column's unit, and the words."""
        if not exact:
            step = 10 ** max(0, len(str(int(value))) - 1)
            value = float(plain(max(step, round(value / step) * step))) if value >= 1 else value
        shown = plain(value)
        ways, others = [f"{shown}", f"{shown}{one.unit}"], []
        if float(value).is_integer() and 0 < value < 10_000:
            spelt = chinese(int(value))
            others.append(f"百分之{spelt}" if one.unit == "%" else f"{spelt}{one.unit}")
        other = OTHER_UNITS.get(one.unit)
        if other and plain(plain(value * other[1]) / other[1]) == shown:
            others += [f"{plain(value * other[1])}{other[0]}"] * 2
        for word, factor in FACTORS.items():
            is_exact = value >= factor and plain(plain(value / factor) * factor) == shown
            if is_exact and one.unit[:1] not in FACTORS:
                others += [f"{plain(value / factor)}{word}{one.unit}"] * 2
        if others and self.random.random() < CONVERTED:
            return str(shown), self.random.choice(others)
        return str(shown), self.random.choice(ways)

    # Shapes

    def condition(self) -> tuple[str, list[Piece], str]:
        """Draw one condition, two, or a range: the words, the conditions, and what joins them."""
        kind = self.random.choices(["one", "and", "or", "values", "between", "like"], [60, 14, 8, 8, 8, 5])[0]
        if kind == "one":
            pieces = self.pieces(1)
            return pieces[0].text, pieces, ""
        if kind in ("and", "or"):
            pieces = self.pieces(2)
            return self.say(kind, a=pieces[0].text, b=pieces[1].text), pieces, kind
        if kind == "values":
            at = self.random.choice(self.texts)
            cells = sorted({str(cell) for cell in self.table.columns[at].cells})
            if len(cells) > 1:
                chosen = self.random.sample(cells, 2)
                joined = self.say("or", a=chosen[0], b=chosen[1])
                return self.say("==", c=self.called(at), v=joined), [Piece("", at, "==", one) for one in chosen], "or"
        if kind == "between":
            at = self.random.choice(self.reals)
            low, high = sorted(float(str(cell)) for cell in self.random.sample(self.table.columns[at].cells, 2))
            (low_value, low_text), (high_value, high_text) = (
                self.number(self.table.columns[at], one, exact=True) for one in (low, high)
            )
            text = self.say("between", c=self.called(at), v=low_text, w=high_text)
            return text, [Piece("", at, ">=", low_value), Piece("", at, "<=", high_value)], "and"
        name = str(self.random.choice(self.table.columns[0].cells))
        start = self.random.randrange(max(1, len(name) - 1))
        part = name[start : start + 2].strip()
        return self.say("like", c=self.called(0), v=part), [Piece("", 0, "like", f"%{part}%")], ""

    def filtered(self, shape: str) -> dict[str, object]:
        """Ask for something of the rows that conditions leave."""
        words, pieces, connective = self.condition()
        select: list[tuple[str, int]] = [("", 0)]
        if shape in ("named", "ask"):
            name = str(self.random.choice(self.table.columns[0].cells))
            at = self.random.choice(self.shown)
            told = self.mentioned(name)
            text = self.say("ask", p=self.say("named", v=told), c=self.called(at))
            return self.made(text, self.sql([("", at)], [Piece("", 0, "==", name)], ""))
        if shape == "which":
            text = self.say("which", p=words)
        elif shape == "both":
            at, other = self.random.sample(self.shown, 2)
            select = sorted([("", at), ("", other)], key=lambda one: one[1])
            text = self.say("both", p=words, c=self.called(at), d=self.called(other))
        elif shape == "all":
            text, select = self.say("all", p=words), [("", -1)]
        elif shape == "COUNT":
            text, select = self.say("COUNT", p=words), [("COUNT", 0)]
        else:
            at = self.random.choice(self.reals)
            text, select = self.say(shape, p=words, c=self.called(at), **self.words(at)), [(shape, at)]
        return self.made(text, self.sql(select, pieces, connective))

    def mentioned(self, name: str) -> str:
        """Shorten a long name now and then, as people do; what is left still belongs to it alone."""
        for ending in ("股份有限公司", "集团有限公司", "有限公司", "风电场", "博物馆", "水库"):
            if name.endswith(ending) and self.random.random() < 0.5 and len(name) - len(ending) >= 3:
                return name.removesuffix(ending)
        return name

    def sorted(self, shape: str) -> dict[str, object]:
        """Ask for rows in an order."""
        at = self.random.choice(self.ordered)
        count = self.random.randint(2, 6)
        k = self.random.choice([str(count), chinese(count).replace("二", "两")])
        text = self.say(shape, c=self.called(at), k=k, **self.words(at))
        limit = {"top": count, "last": count, "most": 1, "least": 1}.get(shape)
        order = f" ORDER BY {quoted(self.table.columns[at].name)}" + (
            " DESC" if shape in ("top", "most", "down") else ""
        )
        return self.made(text, self.text([("", 0)], [], "") + order + (f" LIMIT {limit}" if limit else ""))

    def grouped(self, shape: str) -> dict[str, object]:
        """Ask for a number of each group, or for the groups."""
        at, real = self.random.choice(self.texts), self.random.choice(self.reals)
        name = quoted(self.table.columns[at].name)
        text = self.say(shape, c=self.called(at), d=self.called(real))
        if shape == "distinct":
            return self.made(text, f"SELECT DISTINCT {name} FROM {quoted(self.table.title)}")
        if shape == "count distinct":
            return self.made(text, f"SELECT COUNT(DISTINCT {name}) FROM {quoted(self.table.title)}")
        if shape == "each most":
            return self.made(text, self.text([("", at)], [], "") + f" GROUP BY {name} ORDER BY COUNT(*) DESC LIMIT 1")
        what = ("COUNT", -1) if shape == "each" else (shape.removeprefix("each "), real)
        return self.made(text, self.text([("", at), what], [], "") + f" GROUP BY {name}")

    # Queries

    def sql(self, select: list[tuple[str, int]], pieces: Sequence[Piece], connective: str) -> dict[str, object] | str:
        """Write a query as TableQA does where it can, else as SQL."""
        plain_form = all(at >= 0 for _, at in select) and all(one.operator in OPERATORS for one in pieces)
        if not plain_form:
            return self.text(select, pieces, connective)
        return {
            "sel": [at for _, at in select],
            "agg": [AGGREGATES.index(aggregate) for aggregate, _ in select],
            "cond_conn_op": ["", "and", "or"].index(connective),
            "conds": [[one.column, OPERATORS.index(one.operator), one.value] for one in pieces],
        }

    def text(self, select: list[tuple[str, int]], pieces: Sequence[Piece], connective: str) -> str:
        """Write a query as SQL."""
        outputs = ["*" if at < 0 else quoted(self.table.columns[at].name) for _, at in select]
        outputs = [
            f"{aggregate}({one})" if aggregate else one for (aggregate, _), one in zip(select, outputs, strict=True)
        ]
        made = f"SELECT {', '.join(outputs)} FROM {quoted(self.table.title)}"
        parts = [self.comparison(one) for one in pieces]
        return made + (f" WHERE {f' {connective.upper()} '.join(parts)}" if parts else "")

    def comparison(self, piece: Piece) -> str:
        """Write a condition as SQL."""
        one = self.table.columns[piece.column]
        value = piece.value if one.kind in ("real", "year") else "'" + piece.value.replace("'", "''") + "'"
        operator = {"==": "=", "!=": "<>", "like": "LIKE"}.get(piece.operator, piece.operator)
        return f"{quoted(one.name)} {operator} {value}"


AGGREGATES = ["", "AVG", "MAX", "MIN", "COUNT", "SUM"]
OPERATORS = [">", "<", "==", "!="]


def quoted(name: str) -> str:
    """Quote an identifier."""
    return '"' + name.replace('"', '""') + '"'


def chinese(number: int) -> str:
    """Write a number below ten thousand in Chinese."""
    digits = [int(digit) for digit in f"{number:04}"]
    text, zero = "", False
    for digit, place in zip(digits, ["千", "百", "十", ""], strict=True):
        if digit:
            text += ("零" if zero and text else "") + DIGITS[digit] + place
        zero = not digit
    return text.removeprefix("一") if text.startswith("一十") else text or "零"
