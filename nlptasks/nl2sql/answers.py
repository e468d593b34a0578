"""Answers: the likeliest query that runs and finds something, as SQL, and what it found."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlptasks.errors import RecordError
from nlptasks.nl2sql import sql
from nlptasks.nl2sql.decoding import Hypothesis
from nlptasks.nl2sql.encoding import Example
from nlptasks.nl2sql.loading import Loaded, read
from nlptasks.nl2sql.query import Query, as_json
from nlptasks.nl2sql.row import Row
from nlptasks.nl2sql.stores import Bounds, Result
from nlptasks.nl2sql.tables import Table

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What is answered to one question.

    Attributes:
        hypothesis: the query, none where the table cannot answer.
        answerable: how likely it can.
        result: of running it, none where it was not run.
        problem: why it could not be run, if so.
    """

    hypothesis: Hypothesis | None
    answerable: float
    result: Result | None = None
    problem: str | None = None

    @property
    def query(self) -> Query | None:
        """Give the query."""
        return self.hypothesis.query if self.hypothesis else None


class Answerer:
    """Answers the task's rows."""

    def __init__(self, loaded: Loaded) -> None:
        """Answer with a model."""
        self.loaded, self.options = loaded, loaded.options
        self.bounds = Bounds(self.options.seconds, self.options.row_limit)

    def read(self, rows: Sequence[Row]) -> list[Example | RecordError]:
        """Find the table of each row, and encode them."""
        return [self.read_one(row) for row in rows]

    def read_one(self, row: Row) -> Example | RecordError:
        """Encode one row; what is wrong with it comes in its place."""
        try:
            return self.loaded.encoder.read(row.question, self.loaded.library.table(row.table_id, row.inline))
        except RecordError as error:
            return error

    def size(self, example: Example) -> int:
        """Count the tokens of an example."""
        return example.size

    def answer(self, examples: Sequence[Example]) -> list[dict[str, Any]]:
        """Answer one pass, as the output has it."""
        answers = self.answers(examples)
        return [self.shown(example.table, answer) for example, answer in zip(examples, answers, strict=True)]

    def answers(self, examples: Sequence[Example]) -> list[Answer]:
        """Answer one pass."""
        found = read(self.loaded.model, examples, self.loaded.encoder)
        return [
            self.chosen(example, one.hypotheses, one.answerable) for example, one in zip(examples, found, strict=True)
        ]

    def chosen(self, example: Example, hypotheses: Iterable[Hypothesis], answerable: float) -> Answer:
        """Choose among hypotheses by running them, the likeliest first."""
        table, options = example.table, self.options
        if answerable < 0.5:
            return Answer(None, answerable)
        first: Answer | None = None
        for hypothesis in hypotheses:
            if not options.execute:
                return Answer(hypothesis, answerable)
            answer = self.tried(table, hypothesis, answerable)
            if table.is_empty or not options.rerank or (answer.result and says_something(answer.result)):
                return answer
            first = first or answer
        return first or Answer(None, answerable)

    def tried(self, table: Table, hypothesis: Hypothesis, answerable: float) -> Answer:
        """Run a hypothesis."""
        try:
            return Answer(hypothesis, answerable, run(table, hypothesis.query, self.bounds))
        except RecordError as error:
            return Answer(hypothesis, answerable, None, str(error))

    def shown(self, table: Table, answer: Answer) -> dict[str, Any]:
        """Write an answer as the output has it."""
        hypothesis = answer.hypothesis
        if hypothesis is None:
            nothing: dict[str, Any] = {
                "sql": "",
                "query": None,
                "score": 1 - answer.answerable,
                "answerable": False,
                "conditions": [],
            }
            return nothing | ({"columns": [], "rows": [], "truncated": False} if self.options.execute else {})
        conditions = [
            {
                "column": table.names[one.condition.column],
                "operator": one.condition.operator,
                "value": one.condition.value,
                "start": one.candidate.start,
                "end": one.candidate.end,
                "how": one.how,
            }
            for one in hypothesis.found
        ]
        made = {
            "sql": self.written(table, hypothesis.query),
            "query": as_json(hypothesis.query),
            "score": min(1.0, math.exp(hypothesis.logprob) * answer.answerable),
            "answerable": True,
            "conditions": conditions,
        }
        return made | self.found(answer)

    def found(self, answer: Answer) -> dict[str, Any]:
        """Write what a query found, or why it could not be run."""
        if not self.options.execute:
            return {}
        if answer.result is None:
            return {"columns": [], "rows": [], "truncated": False, "problem": answer.problem}
        return {
            "columns": answer.result.columns,
            "rows": [[cell_shown(cell) for cell in row] for row in answer.result.rows],
            "truncated": answer.result.truncated,
        }

    def written(self, table: Table, query: Query) -> str:
        """Write a query for the user: his name of the table, his dialect."""
        is_file = table.name != table.store.table
        dialect = self.options.dialect or ("duckdb" if is_file else table.store.dialect)
        name = table.name if not is_file or dialect == "duckdb" else Path(table.name).stem  # which reads files by name
        return sql.written(query, self.options.from_ or name, table.names, table.numeric, dialect)

    def report(self) -> None:
        """Tell how many questions were longer than is read, and where the SQL that is printed means less elsewhere."""
        only = self.loaded.library.only
        if only and only.foreign and self.options.sql_only and self.options.dialect in (None, "duckdb"):
            listed = ", ".join(only.foreign[:5])
            logger.info("%s: DuckDB reads %s as text, for figures such as 12,000 or 8%%; clean them", only.name, listed)
        if cut := self.loaded.encoder.counts["cut"]:
            logger.info("%d questions were longer than --question-limit, their ends were not read", cut)


def run(table: Table, query: Query, bounds: Bounds) -> Result:
    """Run a query on a table's store.

    Raises:
        RecordError: it cannot be run, or takes too long.
    """
    store = table.store
    return store.run(sql.written(query, store.table, table.names, table.numeric, store.dialect), bounds)


def says_something(result: Result) -> bool:
    """Tell whether a result has anything in it: a row with a value that is neither nothing nor a count of 0."""
    return any(cell not in (None, 0) for row in result.rows for cell in row)


def cell_shown(cell: Any) -> Any:  # noqa: ANN401 - of any database
    """Give a cell as JSON can hold it."""
    if isinstance(cell, float) and not math.isfinite(cell):
        return None
    if isinstance(cell, str | int | float | bool | None):
        return cell
    from decimal import Decimal

    return float(cell) if isinstance(cell, Decimal) else str(cell)
