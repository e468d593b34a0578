"""Queries as syntax trees, and the other way round: the only place where SQL text is written or read.

Identifiers are always quoted and values are always literals, both by sqlglot, so that no header, cell or question can
become a part of the syntax. What is read is taken apart into a `Query`, and never run as it came.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from nlptasks.errors import RecordError, UsageError
from nlptasks.nl2sql.query import STAR, Condition, Order, Query

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
FLIPPED = {">": "<", "<": ">", ">=": "<=", "<=": ">="}
#: What a SELECT may consist of.
PARTS = ("expressions", "from_", "where", "group", "order", "limit", "distinct", "kind")
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
    """Build one condition, or a range of two; a value that is no number is compared as text, whatever the column."""
    first = group[0]
    values = {one.operator: literal(one.value, numeric and one.operator != "like") for one in group}
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


# From SQL to a query


def read(text: str, header: Sequence[str]) -> Query:
    """Take SQL of one table apart.

    Args:
        text: one SELECT, in any of the dialects that quote identifiers with double quotes or backticks.
        header: the columns' names.

    Raises:
        RecordError: it is something else, names a column that is not there, or says what a `Query` cannot.
    """
    try:
        found = sqlglot.parse(text, read="mysql" if "`" in text else "sqlite")
    except (SqlglotError, RecursionError) as error:
        first = str(error).splitlines()[0][:120]
        raise RecordError(f"field 'sql': not SQL ({first}); expected one SELECT, or TableQA's object") from None
    if len(found) != 1 or not isinstance(found[0], exp.Select):
        raise refused("something else than one SELECT")
    return Reader(header).query(found[0])


def refused(what: str) -> RecordError:
    """Say that a query cannot be told with what this task knows."""
    known = "one table, conditions all joined by AND or all by OR, GROUP BY, ORDER BY one column and LIMIT"
    return RecordError(f"field 'sql': found {what}; expected a SELECT of {known}")


class Reader:
    """Takes a SELECT apart, by the names of its table's columns."""

    def __init__(self, header: Sequence[str]) -> None:
        """Know the columns."""
        self.numbers = {name.strip().lower(): number for number, name in reversed(list(enumerate(header)))}

    def query(self, select: exp.Select) -> Query:
        """Read the whole.

        Raises:
            RecordError: there is a part that a `Query` has no place for.
        """
        for part, value in select.args.items():
            if value and part not in PARTS:
                raise refused(part.rstrip("_").upper())
        source = select.args["from_"].this if select.args.get("from_") else None
        if not isinstance(source, exp.Table) or not isinstance(source.this, exp.Identifier):
            raise refused("no table, or a query in its place")
        outputs = [self.output(node) for node in select.expressions]
        conditions, connective = self.conditions(select.args.get("where"))
        group = select.args.get("group")
        return Query(
            tuple((aggregate, column) for aggregate, column, _ in outputs),
            tuple(conditions),
            connective if len(conditions) > 1 else "",
            bool(select.args.get("distinct")) or any(distinct for _, _, distinct in outputs),
            tuple(self.column(node) for node in group.expressions) if group else (),
            self.order(select.args.get("order")),
            self.limit(select.args.get("limit")),
        )

    def output(self, node: exp.Expr) -> tuple[str, int, bool]:
        """Read an output: aggregate, column, and whether values are counted once."""
        node = node.this if isinstance(node, exp.Alias) else node
        for name, kind in AGGREGATE_NODES.items():
            if isinstance(node, kind):
                inner = node.this
                if isinstance(inner, exp.Distinct):
                    return name, self.column(inner.expressions[0]), True
                return name, self.column(inner), False
        return "", self.column(node), False

    def column(self, node: exp.Expr) -> int:
        """Find a column by its name, `*` for all.

        Raises:
            RecordError: it is none, or not one that the table has.
        """
        if isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star)):
            return STAR
        if not isinstance(node, exp.Column):
            raise refused(f"{node.key.upper()} in the place of a column")
        number = self.numbers.get(node.name.strip().lower())
        if number is None:
            raise RecordError(f"field 'sql': no column {node.name[:40]!r} in the table; it has {self.listed()}")
        return number

    def listed(self) -> str:
        """List the first columns for a complaint."""
        names = list(self.numbers)[::-1]
        return ", ".join([*names[:8], *["…"][: len(names) > 8]])

    def conditions(self, where: exp.Expr | None) -> tuple[list[Condition], str]:
        """Read the conditions, and what joins them."""
        if where is None:
            return [], ""
        node = where.this.unnest()
        if isinstance(node, exp.Or):
            return [one for part in flattened(node, exp.Or) for one in self.compared(part, "or")], "or"
        if isinstance(node, exp.In):
            return self.compared(node, "or"), "or"
        return [one for part in flattened(node, exp.And) for one in self.compared(part, "and")], "and"

    def compared(self, node: exp.Expr, joined: str) -> list[Condition]:
        """Read one comparison, which may be of several values."""
        if isinstance(node, exp.Between) and joined == "and":
            column = self.column(node.this)
            return [
                Condition(column, ">=", constant(node.args["low"])),
                Condition(column, "<=", constant(node.args["high"])),
            ]
        if isinstance(node, exp.In) and joined == "or" and node.expressions:
            column = self.column(node.this)
            return [Condition(column, "==", constant(one)) for one in node.expressions]
        name = next((name for name, kind in OPERATOR_NODES.items() if type(node) is kind), None)
        if name is None:
            raise refused(f"{node.key.upper()} as a condition")
        left, right = node.this, node.expression
        if isinstance(right, exp.Column) and not isinstance(left, exp.Column):
            left, right, name = right, left, FLIPPED.get(name, name)
        return [Condition(self.column(left), name, constant(right))]

    def order(self, order: exp.Expr | None) -> Order | None:
        """Read what rows are ordered by."""
        if order is None:
            return None
        if len(order.expressions) > 1:
            raise refused("ORDER BY of several columns")
        by = order.expressions[0]
        aggregate, column, _ = self.output(by.this)
        return Order(column, aggregate, bool(by.args.get("desc")))

    def limit(self, limit: exp.Expr | None) -> int | None:
        """Read how many rows are given."""
        if limit is None:
            return None
        value = constant(limit.expression)
        if not value.isdigit():
            raise refused(f"LIMIT {value[:20]}")
        return int(value)


def flattened(node: exp.Expr, kind: type[exp.Connector]) -> list[exp.Expr]:
    """Give the parts that a connective joins; brackets around parts of the same kind are looked through."""
    node = node.unnest()
    if isinstance(node, kind):
        return [*flattened(node.left, kind), *flattened(node.right, kind)]
    return [node]


def constant(node: exp.Expr) -> str:
    """Read a literal, perhaps with a sign.

    Raises:
        RecordError: it is none.
    """
    if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal) and not node.this.is_string:
        return f"-{node.this.this}"
    if isinstance(node, exp.Literal):
        return str(node.this)
    if isinstance(node, exp.Column) and not node.table:
        return node.name  # "x" in SQLite may be text
    raise refused(f"{node.key.upper()} in the place of a value")
