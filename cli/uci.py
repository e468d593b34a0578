"""`nlpk uci`: the xiangqi model as an engine for other boards."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import typer

from nlptasks.xiangqi.settings import Playing

from . import __version__
from .options import Computing, Model, flat


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("uci")(flat(uci))


def uci(*, playing: Playing, model: Model, machine: Computing) -> None:
    """Play xiangqi as a UCI engine on stdin and stdout, for boards and matches (UCI_Variant xiangqi)."""
    from nlptasks.xiangqi.engine import Engine

    engine = Engine(mover(playing, model, machine), f"nlpk {__version__}")
    for answer in engine.answers(lines()):
        print(answer, flush=True)


def mover(playing: Playing, model: Model, machine: Computing) -> Any:  # noqa: ANN401 - a class that needs torch
    """Load the model that plays."""
    from pathlib import Path

    from nlptasks.training import models
    from nlptasks.xiangqi.model import load
    from nlptasks.xiangqi.mover import Mover
    from nlptasks.xiangqi.settings import Options

    found = models.find("xiangqi", Path(model.model) if model.model else None)
    return Mover(load(found, Options(), backbone=model.backbone, machine=machine.prepared()), playing)


def lines() -> Iterator[str]:
    """Read lines from stdin as they come; whatever is no text in them is replaced."""
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", "replace")
