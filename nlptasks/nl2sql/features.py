"""What is known of columns, candidates and tokens without reading them, as numbers for the model."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nlptasks.nl2sql import cues
from nlptasks.nl2sql.candidates import Candidate, Value
from nlptasks.nl2sql.cells import folded
from nlptasks.nl2sql.tables import Table
from nlptasks.nl2sql.values import unit_of

#: Features of a column, of a candidate in a column, and of a token of the question.
COLUMN_OWN, PAIR_OWN, TOKEN_FEATURES = 14, 15, 4
#: Which of a column's tell of cells in the question, and which of its kind; which of a pair's tell of cells.
COLUMN_CELLS, COLUMN_KINDS, PAIR_CELLS = slice(4, 6), slice(6, 9), [0, 1, 13]
COLUMN_FEATURES, PAIR_FEATURES = COLUMN_OWN + len(cues.WHOLE_CUES), PAIR_OWN + len(cues.OPERATORS)


@dataclass(frozen=True)
class Place:
    """Where a question names a column: the longest piece of the header that stands in it."""

    start: int
    end: int
    share: float


def without_cells(question: str, found: Sequence[Candidate]) -> str:
    """Blank out the whole cells in a question: 城市 in the name of a company names no column."""
    for one in found:
        if one.end - one.start > 1 and any(mention.score == 1.0 for mention in one.cells.values()):
            question = question[: one.start] + "\0" * (one.end - one.start) + question[one.end :]
    return question


def telling(headers: Sequence[str], question: str) -> list[float]:
    """Weigh the letters of each header by how few headers have them, and give the share that stands in a question."""
    counts = Counter(letter for header in headers for letter in set(header))
    letters = set(question)
    made = []
    for header in headers:
        weights = {letter: 1 / counts[letter] for letter in header}
        made.append(sum(weights[letter] for letter in weights.keys() & letters) / max(1e-6, sum(weights.values())))
    return made


def place_of(question: str, header: str) -> Place:
    """Find the longest piece of a header in a question, of two letters or more where the header has them."""
    for length in range(len(header), min(2, len(header)) - 1, -1):
        for at in range(len(header) - length + 1):
            start = question.find(header[at : at + length])
            if start >= 0:
                return Place(start, start + length, length / len(header))
    return Place(-1, -1, 0.0)


def column_features(
    question: str,
    table: Table,
    places: Sequence[Place],
    found: Sequence[Candidate],
    values: Sequence[Sequence[Value | None]],
) -> np.ndarray:
    """Describe the columns: (C + 1, COLUMN_FEATURES), all for the last row 0 but what says that it is the last."""
    made = np.zeros((len(table.columns) + 1, COLUMN_FEATURES), np.float32)
    shares = [place.share for place in places]
    told = telling([folded(column.header) for column in table.columns], question)
    for number, column in enumerate(table.columns):
        others = max((share for at, share in enumerate(shares) if at != number), default=0.0)
        scores = [one.cells[number].score for one in found if number in one.cells]
        made[number, :COLUMN_OWN] = (
            shares[number],
            shares[number] == 1.0,
            told[number],
            shares[number] - others,
            max(scores, default=0.0) == 1.0,
            max((score for score in scores if score < 1), default=0.0),
            column.kind == "text",
            column.kind == "real",
            column.kind == "date",
            table.extents[number].constant,
            bool(column.unit),
            column.header.lower().endswith(("id", "编号", "代码", "号码", "序号")),
            number == table.naming,
            0.0,
        )
    made[-1, COLUMN_OWN - 1] = 1.0
    return made


def pair_features(
    table: Table, places: Sequence[Place], found: Sequence[Candidate], values: Sequence[Sequence[Value | None]]
) -> np.ndarray:
    """Describe each candidate in each column: (K, C + 1, PAIR_FEATURES)."""
    made = np.zeros((len(found), len(table.columns) + 1, PAIR_FEATURES), np.float32)
    for at, (one, row) in enumerate(zip(found, values, strict=True)):
        for number, column in enumerate(table.columns):
            value = row[number]
            mention = one.cells.get(number)
            gap_before = one.start - places[number].end if 0 <= places[number].end <= one.start else math.inf
            gap_behind = places[number].start - one.end if places[number].start >= one.end else math.inf
            extent = table.extents[number]
            real = value is not None and column.kind == "real"
            within = real and value is not None and extent.least <= float(value.text) <= extent.greatest
            measure = one.number.measure if one.number else ""
            made[at, number, :PAIR_OWN] = (
                mention is not None and mention.score == 1.0,
                mention.score if mention else 0.0,
                value is not None,
                real,
                within,
                real and not within and extent.least <= extent.greatest,
                bool(measure) and measure == unit_of(column.unit)[1],
                one.date is not None and column.kind == "date",
                extent.constant,
                one.source == "tag",
                math.exp(-gap_before / 4),
                math.exp(-gap_behind / 4),
                places[number].share,
                mention is None and value is not None and value.how == "written" and table.has_cells[number],
                0.0,
            )
        made[at, -1, 2] = row[-1] is not None
        made[at, -1, PAIR_OWN - 1] = 1.0
    return made


def cues_around(question: str, found: Sequence[Candidate]) -> np.ndarray:
    """Say of each candidate which operators the words around it tell: (K, operators)."""
    told = [cues.operators(question, one.start, one.end) for one in found]
    made = [[operator in one for operator in cues.OPERATORS] for one in told]
    return np.array(made, np.float32).reshape(len(found), len(cues.OPERATORS))


def token_features(offsets: Sequence[tuple[int, int]], found: Sequence[Candidate]) -> np.ndarray:
    """Describe the question's tokens by the candidates they are in: (Q, TOKEN_FEATURES)."""
    made = np.zeros((len(offsets), TOKEN_FEATURES), np.float32)
    starts, ends = (np.array([place[side] for place in offsets], np.int64) for side in (0, 1))
    for one in found:
        inside = (starts < one.end) & (ends > one.start)
        whole = any(mention.score == 1.0 for mention in one.cells.values())
        kinds = (whole, bool(one.cells) and not whole, one.number is not None or one.date is not None, True)
        made[inside] = np.maximum(made[inside], np.array(kinds, np.float32))
    return made
