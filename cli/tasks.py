"""`nlpk tasks`: what there is to do."""

from __future__ import annotations

import typer

import nlptasks

from . import console


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tasks")(tasks)


def tasks() -> None:
    """List the tasks and their methods."""
    lines = [(name, ", ".join(nlptasks.form(name).METHODS), nlptasks.summary(name)) for name in nlptasks.names()]
    console.table("", ("task", "methods", "what it does"), lines)
