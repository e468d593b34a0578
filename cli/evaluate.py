"""`nlpk eval TASK`: scores of a model, or of a file of predictions."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import typer

import nlptasks
from nlptasks import files, rows
from nlptasks.errors import InputError, RecordError, UsageError
from nlptasks.files import Record

from . import console
from .filling import parser
from .options import Computing, Model, Reading, built, choice, flag, parameter, signed, written
from .outputs import Failures, each
from .predict import load_model
from .sinks import encoded
from .streams import read, refuse_input
from .tasks import naming

GROUPS = (Model, Reading, Computing)
Scores = Iterator[tuple[Any, ...]]  # settings, scores, method, model, and seconds, none of which predictions take
Labelled = list[tuple[int, Any]]  # place in the file, from 0, and row


def register(app: typer.Typer) -> None:
    """Add the command, with one sub-command for each task."""
    group = typer.Typer(no_args_is_help=True)
    app.add_typer(group, name="eval", help="Score a model, or a file of predictions, on labelled files.")
    for name in nlptasks.names():
        summary = nlptasks.summary(name)
        help = f"{summary}\n\nScores a model, or a file of predictions, on labelled files."
        group.command(name, help=help, short_help=summary)(command_for(name))


def command_for(task: str) -> Callable[..., None]:
    """Build a task's command."""
    form = nlptasks.form(task)
    method = choice(form.METHODS)
    named = typer.Argument(metavar="FILE", help="Labelled files; - is stdin.", show_default=False)
    asked = typer.Option(help="Score a model of this method.", show_default=False)
    others = "Score this file of predictions, which answers FILE line by line, instead of a model."
    predictions = typer.Option(metavar="FILE", help=others, show_default=False)
    as_json = typer.Option("--json", help="Print one JSON object for each file and setting.")
    unscored = getattr(form, "UNSCORED", ())
    parameters = [
        parameter("files", list[str], named, inspect.Parameter.empty),
        parameter("method", method | None, asked),
        parameter("predictions", str | None, predictions),
        parameter("json", bool, as_json, False),
        *(flag(field, form.Sweep) for field in rows.describe(form.Sweep)),
        *(flag(field, form.Options) for field in rows.describe(form.Options) if field.name not in unscored),
        *(flag(field, group) for group in GROUPS for field in rows.describe(group)),
    ]

    def command(**values: Any) -> None:  # noqa: ANN401
        evaluate(task, form, values)

    return signed(command, nlptasks.summary(task), parameters)


def evaluate(task: str, form: ModuleType, values: Mapping[str, Any]) -> None:
    """Score every file and print the results."""
    for file in values["files"]:
        refuse_input(file, **written(values))
    if values.get("errors") is not None and (len(values["files"]) > 1 or values["predictions"]):
        raise UsageError("--errors goes with one FILE that a model is scored on; name one at a time")
    score = scorer(task, form, values)
    results, failures = [], Failures()
    for file in values["files"]:
        before = failures.count
        labelled = read_labelled(file, built(Reading, values), form, failures, values, score)
        for settings, scores, method, model, seconds in score(labelled):
            made = {"task": task, "method": method, "model": model, "file": file, "settings": settings}
            made |= {"records": len(labelled), "failed": failures.count - before, "scores": defined(scores, file)}
            rate = None if seconds is None else round(len(labelled) / max(seconds, 1e-9), 1)
            made |= {"seconds": None if seconds is None else round(seconds, 3), "records_per_second": rate}
            results.append(made)
            if values["json"]:
                print(encoded(made).decode(), end="", flush=True)
    if not values["json"]:
        show(results)
    failures.end()


def defined(scores: Mapping[str, float], file: str) -> dict[str, float | None]:
    """Put none in the place of scores that are not defined, which JSON has no number for, and say why they are not."""
    found = {name: None if math.isnan(value) else value for name, value in scores.items()}
    if missing := [name for name, value in found.items() if value is None]:
        console.note(f"{file}: no {' and no '.join(missing)}; needs two records with different scores and answers")
    return found


@dataclass(frozen=True)
class Scorer:
    """What scores labelled rows, and, where a model has them, its names for their fields and what it refuses."""

    score: Callable[[Labelled], Scores]
    naming: Any = None
    check: Callable[[Any], None] | None = None

    def __call__(self, labelled: Labelled) -> Scores:
        """Score rows."""
        return self.score(labelled)


def scorer(task: str, form: ModuleType, values: Mapping[str, Any]) -> Scorer:
    """Choose what scores labelled rows: a model, or the predictions of another system."""
    return predictions_scorer(task, form, values) if values["predictions"] else model_scorer(task, form, values)


def model_scorer(task: str, form: ModuleType, values: Mapping[str, Any]) -> Scorer:
    """Load the model, and give what scores it."""
    module, sweep = nlptasks.load(task), built(form.Sweep, values)
    loaded = load_model(task, form, values)

    def score(labelled: Labelled) -> Scores:
        started = time.monotonic()
        for settings, scores in module.evaluations(loaded, [row for _, row in labelled], sweep):
            yield settings, scores, loaded.method, loaded.name, time.monotonic() - started

    return Scorer(score, getattr(loaded, "naming", None), getattr(loaded, "check", None))


def predictions_scorer(task: str, form: ModuleType, values: Mapping[str, Any]) -> Scorer:
    """Read the predictions, and give what scores them.

    Raises:
        UsageError: they cannot answer more than one file.
    """
    module, name = nlptasks.load(task), values["predictions"]
    if len(values["files"]) > 1:
        raise UsageError("--predictions goes with one FILE, whose records it answers line by line")
    predicted = [record.fields.get("prediction") for record in files.read_records(name, format="jsonl")]
    options = built(form.Options, values)  # such as where the tables are

    def score(labelled: Labelled) -> Scores:
        if labelled[-1][0] >= len(predicted):
            raise InputError(f"{name}: {len(predicted)} predictions for more records; expected one for each, in order")
        yield (
            {},
            module.score_predictions([predicted[at] for at, _ in labelled], [row for _, row in labelled], options),
            None,
            name,
            None,
        )

    naming = getattr(form, "naming_of_predictions", None)
    return Scorer(score, naming(values["method"]) if naming else None)


def read_labelled(
    file: str,
    reading: Reading,
    form: ModuleType,
    failures: Failures,
    values: Mapping[str, Any],
    scorer: Scorer,
) -> Labelled:
    """Read the rows of a file that have a reference and fit what they refer to; the others are counted and named.

    Raises:
        InputError: there is none.
    """
    own = scorer.naming
    parse, names = parser(form, {}, None, naming=own), own.columns if own else form.COLUMNS_ASKED
    check = form.checking(values) if hasattr(form, "checking") else None

    def use(record: Record) -> Any:  # noqa: ANN401 - the row of any task
        row = parse(record)
        if all(getattr(row, name) is None for name in form.REFERENCES):
            raise RecordError(f"no {' and no '.join(form.REFERENCES)}; scoring needs the reference")
        if check:
            check(record.fields)
        if scorer.check:
            scorer.check(row)
        return row

    labelled = list(each(read(file, reading, names, **naming(form)), use, failures))
    if not labelled:
        raise InputError(f"{file}: no labelled record; expected the fields {', '.join(names)}")
    return labelled


def show(results: list[dict[str, Any]]) -> None:
    """Print a table: a line for each file and setting."""
    names = list(dict.fromkeys(name for result in results for name in result["scores"]))
    settings = list(dict.fromkeys(name for result in results for name in result["settings"]))
    lines = [
        [
            str(result["file"]).rpartition("/")[2],
            *("" if (value := result["settings"].get(name)) is None else str(value) for name in settings),
            str(result["records"]),
            *(f"{value:.4f}" if (value := result["scores"].get(name)) is not None else "" for name in names),
            "" if (rate := result["records_per_second"]) is None else f"{rate:,.0f}",
        ]
        for result in results
    ]
    console.table("", ["file", *settings, "records", *names, "records/s"], lines)
