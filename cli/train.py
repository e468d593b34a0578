"""`nlpk train TASK`: from rows to a model folder."""

from __future__ import annotations

import inspect
import shlex
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime
from importlib.resources import files as resources
from os.path import expanduser
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import typer

import nlptasks
from nlptasks import places, rows
from nlptasks.errors import UsageError

from . import __version__, console
from .options import Reading, built, choice, flag, given, metavar, parameter, signed
from .outputs import complaints

if TYPE_CHECKING:
    from nlptasks.training.run import Plan, Training

SCORES = 3  # that the last line of a training shows at most


def register(app: typer.Typer) -> None:
    """Add the command, with one sub-command for each task."""
    group = typer.Typer(no_args_is_help=True)
    app.add_typer(group, name="train", help="Train a model; without data on the task's sample data.")
    for name in nlptasks.names():
        summary = nlptasks.summary(name)
        help = f"{summary}\n\n{methods_of(nlptasks.form(name))}"
        group.command(name, help=help, short_help=summary)(command_for(name))


def methods_of(form: ModuleType) -> str:
    """List a task's methods for the help."""
    return "Methods:\n\n" + "\n\n".join(f"{name}: {method.summary}." for name, method in form.METHODS.items())


def command_for(task: str) -> Callable[..., None]:
    """Build a task's command: its settings become flags."""
    form = nlptasks.form(task)
    method = choice(form.METHODS)

    def option(name: str, kind: Any, help: str, shown: str | None = None) -> inspect.Parameter:  # noqa: ANN401
        shown = shown or metavar(name, kind)
        return parameter(name, kind | None, typer.Option(help=help, metavar=shown, show_default=False))

    parameters = [
        option("method", method, f"How to train; {next(iter(form.METHODS))} by default."),
        option("train", list[str], "File of training rows, or a hub data set owner/name:split; may be repeated."),
        option("dev", str, "File of labelled rows that choose the best model."),
        option("out", Path, "New folder for the model; one under the user's data folder by default.", "DIR"),
        option("backbone", str, "Folder or hub name of the BERT to start from; the embedded one by default."),
        option("config", Path, "TOML file of settings; flags go before it."),
        option("resume", Path, "Go on with an interrupted run in this folder, with its own settings and data."),
        option("device", str, "auto, cpu, cuda, cuda:1 or mps."),
        *(flag(field, Reading) for field in rows.describe(Reading)),
        *(flag(field, form.Settings, defaults=defaults(form, field)) for field in rows.describe(form.Settings)),
    ]

    def command(**values: Any) -> None:  # noqa: ANN401
        train(task, form, values)

    return signed(command, nlptasks.summary(task), parameters)


def defaults(form: ModuleType, field: rows.Field) -> dict[str, Any]:
    """Give a setting's default for each method of a task."""
    return {name: method.defaults.get(field.name, field.default) for name, method in form.METHODS.items()}


def train(task: str, form: ModuleType, values: Mapping[str, Any]) -> None:
    """Train, show how it goes, and say where the model went."""
    training = begun(task, form, values)
    dtype = str(training.dtype).removeprefix("torch.")
    size = f"{console.counted(len(training.run.rows), 'row')}, {console.counted(training.run.steps, 'update')}"
    console.note(f"{size}, {training.device}, {dtype}")
    folder = shlex.quote(str(training.out))
    try:
        follow(training)
    except KeyboardInterrupt:
        if (training.out / "last").is_dir():
            console.note(f"stopped at update {training.run.step}; go on with: nlpk train {task} --resume {folder}")
        raise
    console.note(f"model in {training.out}{scored(training)}")
    console.note(f"to let it answer from now on: nlpk models use {task} {folder}")


def scored(training: Training) -> str:
    """Name the scores of a model, the one that it was chosen by first; of many only some, the model's card has all."""
    names = sorted(training.scores, key=lambda name: name != training.task.best)
    shown = [f"{name} {training.scores[name]:.4f}" for name in names[:SCORES]]
    return f" ({', '.join(shown + ['…'][: len(names) - SCORES])})" if shown else ""


def begun(task: str, form: ModuleType, values: Mapping[str, Any]) -> Training:
    """Prepare the run that the flags ask for: a new one, or one to go on with."""
    from nlptasks.training.run import Training, planned

    device = values["device"] or "auto"
    if values["resume"]:
        refuse_others(values)
        return Training(planned(values["resume"]), values["resume"], device=device, resume=True)
    plan = planned_by_flags(task, form, values)
    out = values["out"] or places.home() / "runs" / task / datetime.now().strftime("%Y-%m-%d-%H%M%S")
    return Training(plan, out, device=device)


def follow(training: Training) -> None:
    """Run the training to its end, or to an interrupt."""
    steps: Any = iter(training)
    with complaints(training.out), closing(steps):  # a generator, which saves its state when it is closed
        console.show_training(steps, training.task.best)


def planned_by_flags(task: str, form: ModuleType, values: Mapping[str, Any]) -> Plan:
    """Make the plan of a new run from the flags."""
    from nlptasks.training.data import Source
    from nlptasks.training.run import Plan
    from nlptasks.training.settings import as_plain, resolve

    method = values["method"] or next(iter(form.METHODS))
    flags = given(form.Settings, values)
    settings = resolve(form.Settings, form.METHODS[method].defaults, values["config"], flags)
    reading = built(Reading, values)
    train_files, dev = values["train"], values["dev"]
    if not train_files:
        train_files, dev = [sample(task, form.SAMPLES[method])], dev or sample(task, form.SAMPLE_DEV)
    return Plan(
        task=task,
        method=method,
        settings=as_plain(settings),
        train=tuple(
            Source(expanduser(name), reading.format, reading.names(), reading.encoding) for name in train_files
        ),
        dev=Source(expanduser(dev), encoding=reading.encoding) if dev else None,
        backbone=backbone_of(values),
        command=shlex.join(["nlpk", *sys.argv[1:]]),
        version=__version__,
    )


def backbone_of(values: Mapping[str, Any]) -> str | None:
    """Take the backbone from the flags, if there is one, in a form that is good for a resume from elsewhere."""
    name = values["backbone"]
    return name if name in (None, places.EMBEDDED) else absolute(name)


def absolute(name: str) -> str:
    """Keep a file's name good for a resume from elsewhere; a hub name stays as it is."""
    return str(Path(name).expanduser().resolve()) if Path(name).expanduser().exists() else name


def sample(task: str, name: str) -> str:
    """Find a file of the sample data that is installed with the package."""
    return str(resources("nlptasks.samples").joinpath(task, name))


def refuse_others(values: Mapping[str, Any]) -> None:
    """Refuse flags that a resumed run would not obey."""
    others = [name for name, value in values.items() if value is not None and name not in ("resume", "device")]
    if others:
        flags = ", ".join("--" + name.replace("_", "-") for name in others)
        raise UsageError(f"--resume goes on with the run's own settings; leave out {flags}")
