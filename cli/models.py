"""`nlpk models`: which models there are, which one answers, and taking one elsewhere."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from . import console
from .tasks import form_of

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a model.", show_default=False)]
Out = Annotated[Path, typer.Option(metavar="DIR", help="New folder.", show_default=False)]


class Form(StrEnum):
    """What a model can be turned into."""

    SENTENCE_TRANSFORMERS = "sentence-transformers"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True)
    app.add_typer(group, name="models", help="List, show, choose, export, plot and convert models.")
    group.command("list")(list_models)
    for command in (show, use, export, plot, convert):
        group.command(command.__name__)(command)


def list_models() -> None:
    """List the models there are: chosen, trained, embedded."""
    from nlptasks.backbone import weights
    from nlptasks.training import models

    lines = [
        (model.task, model.method, model.origin + (", answers" if model.chosen else ""), str(model.folder))
        for model in models.listed()
    ]
    lines.append(("backbone", "", "embedded", str(weights.DEFAULT)))
    console.table("", ("task", "method", "origin", "folder"), lines)


def show(folder: Folder) -> None:
    """Print what a model says of itself, as JSON: task, settings, data, scores."""
    from nlptasks.backbone import weights
    from nlptasks.training import checkpoint

    opened = checkpoint.open_folder(folder)
    config = weights.read_config(folder)
    shape = f"{config.num_hidden_layers} x {config.hidden_size}, {config.vocab_size} tokens"
    print(json.dumps({**opened.about, "shape": shape, "fingerprint": opened.fingerprint}, ensure_ascii=False, indent=2))


def use(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Task, see nlpk tasks.", show_default=False)],
    folder: Folder,
) -> None:
    """Let a model answer a task from now on, where --model is not given."""
    from nlptasks.training import models

    form_of(task)
    chosen = models.use(task, folder)
    console.note(f"{task} ({chosen.method}) is now answered by {folder}")


def export(
    folder: Folder,
    to: Annotated[Form, typer.Option(help="What to turn it into.", show_default=False)],
    out: Out,
    backbone: Annotated[bool, typer.Option("--backbone", help="DIR is a plain BERT, not a model of nlpk.")] = False,
) -> None:
    """Write a model in another toolkit's form, with equal vectors there."""
    from nlptasks.similarity.export import sentence_transformers
    from nlptasks.similarity.row import Options
    from nlptasks.similarity.task import load
    from nlptasks.training import checkpoint

    found = None if backbone else checkpoint.open_folder(folder, "similarity")
    loaded = load(
        found, Options(), backbone=str(folder) if backbone else None, device="cpu", dtype="float32", freeze=False
    )
    sentence_transformers(loaded, out)
    console.note(f"{to.value} model in {out}")


def plot(
    folder: Folder,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Picture: .png, .svg or .pdf.", show_default=False)],
) -> None:
    """Draw the losses and scores of a training run, from its log."""
    from nlptasks.training.plot import draw

    draw(folder, out)
    console.note(f"picture in {out}")


def convert(folder: Folder, out: Out) -> None:
    """Turn a model folder with pytorch_model.bin into one with safetensors; nothing in the pickle is run."""
    from nlptasks.backbone import hub, weights

    weights.read_config(folder)  # what is no BERT is refused before anything is written
    hub.convert(folder, out)
    weights.load(out)
    console.note(f"model in {out}")
