"""Records in, answers out, in order: windows of rows, tokenised one window ahead of the model, within a token budget."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from nlptasks.backbone.batch import Budget
from nlptasks.errors import RecordError

Item = TypeVar("Item")
Row = TypeVar("Row")
Example = TypeVar("Example")
Answer = TypeVar("Answer")
RowIn = TypeVar("RowIn", contravariant=True)
AnswerOut = TypeVar("AnswerOut", covariant=True)

#: Rows looked at together: enough that sorting them by length leaves full groups, few enough to stay small.
WINDOW = 8192
#: Seconds without a new record after which a window that is not full goes on: a pipe may want its answer now.
PATIENCE = 0.02


class Worker(Protocol[RowIn, Example, AnswerOut]):
    """What turns rows into answers: a task with its model."""

    def read(self, rows: Sequence[RowIn]) -> list[Example | RecordError]:
        """Encode rows; a row that cannot be encoded gives its error instead."""
        ...

    def size(self, example: Example) -> int:
        """Count the tokens of an example."""
        ...

    def answer(self, examples: Sequence[Example]) -> Sequence[AnswerOut]:
        """Compute the answers of one pass."""
        ...


def stream(
    items: Iterable[Item],
    parse: Callable[[Item], Row],
    worker: Worker[Row, Example, Answer],
    budget: Budget,
    *,
    window: int = WINDOW,
) -> Iterator[list[tuple[Item, Answer | RecordError]]]:
    """Answer items window by window, in order.

    Args:
        items: whatever the rows come from, read no further ahead than two windows.
        parse: gives an item's row, or raises RecordError.
        worker: encodes and answers.
        budget: bounds the tokens of one pass.
        window: the most items that are sorted by length together.

    Yields:
        Each item with its answer, or with the error that kept it from one.
    """
    plan = Plan(parse, worker)
    for chosen, examples in ahead(map(plan.encode, windows(items, window)), depth=1):
        good = [place for place, example in enumerate(examples) if not isinstance(example, RecordError)]
        answers: list[Answer | RecordError | Example] = list(examples)
        computed = budget.run([examples[place] for place in good], worker.size, worker.answer)  # type: ignore[misc,arg-type]
        for place, answer in zip(good, computed, strict=True):
            answers[place] = answer
        yield list(zip(chosen, answers, strict=True))  # type: ignore[arg-type]


class Plan(Generic[Item, Row, Example]):
    """The part of the work that runs beside the model."""

    def __init__(self, parse: Callable[[Item], Row], worker: Worker[Row, Example, object]) -> None:
        """Keep what encodes."""
        self.parse, self.worker = parse, worker

    def encode(self, items: list[Item]) -> tuple[list[Item], list[Example | RecordError]]:
        """Parse and encode one window."""
        rows: list[Row] = []
        examples: list[Example | RecordError | None] = []
        for item in items:
            try:
                rows.append(self.parse(item))
                examples.append(None)
            except RecordError as error:
                examples.append(error)
        encoded = iter(self.worker.read(rows))
        return items, [next(encoded) if example is None else example for example in examples]


class Failure:
    """What a thread died of, on its way to the caller."""

    def __init__(self, error: BaseException) -> None:
        """Keep the error."""
        self.error = error


END = object()


def ahead(produced: Iterable[Item], *, depth: int) -> Iterator[Item]:
    """Run an iterable in a thread, at most `depth` items ahead; its errors come out here."""
    ready: queue.Queue[object] = queue.Queue(depth)
    threading.Thread(target=pump, args=(produced, ready), daemon=True).start()
    while (item := ready.get()) is not END:
        if isinstance(item, Failure):
            raise item.error
        yield item  # type: ignore[misc]


def pump(produced: Iterable[object], ready: queue.Queue[object]) -> None:
    """Feed a queue from an iterable, then the end, or what went wrong."""
    try:
        for item in produced:
            ready.put(item)
        ready.put(END)
    except BaseException as error:
        ready.put(Failure(error))


def windows(items: Iterable[Item], size: int, patience: float = PATIENCE) -> Iterator[list[Item]]:
    """Cut a stream into lists of at most `size`, shorter where the stream pauses.

    Args:
        items: perhaps a pipe that trickles.
        size: the most items of a list.
        patience: seconds to wait for one more item once there is one.
    """
    ready: queue.Queue[object] = queue.Queue(size)
    threading.Thread(target=pump, args=(items, ready), daemon=True).start()
    item = ready.get()
    while item is not END:
        window: list[object] = []
        while item is not END and item is not None:
            if isinstance(item, Failure):
                break
            window.append(item)
            item = take(ready, patience) if len(window) < size else None
        if window:
            yield window  # type: ignore[misc]
        if isinstance(item, Failure):
            raise item.error
        if item is None:
            item = ready.get()


def take(ready: queue.Queue[object], patience: float) -> object | None:
    """Wait a moment for the next item; none where it does not come."""
    try:
        return ready.get(timeout=patience)
    except queue.Empty:
        return None
