"""Fields given by options: which there are, and how they fill what a record lacks before it becomes a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from types import ModuleType
from typing import Any

from nlptasks import rows
from nlptasks.errors import RecordError, UsageError
from nlptasks.files import Record

from . import console
from .streams import value_of


def asked(form: ModuleType) -> list[rows.Field]:
    """List the fields of a row that are asked with; references are not, nor what another field's option fills."""
    left_out = {*form.REFERENCES, *several_of(form).values()}
    return [field for field in rows.describe(form.Row) if field.name not in left_out]


def several_of(form: ModuleType) -> Mapping[str, str]:
    """Give the fields whose options may stand several times, each with the field that its texts then fill."""
    found: Mapping[str, str] = getattr(form, "SEVERAL", {})
    return found


def filled(form: ModuleType, values: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """Read the fields that the options give; several texts of a field fill the one that takes a list.

    Raises:
        UsageError: stdin is asked for twice, there are several texts where one is expected, or bytes that are no text.
    """
    given = {field.name: values[field.name] for field in asked(form) if values[field.name] not in (None, [])}
    texts = {name: value if isinstance(value, list) else [value] for name, value in given.items()}
    if [*chain.from_iterable(texts.values()), values["file"]].count("-") > 1:
        raise UsageError("- stands twice: stdin can be only one of the fields, or FILE")
    fields: dict[str, str | list[str]] = {}
    for name, found in texts.items():
        try:
            read = [value_of(text, values["encoding"]) for text in found]
        except UsageError as error:
            raise UsageError(f"--{name}: {error}: --{name} @FILE") from None
        if len(read) > 1 and name not in several_of(form):
            raise UsageError(f"--{name}: found {len(read)} of them, expected one")
        if len(read) == 1:
            fields[name] = read[0]
        else:
            fields[several_of(form)[name]] = read
    return fields


def needed(form: ModuleType, fills: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Choose the options that fill a field which a record lacks, under the name for several texts, too."""
    others = {**several_of(form), **{several: name for name, several in several_of(form).items()}}
    return {name: value for name, value in fills.items() if name not in own and others.get(name) not in own}


def completed(
    record: Record,
    form: ModuleType,
    fills: Mapping[str, Any],
    unused: set[str] | None,
    naming: Callable[[Mapping[str, Any]], dict[str, Any]] | None,
) -> dict[str, Any]:
    """Give a record's fields under their names here, those it lacks filled; the arguments are those of `parser`."""
    own = {form.ALIASES.get(key, key): value for key, value in record.fields.items()}
    own |= (used := needed(form, fills, own))
    if unused:
        unused.difference_update(used)
    return naming({"id": str(record.line or 1), **own}) if naming else own


def parser(
    form: ModuleType,
    fills: Mapping[str, Any],
    name: str | None,
    unused: set[str] | None = None,
    naming: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None,
) -> Callable[[Record], Any]:
    """Make the function that turns a record into a row.

    A reference that cannot be read fails a record only where it is needed, and is mentioned once where it is not.

    Args:
        form: of the task.
        fills: fields for records that lack them.
        name: key of the answer, which a record must not have; none where there will be none and references count.
        unused: names of `fills`; those that a record has needed are taken out.
        naming: puts records into the fields of a row, where a model has names of its own for them.
    """
    by_position = f"column_{len(form.COLUMNS_ASKED) + 1}"
    mentioned: list[str] = []

    def without_references(record: Record, known: dict[str, Any], error: RecordError) -> Any:  # noqa: ANN401
        row = rows.parse(form.Row, {key: value for key, value in known.items() if key not in form.REFERENCES})
        if not mentioned:
            mentioned.append(record.place)
            console.note(f"{record.place}: {error}; not needed here, if the columns are others name them: --columns")
        return row

    def parse(record: Record) -> Any:  # noqa: ANN401 - the row of any task
        if record.problem:
            raise RecordError(record.problem)
        if name in record.fields:
            raise RecordError(f"the record already has a field {name!r}; choose another key with --as NAME")
        own = completed(record, form, fills, unused, naming)
        try:
            return rows.parse(form.Row, own)
        except RecordError as error:
            if by_position in record.fields:
                raise RecordError(f"{error}; name the columns with --columns") from None
            if name is None:
                raise
            return without_references(record, own, error)

    return parse
