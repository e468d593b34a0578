"""Makes a dataclass from the parsed fields of a record, and says what the fields of a dataclass are.

A type means the same in every format: TSV knows only text, so "3" is a number where one is expected, and 3 is text.
Reading a class and making a row are one file because `describe` and `parse` must agree on what a field is.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import json
import math
import textwrap
import types
import typing
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar, Union

from nlptasks.errors import RecordError

T = TypeVar("T")
C = TypeVar("C", bound="list[Any] | dict[str, Any]")

_Convert = Callable[[object], Any]
SHOWN = 40  # characters of a wrong value in a complaint
LISTED = 12  # names in a complaint


@dataclass(frozen=True)
class Field:
    """What is known about a field of a dataclass."""

    name: str
    """Its name."""
    type: Any
    """Its type, resolved."""
    default: Any
    """Its default value, or `dataclasses.MISSING`."""
    help: str
    """The docstring under it, on one line."""


def parse(kind: type[T], fields: Mapping[str, Any]) -> T:
    """Make a row from a record's fields; keys that the row does not know are left alone.

    A class may take its fields in several forms: its static method `arranged` puts them into the one of its own.

    Raises:
        RecordError: a field is missing, of the wrong type, or empty though it is needed.
    """
    values = {}
    row: type = kind
    if arranged := getattr(row, "arranged", None):
        fields = arranged(fields)
    for name, needed, to in _plan(row):
        if name in fields:
            try:
                values[name] = to(fields[name])
            except RecordError as error:
                raise RecordError(f"field {name!r}: {error}") from None
        elif needed:
            raise _missing(name, fields)
    return kind(**values)


def names(kind: type) -> list[str]:
    """List the fields a row can be made from, in order."""
    return [field.name for field in dataclasses.fields(kind) if field.init]


def describe(kind: type) -> list[Field]:
    """Describe the fields of a dataclass, those of its bases first; the docstring under a field is its help."""
    hints, helps = typing.get_type_hints(kind), _helps(kind)
    fields = [field for field in dataclasses.fields(kind) if field.init]
    return [Field(field.name, hints[field.name], _default(field), helps.get(field.name, "")) for field in fields]


def convert(value: object, type: Any) -> Any:  # noqa: ANN401 - values come from JSON, and results are of any type
    """Convert a parsed value to str, int, float, bool, Path, Literal, list, tuple, dict, Any, or a union of these.

    Raises:
        RecordError: the value does not fit; it is a boolean for a number, not finite, or text with half a character.
    """
    return _converter(type)(value)


@cache
def _plan(kind: type) -> tuple[tuple[str, bool, _Convert], ...]:
    """Work out once per class what `parse` does: name, whether it is needed, conversion."""
    plan = []
    for field in describe(kind):
        needed = field.default is MISSING
        plan.append((field.name, needed, _filled if needed and field.type is str else _converter(field.type)))
    return tuple(plan)


def _default(field: dataclasses.Field[Any]) -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _missing(name: str, fields: Mapping[str, Any]) -> RecordError:
    near = difflib.get_close_matches(name, fields, n=1)
    hint = f"; is {near[0]!r} meant for it?" if near else ""
    found = ", ".join([*list(fields)[:LISTED], *["…"][: len(fields) > LISTED]]) or "none"
    return RecordError(f"field {name!r} is missing; found {found}{hint}")


# Docstrings under fields


@cache
def _helps(kind: type) -> dict[str, str]:
    """Collect the docstrings under the fields of a class and its bases; a class without source has none."""
    helps: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        except (OSError, TypeError):
            continue
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for field, below in pairwise(body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    helps[name] = " ".join(text.split())
    return helps


# Conversions


def _converter(kind: Any) -> _Convert:  # noqa: ANN401 - types have no common type
    """Find the conversion to a type; not cached by type, because `int | str` equals `str | int`.

    Raises:
        TypeError: the type is none of those a row may have.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind in SIMPLE:
        return SIMPLE[kind]
    if origin in (Union, types.UnionType):
        return _one_of(arguments)
    if origin is Literal:
        return _literal(arguments)
    if origin is list:
        return _list(_converter(arguments[0]))
    if origin is tuple:
        return _tuple(arguments)
    if origin is dict and arguments[0] is str:
        return _dict(_converter(arguments[1]))
    raise TypeError(f"a field of a row cannot have the type {kind!r}")


def _refuse(value: object, expected: str) -> NoReturn:
    raise RecordError(f"found {_shown(value)}, expected {expected}")


def _shown(value: object) -> str:
    """Show a value as JSON writes it, cut where it is long."""
    if isinstance(value, dict):
        return f"an object with {len(value)} key{'s' * (len(value) != 1)}"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        value = value[: SHOWN + 1]
    # Half a character would break the terminal or log that the complaint goes to.
    text = json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= SHOWN + 2 else text[:SHOWN] + "…"


def _text(value: object) -> str:
    if isinstance(value, str):
        if value.isascii():
            return value
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise RecordError(
                f"found half a character (a lone surrogate) at {error.start + 1}; mend the text"
            ) from None
        return value
    if type(value) is int or (isinstance(value, float) and math.isfinite(value)):
        return str(value)
    _refuse(value, "text")


def _filled(value: object) -> str:
    return _text(value) or _refuse(value, "text that is not empty")


def _int(value: object) -> int:
    if type(value) is int or (isinstance(value, float) and value.is_integer()):
        return int(value)
    if isinstance(value, str) and "_" not in value:  # which Python allows between digits
        with suppress(ValueError):
            return int(value)
    _refuse(value, "a whole number")


def _float(value: object) -> float:
    number = math.nan
    if not isinstance(value, bool) and isinstance(value, int | float | str) and "_" not in str(value):
        with suppress(ValueError, OverflowError):
            number = float(value)
    return number if math.isfinite(number) else _refuse(value, "a finite number")


def _bool(value: object) -> bool:
    known = {"true": True, "1": True, "false": False, "0": False}
    if isinstance(value, str) and value.strip().lower() in known:
        return known[value.strip().lower()]
    return value if isinstance(value, bool) else _refuse(value, "true or false")


def _path(value: object) -> Path:
    return value if isinstance(value, Path) else Path(_filled(value))


def _any(value: object) -> object:
    return value


def _collection(value: object, kind: type[C], expected: str) -> C:
    """Give back a list or dict; in a cell of a table it stands as JSON."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    if kind is list and isinstance(value, tuple):
        value = list(value)
    return value if isinstance(value, kind) else _refuse(value, expected)


def _list(each: _Convert) -> _Convert:
    return lambda value: [_at(at, each, item) for at, item in enumerate(_collection(value, list, "a list"), 1)]


def _tuple(arguments: tuple[Any, ...]) -> _Convert:
    if arguments[1:] == (...,):
        items = _list(_converter(arguments[0]))
        return lambda value: tuple(items(value))
    each = [_converter(argument) for argument in arguments]

    def convert_tuple(value: object) -> tuple[Any, ...]:
        found = _collection(value, list, f"a list of {len(each)}")
        if len(found) != len(each):
            _refuse(value, f"a list of {len(each)}")
        return tuple(_at(at, one, item) for at, (one, item) in enumerate(zip(each, found, strict=True), 1))

    return convert_tuple


def _dict(each: _Convert) -> _Convert:
    return lambda value: {
        _text(key): _at(key, each, item) for key, item in _collection(value, dict, "an object").items()
    }


def _at(place: int | str, each: _Convert, value: object) -> object:
    try:
        return each(value)
    except RecordError as error:
        raise RecordError(f"{f'item {place}' if isinstance(place, int) else f'key {place!r}'}: {error}") from None


def _literal(allowed: tuple[Any, ...]) -> _Convert:
    by_text = {str(one): one for one in allowed}
    expected = f"one of {', '.join(by_text)}"

    def convert_literal(value: object) -> object:
        for one in allowed:
            if type(value) is type(one) and value == one:
                return one
        if isinstance(value, str) and value in by_text:
            return by_text[value]
        near = difflib.get_close_matches(str(value), by_text, n=1)
        _refuse(value, expected + (f"; did you mean {near[0]}?" if near else ""))

    return convert_literal


def _one_of(kinds: tuple[Any, ...]) -> _Convert:
    others = [kind for kind in kinds if kind is not type(None)]
    to = _converter(others[0]) if len(others) == 1 else _first_of(others)
    return _optional(to) if len(others) < len(kinds) else to


def _optional(to: _Convert) -> _Convert:
    """Let null stand beside a type, and an empty cell for null where the type has no empty text."""

    def convert_optional(value: object) -> object:
        if value is None:
            return None
        try:
            return to(value)
        except RecordError:
            if value == "":
                return None
            raise

    return convert_optional


def _first_of(kinds: list[Any]) -> _Convert:
    """Take the type that a value has already, else the first that fits."""
    converters = {kind: _converter(kind) for kind in kinds}
    expected = " or ".join(kind.__name__ if isinstance(kind, type) else str(kind) for kind in kinds)

    def convert_first(value: object) -> object:
        if type(value) in converters:
            return converters[type(value)](value)
        for to in converters.values():
            with suppress(RecordError):
                return to(value)
        _refuse(value, expected)

    return convert_first


SIMPLE: dict[Any, _Convert] = {
    str: _text,
    int: _int,
    float: _float,
    bool: _bool,
    Path: _path,
    Any: _any,
    list: _list(_any),
    tuple: lambda value: tuple(_list(_any)(value)),
    dict: _dict(_any),
}
