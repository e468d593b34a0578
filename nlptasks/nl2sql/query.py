"""A query of one table as plain values, and as TableQA and WikiSQL write it in JSON; standard library only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nlptasks.errors import RecordError

#: By their number in TableQA.
AGGREGATES = ("", "AVG", "MAX", "MIN", "COUNT", "SUM")
OPERATORS = (">", "<", "==", "!=")
CONNECTIVES = ("", "and", "or")
#: What TableQA has no number for.
MORE_OPERATORS = (">=", "<=", "like")
ALL_OPERATORS = (*OPERATORS, *MORE_OPERATORS)
#: By their number in WikiSQL.
WIKISQL_AGGREGATES = ("", "MAX", "MIN", "COUNT", "SUM", "AVG")
WIKISQL_OPERATORS = ("==", ">", "<")
#: The column that stands for all of them.
STAR = -1


@dataclass(frozen=True, order=True)
class Condition:
    """A comparison of one column with one value.

    Attributes:
        column: its number.
        operator: of ALL_OPERATORS.
        value: as text; the column's type says what it is compared as.
    """

    column: int
    operator: str
    value: str


@dataclass(frozen=True, order=True)
class Order:
    """What rows are ordered by."""

    column: int
    aggregate: str = ""
    descending: bool = False


@dataclass(frozen=True)
class Query:
    """A query of one table.

    Attributes:
        select: aggregate and column of each output, the column STAR for all of them.
        conditions: joined by the connective.
        connective: of CONNECTIVES; empty where there are fewer than two conditions.
        distinct: each output row, or what COUNT counts, once.
        group: columns to group by.
        order: what rows are ordered by, or none.
        limit: rows to give at most, or none.
    """

    select: tuple[tuple[str, int], ...]
    conditions: tuple[Condition, ...] = ()
    connective: str = ""
    distinct: bool = False
    group: tuple[int, ...] = ()
    order: Order | None = None
    limit: int | None = None

    @property
    def columns(self) -> list[int]:
        """Give the columns that are read, without STAR."""
        found = [column for _, column in self.select] + [one.column for one in self.conditions] + list(self.group)
        found += [self.order.column] if self.order else []
        return [column for column in found if column != STAR]

    def form(self) -> tuple[Any, ...]:
        """Give what two queries are compared by: outputs and conditions in any order, numbers as numbers."""
        conditions = sorted({(one.column, one.operator, plain(one.value)) for one in self.conditions})
        connective = self.connective if len(conditions) > 1 else ""
        return (
            sorted(self.select),
            conditions,
            connective,
            self.distinct,
            sorted(self.group),
            self.order,
            self.limit,
        )


def is_choice(conditions: Sequence[Condition]) -> bool:
    """Tell whether conditions ask one column to equal several values: only OR can join them."""
    return (
        len(conditions) > 1
        and {one.operator for one in conditions} == {"=="}
        and len({one.column for one in conditions}) == 1
    )


def plain(value: str) -> str:
    """Write a value so that the same number, or the same text but for case and width, is the same."""
    text = value.strip().lower()
    try:
        return f"{float(text):.10g}"
    except ValueError:
        return text


def of_json(found: Mapping[str, Any]) -> Query:
    """Read a query as TableQA or WikiSQL writes it.

    Raises:
        RecordError: it is neither.
    """
    try:
        return wikisql(found) if isinstance(found["sel"], int) else tableqa(found)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        expected = "expected sel, agg, cond_conn_op and conds as in TableQA, or SQL text"
        raise RecordError(f"field 'sql': not a query ({type(error).__name__}: {error}); {expected}") from None


def tableqa(found: Mapping[str, Any]) -> Query:
    """Read TableQA's form."""
    conditions = tuple(
        Condition(natural(column), OPERATORS[natural(op)], str(value)) for column, op, value in found["conds"]
    )
    pairs = zip(found["agg"], found["sel"], strict=True)
    select = tuple((AGGREGATES[natural(number)], natural(column)) for number, column in pairs)
    connective = CONNECTIVES[natural(found["cond_conn_op"])]
    if not select:
        raise ValueError("sel is empty")
    return Query(select, conditions, connective if len(conditions) > 1 else "")


def wikisql(found: Mapping[str, Any]) -> Query:
    """Read WikiSQL's form, in which conditions are joined by AND."""
    conditions = tuple(
        Condition(natural(column), WIKISQL_OPERATORS[natural(op)], str(value)) for column, op, value in found["conds"]
    )
    select = ((WIKISQL_AGGREGATES[natural(found["agg"])], natural(found["sel"])),)
    return Query(select, conditions, "and" if len(conditions) > 1 else "")


def natural(value: object) -> int:
    """Take a number of a list; those below 0 would count from the end.

    Raises:
        ValueError: it is something else.
    """
    if type(value) is not int or value < 0:
        raise ValueError(f"found {value!r} where a number from 0 was expected")
    return value


def as_json(query: Query) -> dict[str, Any] | None:
    """Write a query as TableQA does; none where that form cannot say it."""
    simple = not (query.distinct or query.group or query.order or query.limit is not None)
    if not simple or any(column == STAR for _, column in query.select):
        return None
    if any(one.operator not in OPERATORS for one in query.conditions):
        return None
    return {
        "sel": [column for _, column in query.select],
        "agg": [AGGREGATES.index(aggregate) for aggregate, _ in query.select],
        "cond_conn_op": CONNECTIVES.index(query.connective),
        "conds": [[one.column, OPERATORS.index(one.operator), one.value] for one in query.conditions],
    }


def check_columns(query: Query, header: Sequence[str]) -> None:
    """Refuse a query that names a column which its table does not have.

    Raises:
        RecordError: it does.
    """
    for column in query.columns:
        if column >= len(header):
            raise RecordError(f"field 'sql': column {column} of a table with {len(header)} columns; mend sel or conds")
