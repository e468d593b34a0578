"""How a task's records become rows to learn from, or to be scored on."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nlptasks import files, rows

Unfold = Callable[[Mapping[str, Any]], list[dict[str, Any]]]


@dataclass(frozen=True)
class Recipe:
    """How records become rows.

    Attributes:
        purpose: tells recipes of one row apart, such as `train simcse`.
        names: the columns of a table without a header.
        kind: the dataclass of a row, whose fields are the columns; its module's code and what that takes from its own
            folder decides what rows are made.
        unfold: gives the rows of one record, or raises RecordError.
        aliases: other names by which a header is known.
        parts: gives the records of an item of a JSON document; by default the item is one.
        readers: by a file's ending, what reads it as a whole.
        beside: files that the records refer to, which decide with them whether they can be used.
    """

    purpose: str
    names: tuple[str, ...]
    kind: type
    unfold: Unfold
    aliases: tuple[str, ...] = ()
    parts: files.Parts | None = None
    readers: files.Readers | None = None
    beside: tuple[str, ...] = ()


def to_learn(
    form: types.ModuleType, method: str, settings: Mapping[str, Any] | None = None, *, beside: Sequence[str] = ()
) -> Recipe:
    """Say how the training rows of a task's method are made.

    Args:
        form: the task's `row.py`; its `naming`, where it has one, puts records into the fields of a row, and its
            `checking` refuses records that do not fit `beside`.
        method: of the task.
        settings: of the run, which the naming may depend on; as by default where there are none.
        beside: files that the records refer to, if any.
    """
    naming = naming_of(form, method, settings)
    check = form.checking({"tables": list(beside)}) if beside else None

    def unfold(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
        if check:
            check(fields)
        found: list[dict[str, Any]] = form.training_rows(method, naming(fields) if naming else fields)
        return found

    kind, names = form.METHODS[method].row, tuple(naming.columns if naming else form.COLUMNS[method])
    purpose = f"train {method} {naming or ''}"
    return Recipe(purpose, names, kind, unfold, tuple(form.ALIASES), *of_files(form), (*beside,))


def of_files(form: types.ModuleType) -> tuple[files.Parts | None, files.Readers | None]:
    """Say how a task reads files that are no lines of records."""
    return getattr(form, "parts", None), getattr(form, "READERS", None)


def to_score(
    form: types.ModuleType,
    method: str | None = None,
    settings: Mapping[str, Any] | None = None,
    *,
    beside: Sequence[str] = (),
) -> Recipe:
    """Say how the labelled rows are made that a task is scored on; the arguments are those of `to_learn`."""
    naming = naming_of(form, method, settings)
    check = form.checking({"tables": list(beside)}) if beside else None

    def unfold(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
        if check:
            check(fields)
        known = naming(fields) if naming else {form.ALIASES.get(name, name): value for name, value in fields.items()}
        return [dataclasses.asdict(rows.parse(form.Scored, known))]

    names = tuple(naming.columns if naming else form.COLUMNS_ASKED)
    return Recipe(f"score {naming or ''}", names, form.Scored, unfold, tuple(form.ALIASES), *of_files(form), (*beside,))


def naming_of(form: types.ModuleType, method: str | None, settings: Mapping[str, Any] | None) -> Any:  # noqa: ANN401
    """Give what puts records into the fields of a row, for a task whose settings name fields; else none."""
    naming = getattr(form, "naming", None)
    return naming(method or next(iter(form.METHODS)), settings) if naming else None
