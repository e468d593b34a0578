"""Tests of labels by their numbers, and of vectors."""

from __future__ import annotations

import json
import logging
from random import Random
from typing import Any

import pytest
import torch

from nlptasks.errors import InputError, RecordError
from nlptasks.generation.labels import LEAST, Labels


def rows(*labels: str, vectors: list[list[float]] | None = None) -> list[dict[str, Any]]:
    found: list[list[float] | None] = [*vectors] if vectors else [None] * len(labels)
    return [{"sets": [f"类别={label}"], "vector": vector} for label, vector in zip(labels, found, strict=True)]


def test_labels_are_numbered_in_their_order() -> None:
    labels = Labels.fit(rows("酒店", "书籍", "酒店", "书籍"))
    assert labels.known == {"类别": ["书籍", "酒店"]}
    assert labels.sizes == [2]
    assert labels.numbers(["类别=酒店"]) == [1]


def test_labels_survive_json() -> None:
    labels = Labels.fit(rows("a", "b", vectors=[[0.0, 1.0], [2.0, 1.0]]))
    assert Labels.load(json.loads(json.dumps(labels.state()))) == labels
    assert Labels.load(None) == Labels()


def test_an_unknown_label_is_refused_with_the_nearest_ones() -> None:
    labels = Labels.fit(rows("正面", "负面", "中性"))
    with pytest.raises(RecordError, match="unknown label '正' of 类别; did you mean 正面"):
        labels.number("类别", "正")
    with pytest.raises(RecordError, match="unknown label 'x' of 类别; known are 中性, 正面, 负面"):
        labels.number("类别", "x")


def test_a_label_that_stands_alone_says_its_condition() -> None:
    labels = Labels({"类别": ["书", "好"], "情感": ["不好", "好"]})
    assert labels.given(["类别=书"], "不好") == ["类别=书", "情感=不好"]
    assert labels.given(["情感=好"], "书") == ["类别=书", "情感=好"]
    assert labels.given([], None) == []
    with pytest.raises(RecordError, match="label '好' is one of 类别 and of 情感; say --set 类别=好"):
        labels.given([], "好")
    with pytest.raises(RecordError, match="unknown label '坏'; known are 书, 好, 不好"):
        labels.given([], "坏")
    with pytest.raises(RecordError, match="unknown label '书籍' of 类别"):
        labels.given(["类别=书籍"], None)


def test_what_is_not_said_is_drawn_and_what_is_said_is_kept() -> None:
    labels = Labels({"类别": ["书", "酒店"], "情感": ["不好", "好"]})
    made = [labels.completed(["情感=好"], Random(seed)) for seed in range(20)]
    assert {one[1] for one in made} == {"情感=好"}
    assert {one[0] for one in made} == {"类别=书", "类别=酒店"}
    assert made == [labels.completed(["情感=好"], Random(seed)) for seed in range(20)]


def test_a_label_of_one_row_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "nlptasks"):
        Labels.fit(rows("a", "a", "b"))
    assert "类别: too few rows to learn from, only one, of b" in caplog.text


def test_a_field_of_texts_is_refused() -> None:
    with pytest.raises(InputError, match="condition 类别: 101 different labels in 101 rows; name a field of labels"):
        Labels.fit(rows(*map(str, range(101))))


def test_vectors_are_brought_to_one_scale() -> None:
    labels = Labels.fit(rows("a", "a", vectors=[[0.0, 5.0], [2.0, 5.0]]))
    assert labels.mean == [1.0, 5.0]
    assert labels.deviation == [1.0, LEAST]
    numbers, vectors = labels.tensors([["类别=a"]], [[3.0, 5.0]])
    assert numbers is not None
    assert numbers.tolist() == [[0]]
    assert vectors is not None
    assert torch.equal(vectors, torch.tensor([[2.0, 0.0]]))


def test_vectors_of_several_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="training row 2: a vector of 1 numbers; expected 2, the same in all rows"):
        Labels.fit(rows("a", "a", vectors=[[0.0, 1.0], [2.0]]))
    with pytest.raises(InputError, match="training row 1: a vector of 0 numbers; expected some"):
        Labels.fit(rows("a", vectors=[[]]))


def test_a_vector_of_another_size_is_refused() -> None:
    labels = Labels.fit(rows("a", "a", vectors=[[0.0, 5.0], [2.0, 5.0]]))
    with pytest.raises(RecordError, match="a vector of 3 numbers; expected 2 numbers"):
        labels.scaled([1.0, 2.0, 3.0])
    with pytest.raises(RecordError, match="no vector; expected 2 numbers"):
        labels.scaled(None)


def test_no_condition_gives_no_tensor() -> None:
    assert Labels().tensors([[], []], [None, None]) == (None, None)
