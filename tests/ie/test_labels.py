from __future__ import annotations

import logging
from pathlib import Path

import pytest

from nlptasks.errors import InputError
from nlptasks.ie.labels import Labels, fitted, read_schema
from nlptasks.ie.row import training_rows

ROWS = training_rows("gplinker", {"text": "甲写乙，丙", "triples": [["乙", "作者", "甲"], ["乙", "主演", "无"]]})


def test_labels_come_from_rows_and_what_is_left_out_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        labels = fitted(ROWS, None)
    assert labels == Labels({"作者": ("", "")}, ["ENTITY"])
    assert "an end does not stand in the text: 1: 乙 | 主演 | 无" in caplog.text
    assert Labels.of_json(labels.as_json()) == labels


@pytest.mark.parametrize("kind", ['"人物"', '{"@value": "人物"}'])
def test_a_schema_says_what_predicates_there_are(tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "schema.jsonl"
    path.write_text(f'{{"predicate": "导演", "subject_type": "电影", "object_type": {kind}}}\n', encoding="utf-8")
    with caplog.at_level(logging.INFO):
        labels = fitted(ROWS, str(path))
    assert labels.predicates == {"导演": ("电影", "人物")}
    assert labels.numbers == {"导演": 0}
    assert "their predicate is not there: 作者 (1)" in caplog.text


def test_slots_are_predicates_of_a_schema(tmp_path: Path) -> None:
    path = tmp_path / "schema.jsonl"
    kinds = '{"@value": "奖项", "onDate": "Date"}'
    path.write_text(f'{{"predicate": "获奖", "subject_type": "人物", "object_type": {kinds}}}\n', encoding="utf-8")
    assert read_schema(str(path)) == {"获奖": ("人物", "奖项"), "获奖@onDate": ("奖项", "Date")}


@pytest.mark.parametrize(
    ("text", "problem"), [("", "schema is empty"), ('{"a": 1}\n', "expected predicate"), ("x\n", "schema.jsonl:1")]
)
def test_a_schema_of_another_form_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "schema.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=problem):
        read_schema(str(path))
