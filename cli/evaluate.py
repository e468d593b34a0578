"""`nlpk eval TASK`: scores of a model, or of a file of predictions."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Annotated, Any, Literal

import typer

import nlptasks
from nlptasks import files, rows
from nlptasks.errors import InputError, RecordError, UsageError

from . import console
from .options import Machine, Model, Reading, built, flag, signed
from .predict import parser
from .streams import end

GROUPS = (Model, Reading, Machine)


def register(app: typer.Typer) -> None:
    """Add the command, with one sub-command for each task."""
    group = typer.Typer(no_args_is_help=True)
    app.add_typer(group, name="eval", help="Score a model, or a file of predictions, on labelled files.")
    for name in nlptasks.names():
        group.command(name, help=f"{nlptasks.summary(name)}\n\nScores a model on labelled files.")(command_for(name))


def command_for(task: str) -> Callable[..., None]:
    """Build a task's command."""
    form = nlptasks.form(task)
    method = Literal[tuple(form.METHODS)]  # type: ignore[misc]
    listed = (
        ("files", list[str], typer.Argument(metavar="FILE...", help="Labelled files.", show_default=False), inspect.Parameter.empty),
        ("method", method | None, typer.Option(help="Score a model of this method.", show_default=False), None),
        ("predictions", str | None, typer.Option(help="Score this file of predictions; FILE then has the references.", show_default=False), None),
        ("json", bool, typer.Option("--json", help="One JSON object for each file and setting."), False),
    )  # fmt: skip
    parameters = [
        *(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])
            for name, kind, option, default in listed
        ),
        *(flag(field, form.Sweep) for field in rows.describe(form.Sweep)),
        *(flag(field, form.Options) for field in rows.describe(form.Options)),
        *(flag(field, group) for group in GROUPS for field in rows.describe(group)),
    ]

    def command(**values: Any) -> None:  # noqa: ANN401
        evaluate(task, form, values)

    return signed(command, nlptasks.summary(task), parameters)


def evaluate(task: str, form: ModuleType, values: Mapping[str, Any]) -> None:
    """Score every file and print the results."""
    reading: Reading = built(Reading, values)
    score = scorer(task, form, values)
    results, failed = [], 0
    for file in values["files"]:
        labelled, bad = read_labelled(file, reading, form)
        failed += bad
        for settings, scores, method, model, seconds in score(labelled):
            results.append(
                {
                    "task": task,
                    "method": method,
                    "model": model,
                    "file": file,
                    "settings": settings,
                    "records": len(labelled),
                    "failed": bad,
                    "scores": scores,
                    "seconds": round(seconds, 3),
                    "records_per_second": round(len(labelled) / max(seconds, 1e-9), 1),
                }
            )
            if values["json"]:
                print(json.dumps(results[-1], ensure_ascii=False), flush=True)
    if not values["json"]:
        show(results)
    end(failed)


def scorer(task: str, form: ModuleType, values: Mapping[str, Any]) -> Callable[[list[Any]], Iterator[tuple[Any, ...]]]:
    """Choose what scores labelled rows: a model, or the predictions of another system."""
    module = nlptasks.load(task)
    if values["predictions"]:
        if len(values["files"]) > 1:
            raise UsageError("--predictions goes with one FILE, whose records it answers line by line")
        predicted = read_predictions(values["predictions"])

        def score(labelled: list[Any]) -> Iterator[tuple[Any, ...]]:
            yield {}, module.score_predictions(predicted, labelled), None, values["predictions"], 0.0

        return score
    from nlptasks.training import models

    model, machine = built(Model, values), built(Machine, values)
    found = None if model.backbone else models.find(task, model.model, values["method"])
    options = {"options": built(form.Options, values), "backbone": model.backbone}
    loaded = module.load(found, **options, **machine.prepared())
    sweep = built(form.Sweep, values)

    def score_model(labelled: list[Any]) -> Iterator[tuple[Any, ...]]:
        started = time.monotonic()
        for settings, scores in module.evaluations(loaded, labelled, sweep):
            yield settings, scores, loaded.method, loaded.name, time.monotonic() - started

    return score_model


def read_labelled(file: str, reading: Reading, form: ModuleType) -> tuple[list[Any], int]:
    """Read the rows of a file that have a reference; the others are counted and named.

    Raises:
        InputError: there is none.
    """
    parse = parser(form, {}, "")
    labelled, bad = [], 0
    found = files.read_records(
        file, format=reading.format, columns=reading.names(), names=form.COLUMNS_ASKED, encoding=reading.encoding
    )
    for record in found:
        try:
            row = parse(record)
            missing = [name for name in form.REFERENCES if getattr(row, name) is None]
            if missing:
                raise RecordError(f"no {missing[0]}; scoring needs the reference")
            labelled.append(row)
        except RecordError as error:
            bad += 1
            if bad <= 5:
                console.note(f"{record.place}: {error}")
    if not labelled:
        raise InputError(f"{file}: no labelled record; expected the fields {', '.join(form.COLUMNS_ASKED)}")
    return labelled, bad


def read_predictions(file: str) -> list[Any]:
    """Read the `prediction` of each line; none where a line has none."""
    return [record.fields.get("prediction") for record in files.read_records(file, format="jsonl")]


def show(results: list[dict[str, Any]]) -> None:
    """Print a table: a line for each file and setting."""
    names = list(dict.fromkeys(name for result in results for name in result["scores"]))
    settings = list(dict.fromkeys(name for result in results for name in result["settings"]))
    columns = ["file", *settings, "records", *names, "records/s"]
    lines = [
        [
            str(result["file"]).rpartition("/")[2],
            *(str(result["settings"].get(name, "")) for name in settings),
            str(result["records"]),
            *(f"{result['scores'][name]:.4f}" if name in result["scores"] else "" for name in names),
            f"{result['records_per_second']:,.0f}",
        ]
        for result in results
    ]
    console.table("", columns, lines)
