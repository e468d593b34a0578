"""`nlpk data`: is a file fit for a task, and turning it into another format."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from types import ModuleType
from typing import Annotated

import typer

from nlptasks import files
from nlptasks.errors import RecordError, UsageError
from nlptasks.files import Record

from .options import Reading, Writing, flat
from .outputs import Failures, complaints, each
from .streams import read
from .tasks import form_of

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
    failures, good, fits = Failures(shown), 0, Counter[str]()
    found = read(file, reading, form.COLUMNS[method] if method else form.COLUMNS_ASKED)
    for _, methods in each(found, lambda record: form.fitting(record.fields, method), failures):
        fits.update(methods)
        good += 1
    counted = {"file": file, "task": task, "records": good, "bad": failures.count, "fit_for": dict(fits)}
    print(json.dumps(counted, ensure_ascii=False))
    if failures.count or not good:
        raise SystemExit(1)


def convert(*, task: Task, file: File, to: To, out: Out = None, reading: Reading) -> None:
    """Turn a task's data into another format; bad records are named and left out."""
    form = form_of(task)
    if to not in form.FORMATS:
        raise UsageError(f"no format {to!r} for {task}; formats are {', '.join(form.FORMATS)}")
    failures = Failures(20, ending="; left out")
    found = lines(form, to, read(file, reading, form.COLUMNS_ASKED), failures)
    target = Writing(out=out).target
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
