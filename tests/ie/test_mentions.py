from __future__ import annotations

from nlptasks.ie.mentions import MOST, Searched


def test_every_place_is_found_one_behind_the_other() -> None:
    assert Searched("哈哈哈哈").places("哈哈") == [(0, 2), (2, 4)]
    assert Searched("哈").places(" ") == []
    assert Searched("甲 乙").places(" 乙 ") == [(2, 3)]


def test_case_and_width_count_only_where_they_can() -> None:
    assert Searched("abc ＡＢＣ ABC").places("ABC") == [(8, 11)]
    assert Searched("abc ＡＢＣ").places("Abc") == [(0, 3), (4, 7)]


def test_pairs_are_told_the_closest_first_and_not_too_many() -> None:
    assert Searched("甲乙，甲").pairs("甲", "乙") == [((0, 1), (1, 2)), ((3, 4), (1, 2))]
    assert len(Searched("甲乙" * 50).pairs("甲", "乙")) == MOST
    assert Searched("甲").pairs("甲", "丙") == []
