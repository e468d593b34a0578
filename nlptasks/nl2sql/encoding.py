"""A question and a table as tokens and features: one passage for each block of columns, the question in all of them.

A block is `[CLS] question [SEP]`, then for each column a token for its kind, its header, `：` and the cell that the
question mentions, `[SEP]`. The last column stands for all of them, as in COUNT(*), and takes the number of rows that is
asked for.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nlptasks.backbone.text import Text
from nlptasks.nl2sql import candidates, cues
from nlptasks.nl2sql.candidates import Candidate, Value
from nlptasks.nl2sql.cells import folded
from nlptasks.nl2sql.query import STAR
from nlptasks.nl2sql.tables import Table
from nlptasks.nl2sql.values import unit_of

#: The token in front of a header, by the column's kind.
MARKS = {"text": "文", "real": "数", "date": "日", "all": "全"}
ALL = "全部"
#: Features of a column, of a candidate in a column, and of a token of the question.
COLUMN_OWN, PAIR_OWN, TOKEN_FEATURES = 14, 15, 4
COLUMN_FEATURES, PAIR_FEATURES = COLUMN_OWN + len(cues.WHOLE_CUES), PAIR_OWN + len(cues.OPERATORS)
#: Tokens of a mentioned cell that are read with its column, and how much of it the question has to hold.
CELL_TOKENS, LIKELY = 16, 0.4


@dataclass(frozen=True)
class Block:
    """One sequence: its tokens, the columns in it, and where their marks stand."""

    ids: list[int]
    columns: list[int]
    marks: list[int]
    ends: list[int]


@dataclass(frozen=True)
class Example:
    """A question and a table as the model reads them.

    Attributes:
        question: as asked.
        table: that it is asked of.
        offsets: of each token of the question, its first character and the one behind it.
        blocks: the sequences.
        candidates: what may be a value.
        values: of each candidate, what it is in each column, STAR last.
        column_features: (C + 1, COLUMN_FEATURES) float32.
        pair_features: (K, C + 1, PAIR_FEATURES) float32.
        token_features: (Q, TOKEN_FEATURES) float32.
    """

    question: str
    table: Table
    offsets: list[tuple[int, int]]
    blocks: list[Block]
    candidates: list[Candidate]
    values: list[list[Value | None]]
    column_features: np.ndarray
    pair_features: np.ndarray
    token_features: np.ndarray

    @property
    def size(self) -> int:
        """Count the tokens."""
        return sum(len(block.ids) for block in self.blocks)


@dataclass(frozen=True)
class Place:
    """Where a question names a column: the longest piece of the header that stands in it."""

    start: int
    end: int
    share: float


class Encoder:
    """Turns questions into examples."""

    def __init__(
        self, text: Text, *, limit: int, question_limit: int, types: bool, matching: bool, cues: bool = True
    ) -> None:
        """Know how much is read at once, and which parts are left out.

        Args:
            text: the tokenizer.
            limit: tokens of a block; a single long header may go beyond it.
            question_limit: tokens of a question.
            types: tell columns of text, numbers and dates apart.
            matching: look for cells in the question.
            cues: look for words that tell operators and aggregates.
        """
        self.text, self.limit, self.question_limit = text, limit, question_limit
        self.types, self.matching, self.cues = types, matching, cues
        self.marks = {kind: text.tokenizer.token_to_id(mark) or text.special["mask"] for kind, mark in MARKS.items()}
        self.colon = self.pieces("：")
        self.headers: dict[str, list[int]] = {}
        self.counts = {"questions": 0, "cut": 0, "blocks": 0}

    def pieces(self, text: str) -> list[int]:
        """Turn a text into tokens without special ones."""
        ids: list[int] = self.text.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def header(self, text: str) -> list[int]:
        """Turn a header into tokens, once."""
        if text not in self.headers:
            self.headers[text] = self.pieces(text)
        return self.headers[text]

    def read(self, question: str, table: Table, spans: Sequence[tuple[int, int]] = ()) -> Example:
        """Encode a question.

        Args:
            question: not blank.
            table: that it is asked of.
            spans: further stretches that are, or may be, values.
        """
        encoded = self.text.tokenizer.encode(question, add_special_tokens=False)
        ids, offsets = encoded.ids[: self.question_limit], list(encoded.offsets[: self.question_limit])
        self.counts["questions"] += 1
        self.counts["cut"] += len(encoded.ids) > self.question_limit
        found = candidates.found(question, table, matching=self.matching)
        found = self.readable([*found, *candidates.tagged(question, spans, found, table)], offsets)
        return self.example(question, table, ids, offsets, found)

    def readable(self, found: Sequence[Candidate], offsets: Sequence[tuple[int, int]]) -> list[Candidate]:
        """Leave out what stands behind the end of what is read."""
        end = offsets[-1][1] if offsets else 0
        return [one for one in found if one.start < end]

    def example(
        self, question: str, table: Table, ids: list[int], offsets: list[tuple[int, int]], found: list[Candidate]
    ) -> Example:
        """Put an example together."""
        rest = without_cells(folded(question), found)
        places = [place_of(rest, folded(column.header)) for column in table.columns]
        numbers = [*range(len(table.columns)), STAR]
        values = [[candidates.value(one, column, table) for column in numbers] for one in found]
        best = best_cells(found, len(table.columns)) if self.matching else {}
        blocks = self.blocks(ids, table, best)
        self.counts["blocks"] += len(blocks)
        columns = column_features(rest, table, places, found, values)
        pairs = pair_features(table, places, found, values)
        if not self.types:
            columns[:, 6:9] = 0
        if not self.matching:
            columns[:, 4:6] = 0
            pairs[:, :, [0, 1, 13]] = 0
        if self.cues:
            columns[:, COLUMN_OWN:] = cues.whole(question)
            pairs[:, :, PAIR_OWN:] = cues_around(question, found)[:, None]
        tokens = (
            token_features(offsets, found) if self.matching else np.zeros((len(offsets), TOKEN_FEATURES), np.float32)
        )
        return Example(question, table, offsets, blocks, found, values, columns, pairs, tokens)

    def blocks(self, question: list[int], table: Table, cells: dict[int, str]) -> list[Block]:
        """Lay the columns out in as many blocks as they need."""
        start, end = self.text.special["start"], self.text.special["end"]
        head = [start, *question, end]
        made: list[Block] = []
        block = Block(list(head), [], [], [])
        for number, part in self.parts(table, cells):
            if block.columns and len(block.ids) + len(part) > self.limit:
                made.append(block)
                block = Block(list(head), [], [], [])
            block.columns.append(number)
            block.marks.append(len(block.ids))
            block.ids.extend(part)
            block.ends.append(len(block.ids) - 1)
        return [*made, block]

    def parts(self, table: Table, cells: dict[int, str]) -> list[tuple[int, list[int]]]:
        """Turn each column into tokens; the number of the last, which stands for all, is that of a further column."""
        end = self.text.special["end"]
        made = []
        for number, column in enumerate(table.columns):
            mark = self.marks[column.kind if self.types else "text"]
            unit = self.header(f"({column.unit})") if column.unit else []
            cell = [*self.colon, *self.pieces(cells[number])[:CELL_TOKENS]] if number in cells else []
            made.append((number, [mark, *self.header(column.header)[: self.limit], *unit, *cell, end]))
        return [*made, (len(table.columns), [self.marks["all"], *self.header(ALL), end])]


def best_cells(found: Sequence[Candidate], width: int) -> dict[int, str]:
    """Choose for each column the cell that the question mentions best."""
    best: dict[int, tuple[float, str]] = {}
    for one in found:
        for column, mention in one.cells.items():
            if mention.score >= LIKELY and mention.score > best.get(column, (0.0, ""))[0]:
                best[column] = mention.score, mention.cell
    return {column: cell for column, (_, cell) in best.items()}


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
            number == 0,
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
