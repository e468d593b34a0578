"""Tests of the filter of what was learnt from."""

from __future__ import annotations

import random

import numpy as np
import pytest

from nlptasks.generation import seen
from nlptasks.generation.seen import RUN, Seen, hashes

LETTERS = (
    "的一是不了在人有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后"
    "小么心多天而能好都然没日于起还发成事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长"
)


def texts(count: int, seed: int) -> list[str]:
    drawn = random.Random(seed)
    return ["".join(drawn.choices(LETTERS, k=drawn.randint(5, 80))) for _ in range(count)]


@pytest.fixture(scope="module")
def filter() -> Seen:
    return Seen.of(texts(500, 1))


def test_every_run_of_a_training_text_is_found(filter: Seen) -> None:
    for text in texts(500, 1):
        assert filter.is_memorised(text) == (len(text) >= RUN)
        assert len(filter.runs(text)) == max(0, len(text) - RUN + 1)


def test_other_texts_are_not(filter: Seen) -> None:
    assert not any(filter.is_memorised(text) for text in texts(2000, 2))


def test_a_run_of_the_length_counts_and_a_shorter_one_does_not(filter: Seen) -> None:
    long = next(text for text in texts(500, 1) if len(text) > 60)
    assert filter.is_memorised("好" * 9 + long[13 : 13 + RUN] + "好" * 9)
    assert not filter.is_memorised("好" * 9 + long[13 : 12 + RUN] + "好" * 9)


def test_runs_do_not_go_from_one_text_into_the_next() -> None:
    one, other = "甲乙丙丁戊己庚辛壬癸子丑寅", "卯辰巳午未申酉戌亥天地玄黄宇宙洪荒日月盈昃"
    assert not Seen.of([one, other]).is_memorised(one + other[:15])
    assert len(hashes([one + other, other])) == len(one + other) + len(other) - 2 * (RUN - 1)


def test_case_and_blanks_do_not_count() -> None:
    assert Seen.of(["The Quick Brown Fox Jumps Over The Lazy Dog"]).is_memorised("quickbrownfoxjumpsover")


def test_what_was_given_is_not_memorised(filter: Seen) -> None:
    long = next(text for text in texts(500, 1) if len(text) > 60)
    assert not filter.is_memorised(long[:40], given=long[:40])
    assert filter.is_memorised(long, given=long[:40])


def test_the_filter_is_the_same_however_texts_are_cut(filter: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "BLOCK", 100)
    assert np.array_equal(Seen.of(texts(500, 1)).bits, filter.bits)
    assert np.array_equal(Seen.load(filter.tensor()).bits, filter.bits)


def test_nothing_was_seen_in_nothing() -> None:
    assert not Seen.of([]).is_memorised("今天天气很好，我们去公园玩吧。我们来北京和上海")
    assert not Seen.of(["短"]).is_memorised("短")
