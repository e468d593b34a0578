"""`nlpk doctor`: is everything there, and what will compute."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import typer

from nlptasks.errors import NlpkError

from . import __version__, console


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor() -> None:
    """Check versions, device, caches, and the embedded and the chosen models.

    The status is 1 where something is wrong.
    """
    import torch

    from nlptasks import places
    from nlptasks.backbone import hardware

    device = hardware.device()
    dtype, why = hardware.dtype("auto", device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    lines = [
        ("nlpk", __version__),
        ("python", f"{platform.python_version()} ({sys.executable})"),
        *((package, version_of(package)) for package in ("torch", "transformers", "datasets", "tokenizers", "usearch")),
        ("device", f"{device} ({name})"),
        ("number format", f"{str(dtype).removeprefix('torch.')}: {why}"),
        ("threads", str(torch.get_num_threads())),
        ("models and runs", str(places.home())),
        ("cache", str(places.cache())),
    ]
    problems, chosen = embedded_problems(), chosen_problems()
    lines += [("embedded models", "; ".join(problems) or "whole"), ("chosen models", "; ".join(chosen) or "whole")]
    console.table("", ("what", "found"), lines)
    if problems or chosen or any(value == "missing" for _, value in lines):
        raise SystemExit(1)


def version_of(package: str) -> str:
    """Give a package's version without importing it."""
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


def embedded_problems() -> list[str]:
    """Load every embedded model, and say what is wrong with it."""
    import nlptasks
    from nlptasks.backbone import weights
    from nlptasks.training import models

    problems = []
    for folder in (weights.DEFAULT, *(path for task in nlptasks.names() for path in models.embedded(task))):
        try:
            weights.load(folder)
        except NlpkError as error:
            problems.append(str(error))
    return problems


def chosen_problems() -> list[str]:
    """Load every model that the user chose, and say what is wrong with it."""
    from nlptasks.backbone import weights
    from nlptasks.training import models

    try:
        chosen = [(task, Path(folder)) for task, methods in models.choices().items() for folder in methods.values()]
    except NlpkError as error:
        return [str(error)]
    problems = []
    for task, folder in chosen:
        try:
            models.open_chosen(task, folder)
            weights.load(folder)
        except NlpkError as error:
            problems.append(str(error))
    return problems
