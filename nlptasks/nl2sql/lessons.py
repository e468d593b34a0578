"""What examples teach the default model: a target for every slot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from nlptasks.nl2sql.encoding import Example
from nlptasks.nl2sql.inputs import tokens_of
from nlptasks.nl2sql.query import AGGREGATES, ALL_OPERATORS, CONNECTIVES, STAR, Query, is_choice, plain

IGNORED = -100
NOT_SELECTED = len(AGGREGATES)
#: Numbers of the answers to each question that is asked of the whole.
WHOLE = {"connective": 3, "limit": 3, "distinct": 2, "answerable": 2, "order_aggregate": len(AGGREGATES)}
NO_LIMIT, LIMIT_ONE, LIMIT_SAID = range(3)
OUTSIDE, BEGIN, INSIDE = range(3)
ASCENDING, DESCENDING = 1, 2


@dataclass(frozen=True)
class Targets:
    """What examples teach, IGNORED where nothing.

    Attributes:
        select: (L,) aggregate of a column that is given, else NOT_SELECTED.
        group: (L,) 1 for a column that is grouped by.
        sort: (L,) ASCENDING or DESCENDING for the column that is ordered by, else 0.
        whole: (E, 5), in the order of WHOLE.
        pair: (K,) 0 for no value, else 1 + column · operators + operator.
        tags: (Q,) OUTSIDE, BEGIN or INSIDE of a value.
    """

    select: Tensor
    group: Tensor
    sort: Tensor
    whole: Tensor
    pair: Tensor
    tags: Tensor

    def to(self, device: torch.device) -> Targets:
        """Move every part to a device."""
        return Targets(*(part.to(device) for part in map(self.__getattribute__, TARGET_NAMES)))


TARGET_NAMES = [field.name for field in fields(Targets)]


def taught(examples: Sequence[Example], queries: Sequence[Query | None]) -> Targets:
    """Say what examples teach; one that its table cannot answer teaches only that."""
    found = [lesson(example, query) for example, query in zip(examples, queries, strict=True)]
    return Targets(*(torch.from_numpy(np.concatenate([one[at] for one in found])) for at in range(len(TARGET_NAMES))))


def lesson(example: Example, query: Query | None) -> list[np.ndarray]:
    """Say what one example teaches, in the order of `Targets`."""
    count = len(example.table.columns) + 1
    if query is None:
        whole = np.full((1, len(WHOLE)), IGNORED)
        whole[0, list(WHOLE).index("answerable")] = 0
        return [
            *(np.full(count, IGNORED) for _ in range(3)),
            whole,
            np.full(len(example.candidates), IGNORED),
            np.full(len(example.offsets), IGNORED),
        ]
    select, group, sort = np.full(count, NOT_SELECTED), np.zeros(count, np.int64), np.zeros(count, np.int64)
    for aggregate, column in query.select:
        select[column] = AGGREGATES.index(aggregate)
    group[list(query.group)] = 1
    if query.order:
        sort[query.order.column] = DESCENDING if query.order.descending else ASCENDING
    order_aggregate = AGGREGATES.index(query.order.aggregate) if query.order else IGNORED
    limit = NO_LIMIT if query.limit is None else LIMIT_ONE if query.limit == 1 else LIMIT_SAID
    is_open = len(query.conditions) > 1 and not is_choice(query.conditions)  # else there is nothing to decide
    connective = CONNECTIVES.index(query.connective) if is_open else IGNORED
    whole = np.array([[connective, limit, int(query.distinct), 1, order_aggregate]])
    pair, tags = values_taught(example, query)
    return [select, group, sort, whole, pair, tags]


def values_taught(example: Example, query: Query) -> tuple[np.ndarray, np.ndarray]:
    """Say of each candidate which condition it is the value of, and of each token whether it is in a value."""
    width = len(ALL_OPERATORS)
    pair, tags = np.zeros(len(example.candidates), np.int64), np.zeros(len(example.offsets), np.int64)
    wanted = [(one.column, ALL_OPERATORS.index(one.operator), one.value.strip("%")) for one in query.conditions]
    if query.limit is not None and query.limit > 1:
        wanted.append((STAR, ALL_OPERATORS.index("=="), str(query.limit)))
    columns = len(example.table.columns)
    for number, column, operator in periods(example, wanted):
        pair[number] = 1 + column * width + operator
        first, last = tokens_of(example, example.candidates[number])
        tags[first : last + 1] = [BEGIN, *[INSIDE] * (last - first)]
    for column, operator, text in wanted:
        at = column if column != STAR else columns
        test = holds if ALL_OPERATORS[operator] == "like" else is_value
        holding = [number for number in range(len(pair)) if not pair[number] and test(example, number, at, text)]
        for number in holding:
            pair[number] = 1 + at * width + operator
        if holding:
            first, last = tokens_of(example, example.candidates[best(example, holding)])
            tags[first] = BEGIN
            tags[first + 1 : last + 1] = INSIDE
    return pair, tags


def periods(example: Example, wanted: list[tuple[int, int, str]]) -> Iterator[tuple[int, int, int]]:
    """Take years and months of columns of days out of what is wanted: candidate, column, operator."""
    for number, values in enumerate(example.values):
        for column, value in enumerate(values[:-1]):
            if value is None or value.period is None:
                continue
            for operator in ("==", ">", "<", ">=", "<="):
                parts = [(column, ALL_OPERATORS.index(one), text) for one, text in value.period.comparisons(operator)]
                if all(part in wanted for part in parts):
                    for part in parts:
                        wanted.remove(part)
                    yield number, column, ALL_OPERATORS.index(operator)
                    break


def is_value(example: Example, number: int, column: int, text: str) -> bool:
    """Tell whether a candidate is a value in a column."""
    found = example.values[number][column]
    return found is not None and plain(found.text) == plain(text)


def holds(example: Example, number: int, column: int, text: str) -> bool:
    """Tell whether a candidate is a piece of text that cells of a column hold."""
    return example.values[number][column] is not None and plain(example.candidates[number].text) == plain(text)


def best(example: Example, numbers: Sequence[int]) -> int:
    """Choose the longest of candidates that are the same value."""
    return max(numbers, key=lambda number: example.candidates[number].end - example.candidates[number].start)
