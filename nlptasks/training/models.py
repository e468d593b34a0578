"""Which model answers: the one named, the user's choice, or the one embedded in the package."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from nlptasks import HERE, files, form, names, places
from nlptasks.backbone import sums
from nlptasks.backbone.config import read_config
from nlptasks.errors import ModelError
from nlptasks.training import checkpoint
from nlptasks.training.checkpoint import Checkpoint

CHOICES = "models.json"


@dataclass(frozen=True)
class Listed:
    """One model that a user can name."""

    task: str
    method: str
    folder: Path
    origin: str
    """One of chosen, run, embedded."""
    answers: bool
    """Whether it is the one that answers its task where nothing is said."""
    problem: str = ""
    """What is wrong with it, if anything: gone or damaged."""


def find(task: str, model: Path | None = None, method: str | None = None) -> Checkpoint | None:
    """Find the model that answers a task; none where only the embedded backbone is there.

    Args:
        task: its name.
        model: the folder given with --model, if any; `embedded` goes past the user's choice.
        method: the method asked for, if any.

    Raises:
        ModelError: the folder is not such a model, or the user's choice is gone.
    """
    if model is not None and str(model) != places.EMBEDDED:
        return checkpoint.open_folder(model, task, method)
    for chosen_method, chosen in choices().get(task, {}).items() if model is None else ():
        if method in (None, chosen_method):
            return open_chosen(task, Path(chosen), method)
    for folder in embedded(task):
        if method in (None, folder.name):
            return checkpoint.open_folder(folder, task)
    return None


def open_chosen(task: str, folder: Path, method: str | None = None) -> Checkpoint:
    """Look at a model that the user chose.

    Raises:
        ModelError: it is gone, damaged, or has become another.
    """
    if not folder.is_dir():
        back = f"put it back, or go back to the embedded model: nlpk models use {task} {places.EMBEDDED}"
        raise ModelError(f"{folder}: chosen for {task}, but gone; {back}")
    return checkpoint.open_folder(folder, task, method)


def embedded(task: str) -> list[Path]:
    """List the task's models in the package: the one that answers where none is named, then by the order of methods."""
    methods = sorted(form(task).METHODS, key=lambda method: method != getattr(form(task), "ANSWERS", None))
    folders = [HERE / task / "embedded" / method for method in methods]
    return [folder for folder in folders if (folder / checkpoint.ABOUT).is_file()]


def choices() -> dict[str, dict[str, str]]:
    """Read the user's choices: task, method, folder; the latest choice of a task comes first.

    Raises:
        ModelError: the file is damaged.
    """
    path = places.home() / CHOICES
    if not path.is_file():
        return {}
    try:
        found: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
        return {task: {method: str(folder) for method, folder in chosen.items()} for task, chosen in found.items()}
    except (ValueError, AttributeError) as error:
        raise ModelError(f"{path}: damaged ({error}); delete it and choose again: nlpk models use TASK DIR") from error


def use(task: str, folder: Path) -> Checkpoint:
    """Make a folder the model that answers a task from now on.

    Raises:
        ModelError: it is not a model of that task, or cannot be loaded.
    """
    from nlptasks.backbone import weights  # here, because who only lists models needs no torch

    found = checkpoint.open_folder(folder, task)
    weights.load(folder)
    all_choices = choices()
    others = {method: path for method, path in all_choices.get(task, {}).items() if method != found.method}
    keep({**all_choices, task: {found.method: str(folder.resolve()), **others}})
    return found


def forget(task: str) -> None:
    """Take back the user's choices for a task, so that the model in the package answers it."""
    keep({name: chosen for name, chosen in choices().items() if name != task})


def keep(chosen: dict[str, dict[str, str]]) -> None:
    """Write down the user's choices."""
    places.home().mkdir(parents=True, exist_ok=True)
    files.write_json(places.home() / CHOICES, chosen)


def listed() -> list[Listed]:
    """List all models there are: chosen ones, runs in the user's folder, embedded ones."""
    chosen = choices()
    answering = {Path(next(iter(methods.values()))) for methods in chosen.values() if methods}
    answering |= {found[0] for task in names() if not chosen.get(task) and (found := embedded(task))}
    named = sorted(Path(folder) for methods in chosen.values() for folder in methods.values())
    folders = dict.fromkeys(named, "chosen")
    folders |= {path.parent: "run" for path in sorted((places.home() / "runs").glob(f"*/*/{checkpoint.ABOUT}"))}
    folders |= {path: "embedded" for task in names() for path in embedded(task)}
    return [look(folder, origin, folder in answering) for folder, origin in folders.items()]


def source(task: str, found: Checkpoint | None, backbone: str | None = None) -> str | Path:
    """Tell where the weights are that answer: a trained model, or a backbone as it is.

    Raises:
        ModelError: there is neither.
    """
    chosen = found.folder if found else backbone
    if chosen is None:
        raise ModelError(missing(task))
    return chosen


def missing(task: str, method: str | None = None) -> str:
    """Say that a task has no model, or none of a method, and how to get one."""
    if method:
        return f"no model of method {method}; make one: nlpk train {task} --method {method}"
    return (
        f"no model for {task} yet; make one: nlpk train {task} --out DIR, "
        f"then --model DIR, or nlpk models use {task} DIR"
    )


def is_alone(task: str) -> bool:
    """Tell whether the embedded backbone answers a task, since nothing else does."""
    needs_more = getattr(form(task), "NEEDS_MODEL", False)
    return not needs_more and not choices().get(task) and not embedded(task)


def look(folder: Path, origin: str, answers: bool) -> Listed:
    """Describe a model, and what is wrong with it as far as can be told without reading its weights."""
    task = method = "?"
    try:
        model = checkpoint.open_folder(folder)
        task, method = model.task, model.method
        read_config(folder)
        sums.check_header(folder / sums.WEIGHTS)
    except ModelError:
        return Listed(task, method, folder, origin, False, "damaged" if folder.is_dir() else "gone")
    return Listed(task, method, folder, origin, answers)
