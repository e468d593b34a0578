"""Which fields of a record are conditions, source and text, as a run's settings say, and what labels are called."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nlptasks.errors import RecordError, UsageError

#: Fields that a condition cannot be, because they mean something else.
TAKEN = ("text", "source", "prompt", "set", "sets", "vector")
#: Other names of a row's own fields.
ALIASES = {"target": "text", "text": "text", "source": "source", "label": "label"}


@dataclass(frozen=True)
class Naming:
    """Puts records into the fields of a row, conditions as `name=value`; its repr tells it from others."""

    method: str
    """cln or seq2seq."""
    conditions: tuple[str, ...] = ()
    """Fields that are conditions, in order."""
    vector: str = ""
    """Field of a vector that is a condition, too."""
    source: str = "source"
    """Field of what is read in text to text."""
    text: str = "text"
    """Field of what is written."""
    names: tuple[tuple[str, str, str], ...] = ()
    """What labels are called: field, value, name."""
    is_partial: bool = False
    """Whether a record that says anything need not say all of its conditions."""

    @classmethod
    def of(cls, method: str, settings: Mapping[str, Any]) -> Naming:
        """Read the settings of a run.

        Raises:
            UsageError: they contradict each other.
        """
        conditions = tuple(split(settings["conditions"]))
        text = ALIASES.get(settings["text_field"], settings["text_field"])
        return cls(
            method,
            conditions,
            settings["vector_field"],
            settings["source_field"],
            text,
            tuple(label_names(settings["label_names"], conditions)),
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Name the columns of a table without a header."""
        return (*((self.source,) if self.method == "seq2seq" else ()), self.text, *self.conditions)

    def __call__(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Put a record's fields into those of a row; what is no part of it is left out.

        Raises:
            RecordError: a condition is missing, is no label, or is none of this model.
        """
        known = {name: fields[name] for name in ("prompt", "id", "label") if name in fields}
        for ours, chosen in (("source", self.source), ("text", self.text)):
            other = next((name for name, means in ALIASES.items() if means == chosen), chosen)
            found = next((name for name in (chosen, other) if name in fields), None)
            if found is None and ours in fields and ours not in (self.source, self.text):
                found = ours  # given by an option, which knows nothing of the model's names
            if found is not None:
                known[ours] = fields[found]
        if self.method == "seq2seq" and "source" not in known and "prompt" in known:
            known["source"] = known.pop("prompt")  # a line of plain text, or an only text, is what is read
        given = self.given(fields)
        is_partial = self.is_partial and (bool(given) or known.get("prompt") or known.get("label") is not None)
        named = [name for name in self.conditions if not is_partial or given.get(name) not in (None, "")]
        known["sets"] = [f"{name}={self.label(name, given)}" for name in named]
        if known.get("label") is not None and not isinstance(known["label"], list | dict):
            known["label"] = self.called(known["label"], self.conditions)
        if self.vector:
            if fields.get(self.vector) is None:
                raise RecordError(f"field {self.vector!r} is missing; expected the vector that is the condition")
            known["vector"] = fields[self.vector]
        return known

    def given(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Collect what is said of conditions: by the record's own fields, by `set` and by `label`."""
        given: dict[str, Any] = {}
        for name, value in map(pair, pairs(fields)):
            if name not in self.conditions:
                raise RecordError(f"no condition {name!r} in this model; {self.hint(name)}")
            if given.setdefault(name, value) != value:
                raise RecordError(f"condition {name!r} is set to {given[name]} and to {value}; say one of them")
        if len(self.conditions) == 1 and fields.get("label") is not None:
            given.setdefault(self.conditions[0], fields["label"])
        return {**given, **{name: fields[name] for name in self.conditions if fields.get(name) not in (None, "")}}

    def label(self, name: str, given: Mapping[str, Any]) -> str:
        """Give the name of a condition's label.

        Raises:
            RecordError: it is missing, or a list or an object.
        """
        value = given.get(name)
        if value in (None, ""):
            expected = f"the condition{'s' * (len(self.conditions) > 1)} {', '.join(self.conditions)}"
            raise RecordError(f"field {name!r} is missing; expected {expected}, as fields or by --set {name}=LABEL")
        if isinstance(value, list | dict):
            raise RecordError(f"field {name!r}: found a list or an object, expected a label; a vector: --vector-field")
        return self.called(value, (name,))

    def called(self, value: object, conditions: Iterable[str]) -> str:
        """Give the name of a label of one of these conditions."""
        text, chosen = as_label(value), set(conditions)
        return next((called for field, known, called in self.names if field in chosen and known == text), text)

    def hint(self, name: str) -> str:
        """Say what conditions there are, the nearest name first."""
        if not self.conditions:
            return "it has none"
        near = difflib.get_close_matches(name, self.conditions, 1, 0.4)
        return f"did you mean {near[0]!r}?" if near else f"it has {', '.join(self.conditions)}"


def pairs(fields: Mapping[str, Any]) -> list[str]:
    """Give what `set` and `sets` say.

    Raises:
        RecordError: `sets` is no list.
    """
    several = fields.get("sets") or []
    if not isinstance(several, list):
        raise RecordError(f"field 'sets': found {str(several)[:40]!r}, expected a list such as [\"类别=酒店\"]")
    return [str(one) for one in (fields.get("set"), *several) if one is not None]


def pair(said: str) -> tuple[str, str]:
    """Read `name=value`.

    Raises:
        RecordError: there is no name or no value.
    """
    name, _, value = (part.strip() for part in said.partition("="))
    if not name or not value:
        raise RecordError(f"--set {said!r}: expected a condition and its label, such as 类别=酒店")
    return name, value


def as_label(value: object) -> str:
    """Write a value as a label; 1.0 and 1 are the same."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def split(names: str) -> list[str]:
    """Read the names of conditions, separated by commas.

    Raises:
        UsageError: one stands twice, or means something else.
    """
    found = [name.strip() for name in names.replace("，", ",").split(",") if name.strip()]
    for name in found:
        if name in TAKEN:
            raise UsageError(f"--conditions {name}: a field with a meaning of its own; name a field of labels")
        if found.count(name) > 1:
            raise UsageError(f"--conditions {names}: {name} stands twice")
    return found


def label_names(said: str, conditions: Iterable[str]) -> list[tuple[str, str, str]]:
    """Read what labels are called, such as `情感:1=正面,0=负面;类别:book=书籍`.

    Args:
        said: the field may be left out where there is one condition.
        conditions: the fields there are.

    Raises:
        UsageError: not of that form, or of a field that is no condition.
    """
    known, found = tuple(conditions), []
    expected = "expected FIELD:value=name,value=name as in 情感:1=正面,0=负面, fields separated by ;"
    for part in filter(None, (one.strip() for one in said.replace("；", ";").split(";"))):
        field, colon, values = part.partition(":")
        if not colon and len(known) == 1:
            field, values = known[0], part
        if field.strip() not in known:
            raise UsageError(f"--label-names {part!r}: {field!r} is none of --conditions {','.join(known)}; {expected}")
        for one in values.split(","):
            value, is_pair, name = (piece.strip() for piece in one.partition("="))
            if not (value and is_pair and name):
                raise UsageError(f"--label-names {part!r}: {expected}")
            found.append((field.strip(), value, name))
    return found
