"""`nlpk data`: is a file fit for a task, and turning it into another format."""

from __future__ import annotations

import inspect
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, get_args

import typer

import nlptasks
from nlptasks import files, rows
from nlptasks.errors import InputError, RecordError, UsageError
from nlptasks.files import Record

from . import console
from .options import Reading, Writing, built, flag, flat, parameter, signed
from .outputs import Failures, complaints, each
from .sinks import encoded
from .streams import read, refuse_input
from .tasks import form_of, naming

Task = Annotated[str, typer.Argument(metavar="TASK", help="Task, see nlpk tasks.", show_default=False)]
File = Annotated[str, typer.Argument(metavar="FILE", help="Data file; - is stdin.", show_default=False)]
Method = Annotated[
    str | None, typer.Option(metavar="NAME", help="Check as training data of this method.", show_default=False)
]
Beside = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE", help="File of the tables that records name, for nl2sql; may be repeated.", show_default=False
    ),
]
Conditions = Annotated[
    str | None,
    typer.Option(
        metavar="FIELDS", help="Fields of labels that every record needs, for generation.", show_default=False
    ),
]
Shown = Annotated[int, typer.Option(metavar="N", min=0, help="Bad records to name.")]
Out = Annotated[str | None, typer.Option(metavar="FILE", help="File to write; stdout by default.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True)
    app.add_typer(group, name="data", help="Check data files and convert them.")
    group.command("check")(flat(check))
    tasks = typer.Typer(no_args_is_help=True)
    group.add_typer(tasks, name="convert", help="Turn a task's data into another format.")
    for name in nlptasks.names():
        tasks.command(name, short_help=nlptasks.summary(name))(convert_for(name))
    labelling = typer.Typer(no_args_is_help=True)
    group.add_typer(labelling, name="label", help="Label a task's texts by rules, to train on.")
    for name in nlptasks.names():
        if hasattr(nlptasks.form(name), "Labelling"):
            labelling.command(name, short_help=nlptasks.summary(name))(label_for(name))


def check(
    *,
    task: Task,
    file: File,
    method: Method = None,
    conditions: Conditions = None,
    tables: Beside = None,
    shown: Shown = 20,
    reading: Reading,
) -> None:
    """Count the records that a task can use.

    Prints one JSON object; the other records are named, and where there are any the status is 1.
    """
    form = form_of(task)
    if method is not None and method not in form.METHODS:
        raise UsageError(f"no method {method!r}; methods are {', '.join(form.METHODS)}")
    if tables and not hasattr(form, "checking"):
        raise UsageError(f"--tables {tables[0]}: records of {task} name no tables; leave it out")
    if conditions is not None and not hasattr(form, "naming"):
        raise UsageError(f"--conditions {conditions}: records of {task} have none; leave it out")
    failures, tally = Failures(shown), Tally(form)
    named = None if conditions is None else form.naming(method or next(iter(form.METHODS)), {"conditions": conditions})
    columns = named.columns if named else form.COLUMNS[method] if method else form.COLUMNS_ASKED
    found = (told(record, named) if named else record for record in read(file, reading, columns, **naming(form)))
    learning = learned(form, method, found, failures, tally, tables)
    together = getattr(form, "flaw", None) if method else None  # not every task has rows that can fail together
    flaw = together(method, learning) if together else None
    deque(learning, maxlen=0)  # those that the flaw could be told without are counted, too
    counted = {"file": file, "task": task, "records": tally.good, "bad": failures.count, "fit_for": dict(tally.fit)}
    sys.stdout.write(encoded(counted | tally.traits).decode())
    name = "stdin" if file == "-" else file
    for said in filter(None, (flaw, tally.repeated())):
        console.note(f"{name}: {said}")
    if not tally.good and not failures.count:
        raise InputError(f"{name}: no records in it; expected some to check")
    if flaw or failures.count:
        raise SystemExit(1)


def told(record: Record, named: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Record:
    """Put a record's fields into those of a row; where a condition is missing, that is its problem."""
    if record.problem:
        return record
    try:
        return replace(record, fields=named(record.fields))
    except RecordError as error:
        return replace(record, problem=str(error))


class Tally:
    """Counts records, what they are fit for, and what else a task finds worth knowing of them."""

    def __init__(self, form: ModuleType) -> None:
        """Start to count.

        Args:
            form: of the task; its `traits`, where it has them, give numbers for a record, which are summed up.
        """
        self.traits_of = getattr(form, "traits", None)
        self.has_ids = "id" in rows.names(form.Row)
        self.good = 0
        self.fit, self.traits = Counter[str](), Counter[str]()
        self.ids: set[str] = set()
        self.first: str | None = None

    def add(self, fields: Mapping[str, Any], methods: Iterable[str]) -> None:
        """Count a record that can be used."""
        self.good += 1
        self.fit.update(methods)
        if self.traits_of:
            self.traits.update(self.traits_of(fields))
        name = fields.get("id") if self.has_ids else None
        if name is not None and str(name) in self.ids:
            self.first = self.first or str(name)
            self.traits["repeated_ids"] += 1
        self.ids.add(str(name))

    def repeated(self) -> str | None:
        """Say that names are not unique, where they are not."""
        count = self.traits["repeated_ids"]
        if not self.first:
            return None
        records = "1 record repeats" if count == 1 else f"{count:,} records repeat"
        return f"{records} the id of an earlier one, first {self.first!r}; only their order tells them apart"


def learned(
    form: ModuleType,
    method: str | None,
    found: Iterator[Record],
    failures: Failures,
    tally: Tally,
    tables: list[str] | None = None,
) -> Iterator[dict[str, Any]]:
    """Count records; give the training rows of a method, if there is one."""
    look = form.checking({"tables": tables}) if tables else None
    if hasattr(form, "beside") and not tables:
        console.note("records are not held against the tables that they name; --tables FILE does that")

    def use(record: Record) -> tuple[list[str], dict[str, Any]]:
        if look:
            look(record.fields)
        return form.fitting(record.fields, method), record.fields

    for _, (methods, fields) in each(found, use, failures):
        tally.add(fields, methods)
        if method:
            yield from form.training_rows(method, fields)


def convert_for(task: str) -> Callable[..., None]:
    """Build a task's command: where it can mix records, how to becomes flags."""
    form = nlptasks.form(task)
    groups = [Reading, *([form.Mixing] if hasattr(form, "Mixing") else [])]
    several = typer.Argument(metavar="FILE", help="Data files; - is stdin.", show_default=False)
    target = typer.Option(metavar="FORMAT", help=f"Target format: {', '.join(form.FORMATS)}.", show_default=False)
    parameters = [
        parameter("files", list[str], several, inspect.Parameter.empty),
        parameter("to", str, target, inspect.Parameter.empty),
        parameter("out", *get_args(Out)),
        *(flag(field, group) for group in reversed(groups) for field in rows.describe(group)),
    ]

    def command(**values: Any) -> None:  # noqa: ANN401
        made = [built(group, values) for group in groups]
        convert(task, values["files"], values["to"], values["out"], *made)

    return signed(command, convert.__doc__, parameters)


def convert(task: str, names: list[str], to: str, out: str | None, reading: Reading, mixing: Any = None) -> None:  # noqa: ANN401
    """Turn a task's data into another format; bad records are named and left out."""
    form = nlptasks.form(task)
    if to not in form.FORMATS:
        raise UsageError(f"no format {to!r} for {task}; formats are {', '.join(form.FORMATS)}")
    failures, target = Failures(20, ending="; left out"), Writing(out=out).target
    for file in names:
        refuse_input(file, out=target)
    read_in = [read(file, reading, form.COLUMNS_ASKED, **naming(form)) for file in names]
    records: Iterable[Record] = chain.from_iterable(read_in)
    records = form.mixed(records, mixing) if mixing else records
    written(lines(form, to, records, failures, none=f"nothing in the input becomes {to}"), target)
    failures.end()


def label_for(task: str) -> Callable[..., None]:
    """Build a task's command: what it labels with becomes flags."""
    form = nlptasks.form(task)
    groups = [form.Labelling, Reading]
    parameters = [
        inspect.Parameter("file", inspect.Parameter.KEYWORD_ONLY, annotation=File),
        parameter("out", *get_args(Out)),
        *(flag(field, group) for group in groups for field in rows.describe(group)),
    ]

    def command(**values: Any) -> None:  # noqa: ANN401
        label(task, values["file"], values["out"], *(built(group, values) for group in groups))

    return signed(command, label.__doc__, parameters)


def label(task: str, file: str, out: str | None, labelling: Any, reading: Reading) -> None:  # noqa: ANN401
    """Give texts labels by rules, as JSON lines to train on; bad records are named and left out."""
    form = nlptasks.form(task)
    failures, target = Failures(20, ending="; left out"), Writing(out=out).target
    refuse_input(file, out=target)
    records = form.labelled(read(file, reading, form.COLUMNS_ASKED, **naming(form)), labelling)
    written(lines(form, form.FORMATS[0], records, failures, none="no text of the input was given a label"), target)
    failures.end()


def written(found: Iterator[bytes], target: Path | None) -> None:
    """Write lines to a file, which appears whole, or to stdout."""
    if target is None:
        with complaints("stdout"):
            sys.stdout.buffer.writelines(found)
    else:
        with files.write_beside(target) as handle:
            handle.writelines(found)


def lines(form: ModuleType, to: str, found: Iterable[Record], failures: Failures, *, none: str) -> Iterator[bytes]:
    """Give the lines of the records in another format; where that is one document, the lines of that.

    Args:
        form: of the task.
        to: the format.
        found: the records.
        failures: takes those that cannot be used.
        none: what is said where there is no line.
    """

    def use(record: Record) -> list[bytes]:
        try:
            return [line.encode() for line in form.converted(record.fields, to)]
        except UnicodeEncodeError as error:
            raise RecordError("a lone surrogate, half of a character; it is no valid Unicode") from error

    made = (line for _, converted in each(found, use, failures) for line in converted)
    header = getattr(form, "HEADERS", {}).get(to)
    opening, end = getattr(form, "FRAMES", {}).get(to) or (f"{header}\n" if header else "", None)
    yield opening.encode()
    number = -1
    for number, line in enumerate(made):
        yield line + b"\n" if end is None else (b",\n" if number else b"") + line
    yield (end or "").encode()
    if number < 0 and not failures.count:
        console.note(none)
