"""Queries as syntax trees: the only place where SQL text is written; `parsing` reads it.

Identifiers are always quoted and values are always literals, both by sqlglot, so that no header, cell or question can
become a part of the syntax.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from sqlglot import exp

from nlptasks.errors import UsageError
from nlptasks.nl2sql.query import STAR, Condition, Query

AGGREGATE_NODES: dict[str, type[exp.AggFunc]] = {
    "AVG": exp.Avg,
    "MAX": exp.Max,
    "MIN": exp.Min,
    "COUNT": exp.Count,
    "SUM": exp.Sum,
}
OPERATOR_NODES: dict[str, type[exp.Binary]] = {
    ">": exp.GT,
    "<": exp.LT,
    "==": exp.EQ,
    "!=": exp.NEQ,
    ">=": exp.GTE,
    "<=": exp.LTE,
    "like": exp.Like,
}
ORDERED = (">", "<", ">=", "<=")
NUMBER = re.compile(r"-?\d+(\.\d+)?")
DIALECTS = ("duckdb", "sqlite", "mysql", "postgres", "tsql", "oracle", "hive", "spark", "clickhouse", "snowflake")


def written(query: Query, table: str, header: Sequence[str], numeric: Sequence[bool], dialect: str) -> str:
    """Write a query as SQL.

    Args:
        query: what to write.
        table: its name; parts of a qualified name are not told apart, all of it is quoted.
        header: the columns' names in the database.
        numeric: of each column, whether its values are numbers.
        dialect: of DIALECTS.

    Raises:
        UsageError: the dialect is not known.
    """
    if dialect not in DIALECTS:
        raise UsageError(f"--dialect {dialect}: expected one of {', '.join(DIALECTS)}")
    return tree(query, table, header, numeric).sql(dialect=dialect)


def tree(query: Query, table: str, header: Sequence[str], numeric: Sequence[bool]) -> exp.Select:
    """Build the syntax tree of a query; the arguments are those of `written`."""

    def column(number: int) -> exp.Expr:
        return exp.Star() if number == STAR else exp.column(exp.to_identifier(header[number], quoted=True))

    def output(aggregate: str, number: int) -> exp.Expr:
        node = column(number)
        if not aggregate:
            return node
        if query.distinct and aggregate == "COUNT" and number != STAR:
            node = exp.Distinct(expressions=[node])
        return AGGREGATE_NODES[aggregate](this=node)

    # Not by a parser of names, which would take dots and quotes in a name for syntax.
    source = exp.Table(this=exp.to_identifier(table, quoted=True))
    select = exp.select(*(output(*one) for one in query.select)).from_(source)
    if query.distinct and not any(aggregate for aggregate, _ in query.select):
        select = select.distinct()
    if query.conditions:
        parts = [
            comparison(group, column(group[0].column), numeric[group[0].column]) for group in ranges(query).values()
        ]
        select = select.where(exp.or_(*parts) if query.connective == "or" else exp.and_(*parts))
    if query.group:
        select = select.group_by(*(column(number) for number in query.group))
    if query.order:
        by = output(query.order.aggregate, query.order.column)
        select = select.order_by(exp.Ordered(this=by, desc=query.order.descending, nulls_first=False))
    return select if query.limit is None else select.limit(query.limit)


def ranges(query: Query) -> dict[object, list[Condition]]:
    """Put the two ends of a range together; every other condition stays by itself, all in the order of the query."""
    ends = Counter(one.column for one in query.conditions if one.operator in (">=", "<="))
    made: dict[object, list[Condition]] = {}
    for place, one in enumerate(query.conditions):
        of_column = {other.operator for other in query.conditions if other.column == one.column}
        is_end = query.connective == "and" and ends[one.column] == 2 and {">=", "<="} <= of_column
        key: object = one.column if is_end and one.operator in (">=", "<=") else (place,)
        made.setdefault(key, []).append(one)
    return made


def comparison(group: Sequence[Condition], column: exp.Expr, numeric: bool) -> exp.Expr:
    """Build one condition, or a range of two.

    A value that is no number is compared as text, whatever the column; text that is to be more or less than a number is
    read as one.
    """
    first = group[0]
    is_ordered = not numeric and all(one.operator in ORDERED and NUMBER.fullmatch(one.value.strip()) for one in group)
    values = {one.operator: literal(one.value, is_ordered or (numeric and one.operator != "like")) for one in group}
    if is_ordered:
        column = exp.TryCast(this=column, to=exp.DataType.build("double"))
    if len(group) == 1:
        return OPERATOR_NODES[first.operator](this=column, expression=values[first.operator])
    return exp.Between(this=column, low=values[">="], high=values["<="])


def literal(value: str, numeric: bool) -> exp.Expr:
    """Make a literal of a value."""
    number = value.strip()
    if not numeric or not NUMBER.fullmatch(number):
        return exp.Literal.string(value)
    if number.startswith("-"):
        return exp.Neg(this=exp.Literal.number(number[1:]))
    return exp.Literal.number(number)
