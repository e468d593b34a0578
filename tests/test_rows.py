"""A row means the same from JSON and from TSV, and a complaint says what was found and what was expected."""

import math
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from nlptasks import rows
from nlptasks.errors import RecordError


@dataclass(frozen=True)
class Base:
    question: str
    """What is asked."""
    score: float | None = None
    # A comment between two fields is no help.
    limit: int = 3


@dataclass(frozen=True)
class Row(Base):
    """A row with
    a docstring of its own."""

    passages: list[str] = field(default_factory=list)
    """Where the answer
    may stand."""
    made: str = field(init=False, default="")
    """Not a field to be given."""


def made(name: str, annotation: object) -> type:
    """Make a dataclass with one field."""
    return dataclass(type("Made", (), {"__annotations__": {name: annotation}}))


def test_a_row_from_json_and_from_tsv_are_equal() -> None:
    expected = Row("谁？", 0.5, 4, ["甲"])
    assert rows.parse(Row, {"question": "谁？", "score": 0.5, "limit": 4, "passages": ["甲"], "id": 1}) == expected
    assert rows.parse(Row, {"question": "谁？", "score": "0.5", "limit": "4", "passages": '["甲"]'}) == expected


def test_defaults_fill_what_is_absent() -> None:
    first, second = (rows.parse(Row, {"question": "q"}) for _ in range(2))
    assert first == Row("q")
    assert first.passages is not second.passages


def test_the_record_is_left_alone() -> None:
    given = {"question": 7, "more": [1]}
    assert rows.parse(Row, given).question == "7"
    assert given == {"question": 7, "more": [1]}


def test_a_missing_field_names_those_found_and_the_nearest() -> None:
    with pytest.raises(
        RecordError, match=r"^field 'question' is missing; found id, questoin; is 'questoin' meant for it\?$"
    ):
        rows.parse(Row, {"id": 1, "questoin": "q"})
    with pytest.raises(RecordError, match=r"^field 'question' is missing; found none$"):
        rows.parse(Row, {})
    with pytest.raises(RecordError, match=r"; found k0, .*, k11, …$"):
        rows.parse(Row, {f"k{number}": 1 for number in range(99)})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"question": ""}, "field 'question': found \"\", expected text that is not empty"),
        ({"question": None}, "field 'question': found null, expected text"),
        ({"question": {"a": 1}}, "field 'question': found an object with 1 key, expected text"),
        ({"question": ["a", "b"]}, "field 'question': found a list of 2, expected text"),
        ({"question": True}, "field 'question': found true, expected text"),
        (
            {"question": "好\ud800"},
            r"field 'question': found half a character \(a lone surrogate\) at 2; mend the text",
        ),
        ({"question": "q", "score": "abc"}, "field 'score': found \"abc\", expected a finite number"),
        ({"question": "q", "limit": None}, "field 'limit': found null, expected a whole number"),
        ({"question": "q", "passages": ["a", None]}, "field 'passages': item 2: found null, expected text"),
        ({"question": "q", "passages": "a"}, "field 'passages': found \"a\", expected a list"),
    ],
)
def test_a_field_that_does_not_fit(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordError, match=f"^{message}$"):
        rows.parse(Row, fields)


def test_only_needed_text_must_not_be_empty() -> None:
    assert rows.parse(made("text", str | None), {"text": ""}) is not None
    assert rows.convert("", str) == ""


def test_names_are_those_that_can_be_given() -> None:
    assert rows.names(Row) == ["question", "score", "limit", "passages"]


def test_describe_reads_types_defaults_and_docstrings_of_bases_too() -> None:
    assert rows.describe(Row) == [
        rows.Field("question", str, MISSING, "What is asked."),
        rows.Field("score", float | None, None, ""),
        rows.Field("limit", int, 3, ""),
        rows.Field("passages", list[str], [], "Where the answer may stand."),
    ]


def test_describe_a_class_without_source() -> None:
    assert rows.describe(made("a", int)) == [rows.Field("a", int, MISSING, "")]


def test_describe_a_class_inside_a_function_and_postponed_annotations(tmp_path: Path) -> None:
    @dataclass
    class Inner:
        path: "Path"
        """Where."""

    assert rows.describe(Inner) == [rows.Field("path", Path, MISSING, "Where.")]


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("a", str, "a"),
        (3, str, "3"),
        (0.5, str, "0.5"),
        ("😀", str, "😀"),
        ("3", int, 3),
        ("-3", int, -3),
        (3.0, int, 3),
        (2**80, int, 2**80),
        (1, float, 1.0),
        ("1e-3", float, 0.001),
        (" 2 ", float, 2.0),
        ("True", bool, True),
        ("0", bool, False),
        (False, bool, False),
        ("a/b", Path, Path("a/b")),
        (Path("a"), Path, Path("a")),
        ({"a": [1]}, Any, {"a": [1]}),
        (None, Any, None),
        ({"a": 1}, dict[str, Any], {"a": 1}),
        ('{"a": 1}', dict[str, int], {"a": 1}),
        ([1, "b"], list, [1, "b"]),
        ([1, "b"], list[str], ["1", "b"]),
        (("a",), list[str], ["a"]),
        ([1, 2], tuple, (1, 2)),
        (["1", 2], tuple[int, ...], (1, 2)),
        (["1", "b"], tuple[int, str], (1, "b")),
        ([["a"]], list[list[str]], [["a"]]),
        ("cls", Literal["cls", "mean"], "cls"),
        ("2", Literal[1, 2], 2),
        (None, str | None, None),
        ("", str | None, ""),
        ("", float | None, None),
        ("", Path | None, None),
        ("", Literal["a"] | None, None),
        ("x", str | list[str], "x"),
        (["x"], str | list[str], ["x"]),
        ("1", float | str, "1"),
        (1, float | int, 1),
        ("1", int | float, 1),
        ("1.5", int | float, 1.5),
        (None, int | float | None, None),
    ],
)
def test_convert(value: object, kind: object, expected: object) -> None:
    converted = rows.convert(value, kind)
    assert converted == expected
    assert type(converted) is type(expected)


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (math.inf, str, "found Infinity, expected text"),
        (b"x", str, "found \"b'x'\", expected text"),
        (True, int, "found true, expected a whole number"),
        (1.5, int, "found 1.5, expected a whole number"),
        ("1_0", int, 'found "1_0", expected a whole number'),
        ("9" * 5000, int, 'found "9{39}…, expected a whole number'),
        (True, float, "found true, expected a finite number"),
        (math.nan, float, "found NaN, expected a finite number"),
        ("inf", float, 'found "inf", expected a finite number'),
        ("1_0", float, 'found "1_0", expected a finite number'),
        (10**400, float, "found 10{39}…, expected a finite number"),
        ([1], float, "found a list of 1, expected a finite number"),
        ("yes", bool, 'found "yes", expected true or false'),
        (1, bool, "found 1, expected true or false"),
        ("", Path, 'found "", expected text that is not empty'),
        ("[1", list[int], 'found "\\[1", expected a list'),
        ({"a": 1}, list[int], "found an object with 1 key, expected a list"),
        ([1], tuple[int, int], "found a list of 1, expected a list of 2"),
        ([1, "a"], tuple[int, int], 'item 2: found "a", expected a whole number'),
        ([1], dict[str, int], "found a list of 1, expected an object"),
        ({"k": "a"}, dict[str, int], "key 'k': found \"a\", expected a whole number"),
        ("maen", Literal["cls", "mean"], r'found "maen", expected one of cls, mean; did you mean mean\?'),
        (True, Literal[1, 2], "found true, expected one of 1, 2"),
        ("x", int | None, 'found "x", expected a whole number'),
        ("\ud800", int, r'found "\\ud800", expected a whole number'),
        ({}, str | list[str], r"found an object with 0 keys, expected str or list\[str\]"),
    ],
)
def test_convert_refuses(value: object, kind: object, message: str) -> None:
    with pytest.raises(RecordError, match=f"^{message}$"):
        rows.convert(value, kind)


@pytest.mark.parametrize("kind", [set[str], dict[int, str], Callable[[], None]])
def test_a_type_that_no_record_has_is_our_mistake(kind: object) -> None:
    with pytest.raises(TypeError, match="a field of a row cannot have the type"):
        rows.convert("x", kind)
