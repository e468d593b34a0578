from __future__ import annotations

from typing import Any

import pytest

from nlptasks.errors import InputError
from nlptasks.files.items import Items, has_list, is_opened


def items(document: str, size: int = 10_000) -> list[tuple[int, Any]]:
    return list(Items("f.json", (document[at : at + size] for at in range(0, len(document), size))))


@pytest.mark.parametrize("size", [1, 3, 10_000])
@pytest.mark.parametrize(
    ("document", "found"),
    [
        ("", []),
        (" \n", []),
        ("[]", []),
        ('{"data": []}', []),
        ("[1, 23,\n4]", [(1, 1), (1, 23), (2, 4)]),
        ('[{"a": "]}"}, {"a":\n"\\""}\n]', [(1, {"a": "]}"}), (1, {"a": '"'})]),
        ('{"version": "1", "data": [{"a": [1, 2]}], "x": {"data": [3]}}', [(1, {"a": [1, 2]})]),
        ('{"data": "none", "x": [1], "data": [\n{"a": 1}]}', [(2, {"a": 1})]),
        ('[{"a": NaN}]', [(1, {"a": None})]),
        ('[{"a": "中\u2028文😀"}]', [(1, {"a": "中\u2028文😀"})]),
    ],
)
def test_items_come_with_their_lines(document: str, found: list[tuple[int, Any]], size: int) -> None:
    assert items(document, size) == found


@pytest.mark.parametrize("size", [1, 10_000])
@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ('[{"a": 1}', "f.json:1: invalid JSON: found the end, expected ,"),
        ('[{"a": 1}\n{"a": 2}]', "f.json:2: invalid JSON: found {, expected ,"),
        ("[{'a': 1}]", "f.json:1: invalid JSON: Expecting property name"),
        ('[\n{"a": "', "f.json:2: invalid JSON: Unterminated string"),
        ('{"a": 1}', "f.json:1: a JSON object over several lines; expected a list of objects, an object with a list"),
        ('{"a": 1}\n{"a": 2}', "f.json:1: a JSON object over several lines"),
        ('{"a" 1}', "f.json:1: invalid JSON: found 1, expected :"),
        ('[{"a": 1}]\n[]', "f.json:2: more text behind the end of the JSON document"),
        ('[\n{"a": -1e999}]', "f.json:2: JSON nested too deeply or with too large a number: the number -1e999 is too"),
        ("[" * 200_000, "f.json:1: JSON nested too deeply"),
    ],
)
def test_a_damaged_document_is_refused_with_its_line(document: str, problem: str, size: int) -> None:
    if size == 1 and len(document) > 1000:
        pytest.skip("slow, and the same")
    with pytest.raises(InputError, match=problem.replace("[", r"\[").replace("(", r"\(")):
        items(document, size)


def test_items_are_given_as_the_text_arrives() -> None:
    seen: list[str] = []

    def pieces() -> Any:  # noqa: ANN401
        for piece in ('{"data": [{"a": 1},', '{"a": 2},', "]}"):
            seen.append(piece)
            yield piece

    found = iter(Items("stdin", pieces()))
    assert next(found) == (1, {"a": 1})
    assert len(seen) < 3


@pytest.mark.parametrize(
    ("line", "opened", "lists"),
    [
        ("[", True, False),
        ('[{"a": 1},', True, False),
        ("[]", True, False),
        ("[图片] 你好", False, False),
        ("{", True, False),
        ('{"data": [', True, True),
        ('{"version": "1\\"", "n": -1.5e3, "ok": true, "data": [{}]}', False, True),
        ('{"text": "a"}', False, False),
        ('{"x": {"data": []}}', False, False),
        ("{名字}", False, False),
        ("{ 你好", False, False),
    ],
)
def test_the_first_line_tells_a_document(line: str, opened: bool, lists: bool) -> None:
    assert is_opened(line) is opened
    assert has_list(line) is lists
