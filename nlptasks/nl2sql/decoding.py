"""From the scores of slots to queries: the likeliest one and those that come next, with the places of their values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nlptasks.nl2sql.candidates import Candidate, Period, Value
from nlptasks.nl2sql.encoding import Example
from nlptasks.nl2sql.lessons import DESCENDING, LIMIT_ONE, LIMIT_SAID, NO_LIMIT, NOT_SELECTED
from nlptasks.nl2sql.query import AGGREGATES, ALL_OPERATORS, CONNECTIVES, STAR, Condition, Order, Query, is_choice

OPERATORS = len(ALL_OPERATORS)
#: How much less likely, as a natural logarithm, a query may be that is tried in the place of the likeliest.
FURTHEST = 1.2
#: Queries that are tried after the likeliest.
TRIES = 8


@dataclass(frozen=True)
class Found:
    """A condition with the stretch of the question that it came from.

    Attributes:
        condition: what is compared.
        candidate: the stretch.
        how: the value was made of it, as in `candidates.Value`.
        logprob: of column and operator.
        period: that it is, if it is one.
    """

    condition: Condition
    candidate: Candidate
    how: str
    logprob: float
    period: Period | None = None

    def spelt(self, connective: str) -> list[Found]:
        """Write it as SQL compares: a year in a column of days is all its days."""
        if self.period is None:
            return [self]
        parts = self.period.comparisons(self.condition.operator, single=connective == "or")
        return [replace(self, condition=Condition(self.condition.column, *part)) for part in parts]


@dataclass(frozen=True)
class Hypothesis:
    """A query that the model could mean."""

    query: Query
    found: tuple[Found, ...]
    logprob: float


@dataclass(frozen=True)
class SlotScores:
    """Log-probabilities of one example's slots.

    Attributes:
        select: (C + 1, aggregates + 1).
        group: (C + 1, 2).
        sort: (C + 1, 3).
        whole: for each of WHOLE.
        pair: (K, 1 + W · operators).
        tags: (Q, 3).
    """

    select: np.ndarray
    group: np.ndarray
    sort: np.ndarray
    whole: dict[str, np.ndarray]
    pair: np.ndarray
    tags: np.ndarray

    @property
    def answerable(self) -> float:
        """Give the chance that the table can answer."""
        return float(np.exp(self.whole["answerable"][1]))


def hypotheses(example: Example, scores: SlotScores) -> Iterator[Hypothesis]:
    """Give the likeliest query, then those that differ from it in one condition, the likelier first.

    A condition is never only left out: that finds more whatever was asked.
    """
    first = conditions(example, scores)
    yield assembled(example, scores, first)
    chosen = {one.candidate: one for one in first}
    changes: list[tuple[float, list[Found]]] = []
    for number, candidate in enumerate(example.candidates):
        now = chosen.get(candidate)
        rest = [one for one in first if one is not now and (now or not overlap(one.candidate, candidate))]
        here = now.logprob if now else float(scores.pair[number, 0])
        for other in ranked(example, scores, number):
            if other is not None and (now is None or other.condition != now.condition):
                changes.append((here - other.logprob, [*rest, other]))
    for distance, found in sorted(changes, key=lambda one: one[0])[:TRIES]:
        if distance <= FURTHEST:
            ordered = sorted(found, key=lambda one: one.candidate.start)
            yield assembled(example, scores, ordered)


def ranked(example: Example, scores: SlotScores, number: int) -> list[Found | None]:
    """Give the likeliest readings of one candidate, none for not being a value."""
    row = scores.pair[number]
    best = np.argsort(-row)[:4]
    return [found_at(example, number, int(at), float(row[at])) for at in best if row[at] > -20]


def found_at(example: Example, number: int, at: int, logprob: float) -> Found | None:
    """Make the condition that a place in a row of pair scores stands for; none for none, and for a number of rows."""
    column, operator = divmod(at - 1, OPERATORS)
    if at == 0 or column >= len(example.table.columns):
        return None
    value = example.values[number][column]
    if value is None or ((value.period or value.how == "start") and ALL_OPERATORS[operator] == "!="):
        return None
    candidate = example.candidates[number]
    if value.how == "start" and ALL_OPERATORS[operator] == "==":
        return Found(Condition(column, "like", f"{value.text.replace('%', '_')}%"), candidate, value.how, logprob)
    value = nearest(example, candidate, column, value) if ALL_OPERATORS[operator] in ("==", "!=") else value
    text = f"%{candidate.text.replace('%', '_')}%" if ALL_OPERATORS[operator] == "like" else value.text
    return Found(Condition(column, ALL_OPERATORS[operator], text), candidate, value.how, logprob, value.period)


def nearest(example: Example, candidate: Candidate, column: int, value: Value) -> Value:
    """Take the cell of a column that is most like what was written, where no cell is the same."""
    if value.how != "written" or example.table.columns[column].kind != "text":
        return value
    mention = example.table.cells.nearest(candidate.text, column)
    return Value(mention.cell, "part", mention.score) if mention else value


def conditions(example: Example, scores: SlotScores) -> list[Found]:
    """Take the likeliest reading of each candidate; where two overlap, the likelier stays."""
    taken: list[Found] = []
    best = np.argmax(scores.pair, 1) if len(scores.pair) else np.zeros(0, int)
    for number in sorted(range(len(best)), key=lambda one: -float(scores.pair[one, best[one]])):
        found = found_at(example, number, int(best[number]), float(scores.pair[number, best[number]]))
        if found is None or any(overlap(found.candidate, other.candidate) for other in taken):
            continue
        if all(found.condition != other.condition for other in taken):
            taken.append(found)
    return sorted(taken, key=lambda one: one.candidate.start)


def overlap(one: Candidate, other: Candidate) -> bool:
    """Tell whether two candidates share a letter."""
    return one.start < other.end and other.start < one.end


def assembled(example: Example, scores: SlotScores, found: Sequence[Found]) -> Hypothesis:
    """Put the other slots to conditions."""
    group = tuple(int(column) for column in np.flatnonzero(scores.group[:-1].argmax(1)))
    select, logprob = selected(scores, grouped=bool(group))
    order, limit = sorting(example, scores)
    if order and order.aggregate and not group:  # to count rows of each, there must be something that they are of
        group = tuple(column for aggregate, column in select if not aggregate and column != STAR)
    connective = joined(scores, found)
    logprob += sum(one.logprob for one in found)
    found = [part for one in found for part in one.spelt(connective)]
    connective = connective or ("and" if len(found) > 1 else "")
    is_distinct = bool(scores.whole["distinct"].argmax())
    query = Query(
        select, tuple(one.condition for one in found), connective, is_distinct and not group, group, order, limit
    )
    return Hypothesis(query, tuple(found), logprob)


def selected(scores: SlotScores, *, grouped: bool) -> tuple[tuple[tuple[str, int], ...], float]:
    """Choose what is given: every column that is likelier given than not, the likeliest where none is.

    Without groups, an aggregate is one row: columns beside it say nothing, nor does a second count.
    """
    choice = scores.select.argmax(1)
    columns = [int(column) for column in np.flatnonzero(choice != NOT_SELECTED)]
    if not columns:
        gains = scores.select[:, :NOT_SELECTED].max(1) - scores.select[:, NOT_SELECTED]
        columns = [int(gains.argmax())]
        choice[columns[0]] = scores.select[columns[0], :NOT_SELECTED].argmax()
    if not grouped:
        columns = alone(columns, choice, scores)
    last = len(choice) - 1
    if last in columns and AGGREGATES[choice[last]] == "" and len(columns) > 1:
        columns.remove(last)
    if last in columns and AGGREGATES[choice[last]] not in ("", "COUNT"):
        choice[last] = AGGREGATES.index("COUNT")
    logprob = float(sum(scores.select[column, choice[column]] for column in columns))
    made = [(AGGREGATES[choice[column]], STAR if column == last else column) for column in columns]
    return tuple(made), logprob


def alone(columns: list[int], choice: np.ndarray, scores: SlotScores) -> list[int]:
    """Leave out what says nothing beside an aggregate."""
    counts = [column for column in columns if AGGREGATES[choice[column]] == "COUNT"]
    best = max(counts, key=lambda column: float(scores.select[column, choice[column]]), default=None)
    made = [column for column in columns if AGGREGATES[choice[column]] and (column not in counts or column == best)]
    return made or columns


def sorting(example: Example, scores: SlotScores) -> tuple[Order | None, int | None]:
    """Choose what rows are ordered by and how many are given; a number of rows needs an order."""
    gains = scores.sort[:, 1:].max(1) - scores.sort[:, 0]
    column = int(gains.argmax())
    limit = int(scores.whole["limit"].argmax())
    if gains[column] <= 0 and limit == NO_LIMIT:
        return None, None
    if gains[column] <= -2:
        return None, None
    descending = int(scores.sort[column, 1:].argmax()) + 1 == DESCENDING
    last = len(gains) - 1
    aggregate = "COUNT" if column == last else AGGREGATES[int(scores.whole["order_aggregate"].argmax())]
    if column != last and not scores.group[:-1].argmax(1).any():
        aggregate = ""
    order = Order(STAR if column == last else column, aggregate, descending)
    return order, said_limit(example, scores) if limit == LIMIT_SAID else 1 if limit == LIMIT_ONE else None


def said_limit(example: Example, scores: SlotScores) -> int:
    """Find how many rows are asked for: the candidate that is likeliest this number."""
    place = 1 + len(example.table.columns) * OPERATORS + ALL_OPERATORS.index("==")
    likely = [(float(scores.pair[at, place]), row[-1]) for at, row in enumerate(example.values) if row[-1] is not None]
    best = max(likely, key=lambda one: one[0], default=None)
    return int(best[1].text) if best and best[1] else 1


def joined(scores: SlotScores, found: Sequence[Found]) -> str:
    """Choose what joins the conditions; equal to two things at once is nothing."""
    if len(found) < 2:
        return ""
    if is_choice([one.condition for one in found]):
        return "or"
    return CONNECTIVES[1 + int(scores.whole["connective"][1:].argmax())]


def spans_of(tags: np.ndarray, offsets: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Give the stretches that tags mark as values, in characters."""
    spans: list[tuple[int, int]] = []
    is_open = False
    for tag, (start, end) in zip(tags.argmax(1), offsets, strict=True):
        if tag == 2 and is_open:
            spans[-1] = spans[-1][0], end
        elif tag:
            spans.append((start, end))
        is_open = bool(tag)
    return spans
