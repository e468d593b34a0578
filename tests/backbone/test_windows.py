from __future__ import annotations

import random

import pytest

from nlptasks.backbone import weights
from nlptasks.backbone.text import Text
from nlptasks.backbone.windows import Window, cut, holding, read

RARE = "Ａ b　中国ＡＢＣdéf e\u0301n 😀哈\u200b喻𠮷野\U00020001家\tx１９ 한국 İstanbul ½ 👩\u200d🚀❤\ufe0f。"


@pytest.fixture(scope="module")
def text() -> Text:
    return weights.load().text


def passage(count: int) -> Window:
    return Window(list(range(count)), [(2 * at, 2 * at + 1) for at in range(count)])


@pytest.mark.parametrize(("answer", "found"), [("中国", "中国"), ("ＡＢＣdéf", "ＡＢＣdéf"), ("e\u0301n", "e\u0301n")])
def test_places_are_those_of_the_text_as_it_came(text: Text, answer: str, found: str) -> None:
    (window,) = read(text, [RARE])
    start = RARE.index(answer)
    tokens = window.tokens(start, start + len(answer))
    assert tokens is not None
    assert RARE[slice(*window.characters(*tokens))] == found


def test_every_character_that_shows_keeps_its_place(text: Text) -> None:
    (window,) = read(text, [RARE])
    assert all(start < end for start, end in window.places)
    assert window.places == sorted(window.places)
    covered = {at for start, end in window.places for at in range(start, end)}
    assert {RARE[at] for at in set(range(len(RARE))) - covered} <= {" ", "\u3000", "\t", "\u200b"}
    for letter in "中𠮷\U00020001家😀½":
        tokens = window.tokens(at := RARE.index(letter), at + 1)
        assert tokens is not None
        assert RARE[slice(*window.characters(*tokens))] == letter
    heart = RARE.index("❤")
    assert any(start <= heart and heart + 2 <= end for start, end in window.places)


def test_spaces_alone_are_no_tokens(text: Text) -> None:
    (window,) = read(text, ["中国 　家"])
    assert window.tokens(2, 4) is None
    assert window.tokens(1, 5) == (1, 3)


def test_an_empty_passage_is_one_empty_window(text: Text) -> None:
    (window,) = read(text, [""])
    assert cut(window, 8, 2) == [Window([], [])]
    assert window.tokens(0, 1) is None
    assert holding(window, cut(window, 8, 2), 0, 1) is None


def test_a_short_passage_is_one_window() -> None:
    assert cut(passage(8), 8, 4) == [passage(8)]


def test_windows_are_full_and_miss_no_token() -> None:
    windows = cut(passage(21), 8, 3)
    assert [window.first for window in windows] == [0, 5, 10, 13]
    assert all(len(window.ids) == len(window.places) == 8 for window in windows)
    assert {token for window in windows for token in window.ids} == set(range(21))
    assert all(window.ids[0] == window.first for window in windows)


def test_no_run_of_tokens_up_to_the_overlap_is_torn() -> None:
    draw = random.Random(1)
    for _ in range(300):
        limit = draw.randint(2, 20)
        overlap = draw.randint(0, limit - 1)
        whole = passage(draw.randint(1, 100))
        windows = cut(whole, limit, overlap)
        for start in range(len(whole.ids) - overlap):
            characters = whole.characters(start, start + max(1, overlap))
            at = holding(whole, windows, *characters)
            assert at is not None
            tokens = windows[at].tokens(*characters)
            assert tokens is not None
            assert windows[at].characters(*tokens) == characters


def test_an_answer_is_taken_where_most_stands_around_it() -> None:
    whole = passage(20)
    windows = cut(whole, 10, 5)
    assert [window.first for window in windows] == [0, 5, 10]
    assert holding(whole, windows, *whole.characters(9, 11)) == 1
    assert holding(whole, windows, *whole.characters(0, 2)) == 0
    assert holding(whole, windows, *whole.characters(19, 20)) == 2


def test_an_answer_longer_than_any_window_is_in_none() -> None:
    whole = passage(20)
    assert holding(whole, cut(whole, 6, 2), *whole.characters(3, 12)) is None
