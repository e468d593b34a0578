"""`nlpk data`: is a file fit for a task, and turning it into another format."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

import nlptasks
from nlptasks import files
from nlptasks.errors import RecordError, UsageError

from . import console
from .options import Reading, flat

Task = Annotated[str, typer.Argument(metavar="TASK", help="Task, see nlpk tasks.", show_default=False)]
File = Annotated[str, typer.Argument(metavar="FILE", help="Data file; - is stdin.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True)
    app.add_typer(group, name="data", help="Check data files and convert them.")
    group.command("check")(flat(check))
    group.command("convert")(flat(convert))


def form_of(task: str) -> Any:  # noqa: ANN401 - a module
    """Import a task's form.

    Raises:
        UsageError: there is no such task.
    """
    if task not in nlptasks.names():
        raise UsageError(f"no task {task!r}; tasks are {', '.join(nlptasks.names())}")
    return nlptasks.form(task)


def check(
    task: Task,
    file: File,
    method: Annotated[str | None, typer.Option(help="Check as training data of this method.", show_default=False)] = None,
    shown: Annotated[int, typer.Option(help="Bad records to name.")] = 20,
    reading: Reading = Reading(),
) -> None:
    """Count the records a task can use and name the others; status 1 where there are others."""
    form = form_of(task)
    if method is not None and method not in form.METHODS:
        raise UsageError(f"no method {method!r}; methods are {', '.join(form.METHODS)}")
    columns = form.COLUMNS[method] if method else form.COLUMNS_ASKED
    found = files.read_records(
        file, format=reading.format, columns=reading.names(), names=columns, encoding=reading.encoding
    )
    good, fits, bad = 0, Counter[str](), 0
    for record in found:
        try:
            if record.problem:
                raise RecordError(record.problem)
            fits.update(form.fitting(record.fields, method))
            good += 1
        except RecordError as error:
            bad += 1
            if bad <= shown:
                console.note(f"{record.place}: {error}")
    print(json.dumps({"file": file, "task": task, "records": good, "bad": bad, "fit_for": dict(fits)}, ensure_ascii=False))
    if bad or not good:
        raise SystemExit(1)


def convert(
    task: Task,
    file: File,
    to: Annotated[str, typer.Option(help="Target format; an unknown one lists those of the task.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="File to write; stdout by default.", show_default=False)] = None,
    reading: Reading = Reading(),
) -> None:
    """Turn a task's data into another format; records that cannot be are named and left out."""
    form = form_of(task)
    if to not in form.FORMATS:
        raise UsageError(f"no format {to!r} for {task}; formats are {', '.join(form.FORMATS)}")
    found = files.read_records(
        file, format=reading.format, columns=reading.names(), names=form.COLUMNS_ASKED, encoding=reading.encoding
    )
    bad = 0

    def lines() -> Any:  # noqa: ANN401 - an iterator of bytes
        nonlocal bad
        for record in found:
            try:
                if record.problem:
                    raise RecordError(record.problem)
                for line in form.converted(record.fields, to):
                    yield (line + "\n").encode("utf-8")
            except RecordError as error:
                bad += 1
                if bad <= 20:
                    console.note(f"{record.place}: {error}; left out")

    if out is None:
        sys.stdout.buffer.writelines(lines())
    else:
        with files.write_beside(out) as handle:
            handle.writelines(lines())
    if bad:
        console.note(f"{bad} records left out")
        raise SystemExit(1)
