"""`nlpk data`: is a file fit for a task, and turning it into another format."""

from __future__ import annotations

import json
import sys
from collections import Counter, deque
from collections.abc import Iterator
from types import ModuleType
from typing import Annotated, Any

import typer

from nlptasks import files
from nlptasks.errors import RecordError, UsageError
from nlptasks.files import Record

from . import console
from .options import Reading, Writing, flat
from .outputs import Failures, complaints, each
from .streams import read, refuse_input
from .tasks import form_of, naming

Task = Annotated[str, typer.Argument(metavar="TASK", help="Task, see nlpk tasks.", show_default=False)]
File = Annotated[str, typer.Argument(metavar="FILE", help="Data file; - is stdin.", show_default=False)]
Method = Annotated[
    str | None, typer.Option(metavar="NAME", help="Check as training data of this method.", show_default=False)
]
Shown = Annotated[int, typer.Option(metavar="N", min=0, help="Bad records to name.")]
To = Annotated[
    str,
    typer.Option(metavar="FORMAT", help="Target format; an unknown one lists those of the task.", show_default=False),
]
Out = Annotated[str | None, typer.Option(metavar="FILE", help="File to write; stdout by default.", show_default=False)]


GOOD = ""  # stands among the counts of methods for the records themselves


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True)
    app.add_typer(group, name="data", help="Check data files and convert them.")
    group.command("check")(flat(check))
    group.command("convert")(flat(convert))


def check(*, task: Task, file: File, method: Method = None, shown: Shown = 20, reading: Reading) -> None:
    """Count the records that a task can use.

    Prints one JSON object; the other records are named, and where there are any the status is 1.
    """
    form = form_of(task)
    if method is not None and method not in form.METHODS:
        raise UsageError(f"no method {method!r}; methods are {', '.join(form.METHODS)}")
    failures, counts = Failures(shown), Counter[str]()
    found = read(file, reading, form.COLUMNS[method] if method else form.COLUMNS_ASKED, **naming(form))
    rows = learned(form, method, found, failures, counts)
    together = getattr(form, "flaw", None) if method else None  # not every task has rows that can fail together
    flaw = together(method, rows) if together else None
    deque(rows, maxlen=0)  # those that the flaw could be told without are counted, too
    good = counts.pop(GOOD, 0)
    counted = {"file": file, "task": task, "records": good, "bad": failures.count, "fit_for": dict(counts)}
    print(json.dumps(counted, ensure_ascii=False))
    if flaw:
        console.note(f"{'stdin' if file == '-' else file}: {flaw}")
    if flaw or failures.count or not good:
        raise SystemExit(1)


def learned(
    form: ModuleType, method: str | None, found: Iterator[Record], failures: Failures, counts: Counter[str]
) -> Iterator[dict[str, Any]]:
    """Count records and what they are fit for; give the training rows of a method, if there is one."""

    def use(record: Record) -> tuple[list[str], dict[str, Any]]:
        return form.fitting(record.fields, method), record.fields

    for _, (methods, fields) in each(found, use, failures):
        counts.update([GOOD, *methods])
        if method:
            yield from form.training_rows(method, fields)


def convert(*, task: Task, file: File, to: To, out: Out = None, reading: Reading) -> None:
    """Turn a task's data into another format; bad records are named and left out."""
    form = form_of(task)
    if to not in form.FORMATS:
        raise UsageError(f"no format {to!r} for {task}; formats are {', '.join(form.FORMATS)}")
    failures, target = Failures(20, ending="; left out"), Writing(out=out).target
    refuse_input(file, out=target)
    found = lines(form, to, read(file, reading, form.COLUMNS_ASKED, **naming(form)), failures)
    if target is None:
        with complaints("stdout"):
            sys.stdout.buffer.writelines(found)
    else:
        with files.write_beside(target) as handle:
            handle.writelines(found)
    failures.end()


def lines(form: ModuleType, to: str, found: Iterator[Record], failures: Failures) -> Iterator[bytes]:
    """Give the lines of the records in another format."""

    def use(record: Record) -> list[bytes]:
        try:
            return [f"{line}\n".encode() for line in form.converted(record.fields, to)]
        except UnicodeEncodeError as error:
            raise RecordError("a lone surrogate, half of a character; it is no valid Unicode") from error

    for _, converted in each(found, use, failures):
        yield from converted
