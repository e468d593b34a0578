from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import numpy as np
import pytest

from nlptasks.errors import UsageError
from nlptasks.files import Record
from nlptasks.qa import row
from nlptasks.qa.distractors import best, words
from nlptasks.qa.settings import Mixing

TOWNS = ["北京", "上海", "广州", "成都", "武汉", "西安", "南京", "杭州"]


def records(count: int = 80) -> list[dict[str, Any]]:
    """Make questions on ten passages for each of eight towns, which are documents."""
    made = []
    for number in range(count):
        town, year = TOWNS[number % 8], 1900 + number
        passage = f"{town}的第{number}座桥建于{year}年，长{number}米。"
        fields = {"question": f"{town}的第{number}座桥建于哪年", "passage": passage, "answers": [f"{year}年"]}
        made.append({"id": str(number), "title": town, **fields})
    return made


def mixed(found: list[dict[str, Any]], **options: Any) -> list[Record]:  # noqa: ANN401
    return list(row.mixed([Record("x", at, one) for at, one in enumerate(found, 1)], Mixing(**options)))


def test_passages_of_other_documents_come_in() -> None:
    found = records()
    for before, record in zip(found, mixed(found, distractors=3), strict=True):
        after = record.fields
        assert record.problem is None
        assert "passage" not in after
        assert (after["id"], after["title"], after["answers"]) == (before["id"], before["title"], before["answers"])
        assert len(set(after["passages"])) == 4
        assert before["passage"] in after["passages"]
        assert [text for text in after["passages"] if before["title"] in text] == [before["passage"]]
        assert sum(before["answers"][0] in text for text in after["passages"]) == 1


def test_what_was_mixed_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        made = mixed(records(), distractors=3, no_answer=0.5, seed=1)
    emptied = sum(not record.fields["answers"] for record in made)
    own = {one["passage"] for one in records()}
    added = sum(len(record.fields["passages"]) for record in made) - (len(own) - emptied)
    assert emptied
    assert f"{added} passages came to {len(made)} records, of which {emptied} lost their answer" in caplog.text


def test_they_come_in_any_order() -> None:
    found = records()
    places = Counter(
        record.fields["passages"].index(before["passage"])
        for before, record in zip(found, mixed(found, distractors=3), strict=True)
    )
    assert set(places) == {0, 1, 2, 3}
    assert max(places.values()) < 40


def test_the_seed_decides() -> None:
    found = records()
    options = {"distractors": 2, "no_answer": 0.3}
    assert mixed(found, **options, seed=1) == mixed(found, **options, seed=1)
    assert mixed(found, **options, seed=1) != mixed(found, **options, seed=2)


def test_some_records_lose_their_answer_and_their_number_of_passages_tells_nothing() -> None:
    found = records()
    after = [record.fields for record in mixed(found, distractors=3, no_answer=0.25)]
    without = [one for one in after if not one["answers"]]
    assert 8 < len(without) < 32
    assert {len(one["passages"]) for one in after} == {4}
    for before, one in zip(found, after, strict=True):
        held = any(before["answers"][0] in text for text in one["passages"])
        assert held == bool(one["answers"])
    rows = [made for one in after for made in row.training_rows("mlm", one)]
    assert sum(bool(made["answer"]) for made in rows) == len(after) - len(without)


def test_the_best_passage_is_the_one_most_like_the_question() -> None:
    found = [
        {"question": "红色的桥在哪里", "passage": "桥在东边", "answers": ["东边"]},
        {"question": "几点开门", "passage": "红色的桥很长", "answers": []},
        {"question": "几点关门", "passage": "桥在哪里都有", "answers": []},
        {"question": "谁来", "passage": "没有一样的", "answers": []},
    ]
    first = mixed(found, distractors=1)[0].fields["passages"]
    assert set(first) == {"桥在东边", "红色的桥很长"}
    assert len(mixed(found, distractors=9)[0].fields["passages"]) == 3


def test_passages_without_a_title_are_documents_of_their_own_and_each_is_there_once() -> None:
    found: list[dict[str, Any]] = [
        {"question": "桥在哪", "passage": text, "answers": []} for text in ("桥在东", "桥在西", "桥在西")
    ]
    assert sorted(mixed(found, distractors=5)[0].fields["passages"]) == ["桥在东", "桥在西"]


def test_the_other_passages_of_a_record_stay_where_it_loses_the_answer() -> None:
    found = [
        {"question": "这座桥多长", "passages": ["这座桥长八米", "这座桥很旧"], "answers": ["八米"]},
        {"question": "多高", "passages": ["那座桥高九米", "这座桥高十米", ""], "answers": []},
    ]
    first = mixed(found, distractors=1, no_answer=1.0)[0].fields
    assert first["answers"] == []
    assert set(first["passages"]) == {"这座桥很旧", "那座桥高九米", "这座桥高十米"}


def test_a_record_that_no_other_passage_is_like_keeps_its_own() -> None:
    found = [
        {"question": "甲乙", "passage": "甲乙丙", "answers": ["丙"]},
        {"question": "丁戊", "passage": "丁戊己", "answers": ["己"]},
        {"question": "？！", "passage": "……", "answers": []},
    ]
    assert [record.fields["passages"] for record in mixed(found, distractors=2, no_answer=1.0)] == [
        ["甲乙丙"],
        ["丁戊己"],
        ["……"],
    ]


def test_a_file_without_words_is_mixed() -> None:
    assert [
        record.fields["passages"]
        for record in mixed([{"question": "？", "passage": "！", "answers": []}], distractors=1)
    ] == [["！"]]


def test_what_other_forms_say_of_answers_is_kept() -> None:
    found = [
        {
            "question": "桥",
            "context": "桥长八米",
            "answers": [{"text": "八米", "answer_start": 2}],
            "is_impossible": False,
        },
        {"question": "桥", "passages": [{"passage": "桥高九米", "answer": "九米"}], "more": 1},
        {"question": "桥", "passage": "桥老", "answers": [{"text": "老", "answer_start": 1}], "is_impossible": True},
    ]
    first, second, third = (record.fields for record in mixed(found, distractors=1))
    assert (first["answers"], first["starts"]) == (["八米"], [2])
    assert second["answers"] == ["九米"]
    assert second["more"] == 1
    assert third["answers"] == []
    assert not {"passage", "context", "is_impossible"} & {*first, *second, *third}


def test_records_that_cannot_be_used_come_back_with_their_problem() -> None:
    bad = [Record("x", 1, {}, "blank line"), Record("x", 2, {"question": "问", "passage": "甲"})]
    found = list(row.mixed(bad, Mixing(distractors=1)))
    assert [record.line for record in found] == [1, 2]
    assert found[0].problem == "blank line"
    assert "field 'answers' is missing" in str(found[1].problem)


def test_nothing_is_mixed_by_default() -> None:
    given = [Record("x", 1, {"anything": 1})]
    assert list(row.mixed(given, Mixing())) == given


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"distractors": -1}, "--distractors -1: expected 0 or more"),
        ({"distractors": 1, "no_answer": 1.5}, "--no-answer 1.5: expected 0 to 1"),
        ({"no_answer": 0.2}, "--no-answer 0.2: needs --distractors"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Mixing(**options)


def test_words() -> None:
    assert words("北京ＡＢＣ大学，桥 iPhone15的𠮷野家_x") == (
        ["北京", "abc", "大学", "桥", "iphone15", "的𠮷", "𠮷野", "野家", "x"]
    )


@pytest.mark.parametrize(("count", "found"), [(1, [1]), (2, [1, 0, 3]), (3, [1, 0, 3]), (9, [1, 0, 3, 2])])
def test_the_best_come_first_and_equal_ones_together(count: int, found: list[int]) -> None:
    assert best(np.array([2, 3, 1, 2, 0], np.float32), count) == found


def test_all_passages_are_reached() -> None:
    found = records(600)
    one = mixed([*found, {"question": "桥建于", "passage": "无", "answers": []}], distractors=599)[-1].fields
    assert len(one["passages"]) == 600
