"""SQL text as a `Query`: it is taken apart, and never run as it came.

What a `Query` cannot say is refused wherever it stands, so that nothing is read as something else.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlglot
from sqlglot import Dialect, exp
from sqlglot.errors import SqlglotError

from nlptasks.errors import RecordError
from nlptasks.nl2sql.query import STAR, Condition, Order, Query
from nlptasks.nl2sql.sql import AGGREGATE_NODES, OPERATOR_NODES

FLIPPED = {">": "<", "<": ">", ">=": "<=", "<=": ">="}
#: What the parts of a SELECT may consist of.
PARTS: dict[type[exp.Expr], tuple[str, ...]] = {
    exp.Select: ("expressions", "from_", "where", "group", "order", "limit", "distinct"),
    exp.Table: ("this", "db", "catalog", "alias"),
    exp.TableAlias: ("this",),
    exp.Star: (),
    exp.Column: ("this", "table", "db", "catalog"),
    exp.Distinct: ("expressions",),
    exp.Group: ("expressions",),
    exp.Ordered: ("this", "desc"),
    exp.Limit: ("expression",),
    exp.In: ("this", "expressions"),
    exp.Between: ("this", "low", "high"),
    **dict.fromkeys(AGGREGATE_NODES.values(), ("this", "big_int")),
}
MOST_DIGITS = 18  # of a LIMIT


def read(text: str, header: Sequence[str] | None) -> Query:
    """Take SQL of one table apart.

    Args:
        text: one SELECT, in any of the dialects that quote identifiers with double quotes or backticks.
        header: the columns' names; without them each name counts as a column of its own.

    Raises:
        RecordError: it is something else, names a column that is not there, or says what a `Query` cannot.
    """
    dialect = Dialect.get_or_raise("mysql" if "`" in text else "sqlite")
    dialect.NULL_ORDERING = "nulls_are_last"  # of this instance alone: only NULLS FIRST itself is told in the tree
    try:
        found = sqlglot.parse(text, read=dialect)
        if len(found) != 1 or not isinstance(found[0], exp.Select):
            raise refused("something else than one SELECT")
        return Reader(header).query(found[0])
    except SqlglotError as error:
        first = str(error).splitlines()[0][:120]
        raise RecordError(f"field 'sql': not SQL ({first}); expected one SELECT, or TableQA's object") from None
    except RecursionError:
        raise refused("more conditions or brackets than can be read") from None


def refused(what: str) -> RecordError:
    """Say that a query cannot be told with what this task knows."""
    known = "one table, conditions all joined by AND or all by OR, GROUP BY, ORDER BY one column and LIMIT"
    return RecordError(f"field 'sql': found {what}; expected a SELECT of {known}")


def check_parts(select: exp.Select) -> None:
    """Refuse what a `Query` has no place for, such as TABLESAMPLE behind a table.

    Raises:
        RecordError: there is such a part.
    """
    for node in select.walk():
        known = PARTS.get(type(node))
        for part, value in node.args.items():
            if value and known is not None and part not in known:
                raise refused(
                    f"{part.strip('_').upper()} in {node.key.upper()}"
                    if node is not select
                    else part.rstrip("_").upper()
                )


class Reader:
    """Takes a SELECT apart, by the names of its table's columns."""

    def __init__(self, header: Sequence[str] | None) -> None:
        """Know the columns."""
        self.is_open = header is None
        self.numbers = {name.strip().lower(): number for number, name in reversed(list(enumerate(header or ())))}

    def query(self, select: exp.Select) -> Query:
        """Read the whole.

        Raises:
            RecordError: there is a part that a `Query` has no place for.
        """
        check_parts(select)
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
            self.is_distinct(select, outputs),
            tuple(self.column(node) for node in group.expressions) if group else (),
            self.order(select.args.get("order")),
            self.limit(select.args.get("limit")),
        )

    def is_distinct(self, select: exp.Select, outputs: Sequence[tuple[str, int, bool]]) -> bool:
        """Tell whether values are given or counted once: all of them, or none.

        Raises:
            RecordError: some are.
        """
        told = {distinct for aggregate, column, distinct in outputs if aggregate == "COUNT" and column != STAR}
        if len(told) > 1 or (select.args.get("distinct") and any(aggregate for aggregate, _, _ in outputs)):
            raise refused("DISTINCT for a part of what is selected")
        return bool(select.args.get("distinct")) or True in told

    def output(self, node: exp.Expr) -> tuple[str, int, bool]:
        """Read an output: aggregate, column, and whether values are counted once."""
        node = node.this if isinstance(node, exp.Alias) else node
        for name, kind in AGGREGATE_NODES.items():
            if isinstance(node, kind):
                inner = node.this
                if isinstance(inner, exp.Distinct):
                    if name != "COUNT" or len(inner.expressions) != 1:
                        raise refused(f"DISTINCT of several columns or in {name}")
                    return name, self.column(inner.expressions[0]), True
                return name, self.column(inner), False
        return "", self.column(node), False

    def column(self, node: exp.Expr | None) -> int:
        """Find a column by its name, `*` for all.

        Raises:
            RecordError: it is none, or not one that the table has.
        """
        if isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star)):
            return STAR
        if not isinstance(node, exp.Column):
            raise refused(f"{node.key.upper() if node else 'nothing'} in the place of a column")
        name = node.name.strip().lower()
        number = self.numbers.setdefault(name, len(self.numbers)) if self.is_open else self.numbers.get(name)
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
            column = self.column(node.this.this if isinstance(node.this, exp.Cast) else node.this)
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
        left, right = (side.this if isinstance(side, exp.Cast) else side for side in (node.this, node.expression))
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
        aggregate, column, distinct = self.output(by.this)
        if distinct:
            raise refused("ORDER BY of DISTINCT values")
        return Order(column, aggregate, bool(by.args.get("desc")))

    def limit(self, limit: exp.Expr | None) -> int | None:
        """Read how many rows are given."""
        if limit is None:
            return None
        if not isinstance(limit, exp.Limit):
            raise refused(limit.key.upper())
        value = constant(limit.expression)
        if not value.isdecimal() or len(value) > MOST_DIGITS:
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
