"""The library behind the `nlpk` command: one BERT, and a folder for each task."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent


def names() -> list[str]:
    """List the tasks: every folder with a `task.py` is one."""
    return sorted(path.parent.name for path in HERE.glob("*/task.py"))


def summary(name: str) -> str:
    """Give a task's one sentence without importing anything of it."""
    return ast.get_docstring(ast.parse((HERE / name / "__init__.py").read_text(encoding="utf-8"))) or ""


def form(name: str) -> ModuleType:
    """Import a task's `row.py`: its rows, options, settings and methods, standard library only."""
    return importlib.import_module(f"nlptasks.{name}.row")


def load(name: str) -> ModuleType:
    """Import a task's `task.py`, and with it torch."""
    return importlib.import_module(f"nlptasks.{name}.task")
