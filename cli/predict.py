"""`nlpk predict TASK`: records in, the same records with a prediction out."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, asdict, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import typer

import nlptasks
from nlptasks import rows
from nlptasks.errors import ModelError, UsageError
from nlptasks.files import Record

from . import console
from .filling import asked, filled, parser, several_of
from .options import (
    FILE,
    Computing,
    Model,
    Reading,
    Writing,
    built,
    choice,
    flag,
    given,
    option_name,
    parameter,
    refuse_key,
    signed,
    written,
)
from .outputs import opened
from .sinks import PlainLines, json_lines
from .streams import is_unfed, one, records, refuse_input, skip
from .tasks import naming

GROUPS = (Model, Reading, Writing, Computing)


def register(app: typer.Typer) -> None:
    """Add the command, with one sub-command for each task."""
    group = typer.Typer(no_args_is_help=True)
    app.add_typer(group, name="predict", help="Ask a model: JSON lines out, one for each record in.")
    for name in nlptasks.names():
        summary = nlptasks.summary(name)
        help = f"{summary}\n\nAsks about one record given by its options, or about many from FILE or stdin."
        group.command(name, help=help, short_help=summary)(command_for(name))


def command_for(task: str) -> Callable[..., None]:
    """Build a task's command: its fields, its options and what all tasks share become flags."""
    form = nlptasks.form(task)
    method = choice(form.METHODS)
    key = typer.Option("--as", metavar="NAME", help="Key of the answer in the output.")
    parameters = [
        parameter("file", *get_args(FILE)),
        *(record_flag(field, form) for field in asked(form)),
        *(flag(field, form.Options) for field in rows.describe(form.Options)),
        *mode_flags(form),
        parameter("method", method | None, typer.Option(help="Ask a model of this method.", show_default=False)),
        parameter("name", str, key, "prediction"),
        *(flag(field, group) for group in GROUPS for field in rows.describe(group)),
    ]

    def command(**values: Any) -> None:  # noqa: ANN401
        predict(task, in_mode(form, values), values)

    return signed(command, nlptasks.summary(task), parameters)


def mode_flags(form: ModuleType) -> list[Any]:
    """Make a switch for each other way to ask, with the options that only this way has."""
    known = {field.name for field in rows.describe(form.Options)}
    made = []
    for name, mode in modes_of(form).items():
        help = inspect.getdoc(mode) or ""
        made.append(flag(rows.Field(name, bool, False, help), mode.Options))
        made += [flag(field, mode.Options) for field in rows.describe(mode.Options) if field.name not in known]
    return made


def modes_of(form: ModuleType) -> Mapping[str, ModuleType]:
    """Give the other ways to ask, each a form with rows and options of its own, by the flags that choose them."""
    found: Mapping[str, ModuleType] = getattr(form, "MODES", {})
    return found


def in_mode(form: ModuleType, values: Mapping[str, Any]) -> ModuleType:
    """Choose the way to ask.

    Raises:
        UsageError: an option belongs to another way.
    """
    modes = modes_of(form)
    switch = next((name for name in modes if values[name]), None)
    chosen = modes[switch] if switch else form
    known = {field.name for kind in (chosen.Row, chosen.Options) for field in rows.describe(kind)}
    for name, other in {"": form, **modes}.items():
        for field in [*asked(other), *rows.describe(other.Options)]:
            if field.name not in known and values[field.name] not in (None, []):
                remedy = f"not used with --{switch}" if switch else f"needs --{name}"
                raise UsageError(f"{option_name(field.name)}: {remedy}")
    return chosen


def record_flag(field: rows.Field, form: ModuleType) -> Any:  # noqa: ANN401 - a parameter
    """Turn a field of a row into an option that takes text, `@file` or `-`, perhaps several times."""
    several = field.name in several_of(form)
    note = " @FILE reads it from a file, - from stdin." + " May be given several times." * several
    return flag(rows.Field(field.name, list[str] if several else str, None, field.help), form.Row, note)


def predict(task: str, form: ModuleType, values: Mapping[str, Any]) -> None:
    """Answer all records."""
    from nlptasks.inference.predictor import stream

    name, writing, reading = values["name"], built(Writing, values), built(Reading, values)
    refuse_key(name, [*rows.names(form.Row), *form.ALIASES])
    fills = filled(form, values)
    options = built(form.Options, values)
    is_plain = getattr(form, "is_plain", None)  # of tasks whose answers can be written as lines of text
    plain = is_plain is not None and is_plain(options)
    sink: Any = partial(PlainLines, lines=form.plain_lines) if plain else json_lines(writing, name)
    refuse_input(values["file"], out=writing.target, **written(values))
    for path in written(values).values():
        refuse_input(path, out=writing.target)
    source, found = chosen(values["file"], fills, form, reading)
    unused = set(fills)
    if found is None:
        unused.clear()
        source, found, writing = "-", one(**fills), replace(writing, on_error="fail")
    loaded = load_model(task, form, values)
    about = {"task": task, "fields": fills, "as": name, "model": loaded.fingerprint}
    about |= {**given(form.Options, values), **asdict(reading)}
    with opened(writing, source, about, sink, resumable=not plain) as output, console.counter("records") as counter:
        worker = nlptasks.load(task).worker(loaded)
        watch = getattr(worker, "watch", None)
        if watch and output.done:
            raise UsageError("--resume: a page shows all records of a run; leave out one of --resume and --html")
        grows = getattr(options, "stream", False) and writing.target is None and sys.stdout.isatty()
        if grows:
            worker.write = show  # on a terminal a task shows its texts by itself, as they grow
        parse = parser(form, fills, name, unused, naming=getattr(loaded, "asking", None))
        for window in stream(skip(found, output.done), parse, worker, loaded.budget):
            output.write(window)
            if watch:
                watch(window)
            if not grows:  # a count would stand in the midst of the texts
                counter.add(len(window))
        if output.count - output.done > output.failures.count and unused:
            named = {several: field for field, several in several_of(form).items()}
            flags = ", ".join(sorted(f"--{named.get(field, field)}" for field in unused))
            console.note(f"{flags}: not used, every record has a value of its own there")
        if report := getattr(worker, "report", None):
            report()
    output.end()


def show(piece: str) -> None:
    """Put a piece of text on the terminal, without waiting for the rest of its line."""
    sys.stdout.write(piece)
    sys.stdout.flush()


def load_model(task: str, form: ModuleType, values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - of any task
    """Load the model that the flags choose.

    Raises:
        ModelError: there is none of the method asked for.
    """
    from nlptasks.training import models

    model, machine, method = built(Model, values), built(Computing, values), values["method"]
    found = None if model.backbone else models.find(task, model.model and Path(model.model), method)
    if found is None and method:
        raise ModelError(models.missing(task, method))
    options = {"options": built(form.Options, values), "backbone": model.backbone}
    return nlptasks.load(task).load(found, **options, machine=machine.prepared())


def chosen(
    file: str | None, fills: Mapping[str, Any], form: ModuleType, reading: Reading
) -> tuple[str, Iterator[Record] | None]:
    """Choose between the records of a stream and the one that the options give, for which there is none.

    A line of plain text is the first field that the options do not give.

    Raises:
        UsageError: the options give only a part of a record, and there is no stream, or nothing in it.
    """
    missing = [f.name for f in rows.describe(form.Row) if f.default is MISSING and f.name not in fills]
    if file is None and fills and not missing:
        return "-", None
    lacking = (
        f"no {option_name(missing[0])}; give it too, or name a FILE whose records have the field" if missing else ""
    )
    if file is None and is_unfed():
        first = " and ".join(map(option_name, missing or [asked(form)[0].name]))
        raise UsageError(lacking if fills else f"no input: give {first}, name a FILE, or pipe records in")
    given = {*fills, *form.REFERENCES}
    main = next((name for name in form.COLUMNS_ASKED if name not in given), None) if fills else None
    source, found = records(file, reading, form.COLUMNS_ASKED, main=main, **naming(form))
    return source, expected(found, lacking) if file is None and fills else found


def expected(found: Iterator[Record], lacking: str) -> Iterator[Record]:
    """Hand on records.

    Raises:
        UsageError: there is none.
    """
    first = next(found, None)
    if first is None:
        raise UsageError(lacking)
    yield first
    yield from found
