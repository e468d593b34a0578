"""Ctrl-C and termination: an exception where work is under way, the end at once while a library is being imported."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

#: The file that every frame of an import in Python's own machinery is of.
IMPORTING = "<frozen importlib._bootstrap>"


class Terminated(KeyboardInterrupt):
    """SIGTERM, treated like Ctrl-C: what was done is kept."""


MINDED = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


def mind() -> None:
    """Let Ctrl-C and termination come as exceptions; one that is ignored, as in a script's background, stays so."""
    for number in MINDED:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, come)


def come(number: int, frame: FrameType | None) -> None:
    """Turn a signal into an exception, or end at once where an import is under way.

    Some libraries catch whatever is raised while they are imported: the signal is lost, or becomes another error.
    """
    error = MINDED[signal.Signals(number)]()
    if is_importing(frame):
        end(error)
    raise error


def is_importing(frame: FrameType | None) -> bool:
    """Tell whether a frame is part of an import."""
    while frame is not None:
        if frame.f_code.co_filename == IMPORTING:
            return True
        frame = frame.f_back
    return False


def told(error: KeyboardInterrupt) -> tuple[str, int]:
    """Give what is said of a signal that came, and the status that the process ends with."""
    return ("terminated", 143) if isinstance(error, Terminated) else ("interrupted", 130)


def end(error: KeyboardInterrupt) -> None:
    """Say which signal came, and end the process, with no complaint of a library that is half imported."""
    said, status = told(error)
    if sys.stderr is not None:
        print(f"nlpk: {said}", file=sys.stderr, flush=True)
    os._exit(status)
