"""What people see, all of it on stderr: notes, complaints, tables and progress."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from nlptasks.training.trainer import Progress

Report = TypeVar("Report")
#: Seconds between two lines of progress where stderr is no terminal.
SHOWN = 30.0


def note(message: str) -> None:
    """Tell the user something in one line."""
    print(f"nlpk: {message}", file=sys.stderr)


def counted(number: int, noun: str) -> str:
    """Write a number with its noun, in the singular or the plural."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def console(stdout: bool = False) -> Console:
    """Give a rich console, on stderr unless the output is what was asked for."""
    from rich.console import Console

    class Plain(Console):
        """A console whose reader may leave, as that of any other output."""

        def on_broken_pipe(self) -> None:
            """Let what runs the command end it quietly."""
            raise BrokenPipeError

    return Plain(stderr=not stdout, highlight=False)


class Notes(logging.Handler):
    """Shows what the library has to say as notes."""

    def emit(self, record: logging.LogRecord) -> None:
        """Show one message."""
        note(record.getMessage())


@contextmanager
def library_notes() -> Iterator[None]:
    """Show the library's messages from INFO upwards while a block runs, and leave its logger as it was."""
    logger, notes = logging.getLogger("nlptasks"), Notes()
    before = logger.level, logger.propagate
    logger.addHandler(notes)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(notes)
        logger.setLevel(before[0])
        logger.propagate = before[1]


def table(title: str, columns: Sequence[str], lines: Iterable[Sequence[str]], *, stdout: bool = True) -> None:
    """Print a table: drawn on a terminal, tab-separated where it is piped."""
    out = sys.stdout if stdout else sys.stderr
    if not out.isatty():
        print("\t".join(columns), file=out)
        for line in lines:
            print("\t".join(line), file=out)
        return
    console(stdout).print(drawn_table(title, columns, list(lines)))


def drawn_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Draw a table for a terminal."""
    from rich.markup import escape
    from rich.table import Table

    drawn = Table(title=escape(title) or None, title_justify="left")
    for number, name in enumerate(columns):
        is_text = any(is_word(row[number]) for row in rows)
        drawn.add_column(escape(name), justify="left" if is_text else "right", overflow="fold")
    for row in rows:
        drawn.add_row(*map(escape, row))
    return drawn


def is_word(cell: str) -> bool:
    """Tell whether a cell holds something other than a number."""
    return bool(cell) and not cell.replace(",", "").replace(".", "").removeprefix("-").isdigit()


@contextmanager
def counter(what: str) -> Iterator[Counter]:
    """Count records on a terminal while a block runs; silent where stderr is no terminal."""
    counting = Counter(what)
    try:
        yield counting
    finally:
        counting.close()


class Counter:
    """Records and their rate, one line on the terminal."""

    def __init__(self, what: str) -> None:
        """Start the clock."""
        self.what, self.count = what, 0
        self.clock = time.monotonic
        self.started = self.shown = self.clock()
        self.visible = False

    def add(self, number: int) -> None:
        """Count some more."""
        self.count += number
        now = self.clock()
        if sys.stderr.isatty() and now - self.shown > 0.5:
            rate = self.count / (now - self.started)
            sys.stderr.write(f"\r{self.count:,} {self.what}, {rate:,.0f}/s ")
            sys.stderr.flush()
            self.shown, self.visible = now, True

    def close(self) -> None:
        """Clear the line."""
        if self.visible:
            sys.stderr.write("\r\x1b[K")


def show_training(steps: Iterable[Progress], best: str) -> Progress | None:
    """Show a run as it goes: a bar on a terminal, lines elsewhere; give the last progress."""
    if not sys.stderr.isatty():
        return show_lines(steps, lambda step: training_line(step, best), lambda step: step.scores is not None)
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=console()) as bar:
        row = bar.add_task("starting", total=None)
        last, score = None, ""
        for last in steps:
            if last.scores is not None and last.best:
                score = f"  best {best} {last.scores[best]:.4f}"
            text = f"loss {last.loss:.4f}{speed(last)}{score}"
            bar.update(row, completed=last.step, total=last.steps, description=text)
    return last


def training_line(progress: Progress, best: str) -> str:
    """Put a progress with scores into one line."""
    mark = " (best)" if progress.best else ""
    scored = f"  {best} {progress.scores[best]:.4f}{mark}" if progress.scores else ""
    return f"step {progress.step}/{progress.steps}  loss {progress.loss:.4f}{speed(progress)}{scored}"


def speed(progress: Progress) -> str:
    """Say how fast a run is; nothing where it has made no update since it began."""
    return f"  {progress.tokens_per_second:,.0f} tokens/s" if progress.tokens_per_second else ""


def show_lines(
    reports: Iterable[Report], line: Callable[[Report], str], always: Callable[[Report], bool] = lambda report: False
) -> Report | None:
    """Show a run by a line now and then, and one for its end; give the last report.

    Args:
        reports: what a run says of itself.
        line: puts a report into a line.
        always: tells the reports that are shown whenever they come.
    """
    shown, last, waiting = time.monotonic(), None, False
    for last in reports:
        waiting = not always(last) and time.monotonic() - shown < SHOWN
        if not waiting:
            note(line(last))
            shown = time.monotonic()
    if last is not None and waiting:
        note(line(last))
    return last
