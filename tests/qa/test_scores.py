"""The expected numbers are worked out by hand from what the official scripts do."""

from __future__ import annotations

import pytest

from nlptasks.qa import scores
from nlptasks.qa.scores import exact_match, f1, no_answer_f1, scored, segments, sogou_accuracy, sogou_f1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1963年6月", ["1963", "年", "6", "月"]),
        ("《Hello World》你好", ["hello", "world", "你", "好"]),
        ("a，b", ["ab"]),
        ("3.5GB、1,000元", ["3.5gb1,000", "元"]),
        ("U.S.A. 50%", ["u.s.a", ".", "50", "%"]),
        ("……", ["…", "…"]),
        ("", []),
    ],
)
def test_segments_are_chinese_characters_and_words(text: str, found: list[str]) -> None:
    assert segments(text) == found


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("《诗经》。", ["诗经"], 1.0),
        ("ABC", ["abc", "x"], 1.0),
        ("诗 经", ["诗经"], 0.0),
        ("诗", ["诗经"], 0.0),
        ("诗", [], 0.0),
        ("", [], 1.0),
        ("  ", [], 1.0),
        ("", ["诗经"], 0.0),
    ],
)
def test_exact_match(answer: str, reference: list[str], expected: float) -> None:
    assert exact_match(answer, reference) == expected


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("1963年6月", ["1963年"], 2 / 3),  # a run of 2 in 4 and 2 segments
        ("北京大学", ["北京的大学"], 4 / 9),  # the longest run is 北京 or 大学: 2 of 4 and 5
        ("甲", ["乙", "甲乙"], 2 / 3),  # the best of the references
        ("甲", ["乙"], 0.0),
        ("，", ["甲"], 0.0),
        ("", [], 1.0),
        ("甲", [], 0.0),
    ],
)
def test_f1_measures_the_longest_run(answer: str, reference: list[str], expected: float) -> None:
    assert f1(answer, reference) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("杜甫,李白", ["李白 杜甫"], 1.0),
        ("ＡＢＣ １", ["abc1"], 1.0),
        ("《诗经》", ["诗经"], 1.0),
        ("李白", ["李白 杜甫"], 0.0),
        ("", [], 1.0),
        ("李白", [], 0.0),
    ],
)
def test_sogou_accuracy_knows_no_order_of_parts(answer: str, reference: list[str], expected: float) -> None:
    assert sogou_accuracy(answer, reference) == expected


@pytest.mark.parametrize(
    ("answer", "reference", "expected"),
    [
        ("李白杜甫", ["杜甫"], 2 / 3),  # 2 characters in common of 4 and 2
        ("京北", ["北京"], 1.0),
        ("哈哈哈", ["哈"], 0.5),  # a character counts as often as both have it
        ("，", ["甲"], 0.0),
        ("", ["甲"], 0.0),
    ],
)
def test_sogou_f1_counts_characters(answer: str, reference: list[str], expected: float) -> None:
    assert sogou_f1(answer, reference) == pytest.approx(expected)


def test_no_answer_f1() -> None:
    # "" was said twice, is right twice, and both once
    assert no_answer_f1(["", " ", "甲"], [[], ["乙"], []]) == 0.5
    assert no_answer_f1(["甲"], [[]]) == 0.0


def test_scores_are_means_and_final_is_the_mean_of_two() -> None:
    found = scored(["1963年6月", "", "甲"], [["1963年"], [], ["甲"]])
    assert found == {
        "exact_match": pytest.approx(2 / 3),
        "f1": pytest.approx((2 / 3 + 1 + 1) / 3),
        "sogou_accuracy": pytest.approx(2 / 3),
        "sogou_f1": pytest.approx((10 / 12 + 1 + 1) / 3),  # 5 characters in common of 7 and 5
        "sogou_final": pytest.approx((2 / 3 + (10 / 12 + 2) / 3) / 2),
        "no_answer_f1": 1.0,
    }


def test_without_questions_that_have_no_answer_there_is_no_score_for_them() -> None:
    assert "no_answer_f1" not in scored(["甲"], [["甲"]])


def test_sureness_is_scored_where_something_is_right_and_something_wrong() -> None:
    answers, references = ["甲乙", "丙", "", "丁", "戊"], [["甲"], ["丙"], ["己"], ["庚"], []]
    assert scored(answers, references, [0.5, 0.2, 1.0, 0.1, 0.3])["score_auroc"] == 0.75  # 甲乙 has an F1 of 2/3
    assert "score_auroc" not in scored(answers, references)
    assert "score_auroc" not in scored(["甲", ""], [["甲"], ["乙"]], [0.5, 0.6])


def test_answers_and_references_go_together() -> None:
    with pytest.raises(ValueError, match="zip"):
        scored(["甲"], [])
    with pytest.raises(ValueError, match="no answers to score"):
        scored([], [])


def test_the_run_is_found_as_by_trying_all() -> None:
    left, right = "abcabdab", "babdabc"
    runs = {left[a:b] for a in range(len(left)) for b in range(a + 1, len(left) + 1)}
    assert scores.longest_run(left, right) == max(len(run) for run in runs if run in right) == 5
