"""Reads a file that is one JSON document, a list or an object with a list `data`, item by item as its text arrives."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from nlptasks.errors import InputError

#: The key of the list in a document that is an object.
LIST = "data"
#: How the first line of a document begins, and that of an object which has plain values before its list.
OPENED = re.compile(r'\[\s*(\{|\]|$)|\{\s*("|$)')
HEADED = re.compile(
    r'\{\s*(?:"[^"\\]*+"\s*:\s*(?:"(?:[^"\\]++|\\.)*+"|-?\d[\d.eE+-]*|true|false|null)\s*,\s*)*"' + LIST + r'"\s*:\s*\['
)
BLANK = re.compile(r"[ \t\r\n]*")


def is_opened(line: str) -> bool:
    """Tell whether the first line of a text that is not blank opens a list, or an object that goes on behind it."""
    return OPENED.match(line) is not None and not (line.startswith("{") and line.endswith("}"))


def has_list(line: str) -> bool:
    """Tell whether a line opens an object that has a list of items, or is one."""
    return HEADED.match(line) is not None


def finite(text: str) -> float:
    """Read a number.

    Raises:
        ValueError: it is too large, and would come out again as something else.
    """
    if math.isinf(number := float(text)):
        raise ValueError(f"the number {text[:40]} is too large, expected at most 1.8e308; write it as text")
    return number


class Items:
    """The items of a document, each with the line that it starts in."""

    def __init__(self, source: str, pieces: Iterable[str]) -> None:
        """Read from pieces of text.

        Args:
            source: name for complaints.
            pieces: of any length.
        """
        self.source, self.pieces = source, iter(pieces)
        self.text, self.at, self.line, self.counted = "", 0, 1, 0
        self.decode = json.JSONDecoder(parse_float=finite, parse_constant=lambda _: None).raw_decode

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """Give line and value of each item; an empty text has none.

        Raises:
            InputError: the document is damaged or cut off, has no list, or more follows it.
        """
        first = self.next()
        if first:
            yield from self.listed() if first == "[" else self.in_object()
        if self.next():
            self.refuse("more text behind the end of the JSON document; give JSON lines, or one list")

    def in_object(self) -> Iterator[tuple[int, Any]]:
        """Look for the list in an object, and pass over its other values."""
        self.take("{")
        found = False
        while self.next() != "}":
            key = self.value()
            self.take(":")
            if key == LIST and self.next() == "[":
                found = True
                yield from self.listed()
            else:
                self.value()
            if self.next() != "}":
                self.take(",")
        self.take("}")
        if not found:
            expected = f"expected a list of objects, an object with a list {LIST!r}, or one object per line (jq -c .)"
            self.refuse(f"a JSON object over several lines; {expected}")

    def listed(self) -> Iterator[tuple[int, Any]]:
        """Give the items of a list."""
        self.take("[")
        while self.next() != "]":
            line = self.here()
            yield line, self.value()
            if self.next() != "]":
                self.take(",")
        self.take("]")

    def next(self) -> str:
        """Look at the next character that is not blank; at the end there is none."""
        while True:
            self.at = BLANK.match(self.text, self.at).end()  # type: ignore[union-attr]  # it always matches
            if self.at < len(self.text) or not self.more():
                return self.text[self.at : self.at + 1]

    def take(self, expected: str) -> None:
        """Pass over a character."""
        if (found := self.next()) != expected:
            self.refuse(f"invalid JSON: found {found or 'the end'}, expected {expected}")
        self.at += 1

    def value(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        """Read a value, as much text as it takes."""
        self.next()
        while True:
            try:
                value, end = self.decode(self.text, self.at)
            except json.JSONDecodeError as error:
                if not self.more():
                    self.at = error.pos
                    self.refuse(f"invalid JSON: {error.msg}")
            except (RecursionError, ValueError) as error:
                self.refuse(f"JSON nested too deeply or with too large a number: {error}")
            else:
                if end < len(self.text) or not self.more():  # a number might go on
                    self.at = end
                    return value

    def more(self) -> bool:
        """Read on, as much again as is waiting, so that a long value is not tried too often; tell whether there was."""
        self.here()
        waiting, new = self.text[self.at :], []
        length = 0
        for piece in self.pieces:
            new.append(piece)
            length += len(piece)
            if length > len(waiting):
                break
        self.text, self.at, self.counted = waiting + "".join(new), 0, 0
        return bool(new)

    def here(self) -> int:
        """Count the line."""
        self.line += self.text.count("\n", self.counted, self.at)
        self.counted = self.at
        return self.line

    def refuse(self, problem: str) -> NoReturn:
        """Name the line of a problem.

        Raises:
            InputError: always.
        """
        raise InputError(f"{self.source}:{self.here()}: {problem}")
