"""A question and a table as tokens and features: one passage for each block of columns, the question in all of them.

A block is `[CLS] question [SEP]`, then for each column a token for its kind, its header, `：` and the cell that the
question mentions, `[SEP]`. The last column stands for all of them, as in COUNT(*), and takes the number of rows that is
asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nlptasks.backbone.text import Text
from nlptasks.nl2sql import candidates, cues
from nlptasks.nl2sql.candidates import Candidate, Value
from nlptasks.nl2sql.cells import folded
from nlptasks.nl2sql.features import (
    COLUMN_CELLS,
    COLUMN_KINDS,
    COLUMN_OWN,
    PAIR_CELLS,
    PAIR_OWN,
    TOKEN_FEATURES,
    column_features,
    cues_around,
    pair_features,
    place_of,
    token_features,
    without_cells,
)
from nlptasks.nl2sql.query import STAR
from nlptasks.nl2sql.tables import Table

#: The token in front of a header, by the column's kind.
MARKS = {"text": "文", "real": "数", "date": "日", "all": "全"}
ALL = "全部"
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
            columns[:, COLUMN_KINDS] = 0
        if not self.matching:
            columns[:, COLUMN_CELLS] = 0
            pairs[:, :, PAIR_CELLS] = 0
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
        """Turn each column into tokens, the one that names the rows first; the last stands for all.

        Returns:
            For each its number and its tokens.
        """
        end = self.text.special["end"]
        made = []
        for number in sorted(range(len(table.columns)), key=lambda at: at != table.naming):
            column = table.columns[number]
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
