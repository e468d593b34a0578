from __future__ import annotations

import pytest

from nlptasks.backbone.width import folded
from nlptasks.qa.spans import held, parts, place, standing


@pytest.mark.parametrize(
    ("answer", "passage", "found"),
    [
        ("𠮷野家", "去👩\u200d🚀的𠮷野家吃", "𠮷野家"),
        ("cafe\u0301", "一家CAFE\u0301。", "CAFE\u0301"),
        ("ABC 1", "型号：ＡＢＣ　１。", "ＡＢＣ　１"),
        ("李白 杜甫", "唐代的李白、杜甫", "李白、杜甫"),
        ("8.88元", "发了８．８８元", "８．８８元"),
        ("istanbul", "İstanbul和ISTANBUL", "ISTANBUL"),
        (" 中国 ", "在中国", "中国"),
        ("a.c", "abc a.c", "a.c"),
    ],
)
def test_an_answer_is_found_as_the_passage_writes_it(answer: str, passage: str, found: str) -> None:
    span = place(answer, passage)
    assert span is not None
    assert passage[slice(*span)] == found


@pytest.mark.parametrize(("answer", "passage"), [("", "甲"), (" ", " "), ("甲乙", "甲，乙"), ("甲", "乙")])
def test_what_is_not_there_is_not_found(answer: str, passage: str) -> None:
    assert place(answer, passage) is None


def test_accents_may_be_composed_or_not() -> None:
    composed, apart = "Pel\u00e9", "Pele\u0301"
    assert place(composed, f"球员{apart}退役") == (2, 7)
    assert place(apart, f"球员{composed}退役") == (2, 6)


def test_folding_moves_no_character() -> None:
    text = "İＡ　ß Σ９ "
    assert folded(text) == "İa ß σ9 "
    assert len(folded(text)) == len(text)


def test_a_start_is_believed_where_it_is_true() -> None:
    passage = "甲乙甲"
    assert list(standing(["甲", "乙", "丙"], passage, {"甲": 2, "乙": 0})) == [("甲", 2), ("乙", 1)]
    assert list(standing(["甲"], passage, {"甲": -1})) == [("甲", 0)]


def test_an_answer_of_several_parts_is_held_where_all_of_them_are() -> None:
    assert parts("甲 乙", "乙在前，甲在后") == ["甲", "乙"]
    assert parts("甲 丙", "乙在前，甲在后") == []
    assert parts("甲", "甲") == []
    assert held(["丙", "甲 乙", "甲"], "乙在前，甲在后") == "甲 乙"
    assert held(["丙"], "乙在前，甲在后") is None
