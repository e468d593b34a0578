"""NL2SQL as a task: what it learns from, its answers and its scores."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

import torch
from torch import Tensor

from nlptasks.backbone.batch import Budget
from nlptasks.backbone.text import Text
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import InputError, RecordError, UsageError
from nlptasks.inference.predictor import whole
from nlptasks.nl2sql import baseline
from nlptasks.nl2sql import model as slots
from nlptasks.nl2sql.answers import Answerer
from nlptasks.nl2sql.encoding import Example
from nlptasks.nl2sql.inputs import put_together
from nlptasks.nl2sql.lessons import taught
from nlptasks.nl2sql.library import Library
from nlptasks.nl2sql.loading import Loaded, assembled, encoder_of, load, rest
from nlptasks.nl2sql.query import Query
from nlptasks.nl2sql.row import Options, Row, Settings, Sweep, reference
from nlptasks.nl2sql.scores import Judged, scored
from nlptasks.task import Shown, Work, paired
from nlptasks.task import Task as AnyTask

__all__ = ["Answerer", "Loaded", "Task", "evaluations", "examples", "load", "score_predictions", "shown", "worker"]

#: Stretches of a question that are no values, beside those that rules find.
DISTRACTORS = 3

logger = logging.getLogger(__name__)


class Task(AnyTask[Any]):
    """One method of NL2SQL with its settings."""

    name = "nl2sql"
    best = "logical_form"

    def __init__(self, method: str, settings: Settings, text: Text) -> None:
        """Keep the method, its settings and the tokenizer, and open the tables."""
        self.method, self.settings, self.text = method, settings, text
        self.encoder = encoder_of(text, method, asdict(settings))
        self.library = self.dev_library = Library.of(*(settings.tables or []))
        if settings.dev_tables:  # looked through first, as both may have tables of the same id
            own = Library.of(*settings.dev_tables)
            self.dev_library = Library(shelves=[*own.shelves, *self.library.shelves])
        self.known: dict[str, tuple[Example, Query | None]] = {}

    def model(self, backbone: Backbone) -> slots.Slots | baseline.Baseline:
        """Put the method's heads on a backbone.

        Raises:
            UsageError: more is to be read at once than the backbone can.
        """
        positions = backbone.bert.config.max_position_embeddings
        if self.settings.limit > positions:
            raise UsageError(f"--limit {self.settings.limit}: the backbone reads {positions} tokens; lower it")
        return assembled(backbone, self.method)

    def check(self, model: Any, rows: Sequence[Mapping[str, Any]]) -> None:  # noqa: ANN401 - of either method
        """Refuse rows whose table is missing or whose query does not fit it.

        Raises:
            InputError: there is one.
        """
        for row in rows:
            try:
                table = self.library.table(row["table_id"], row["inline"])
                reference(row["sql"], table.header)
            except RecordError as error:
                raise InputError(f"question {row['question'][:40]!r}: {error}") from error

    def batch(self, rows: Sequence[Mapping[str, Any]]) -> Work:
        """Encode rows with what they teach, for one forward pass."""
        lessons = [self.lesson(row) for row in rows]
        examples, queries = [example for example, _ in lessons], [query for _, query in lessons]
        teach = baseline.taught if self.method == "baseline" else taught
        groups, inputs = put_together(examples, teach(examples, queries))
        tokens = sum(example.size for example in examples)
        return Work(groups, torch.zeros(0), cast("Tensor", inputs), tokens)  # inputs move as a tensor does

    def lesson(self, row: Mapping[str, Any]) -> tuple[Example, Query | None]:
        """Encode a row once, with the stretches that are values where they stand in the question."""
        key = "\0".join(str(row[name]) for name in ("table_id", "inline", "question", "sql"))
        if key not in self.known:
            table = self.library.table(row["table_id"], row["inline"])
            query = reference(row["sql"], table.header)
            spans = spans_taught(row["question"], query)
            example = self.encoder.read(row["question"], table, [*spans, *distractors(row["question"], spans)])
            self.known[key] = example, query
        return self.known[key]

    def loss(self, model: Any, work: Work) -> Tensor:  # noqa: ANN401 - of either method
        """Add the losses of all slots."""
        inputs: Any = work.targets
        module = baseline if self.method == "baseline" else slots
        loss: Tensor = module.loss_of(model(work.groups, inputs), inputs)
        return loss

    def finish(self, model: Any, rows: Sequence[Mapping[str, Any]], budget: Budget) -> bool:  # noqa: ANN401
        """Tell what was longer than is read at once; the model stays as it is."""
        counts = self.encoder.counts
        logger.info("of %(questions)d questions read, %(cut)d were cut; they took %(blocks)d passes", counts)
        return False

    def score(self, model: Any, rows: Sequence[Row], budget: Budget) -> dict[str, float]:  # noqa: ANN401
        """Answer rows and score the answers."""
        named: dict[str, Any] = {"options": Options(), "name": self.name, "method": self.method}
        loaded = Loaded(model=model, encoder=self.encoder, library=self.dev_library, budget=budget, **named)
        return scores_of(loaded, rows)

    def rest(self, model: Any) -> dict[str, Tensor]:  # noqa: ANN401
        """Name the weights beside the encoder's."""
        return rest(model)


def spans_taught(question: str, query: Query | None) -> list[tuple[int, int]]:
    """Find the values of a query that stand in its question as they are."""
    values = [one.value.strip("%") for one in query.conditions] if query else []
    places = [(question.find(value), value) for value in values if value]
    return [(start, start + len(value)) for start, value in places if start >= 0]


def distractors(question: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Draw stretches that are no values, always the same for a question: else all that is tagged would be one."""
    drawn = random.Random(question)
    made = []
    for _ in range(DISTRACTORS):
        start = drawn.randrange(len(question))
        end = min(len(question), start + drawn.randint(1, 4))
        if all(end <= first or last <= start for first, last in spans):
            made.append((start, end))
    return made


def scores_of(loaded: Loaded, labelled: Sequence[Row]) -> dict[str, float]:
    """Answer rows and score the answers.

    Raises:
        InputError: a reference does not fit its table.
    """
    answerer = Answerer(loaded)
    found = whole(loaded.budget.run(whole(answerer.read(labelled)), answerer.size, answerer.answers))
    return scored([judged(loaded, row, answer.query) for row, answer in zip(labelled, found, strict=True)])


def judged(loaded: Loaded, row: Row, answer: Query | None) -> Judged:
    """Put an answer beside what is right.

    Raises:
        InputError: what is said to be right does not fit the table.
    """
    try:
        table = loaded.library.table(row.table_id, row.inline)
        return Judged(answer, reference(row.sql or "{}", table.header), table)
    except RecordError as error:
        raise InputError(f"question {row.question[:40]!r}: {error}") from error


def worker(loaded: Loaded) -> Answerer:
    """Make what answers the task's rows."""
    return Answerer(loaded)


def evaluations(
    loaded: Loaded, labelled: Sequence[Row], sweep: Sweep
) -> Iterator[tuple[dict[str, Any], dict[str, float]]]:
    """Score labelled rows.

    Yields:
        The setting and its scores.
    """
    yield {"rerank": loaded.options.rerank and loaded.options.execute}, scores_of(loaded, labelled)


def score_predictions(
    predictions: Sequence[Any], labelled: Sequence[Row], options: Options | None = None
) -> dict[str, float]:
    """Score the predictions of any system: SQL text, or TableQA's object in its place.

    Args:
        predictions: one for each row.
        labelled: rows with a reference.
        options: where the tables are; the samples' by default.

    Raises:
        InputError: not one prediction for each record, or one that has neither.
    """
    library = Library.asked(options or Options())
    found = []
    for prediction, row in paired(predictions, labelled):
        table = library.table(row.table_id, row.inline)
        found.append(Judged(predicted(prediction, table.names), reference(row.sql or "{}", table.header), table))
    return scored(found)


def predicted(prediction: Any, header: list[str]) -> Query | None:  # noqa: ANN401 - of any system
    """Read a prediction; one that cannot be read is wrong, not an error.

    Raises:
        InputError: it says neither sql nor query.
    """
    if not isinstance(prediction, Mapping) or not {"sql", "query"} & prediction.keys():
        raise InputError('a prediction without a query; expected lines with {"prediction": {"sql": "SELECT …"}}')
    try:
        if prediction.get("query"):
            return reference(json.dumps(prediction["query"]), header)
        return reference(prediction.get("sql") or "{}", header)
    except RecordError:
        return None


def examples(loaded: Loaded) -> list[Row]:
    """Give questions about a small table to show what the task does."""
    cells = [["江苏", 8500, 10.7], ["浙江", 6500, 10.5], ["安徽", 6100, 14.0]]
    header = ["省份", "人口(万人)", "面积(万平方公里)"]
    own = json.dumps({"header": header, "types": ["text", "real", "real"], "rows": cells})
    return [Row(question, inline=own) for question in ("浙江的人口是多少", "人口超过7000万的省份有几个")]


def shown(rows: Sequence[Row], predictions: Sequence[Mapping[str, Any]]) -> Iterator[Shown]:
    """Show queries and what they find."""
    for row, one in zip(rows, predictions, strict=True):
        lines = [[str(cell) for cell in line] for line in one.get("rows", [])]
        yield Shown(row.question, columns=one.get("columns", []), lines=lines, block=one["sql"] or "(no answer there)")
