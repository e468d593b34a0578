"""The article's model (kexue.fm/archives/6771): headers classified, value letters tagged, a column for each letter.

Its decoding rules are kept: a value with anything but figures is compared by ==, one that no cell equals becomes the
cell nearest by edit distance, and a value that stands in another column only takes that one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
import torch.nn.functional as F
from rapidfuzz import fuzz, process
from torch import Tensor, nn

from nlptasks.backbone.batch import Batch
from nlptasks.backbone.bert import Bert
from nlptasks.backbone.linear import Linear
from nlptasks.nl2sql.candidates import Candidate
from nlptasks.nl2sql.decoding import Found, Hypothesis
from nlptasks.nl2sql.encoding import Example
from nlptasks.nl2sql.inputs import Inputs, mean_rows, put_together
from nlptasks.nl2sql.lessons import IGNORED, NOT_SELECTED
from nlptasks.nl2sql.query import AGGREGATES, CONNECTIVES, OPERATORS, Condition, Query
from nlptasks.nl2sql.tables import Table

WIDTH = 256
NO_OPERATOR = len(OPERATORS)
#: The least likeness at which a part of the question stands for a value that is not in it.
LIKE = 60


@dataclass(frozen=True)
class Lesson:
    """What examples teach, IGNORED where nothing.

    Attributes:
        select: (L,) aggregate of a column, NOT_SELECTED for none.
        connective: (E,).
        operators: (Q,) of each token of a question, NO_OPERATOR outside of values.
        columns: (Q,) the column of each token of a value, counted in its table.
    """

    select: Tensor
    connective: Tensor
    operators: Tensor
    columns: Tensor

    def to(self, device: torch.device) -> Lesson:
        """Move every part to a device."""
        return Lesson(*(one.to(device) for one in (self.select, self.connective, self.operators, self.columns)))


@dataclass(frozen=True)
class BaselineReading:
    """What the baseline makes of one example: it knows no table that cannot answer, and one query."""

    hypothesis: Hypothesis
    answerable: float = 1.0

    @property
    def hypotheses(self) -> list[Hypothesis]:
        """Give the one query."""
        return [self.hypothesis]


class Baseline(nn.Module):
    """An encoder with the article's heads."""

    def __init__(self, bert: Bert) -> None:
        """Put the heads on the encoder."""
        super().__init__()
        self.bert = bert
        hidden = bert.config.hidden_size
        self.heads = nn.ModuleDict(
            {
                "connective": Linear(hidden, len(CONNECTIVES)),
                "select": Linear(hidden, NOT_SELECTED + 1),
                "operator": Linear(hidden, NO_OPERATOR + 1),
                "letter": Linear(hidden, WIDTH),
                "header": Linear(hidden, WIDTH),
                "match": Linear(WIDTH, 1, bias=False),  # the softmax over columns would take a bias out again
            }
        )
        for module in self.heads.values():
            bert.start(module)

    def forward(self, groups: Sequence[Batch], inputs: Inputs) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Score connectives (E, 3), aggregates (L, 7), operators (Q, 5), and columns of each token (Q, W)."""
        states = deque(self.bert.states(groups), maxlen=1).pop()
        begins = mean_rows(states[inputs.starts], inputs.firsts, len(inputs.whole_features))
        tokens = mean_rows(states[inputs.tokens], inputs.token_rows, len(inputs.token_features))
        headers = states[inputs.marks]
        scores = tokens.new_full((len(tokens), int(inputs.width)), -1e4, dtype=torch.float32)
        letters, names = self.heads["letter"](tokens), self.heads["header"](headers)
        rows, columns, places = inputs.meetings.unbind(1)
        met = self.heads["match"](torch.tanh(letters[rows] + names[columns])).squeeze(1).float()
        scores = scores.index_put((rows, places), met)
        return (
            self.heads["connective"](begins).float(),
            self.heads["select"](headers).float(),
            self.heads["operator"](tokens).float(),
            scores,
        )


def read(model: Baseline, examples: Sequence[Example]) -> list[BaselineReading]:
    """Read the examples of one pass."""
    groups, inputs = put_together(examples)
    device = model.bert.tokens.weight.device
    with torch.inference_mode():
        made = model([group.to(device) for group in groups], inputs.to(device))
    connective, select, operator, column = (one.log_softmax(-1).cpu().numpy() for one in made)
    readings, at, token = [], 0, 0
    for number, example in enumerate(examples):
        columns = slice(at, at + len(example.table.columns))
        tokens = slice(token, token + len(example.offsets))
        found = Spoken(connective[number], select[columns], operator[tokens], column[tokens])
        readings.append(BaselineReading(decoded(example, found)))
        at, token = at + len(example.table.columns) + 1, tokens.stop
    return readings


@dataclass(frozen=True)
class Spoken:
    """Log-probabilities of one example: connective (3,), select (C, 7), operator (Q, 5), column (Q, W)."""

    connective: np.ndarray
    select: np.ndarray
    operator: np.ndarray
    column: np.ndarray


def loss_of(scores: tuple[Tensor, Tensor, Tensor, Tensor], inputs: Inputs) -> Tensor:
    """Add the mean losses of the four heads.

    Raises:
        ValueError: the inputs do not teach this method.
    """
    lesson = inputs.targets
    if not isinstance(lesson, Lesson):
        raise ValueError("training needs targets")
    connective, select, operator, column = scores
    parts = [
        mean_of(connective, lesson.connective),
        mean_of(select, lesson.select),
        mean_of(operator, lesson.operators),
        mean_of(column, lesson.columns),
    ]
    return torch.stack(parts).sum()


def mean_of(scores: Tensor, targets: Tensor) -> Tensor:
    """Average cross entropies over what has a target; 0 where nothing has."""
    total = F.cross_entropy(scores, targets, ignore_index=IGNORED, reduction="sum")
    return total / (targets != IGNORED).sum().clamp(min=1)


def taught(examples: Sequence[Example], queries: Sequence[Query | None]) -> Lesson:
    """Say what examples teach."""
    parts = [lesson_of(example, query) for example, query in zip(examples, queries, strict=True)]
    return Lesson(*(torch.from_numpy(np.concatenate([part[at] for part in parts])) for at in range(4)))


def lesson_of(example: Example, query: Query | None) -> list[np.ndarray]:
    """Say what one example teaches; what this form cannot say is left out."""
    count = len(example.table.columns) + 1
    if query is None:
        return [np.full(size, IGNORED) for size in (count, 1, len(example.offsets), len(example.offsets))]
    select = np.full(count, NOT_SELECTED)
    for aggregate, column in query.select:
        select[column] = AGGREGATES.index(aggregate)
    operators, columns = np.full(len(example.offsets), NO_OPERATOR), np.full(len(example.offsets), IGNORED)
    for one in query.conditions:
        place = place_of(example.question, one.value) if one.operator in OPERATORS else None
        for at, (start, end) in enumerate(example.offsets if place else ()):
            if place and start < place[1] and end > place[0]:
                operators[at], columns[at] = OPERATORS.index(one.operator), one.column
    connective = CONNECTIVES.index(query.connective) if len(query.conditions) > 1 else 0
    return [select, np.array([connective]), operators, columns]


def place_of(question: str, value: str) -> tuple[int, int] | None:
    """Find a value in a question, or else the stretch nearest to it by edit distance."""
    start = question.find(value)
    if start >= 0:
        return start, start + len(value)
    near = fuzz.partial_ratio_alignment(value, question, score_cutoff=LIKE)
    return (near.dest_start, near.dest_end) if near and near.dest_end > near.dest_start else None


def decoded(example: Example, spoken: Spoken) -> Hypothesis:
    """Put the likeliest of every slot together."""
    choice = spoken.select.argmax(1)
    columns = [int(column) for column in np.flatnonzero(choice != NOT_SELECTED)]
    if not columns:
        columns = [int((spoken.select[:, :NOT_SELECTED].max(1) - spoken.select[:, NOT_SELECTED]).argmax())]
        choice[columns[0]] = spoken.select[columns[0], :NOT_SELECTED].argmax()
    found = list(values(example, spoken))
    connective = CONNECTIVES[1 + int(spoken.connective[1:].argmax())] if len(found) > 1 else ""
    select = tuple((AGGREGATES[choice[column]], column) for column in columns)
    logprob = float(sum(spoken.select[column, choice[column]] for column in columns))
    logprob += sum(one.logprob for one in found)
    return Hypothesis(Query(select, tuple(one.condition for one in found), connective), tuple(found), logprob)


def values(example: Example, spoken: Spoken) -> Iterator[Found]:
    """Read the conditions off runs of one operator."""
    tags = spoken.operator.argmax(1)
    for operator, run in groupby(range(len(tags)), key=lambda at: int(tags[at])):
        if operator == NO_OPERATOR:
            continue
        tokens = list(run)
        start, end = example.offsets[tokens[0]][0], example.offsets[tokens[-1]][1]
        text = example.question[start:end]
        column = int(np.exp(spoken.column[tokens]).mean(0)[: len(example.table.columns)].argmax())
        logprob = float(spoken.operator[tokens, operator].mean())
        condition, how = ruled(example.table, column, OPERATORS[operator], text)
        yield Found(condition, Candidate(start, end, text), how, logprob)


def ruled(table: Table, column: int, operator: str, text: str) -> tuple[Condition, str]:
    """Apply the article's rules for values."""
    if set(text) - set("0123456789."):
        operator = "=="
    if operator != "==" or holds(table, column, text):
        return Condition(column, operator, text), "written"
    other = next((number for number in range(len(table.columns)) if holds(table, number, text)), None)
    if other is not None:
        return Condition(other, operator, text), "cell"
    near = process.extractOne(text, [str(cell) for cell in table.distinct(column)], scorer=fuzz.ratio)
    return Condition(column, operator, near[0] if near else text), "part" if near else "written"


def holds(table: Table, column: int, text: str) -> bool:
    """Tell whether a column has a cell."""
    return any(str(cell) == text for cell in table.distinct(column))
