"""Tests of how records become rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nlptasks.errors import RecordError, UsageError
from nlptasks.generation.row import naming

TWO = naming("cln", {"conditions": "类别,情感", "label_names": "情感:1=正面,0=负面"})


def test_conditions_are_put_into_order_by_their_names() -> None:
    found = TWO({"text": "好", "情感": 1, "类别": "酒店", "other": [1]})
    assert found == {"text": "好", "sets": ["类别=酒店", "情感=正面"]}
    assert TWO({"情感": 0.0, "类别": "酒店"})["sets"] == ["类别=酒店", "情感=负面"]
    assert TWO({"情感": "负面", "类别": True})["sets"] == ["类别=true", "情感=负面"]


def test_conditions_can_be_set_and_the_records_own_go_first() -> None:
    assert TWO({"sets": ["类别=酒店", "情感=0"], "类别": "书籍"})["sets"] == ["类别=书籍", "情感=负面"]
    one = naming("cln", {"conditions": "情感"})
    assert one({"set": "情感 = 正面"})["sets"] == ["情感=正面"]
    assert one({"label": "正面"})["sets"] == ["情感=正面"]
    assert one({"label": "正面", "set": "情感=负面"})["sets"] == ["情感=负面"]


def test_fields_may_have_other_names() -> None:
    named = naming("seq2seq", {"source_field": "text", "text_field": "title"})
    assert named.columns == ("text", "title")
    assert named({"text": "长", "title": "短", "id": 3}) == {"id": 3, "source": "长", "text": "短", "sets": []}
    assert named({"source": "长"})["source"] == "长"
    default = naming("seq2seq")
    assert default({"source": "长", "target": "短"})["text"] == "短"
    assert default({"prompt": "长"})["source"] == "长"


def test_columns_are_text_and_conditions() -> None:
    assert TWO.columns == ("text", "类别", "情感")
    assert naming("cln").columns == ("text", "label")


def test_two_namings_are_told_apart_by_what_they_say() -> None:
    assert repr(TWO) != repr(naming("cln", {"conditions": "类别,情感"}))


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"类别": "酒店"}, "field '情感' is missing; expected the conditions 类别, 情感"),
        ({"类别": "酒店", "情感": ""}, "field '情感' is missing"),
        ({"类别": ["酒店"], "情感": 1}, "field '类别': found a list or an object"),
        ({"set": "类型=酒店"}, "no condition '类型' in this model; did you mean '类别'"),
        ({"set": "x=酒店"}, "no condition 'x' in this model; it has 类别, 情感"),
        ({"set": "类别"}, "--set '类别': expected a condition and its label"),
        ({"label": "正面"}, "field '类别' is missing"),
        ({"sets": ["情感=1", "情感=0"]}, "condition '情感' is set to 1 and to 0; say one of them"),
    ],
)
def test_a_record_that_does_not_say_its_conditions_is_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RecordError, match=complaint):
        TWO(fields)


def test_a_condition_for_a_model_without_any_is_refused() -> None:
    with pytest.raises(RecordError, match="no condition 'x' in this model; it has none"):
        naming("seq2seq")({"source": "长", "set": "x=y"})


def test_a_missing_vector_is_refused() -> None:
    with pytest.raises(RecordError, match="field 'numbers' is missing; expected the vector"):
        naming("cln", {"conditions": "", "vector_field": "numbers"})({"text": "好"})


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ({"conditions": "text"}, "--conditions text: a field with a meaning of its own"),
        ({"conditions": "a,a"}, "a stands twice"),
        ({"conditions": "a", "label_names": "b:1=x"}, "'b' is none of --conditions a"),
        ({"conditions": "a", "label_names": "a:1"}, "--label-names 'a:1': expected FIELD:value=name"),
        ({"conditions": "a,b", "label_names": "1=x"}, "is none of --conditions a,b"),
    ],
)
def test_names_that_contradict_each_other_are_refused(told: dict[str, str], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        naming("cln", told)


def test_the_field_of_names_may_be_left_out_where_there_is_one() -> None:
    assert naming("cln", {"label_names": "1=正面,0=负面"})({"text": "好", "label": "1"})["sets"] == ["label=正面"]


def test_a_label_that_stands_alone_may_be_said_by_its_value() -> None:
    asking = replace(TWO, is_partial=True)
    assert asking({"label": 0}) == {"label": "负面", "sets": []}
    assert asking({"label": "1", "set": "类别=酒店"}) == {"label": "正面", "sets": ["类别=酒店"]}
    assert asking({"prompt": "好"})["sets"] == []
    with pytest.raises(RecordError, match="field '类别' is missing"):
        asking({"id": 3})
