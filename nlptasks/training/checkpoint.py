"""Model folders that say by themselves what they do: written whole, read with every doubt named."""

from __future__ import annotations

import functools
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlptasks import files
from nlptasks.backbone import sums
from nlptasks.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

    from nlptasks.backbone.bert import Bert
    from nlptasks.backbone.text import Text

FORMAT = 1
ABOUT = "nlpk.json"
CARD = "README.md"


@dataclass(frozen=True)
class Checkpoint:
    """A model folder that has been looked at, its weights not read yet."""

    folder: Path
    about: Mapping[str, Any]

    @property
    def task(self) -> str:
        """Name the task."""
        return str(self.about["task"])

    @property
    def method(self) -> str:
        """Name the method."""
        return str(self.about["method"])

    @property
    def settings(self) -> dict[str, Any]:
        """Give the settings it was trained with."""
        return dict(self.about["settings"])

    @cached_property
    def fingerprint(self) -> str:
        """Hash what decides the answers."""
        return sums.fingerprint(self.folder)


def open_folder(folder: Path, task: str | None = None, method: str | None = None) -> Checkpoint:
    """Look at a model folder.

    Args:
        folder: with `nlpk.json` in it.
        task: the task it must do, if any.
        method: the method it must have, if any.

    Raises:
        ModelError: missing, damaged, written by a newer version, or made for something else.
    """
    path = folder / ABOUT
    if not folder.is_dir():
        remedy = "--model takes a folder that nlpk train made, --backbone a plain BERT or a name on the hub"
        raise ModelError(f"{folder}: no such folder; {remedy}")
    if not path.is_file():
        raise ModelError(f"{folder}: not a model of nlpk, it has no {ABOUT}; {remedy_for(folder)}")
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        found = (int(about["format"]), about["task"], about["method"], dict(about["settings"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: damaged ({error!r}); train or fetch the model again") from error
    if found[0] > FORMAT:
        raise ModelError(f"{folder}: format {found[0]}, newer than the {FORMAT} known here; upgrade nlpk")
    for what, wanted, is_there in (("task", task, found[1]), ("method", method, found[2])):
        if wanted is not None and wanted != is_there:
            raise ModelError(f"{folder}: a model of {what} {is_there}; expected {wanted}; choose another --model")
    return Checkpoint(folder, about)


def remedy_for(folder: Path) -> str:
    """Say what may be done with a folder that is no model."""
    if (folder / "last").is_dir():
        return f"a run stopped there before it had one; go on with nlpk train TASK --resume {folder}"
    return "a plain backbone goes with --backbone" if (folder / "config.json").is_file() else "nlpk train makes one"


def save(
    folder: Path,
    bert: Bert,
    text: Text,
    rest: Mapping[str, Tensor],
    about: Mapping[str, Any],
    *,
    card: str | None = None,
) -> None:
    """Write a model folder; each file appears whole, `nlpk.json` last.

    Args:
        folder: made where it is not there.
        bert: the encoder.
        text: its tokenizer.
        rest: the task's own weights by name.
        about: task, method, settings, training, scores.
        card: the model card; made from `about` by default.
    """
    from nlptasks.backbone import weights  # here, because who only looks at a folder needs no torch

    weights.save(folder, bert, text, {name: tensor.contiguous() for name, tensor in rest.items()})
    files.write_json(folder / ABOUT, {"format": FORMAT, **about})
    with files.replaced(folder / CARD) as part:
        part.write_text(model_card(about) if card is None else card, encoding="utf-8")


@functools.cache
def versions() -> Mapping[str, str]:
    """Name the versions that a result depends on."""
    return {"python": platform.python_version(), "torch": version("torch")}


def model_card(about: Mapping[str, Any]) -> str:
    """Write the model card: data, scores and the command that gave them."""
    training = about.get("training", {})
    lines = [f"# {about['task']}: {about['method']}", "", f"Made by nlpk {about['nlpk']}.", ""]
    if training.get("command"):
        lines += ["```", training["command"], "```", ""]
    lines += [f"Backbone: {training.get('backbone', 'unknown')}. Seed: {training.get('seed', 'unknown')}.", ""]
    if data := training.get("data"):
        lines += ["| data | rows | not usable | sha256 |", "| --- | ---: | ---: | --- |"]
        lines += [f"| {d['name']} | {d['rows']} | {d['bad']} | {str(d['sha256'])[:16]} |" for d in data]
        lines.append("")
    if scores := about.get("scores"):
        lines += ["| score | value |", "| --- | ---: |"]
        lines += [f"| {name} | {value:.4f} |" for name, value in scores.items()]
        lines.append("")
    lines.append("Licence of the weights: that of the backbone and the data named above; look at their sources.")
    return "\n".join(lines) + "\n"
