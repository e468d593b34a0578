"""Tests of what generation reads and learns from."""

from __future__ import annotations

import json

import pytest

from nlptasks.errors import RecordError
from nlptasks.generation import row


def test_training_rows_hold_text_and_conditions() -> None:
    assert row.training_rows("cln", {"text": "好", "sets": ["label=x"], "label": "x"}) == [
        {"text": "好", "sets": ["label=x"], "vector": None}
    ]
    assert row.training_rows("seq2seq", {"source": "长", "target": "短"})[0]["text"] == "短"


@pytest.mark.parametrize(
    ("method", "fields", "complaint"),
    [
        ("cln", {"text": "  "}, "field 'text': found only blanks"),
        ("seq2seq", {"source": " ", "text": "短"}, "field 'source': found only blanks"),
        ("seq2seq", {"source": "长", "text": "\n"}, "field 'text': found only blanks"),
        ("seq2seq", {"text": "短"}, "field 'source' is missing"),
    ],
)
def test_blanks_teach_nothing(method: str, fields: dict[str, str], complaint: str) -> None:
    with pytest.raises(RecordError, match=complaint):
        row.training_rows(method, fields)


def test_a_record_says_what_it_is_fit_for() -> None:
    assert row.fitting({"text": "好"}, None) == ["cln", "eval"]
    assert row.fitting({"target": "短", "source": "长"}, None) == ["cln", "seq2seq", "eval"]
    assert row.fitting({"text": "好"}, "cln") == ["cln"]
    with pytest.raises(RecordError, match="field 'text' is missing"):
        row.fitting({"label": "x"}, None)
    with pytest.raises(RecordError, match="field 'text': found only blanks"):
        row.fitting({"text": " "}, None)


def test_records_are_converted_with_all_they_have() -> None:
    (line,) = row.converted({"target": "短", "类别": "酒店"}, "jsonl")
    assert json.loads(line) == {"text": "短", "类别": "酒店"}
    with pytest.raises(RecordError, match="field 'text' is missing"):
        row.converted({"source": "长"}, "jsonl")


def test_texts_alone_are_lines() -> None:
    answer = {"samples": [{"text": "a"}, {"text": "b"}]}
    assert row.plain_lines(answer) == ["a", "b"]
    assert row.plain_lines({**answer, "shown": True}) == []
    assert row.is_plain(row.Options(text_only=True))
    assert row.is_plain(row.Options(stream=True))
    assert not row.is_plain(row.Options())
