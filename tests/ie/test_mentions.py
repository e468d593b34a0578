from __future__ import annotations

import random
from itertools import product

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


def test_the_pairs_told_are_those_closest_together_of_all() -> None:
    searched = Searched("".join(random.Random(1).choices("甲乙，", [1, 3, 20], k=2000)))
    every = product(searched.places("甲"), searched.places("乙"))
    closest = sorted(abs(first[0] - second[0]) for first, second in every)[:MOST]
    assert [abs(first[0] - second[0]) for first, second in searched.pairs("甲", "乙")] == closest


def test_many_mentions_are_not_all_paired() -> None:
    assert len(Searched("甲乙" * 5000).pairs("甲", "乙")) == MOST  # 25 million pairs would not end
