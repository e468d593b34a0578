import os
import signal
import threading
from collections.abc import Callable

import pytest

from nlptasks.training.interrupts import held_back


def interrupted_inside(done: list[str]) -> None:
    with held_back():
        os.kill(os.getpid(), signal.SIGINT)
        done.append("inside")
    done.append("behind")


def test_an_interrupt_comes_when_the_block_is_done() -> None:
    before, done = signal.getsignal(signal.SIGINT), list[str]()
    with pytest.raises(KeyboardInterrupt):
        interrupted_inside(done)
    assert done == ["inside"]
    assert signal.getsignal(signal.SIGINT) is before


def test_blocks_may_stand_in_blocks() -> None:
    done = list[str]()

    def nested() -> None:
        with held_back():
            interrupted_inside(done)
            done.append("outer")

    with pytest.raises(KeyboardInterrupt):
        nested()
    assert done == ["inside", "behind", "outer"]


def test_an_error_comes_through_and_the_handlers_are_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ZeroDivisionError), held_back():
        int(1 / 0)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        done = list[str]()
        interrupted_inside(done)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == ["inside", "behind"]


def test_other_threads_have_nothing_to_hold() -> None:
    def run(note: Callable[[object], None]) -> None:
        with held_back():
            note(signal.getsignal(signal.SIGINT))

    seen: list[object] = []
    thread = threading.Thread(target=run, args=(seen.append,))
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]
