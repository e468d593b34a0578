from __future__ import annotations

from typing import Any

import pytest

from nlptasks.backbone import weights
from nlptasks.backbone.text import Text
from nlptasks.errors import UsageError
from nlptasks.qa.examples import Encoder, Limits
from nlptasks.qa.row import Row, training_rows

LIMITS = Limits(passage=20, overlap=5, question=8, answer=4)
RARE = "😀 Ａ\u0301𠮷野家cafe\u0301。"


@pytest.fixture(scope="module")
def text() -> Text:
    return weights.load().text


@pytest.fixture(scope="module")
def letters(text: Text) -> str:
    """Give 60 different characters that are a token each."""
    return "".join(sorted(one for one in text.tokenizer.get_vocab() if "\u4e00" <= one <= "\u9fff")[:60])


@pytest.fixture
def encoder(text: Text) -> Encoder:
    return Encoder(text, LIMITS)


def ids(text: Text, *texts: str) -> list[list[int]]:
    return [one.ids for one in text.tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def lessons(encoder: Encoder, passage: str, answers: list[Any], question: str = "问") -> Any:  # noqa: ANN401
    return encoder.lessons(training_rows("mlm", {"question": question, "passage": passage, "answers": answers}))


def test_a_row_gives_the_windows_of_its_passages_by_number(encoder: Encoder, text: Text) -> None:
    long = "一二三四五六七八九十" * 4
    (example,) = encoder.read([Row("问什么", long, ["", "甲乙"])])
    assert example.question == ids(text, "问什么")[0]
    assert [(number, part.first) for number, part in example.windows] == [(0, 0), (0, 15), (0, 20), (2, 0)]
    assert all(len(part.ids) == 20 for number, part in example.windows if number == 0)
    assert example.windows[-1][1].ids == ids(text, "甲乙")[0]
    assert example.texts == [long, "", "甲乙"]
    assert encoder.counts == {"passages": 3, "windowed": 1, "answers": 0}


def test_a_passage_without_a_token_is_left_out(encoder: Encoder) -> None:
    (example,) = encoder.read([Row("问", "甲", ["\u200b\u200b"])])
    assert [number for number, _ in example.windows] == [0]


def test_a_long_question_is_cut(encoder: Encoder, text: Text) -> None:
    (example,) = encoder.read([Row("一二三四五六七八九十", "甲")])
    assert example.question == ids(text, "一二三四五六七八")[0]


def test_rows_come_back_in_order(encoder: Encoder) -> None:
    rows = [Row("一", "甲", ["乙"]), Row("二", "丙"), Row("三", "丁" * 30)]
    assert [example.texts for example in encoder.read(rows)] == [["甲", "乙"], ["丙"], ["丁" * 30]]


def test_an_answer_is_taught_as_the_tokens_of_the_passage(encoder: Encoder, text: Text) -> None:
    (lesson,) = lessons(encoder, RARE, ["𠮷野家CAFE\u0301"])
    (whole,) = ids(text, RARE)
    assert lesson.passage == whole
    start = next(at for at in range(len(whole)) if whole[at : at + len(lesson.answer)] == lesson.answer)
    assert text.tokenizer.decode(lesson.answer) != ""
    assert 0 < start < len(whole) - len(lesson.answer)
    assert len(lesson.answer) >= 4


def test_a_long_passage_teaches_the_window_with_the_answer_and_one_without(
    encoder: Encoder, text: Text, letters: str
) -> None:
    passage = letters[:50]
    first, second = lessons(encoder, passage, [passage[40:42]])
    assert first.answer == ids(text, passage[40:42])[0]
    assert first.passage == ids(text, passage[30:50])[0]
    assert second.answer == []
    assert set(first.answer).isdisjoint(second.passage)
    assert lessons(encoder, passage, [passage[40:42]]) == [first, second]


def test_the_start_decides_between_two_places(encoder: Encoder, text: Text, letters: str) -> None:
    passage = letters[:45] + letters[2]
    first, _ = lessons(encoder, passage, [{"text": passage[2], "answer_start": 45}])
    assert first.passage == ids(text, passage[26:])[0]
    first, _ = lessons(encoder, passage, [passage[2]])
    assert first.passage == ids(text, passage[:20])[0]


def test_an_answer_longer_than_a_window_is_taught_by_the_window_that_begins_with_it(
    encoder: Encoder, text: Text, letters: str
) -> None:
    passage = letters
    first, *_ = lessons(encoder, passage, [passage[7:40]])
    assert first.passage == ids(text, passage[7:27])[0]
    assert first.answer == ids(text, passage[7:40])[0]
    assert encoder.counts["answers"] == 1


def test_no_answer_is_taught_by_one_window_always_the_same(encoder: Encoder, letters: str) -> None:
    passage = letters
    found = [lessons(encoder, passage, [], question) for question in ("一", "二", "三", "四", "五", "六")]
    assert all(len(some) == 1 and some[0].answer == [] for some in found)
    assert len({tuple(some[0].passage) for some in found}) > 1
    assert lessons(encoder, passage, [], "一") == found[0]


def test_an_answer_in_parts_is_taught_with_commas_where_all_of_them_are(
    encoder: Encoder, text: Text, letters: str
) -> None:
    answer = f"{letters[30]} {letters[17]}"
    (lesson,) = lessons(encoder, letters, [answer])
    assert lesson.answer == ids(text, answer.replace(" ", ","))[0]
    assert lesson.passage == ids(text, letters[15:35])[0]
    (lesson,) = lessons(encoder, letters, [f"{letters[0]} {letters[59]}"])
    assert lesson.answer == []


def test_limits_are_what_asking_says_else_what_training_said() -> None:
    trained = {"passage_limit": 100, "overlap": 20, "question_limit": 30, "answer_limit": 10}
    assert Limits.of(trained) == Limits(passage=100, overlap=20, question=30, answer=10)
    asked = {"passage_limit": 50, "overlap": None, "answer_limit": None, "beam": 4}
    assert Limits.of(trained, asked) == Limits(passage=50, overlap=20, question=30, answer=10)
    with pytest.raises(UsageError, match="--overlap 20: expected at most half of the 39 tokens read at once"):
        Limits.of(trained, {"passage_limit": 39})


def test_more_than_the_model_reads_is_refused() -> None:
    LIMITS.check(20 + 8 + 4 + 3)
    with pytest.raises(UsageError, match="of 20, 8 and 4 tokens need 35 positions, the model has 34; lower"):
        LIMITS.check(34)
