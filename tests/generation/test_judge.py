"""Tests of the judge of labels."""

from __future__ import annotations

import logging
import sys

import pytest

from nlptasks.generation.judge import taught

TEXTS = [f"{word}{number % 7}天" for number in range(30) for word in ("很好很满意", "很差很失望")]
LABELS = ["正面", "负面"] * 30


def test_a_judge_learns_labels_and_says_how_often_it_is_right() -> None:
    judge = taught(TEXTS, LABELS, None)
    assert judge is not None
    assert judge.accuracy == 1.0
    assert judge.accuracy_of(["满意", "失望"], ["正面", "正面"]) == 0.5


def test_a_judge_is_tried_on_texts_that_it_has_not_seen() -> None:
    judge = taught(TEXTS, LABELS, (["很满意", "很满意", "失望", "失望"], ["正面", "负面", "负面", "负面"]))
    assert judge is not None
    assert judge.accuracy == 0.75


@pytest.mark.parametrize(("texts", "labels"), [(TEXTS, ["正面"] * 60), (TEXTS[:9], LABELS[:9])])
def test_too_little_teaches_nothing(texts: list[str], labels: list[str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "nlptasks"):
        assert taught(texts, labels, None) is None
    assert "a judge learns from 10 texts or more" in caplog.text


def test_without_scikit_learn_there_is_no_judge(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with caplog.at_level(logging.INFO, "nlptasks"):
        assert taught(TEXTS, LABELS, None) is None
    assert "pip install 'nlpk[scores]'" in caplog.text


def test_labels_of_few_texts_are_judged_by_as_many_parts_as_there_are() -> None:
    texts, labels = [*TEXTS[0:24:2], *TEXTS[1:4:2]], ["正面"] * 12 + ["负面"] * 2
    assert taught(texts, labels, None) is not None
    assert (
        taught([f"{first}{second}" for first in "甲乙丙丁" for second in "天地人"], ["正面", "负面"] * 6, None)
        is not None
    )
