"""A stream of rows through a fake model: order, errors in their place, pauses, and threads that end."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import pytest
import torch

from nlptasks.backbone.batch import Budget
from nlptasks.errors import InputError, RecordError
from nlptasks.inference import predictor
from nlptasks.inference.predictor import ahead, answers, stream, windows

PATIENT = 60.0  # seconds that no test waits for


class Counter:
    """Reads words, and answers with their length; refuses what is too short or too long."""

    def __init__(self) -> None:
        self.passes: list[list[str]] = []

    def read(self, rows: Sequence[str]) -> list[str | RecordError]:
        return [RecordError("too long") if len(row) > 9 else row for row in rows]

    def size(self, example: str) -> int:
        return len(example)

    def answer(self, examples: Sequence[str]) -> list[int]:
        self.passes.append(list(examples))
        return [len(example) for example in examples]


def parse(item: str) -> str:
    if not item:
        raise RecordError("empty")
    return item


def run(
    items: Iterable[str], worker: Counter | None = None, *, window: int = 4, patience: float = PATIENT
) -> Iterator[str]:
    """Stream items, with every window as one line, so that tests can compare it."""
    for answered in stream(items, parse, worker or Counter(), Budget(16), window=window, patience=patience):
        yield " ".join(f"{item}:{answer}" for item, answer in answered)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    """Hold every test to ending its threads."""
    before = set(threading.enumerate())
    yield
    wait_for(lambda: set(threading.enumerate()) <= before)


# --- order and errors ---


def test_answers_come_in_order_over_windows() -> None:
    items = ["abc", "a", "abcd", "ab", "abcde"] * 20
    worker = Counter()
    found = [pair for window in stream(items, parse, worker, Budget(7), window=8, patience=PATIENT) for pair in window]
    assert found == [(item, len(item)) for item in items]
    assert all(sum(map(len, rows)) <= 7 for rows in worker.passes)
    assert any(len(rows) > 1 for rows in worker.passes)


def test_a_worker_can_say_how_many_rows_are_read_together() -> None:
    worker = Counter()
    worker.window = 3  # type: ignore[attr-defined]
    assert [len(found) for found in stream(["ab"] * 7, parse, worker, Budget(100), patience=PATIENT)] == [3, 3, 1]


def test_bad_rows_keep_their_place() -> None:
    items = ["ab", "", "abc", "abcdefghij", "", "abcdefghij", "a", "", ""]
    assert list(run(items)) == [
        "ab:2 :empty abc:3 abcdefghij:too long",
        ":empty abcdefghij:too long a:1 :empty",
        ":empty",
    ]


def test_a_row_that_does_not_fit_into_memory_is_named_and_the_stream_goes_on() -> None:
    class Small(Counter):
        def answer(self, examples: Sequence[str]) -> list[int]:
            if sum(map(len, examples)) > 5:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has …")
            return super().answer(examples)

    first, second = run(["abc", "abcdefg", "ab", "abcd", "a"], Small())
    said = "7 tokens do not fit into memory; shorten the text, free memory, or name another --device"
    assert first == f"abc:3 abcdefg:{said} ab:2 abcd:4"
    assert second == "a:1"


def test_nothing_gives_nothing() -> None:
    assert list(run([])) == []


def broken(*items: str) -> Iterator[str]:
    yield from items
    raise InputError("the file ends in the middle")


def test_an_error_of_the_source_comes_out_behind_what_was_read() -> None:
    found = run(broken("a", "ab", "abc", "a", "ab"))
    assert [next(found), next(found)] == ["a:1 ab:2 abc:3 a:1", "ab:2"]
    with pytest.raises(InputError, match="the file ends in the middle"):
        next(found)


@pytest.mark.parametrize("error", [InputError("no"), KeyError("x"), KeyboardInterrupt()])
def test_an_error_of_the_reader_comes_out(error: BaseException) -> None:
    class Broken(Counter):
        def read(self, rows: Sequence[str]) -> list[str | RecordError]:
            raise error

    with pytest.raises(type(error)) as caught:
        list(run(["a"] * 50, Broken()))
    assert caught.value is error


def test_a_reader_that_loses_rows_is_not_taken_for_the_end() -> None:
    class Lossy(Counter):
        def read(self, rows: Sequence[str]) -> list[str | RecordError]:
            return super().read(rows)[1:]

    with pytest.raises(RuntimeError, match="StopIteration"):
        list(run(["a"] * 50, Lossy()))


@pytest.mark.parametrize("error", [ValueError("shapes"), KeyboardInterrupt()])
def test_an_error_of_the_model_ends_the_stream_and_its_threads(error: BaseException) -> None:
    class Broken(Counter):
        def answer(self, examples: Sequence[str]) -> list[int]:
            raise error

    before = set(threading.enumerate())
    with pytest.raises(type(error)) as caught:
        list(run(endless([]), Broken()))
    assert caught.value is error  # held on purpose: the threads end even while the error is looked at
    wait_for(lambda: set(threading.enumerate()) <= before)


# --- stopping early ---


def endless(log: list[str]) -> Iterator[str]:
    try:
        while True:
            log.append("read")
            yield "ab"
    finally:
        log.append("closed")


def test_a_stream_left_early_closes_its_source() -> None:
    log: list[str] = []
    found = stream(endless(log), parse, Counter(), Budget(16), window=4, patience=PATIENT)
    next(found)
    found.close()
    wait_for(lambda: log[-1] == "closed")


def test_a_stream_that_is_forgotten_ends() -> None:
    log: list[str] = []
    for _ in run(endless(log)):
        break
    wait_for(lambda: log[-1] == "closed")


@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("taken", [0, 1, 10])
def test_a_thread_ends_with_its_reader_at_any_moment(depth: int, taken: int) -> None:
    for length in range(taken, taken + 2 * depth + 3):
        numbers = ahead(iter(range(length)), depth=depth)
        assert [next(numbers) for _ in range(taken)] == list(range(taken))
        numbers.close()


def test_an_iterable_runs_ahead_and_no_further() -> None:
    log: list[str] = []
    numbers = ahead(endless(log), depth=3)
    next(numbers)
    wait_for(lambda: len(log) == 1 + 3 + 1)  # taken, ready, in hand
    time.sleep(0.05)
    assert len(log) == 5
    numbers.close()


def test_little_more_than_two_windows_are_read_ahead() -> None:
    log: list[str] = []
    answered = run(endless(log), window=1000)
    next(answered)
    wait_for(lambda: len(log) > 3000)  # answered, ready, in hand
    time.sleep(0.05)
    assert len(log) <= 3000 + predictor.READY + 1
    del answered


# --- pauses ---


def test_a_window_that_is_not_full_goes_on_where_the_stream_pauses() -> None:
    go_on = threading.Event()

    def pausing() -> Iterator[int]:
        yield from (1, 2, 3)
        assert go_on.wait(10)
        yield from (4, 5)

    cut = windows(pausing(), 100, patience=0.05)
    assert next(cut) == [1, 2, 3]
    go_on.set()
    assert list(cut) == [[4, 5]]


def test_a_stream_passes_pauses_on() -> None:
    go_on = threading.Event()

    def pausing() -> Iterator[str]:
        yield from ("a", "ab")
        assert go_on.wait(10)
        yield "abc"

    answered = run(pausing(), window=100, patience=0.05)
    assert next(answered) == "a:1 ab:2"
    go_on.set()
    assert list(answered) == ["abc:3"]


def test_a_slow_stream_does_not_hold_its_records_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor, "STEADY", 2)

    def slow() -> Iterator[int]:
        for number in range(40):
            yield number
            time.sleep(0.01)

    cut = list(windows(slow(), 100, patience=0.05))
    assert len(cut) > 2
    assert [number for window in cut for number in window] == list(range(40))


def test_full_windows_do_not_wait() -> None:
    assert list(windows(range(10), 4, patience=PATIENT)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize(("tokens", "longest"), [(10, 256), (1000, 1000), (10**6, 8192)])
def test_a_window_has_as_many_rows_as_a_pass_has_tokens(tokens: int, longest: int) -> None:
    items = ["x"] * 9000
    sizes = [len(window) for window in stream(items, parse, Counter(), Budget(tokens), patience=PATIENT)]
    assert sum(sizes) == 9000
    assert max(sizes) == longest


def test_rows_at_hand_are_answered_in_order_within_the_budget() -> None:
    worker = Counter()
    assert answers(["aaaa", "b", "cc", "ddddddddd"], worker, Budget(10)) == [4, 1, 2, 9]
    assert all(sum(map(len, one)) <= 10 for one in worker.passes)


def test_of_rows_at_hand_a_bad_one_is_an_error() -> None:
    with pytest.raises(InputError, match="too long"):
        answers(["a", "b" * 10], Counter(), Budget(10))
