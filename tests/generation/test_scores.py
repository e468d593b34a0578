"""Tests of the scores of texts."""

from __future__ import annotations

import math
import sys
from itertools import product

import pytest
from sacrebleu import BLEU

from nlptasks.generation import scores


def test_distinct_counts_different_runs() -> None:
    assert scores.distinct(["aab"], 1) == 2 / 3
    assert scores.distinct(["aab", "aab"], 2) == 2 / 4
    assert scores.distinct(["a"], 2) == 0


def test_self_bleu_is_that_of_each_text_with_the_others_as_references() -> None:
    texts = ["今天天气很好我们去玩", "今天天气不好我们不去玩", "天气很好我们去公园", "天气很好我们去玩吧吧"]
    bleu = BLEU(tokenize="char", smooth_method="none", effective_order=False)
    expected = [
        bleu.sentence_score(text, [other for other in texts if other is not text]).score / 100 for text in texts
    ]
    assert scores.self_bleu(texts) == pytest.approx(sum(expected) / len(texts), abs=1e-6)


def test_texts_that_are_the_same_have_the_highest_self_bleu() -> None:
    assert scores.variety(["今天天气很好"] * 3) == {"distinct_1": 5 / 18, "distinct_2": 5 / 15, "self_bleu": 1.0}
    assert math.isnan(scores.self_bleu(["今天"]))


def subsequence(left: str, right: str) -> int:
    found = 0
    for chosen in product((False, True), repeat=len(left)):
        rest = iter(right)
        some = [letter for letter, kept in zip(left, chosen, strict=True) if kept]
        if all(letter in rest for letter in some):
            found = max(found, len(some))
    return found


@pytest.mark.parametrize(("left", "right"), [("abcbdab", "bdcaba"), ("", "ab"), ("aaa", "aa"), ("abc", "def")])
def test_the_common_subsequence_is_the_longest(left: str, right: str) -> None:
    assert scores.common(left, right) == subsequence(left, right) == scores.common(right, left)


def test_a_text_like_its_reference_scores_1() -> None:
    found = scores.likeness(["今天天气很好", "我们去公园"], ["今天天气很好", "我们去公园"])
    assert found == {name: pytest.approx(1.0) for name in ("bleu", "chrf", "rouge_l")}
    assert scores.rouge_l("今天 天气", "天气") == 2 * 2 / 6


def test_without_sacrebleu_there_is_rouge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    assert scores.likeness(["好"], ["好"]) == {"rouge_l": 1.0}
