"""`nlpk tasks`: what there is to do."""

from __future__ import annotations

import difflib
from types import ModuleType
from typing import Any

import typer

import nlptasks
from nlptasks.errors import UsageError

from . import console


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tasks")(tasks)


def tasks() -> None:
    """List the tasks and their methods."""
    lines = [(name, ", ".join(nlptasks.form(name).METHODS), nlptasks.summary(name)) for name in nlptasks.names()]
    console.table("", ("task", "methods", "what it does"), lines)


def naming(form: ModuleType) -> dict[str, Any]:
    """Say what a task's records are called and how those of a JSON document are told, for `streams.read`."""
    own = {"parts": getattr(form, "parts", None), "readers": getattr(form, "READERS", None)}
    return {"aliases": form.ALIASES, **own}


def form_of(task: str) -> ModuleType:
    """Import a task's form.

    Raises:
        UsageError: there is no such task.
    """
    if task not in nlptasks.names():
        near = difflib.get_close_matches(task, nlptasks.names(), 1)
        hint = f"did you mean {near[0]}?" if near else f"tasks are {', '.join(nlptasks.names())}"
        raise UsageError(f"no task {task!r}; {hint}")
    return nlptasks.form(task)
