"""Which model answers: the one named, the user's choice, or the one embedded in the package."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from nlptasks import HERE, names, places
from nlptasks.backbone import weights
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
    chosen: bool


def find(task: str, model: Path | None = None, method: str | None = None) -> Checkpoint | None:
    """Find the model that answers a task; none where only the embedded backbone is there.

    Args:
        task: its name.
        model: the folder given with --model, if any.
        method: the method asked for, if any.

    Raises:
        ModelError: the folder is not such a model, or the user's choice is gone.
    """
    if model is not None:
        return checkpoint.open_folder(model, task, method)
    for chosen_method, chosen in choices().get(task, {}).items():
        if method in (None, chosen_method):
            if not Path(chosen).is_dir():
                raise ModelError(f"{chosen}: chosen for {task}, but gone; choose another: nlpk models use {task} DIR")
            return checkpoint.open_folder(Path(chosen), task, method)
    for folder in embedded(task):
        if method in (None, folder.name):
            return checkpoint.open_folder(folder, task)
    return None


def embedded(task: str) -> list[Path]:
    """List the task's models in the package."""
    return sorted(path.parent for path in (HERE / task / "embedded").glob(f"*/{checkpoint.ABOUT}"))


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
        ModelError: it is not a model of that task.
    """
    found = checkpoint.open_folder(folder, task)
    all_choices = choices()
    others = {method: path for method, path in all_choices.get(task, {}).items() if method != found.method}
    all_choices[task] = {found.method: str(folder.resolve()), **others}
    places.home().mkdir(parents=True, exist_ok=True)
    weights.write_json(places.home() / CHOICES, all_choices)
    return found


def listed() -> list[Listed]:
    """List all models there are: chosen ones, runs in the user's folder, embedded ones."""
    chosen = {Path(folder) for methods in choices().values() for folder in methods.values()}
    folders = dict.fromkeys(sorted(chosen), "chosen")
    folders |= {path.parent: "run" for path in sorted((places.home() / "runs").glob(f"*/*/{checkpoint.ABOUT}"))}
    folders |= {path: "embedded" for task in names() for path in embedded(task)}
    found = []
    for folder, origin in folders.items():
        try:
            model = checkpoint.open_folder(folder)
        except ModelError:
            found.append(Listed("?", "damaged", folder, origin, folder in chosen))
            continue
        found.append(Listed(model.task, model.method, folder, origin, folder in chosen))
    return found
