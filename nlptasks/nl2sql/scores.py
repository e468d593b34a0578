"""How good queries are: the same form, the same rows, and the share of right ones for every slot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nlptasks.errors import RecordError
from nlptasks.nl2sql.answers import run
from nlptasks.nl2sql.query import Query, plain
from nlptasks.nl2sql.stores import Bounds
from nlptasks.nl2sql.tables import Table

#: Rows that are compared at most, and the time that a reference may take.
BOUNDS = Bounds(10.0, 10_000)


@dataclass(frozen=True)
class Judged:
    """One question: what was answered, what is right, and its table."""

    answer: Query | None
    right: Query | None
    table: Table


SLOTS: dict[str, Callable[[Query], Any]] = {
    "select": lambda query: sorted(column for _, column in query.select),
    "aggregate": lambda query: sorted(aggregate for aggregate, _ in query.select),
    "connective": lambda query: query.connective,
    "columns": lambda query: sorted(one.column for one in query.conditions),
    "operators": lambda query: sorted((one.column, one.operator) for one in query.conditions),
    "values": lambda query: sorted((one.column, plain(one.value)) for one in query.conditions),
    "rest": lambda query: (query.distinct, sorted(query.group), query.order, query.limit),
}


def scored(judged: Sequence[Judged]) -> dict[str, float]:
    """Score answers, each score between 0 and 1.

    `execution` is over the questions whose reference finds rows, and left out where there is none; `answerable` is how
    often it is right whether the table can answer, left out where all can.
    """
    whole = [one for one in judged if one.right is not None]
    scores = {"logical_form": mean([same_form(one) for one in judged])}
    executed = [found for one in whole if (found := execution(one)) is not None]
    if executed:
        scores["execution"] = mean(executed)
    for name, slot in SLOTS.items():
        scores[name] = mean([one.answer is not None and slot(one.answer) == slot(known(one)) for one in whole])
    if len(whole) < len(judged):
        scores["answerable"] = mean([(one.answer is None) == (one.right is None) for one in judged])
    return scores


def known(one: Judged) -> Query:
    """Give the right query of a question that has one.

    Raises:
        ValueError: it has none.
    """
    if one.right is None:
        raise ValueError("a question without a right query")
    return normal(one.right)


def normal(query: Query) -> Query:
    """Leave out the connective of fewer than two conditions."""
    return query if len(query.conditions) > 1 else replace(query, connective="")


def mean(values: Sequence[bool]) -> float:
    """Average, 0 for none."""
    return sum(values) / len(values) if values else 0.0


def same_form(one: Judged) -> bool:
    """Tell whether an answer says the same as the reference, in any order."""
    if one.answer is None or one.right is None:
        return one.answer is one.right
    return one.answer.form() == one.right.form()


def execution(one: Judged) -> bool | None:
    """Tell whether an answer finds the same rows as the reference; none where that finds none."""
    right = rows_of(one.table, one.right)
    if not right or right.keys() == {("0",)}:
        right = rows_of(one.table, lowered(one.right)) or right
    if not right:
        return None
    return rows_of(one.table, one.answer) == right


def lowered(query: Query | None) -> Query | None:
    """Write values in lower case: WikiSQL's databases hold all text so, but not its queries."""
    if query is None:
        return None
    return replace(query, conditions=tuple(replace(one, value=one.value.lower()) for one in query.conditions))


def rows_of(table: Table, query: Query | None) -> Counter[tuple[str, ...]] | None:
    """Run a query and count its rows; none where it cannot be run or finds nothing."""
    if query is None:
        return None
    try:
        rows = run(table, query, BOUNDS).rows
    except RecordError:
        return None
    told = [row for row in rows if any(cell is not None for cell in row)]
    return Counter(tuple(plain(str(cell)) for cell in row) for row in told) or None
