"""`nlpk models`: which models there are, which one answers, and taking one elsewhere."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import nlptasks
from nlptasks import places
from nlptasks.errors import ModelError

from . import console
from .outputs import complaints
from .tasks import form_of

if TYPE_CHECKING:
    from nlptasks.training.checkpoint import Checkpoint
    from nlptasks.training.models import Listed

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a model.", show_default=False)]
Out = Annotated[Path, typer.Option(metavar="DIR", help="New folder.", show_default=False)]


class Form(StrEnum):
    """What a model can be turned into."""

    SENTENCE_TRANSFORMERS = "sentence-transformers"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True)
    app.add_typer(group, name="models", help="List, show, choose, export, plot, convert and pack models.")
    group.command("list")(list_models)
    for command in (show, use, export, plot, convert, pack):
        group.command(command.__name__)(command)


def list_models() -> None:
    """List the models there are: chosen, trained, embedded."""
    from nlptasks.backbone import sums
    from nlptasks.training import models

    found = models.listed()
    lines = [(model.task, model.method, origin(model), str(model.folder)) for model in found]
    alone = ", ".join(task for task in nlptasks.names() if models.is_alone(task))
    lines.append(("backbone", "", "embedded" + (alone and f", answers {alone}"), str(sums.DEFAULT)))
    console.table("", ("task", "method", "origin", "folder"), lines)


def origin(model: Listed) -> str:
    """Say where a model comes from, whether it answers, and what is wrong with it."""
    return ", ".join(filter(None, (model.origin, "answers" if model.answers else "", model.problem)))


def show(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR|TASK", help="Folder of a model, or the task that it answers.", show_default=False),
    ],
    method: Annotated[str | None, typer.Option(metavar="METHOD", help="The method that answers the task.")] = None,
    card: Annotated[bool, typer.Option("--card", help="Its card: data, licence, scores, what it gets wrong.")] = False,
) -> None:
    """Print what a model says of itself, as JSON: task, settings, data, scores; or its card."""
    from nlptasks.backbone.config import read_config
    from nlptasks.training import checkpoint

    opened = answering(folder, method) or checkpoint.open_folder(folder, method=method)
    folder = opened.folder
    if card:
        path = folder / checkpoint.CARD
        if not path.is_file():
            raise ModelError(f"{path}: no such file; a model that nlpk train made has its card there")
        print(path.read_text(encoding="utf-8"), end="")
        return
    config = read_config(folder)
    shape = f"{config.num_hidden_layers} x {config.hidden_size}, {config.vocab_size} tokens"
    print(json.dumps({**opened.about, "shape": shape, "fingerprint": opened.fingerprint}, ensure_ascii=False, indent=2))


def answering(task: Path, method: str | None) -> Checkpoint | None:
    """Find the model that answers a task; none where a folder is named and no task."""
    from nlptasks.training import models

    name = str(task)
    if task.is_dir():
        return None
    if name not in nlptasks.names():
        tasks = ", ".join(nlptasks.names())
        raise ModelError(f"{name}: no such folder, and no task; expected a model's folder, or one of {tasks}")
    found = models.find(name, method=method)
    if found is None:
        raise ModelError(models.missing(name, method))
    return found


def use(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Task, see nlpk tasks.", show_default=False)],
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of a model; embedded for the one in the package.")
    ],
) -> None:
    """Let a model answer a task from now on, where --model is not given."""
    from nlptasks.training import models

    form_of(task)
    if str(folder) == places.EMBEDDED:
        models.forget(task)
        console.note(f"{task} is now answered by the model in the package")
        return
    chosen = models.use(task, folder)
    console.note(f"{task} ({chosen.method}) is now answered by {folder}")


def export(
    folder: Folder,
    to: Annotated[Form, typer.Option(help="What to turn it into.", show_default=False)],
    out: Out,
    backbone: Annotated[bool, typer.Option("--backbone", help="DIR is a plain BERT, not a model of nlpk.")] = False,
) -> None:
    """Write a model in another toolkit's form, with equal vectors there."""
    from nlptasks.backbone.hardware import Machine
    from nlptasks.similarity.export import sentence_transformers
    from nlptasks.similarity.settings import Options
    from nlptasks.similarity.task import load
    from nlptasks.training import checkpoint

    found = None if backbone else checkpoint.open_folder(folder, "similarity")
    loaded = load(
        found, Options(), backbone=str(folder) if backbone else None, machine=Machine("cpu", "float32"), freeze=False
    )
    with complaints(out):
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
    with complaints(out):
        hub.convert(folder, out)
    weights.load(out)
    console.note(f"model in {out}")


def pack(
    folder: Folder,
    out: Out,
    base: Annotated[
        str, typer.Option(metavar="DIR|NAME", help="Backbone to stand on, which must stay there; none for none.")
    ] = places.EMBEDDED,
    bits: Annotated[
        int, typer.Option(metavar="N", help="Of a weight: 4 or 8, what the backbone does not have 8; or 16.")
    ] = 8,
) -> None:
    """Write a small copy of a model: few bits a weight, and only what differs from the backbone."""
    from nlptasks.training import checkpoint
    from nlptasks.training.packing import pack

    found = checkpoint.open_folder(folder)
    with complaints(out):
        packed = pack(found, out, None if base == "none" else base, bits=bits)
    sizes = f"{packed.size / 1e6:.1f} MB in place of {packed.before / 1e6:.1f} MB"
    console.note(f"model in {out}: {sizes}; no weight moved by more than {packed.error:.2g}")
