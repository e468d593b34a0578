"""Records in, answers out, in order: windows of rows, tokenised ahead of the model, computed within a token budget."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from typing import Protocol, TypeVar, runtime_checkable

from nlptasks.backbone.batch import Budget
from nlptasks.errors import InputError, RecordError

Item = TypeVar("Item")
Row = TypeVar("Row")
Example = TypeVar("Example")
Answer = TypeVar("Answer")
RowIn = TypeVar("RowIn", contravariant=True)
AnswerOut = TypeVar("AnswerOut", covariant=True)

#: The most and the least rows that are looked at together. Between them there are as many as the tokens of a pass:
#: enough that sorting them by length leaves full groups, few enough that answers come out every few seconds.
WINDOW, LEAST = 8192, 256
#: Seconds without a new record after which a window that is not full goes on: a pipe may want its answer now.
PATIENCE = 0.02
#: A stream that flows, but slowly, fills a window for at most this many times the patience.
STEADY = 50
#: Records that may wait for their window.
READY = 256


class Worker(Protocol[RowIn, Example, AnswerOut]):
    """What turns rows into answers: a task with its model."""

    def read(self, rows: Sequence[RowIn]) -> Sequence[Example | RecordError]:
        """Encode rows; a row that cannot be encoded gives its error instead."""
        ...

    def size(self, example: Example) -> int:
        """Count the tokens of an example."""
        ...

    def answer(self, examples: Sequence[Example]) -> Sequence[AnswerOut]:
        """Compute the answers of one pass."""
        ...


@runtime_checkable
class Bounded(Protocol):
    """A worker that says how many records are encoded at a time, as one may whose rows are long."""

    window: int


def answers(rows: Sequence[Row], worker: Worker[Row, Example, Answer], budget: Budget) -> list[Answer]:
    """Answer rows that are all at hand, in order.

    Raises:
        InputError: a row cannot be encoded, or does not fit into memory.
    """
    found: list[Answer] = []
    for window in stream(rows, same, worker, budget):
        found += whole([answer for _, answer in window])
    return found


def same(row: Row) -> Row:
    """Give a row that needs no parsing."""
    return row


def whole(found: Sequence[Item | RecordError]) -> list[Item]:
    """Give what was found, where nothing failed.

    Raises:
        InputError: something did.
    """
    made = []
    for one in found:
        if isinstance(one, RecordError):
            raise InputError(str(one)) from one
        made.append(one)
    return made


def stream(
    items: Iterable[Item],
    parse: Callable[[Item], Row],
    worker: Worker[Row, Example, Answer],
    budget: Budget,
    *,
    window: int | None = None,
    patience: float = PATIENCE,
) -> Generator[list[tuple[Item, Answer | RecordError]], None, None]:
    """Answer items window by window, in order.

    Args:
        items: whatever the rows come from, read no further ahead than about two windows.
        parse: gives an item's row, or raises RecordError.
        worker: encodes and answers.
        budget: bounds the tokens of one pass.
        window: the most items that are sorted by length together; by default what a `Bounded` worker says, or what
            suits the budget.
        patience: see `windows`.

    Yields:
        Each item with its answer, or with the error that kept it from one.
    """
    own = worker.window if isinstance(worker, Bounded) else None
    size = window or own or max(LEAST, min(WINDOW, budget.tokens))
    with closing(ahead(encoded(windows(items, size, patience), parse, worker), depth=1)) as ready:
        for chosen, examples in ready:
            good = [example for example in examples if not isinstance(example, RecordError)]
            answers = iter(budget.run(good, worker.size, worker.answer))
            yield [
                (item, example if isinstance(example, RecordError) else next(answers))
                for item, example in zip(chosen, examples, strict=True)
            ]


def encoded(
    cut: Generator[list[Item], None, None], parse: Callable[[Item], Row], worker: Worker[Row, Example, object]
) -> Iterator[tuple[list[Item], list[Example | RecordError]]]:
    """Parse and encode windows: the part of the work that runs beside the model."""
    with closing(cut):
        for items in cut:
            rows = [parsed(item, parse) for item in items]
            examples = iter(worker.read([row for row in rows if not isinstance(row, RecordError)]))
            yield items, [row if isinstance(row, RecordError) else next(examples) for row in rows]


def parsed(item: Item, parse: Callable[[Item], Row]) -> Row | RecordError:
    """Parse an item; one that cannot be parsed gives its error instead."""
    try:
        return parse(item)
    except RecordError as error:
        return error


def ahead(produced: Iterable[Item], *, depth: int) -> Generator[Item, None, None]:
    """Run an iterable in a thread, `depth` items ready and one in hand; its errors come out here.

    Closing the generator stops the thread, once the iterable has given the item that it is at.
    """
    with pumping(produced, depth) as ready:
        while not isinstance(item := ready.get(), End):
            yield item
        item.check()


def windows(items: Iterable[Item], size: int, patience: float = PATIENCE) -> Generator[list[Item], None, None]:
    """Cut a stream into lists of at most `size`, shorter where the stream pauses.

    Args:
        items: perhaps a pipe that trickles.
        size: the most items of a list.
        patience: seconds to wait for one more item once there is one.
    """
    with pumping(items, min(size, READY)) as ready:
        end = None
        while end is None:
            window, end = gather(ready, size, patience)
            if window:
                yield window
        end.check()


def gather(ready: queue.Queue[Item | End], size: int, patience: float) -> tuple[list[Item], End | None]:
    """Take items until the window is full, the stream pauses, or it ends; the first may take its time."""
    window: list[Item] = []
    closes = math.inf
    while len(window) < size:
        try:
            item = ready.get(timeout=max(0, min(patience, closes - monotonic())) if window else None)
        except queue.Empty:
            break
        if isinstance(item, End):
            return window, item
        if not window:
            closes = monotonic() + STEADY * patience
        window.append(item)
    return window, None


@dataclass(frozen=True)
class End:
    """How a thread ended: well, or with an error on its way to the caller."""

    error: BaseException | None = None

    def check(self) -> None:
        """Raise the error, if any."""
        if self.error is not None:
            raise self.error


@contextmanager
def pumping(produced: Iterable[Item], depth: int) -> Iterator[queue.Queue[Item | End]]:
    """Let a thread feed a queue of at most `depth` items from an iterable, then its end; leaving stops it."""
    ready: queue.Queue[Item | End] = queue.Queue(depth)
    stopped = threading.Event()
    threading.Thread(target=pump, args=(produced, ready, stopped), daemon=True).start()
    try:
        yield ready
    finally:
        stopped.set()
        with suppress(queue.Empty):  # the thread puts one more item at most, and now there is room for it
            while True:
                ready.get_nowait()


def pump(produced: Iterable[Item], ready: queue.Queue[Item | End], stopped: threading.Event) -> None:
    """Feed a queue from an iterable until stopped, then the end, or what went wrong."""
    try:
        for item in produced:
            ready.put(item)
            if stopped.is_set():
                return
        ready.put(End())
    except BaseException as error:
        ready.put(End(error))
