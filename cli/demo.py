"""`nlpk demo`: every task on real sentences with the embedded models."""

from __future__ import annotations

import sys

import typer

import nlptasks

from . import console


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo() -> None:
    """Show what the tasks do, with the models in the package."""
    for name in nlptasks.names():
        title, columns, lines = nlptasks.load(name).demo()
        if sys.stdout.isatty():
            console.table(title, columns, lines)
        else:
            print(f"# {title}")
            console.table("", columns, lines)
    console.note("next: nlpk tasks, nlpk predict TASK --help, nlpk train TASK")
