"""`nlpk predict TASK`: records in, the same records with a prediction out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Annotated, Any, Literal

import typer

import nlptasks
from nlptasks import rows
from nlptasks.errors import ModelError, RecordError
from nlptasks.files import Record

from . import console
from .options import FILE, Machine, Model, Reading, Writing, built, flag, given, signed
from .streams import Lines, file_or_pipe, records, value_of

GROUPS = (Model, Reading, Writing, Machine)


def register(app: typer.Typer) -> None:
    """Add the command, with one sub-command for each task."""
    group = typer.Typer(no_args_is_help=True)
    app.add_typer(group, name="predict", help="Ask a model: JSON lines out, one for each record in.")
    for name in nlptasks.names():
        group.command(name, help=f"{nlptasks.summary(name)}\n\nOne record by its options, or many from FILE or stdin.")(
            command_for(name)
        )


def command_for(task: str) -> Callable[..., None]:
    """Build a task's command: its fields, its options and what all tasks share become flags."""
    form = nlptasks.form(task)
    method = Literal[tuple(form.METHODS)]  # type: ignore[misc]
    parameters = [
        inspect.Parameter("file", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=FILE),
        *(record_flag(field, form.Row) for field in asked(form)),
        *(flag(field, form.Options) for field in rows.describe(form.Options)),
        inspect.Parameter(
            "method",
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[method | None, typer.Option(help="Ask a model of this method.", show_default=False)],
        ),
        inspect.Parameter(
            "name",
            inspect.Parameter.KEYWORD_ONLY,
            default="prediction",
            annotation=Annotated[str, typer.Option("--as", help="Key of the answer in the output.")],
        ),
        *(flag(field, group) for group in GROUPS for field in rows.describe(group)),
    ]

    def command(**values: Any) -> None:  # noqa: ANN401
        predict(task, form, values)

    return signed(command, nlptasks.summary(task), parameters)


def record_flag(field: rows.Field, group: type) -> inspect.Parameter:
    """Turn a field of a row into an option that takes text, `@file` or `-`."""
    return flag(rows.Field(field.name, str, None, field.help), group, " @FILE reads it from a file.")


def asked(form: ModuleType) -> list[rows.Field]:
    """List the fields of a row that are asked with; references are not."""
    return [field for field in rows.describe(form.Row) if field.name not in form.REFERENCES]


def predict(task: str, form: ModuleType, values: Mapping[str, Any]) -> None:
    """Answer all records."""
    from nlptasks.inference.predictor import stream
    from nlptasks.training import models

    model, reading, writing, machine = (built(group, values) for group in GROUPS)
    fills = {field.name: value_of(values[field.name]) for field in asked(form) if values[field.name] is not None}
    source, found_records = chosen(values["file"], fills, form, reading)
    found = None if model.backbone else models.find(task, model.model, values["method"])
    if found is None and values["method"]:
        raise ModelError(f"no model of method {values['method']}; make one: nlpk train {task} --method {values['method']}")
    options = {"options": built(form.Options, values), "backbone": model.backbone}
    loaded = nlptasks.load(task).load(found, **options, **machine.prepared())
    about = {"task": task, "fields": fills, "as": values["name"], **given(form.Options, values)}
    with Lines(writing, source, {**about, "model": loaded.fingerprint}) as lines, console.counter("records") as counter:
        worker = nlptasks.load(task).worker(loaded)
        parse = parser(form, fills, values["name"])
        for window in stream(skip(found_records, lines.done), parse, worker, loaded.budget):
            out: list[dict[str, Any]] = []
            for record, answer in window:
                if isinstance(answer, RecordError):
                    out += lines.failure(record, answer)
                else:
                    out.append({**record.fields, values["name"]: answer})
            lines.write(out)
            counter.add(len(window))
    lines.finish()


def chosen(
    file: str | None, fills: dict[str, str], form: ModuleType, reading: Reading
) -> tuple[str, Iterator[Record]]:
    """Choose between the one record that the options give and the records of a stream."""
    needed = [field.name for field in rows.describe(form.Row) if field.default is rows.MISSING]
    if file is None and fills and all(name in fills for name in needed):
        record = Record("options", 1, dict(fills))
        return "-", iter([record])
    return file_or_pipe(file), records(file, reading, form.COLUMNS_ASKED)


def parser(form: ModuleType, fills: Mapping[str, str], name: str) -> Callable[[Record], Any]:
    """Make the function that turns a record into a row."""

    def parse(record: Record) -> Any:  # noqa: ANN401 - the row of any task
        if record.problem:
            raise RecordError(record.problem)
        if name in record.fields:
            raise RecordError(f"the record already has a field {name!r}; choose another key with --as NAME")
        known = {form.ALIASES.get(key, key): value for key, value in record.fields.items()}
        return rows.parse(form.Row, {**fills, **known})

    return parse


def skip(found: Iterator[Record], number: int) -> Iterator[Record]:
    """Leave out the records that an earlier run has answered."""
    for _ in range(number):
        if next(found, None) is None:
            return
    yield from found
