"""`nlpk demo`: every task on real sentences with the embedded models."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

import nlptasks

from . import console


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo() -> None:
    """Show what the tasks do, with the models in the package."""
    for name in nlptasks.names():
        title, columns, lines = shown(name)
        if sys.stdout.isatty():
            console.table(title, columns, lines)
        else:
            print(f"# {title}")
            console.table("", columns, lines)
    console.note("next: nlpk tasks, nlpk predict TASK --help, nlpk train TASK")


def shown(task: str) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
    """Let a task show itself; where it has no model, tell what could be trained."""
    from nlptasks.training import models

    form = nlptasks.form(task)
    found = models.find(task)
    if found is None and getattr(form, "NEEDS_MODEL", False):
        methods = [(name, method.summary) for name, method in form.METHODS.items()]
        return models.missing(task), ("method", "what it does"), methods
    title, columns, lines = nlptasks.load(task).demo(found)
    return title, columns, lines
