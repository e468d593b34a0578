from __future__ import annotations

from typing import Any

import pytest

from nlptasks.ie import scores
from nlptasks.ie.row import Row

A: scores.Key = ("乙", "作者", "甲")
B: scores.Key = ("丁", "导演", "丙")
C: scores.Key = ("ＡＢ", "作者", "c d")


def test_counts_are_over_all_texts() -> None:
    assert scores.scored([{A, B}, set()], [{A}, {B}]) == {"precision": 0.5, "recall": 0.5, "f1": 0.5}
    assert scores.scored([set()], [set()]) == {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    assert scores.scored([{A}], [set()]) == {"precision": 0.0, "recall": 0.0, "f1": 0.0}
    with pytest.raises(ValueError, match="shorter"):
        scores.scored([{A}], [])


def test_normalised_passes_over_case_width_and_blanks() -> None:
    said: list[scores.Said] = [{("ab", "作者", "CD")}]
    assert scores.scored(said, [{C}])["f1"] == 0
    assert scores.scored(said, [{C}], scores.normalised)["f1"] == 1


def test_whole_a_triple_is_right_only_with_its_slots() -> None:
    main, slot, other = ("甲", "饰演", "乙"), ("乙", "饰演@inWork", "丙"), ("乙", "饰演@inWork", "丁")
    assert scores.whole({main, slot, A}) == {
        ("甲", "饰演", ("乙", frozenset({("inWork", "丙")}))),
        (*A[:2], (A[2], frozenset())),
    }
    cases: list[tuple[scores.Said, int]] = [
        ({main, slot}, 1),
        ({main, other}, 0),
        ({main}, 0),
        ({main, slot, other}, 0),
    ]
    for said, right in cases:
        assert scores.scored([scores.whole(said)], [scores.whole({main, slot})])["f1"] == right
    assert scores.has_slots([set(), {A, slot}])
    assert not scores.has_slots([{A}, {("甲", "a@b", 0, 1)}])


def test_an_entity_is_known_by_its_place_or_its_text() -> None:
    said: list[scores.Said] = [{("甲", "人物", 0, 1)}]
    assert scores.scored(said, [{("甲", "人物", 3, 4)}])["f1"] == 0
    assert scores.scored(said, [{("甲", "人物", 3, 4)}], scores.normalised)["f1"] == 1
    assert scores.scored(said, [{("甲", "地点", 3, 4)}], scores.normalised)["f1"] == 0


def test_each_predicate_is_scored_by_itself_the_most_frequent_first() -> None:
    found = scores.by_label([{A, B}, {C}], [{A, C}, {C}])
    assert list(found) == ["作者", "导演"]
    assert found["作者"] == {"precision": 1.0, "recall": 2 / 3, "f1": 0.8, "count": 3}
    assert found["导演"]["count"] == 0


def test_errors_are_listed_with_their_texts() -> None:
    found = scores.errors(["一", "二"], [{A}, {A, B}], [{A}, {A, C}])
    assert found == [{"text": "二", "wrong": [list(B)], "missing": [list(C)]}]


def test_rows_and_predictions_say_the_same() -> None:
    entity: dict[str, Any] = {"text": "甲", "type": "人物", "start": 0, "end": 1}
    prediction = {"triples": [{"subject": entity, "predicate": "p", "object": entity}], "entities": [entity]}
    row = Row("甲", [["甲", "p", "甲"]], [["甲", "人物", "0", "1"]])
    for entities in (True, False):
        assert scores.of_prediction(prediction, entities) == scores.of_row(row, entities)
