from __future__ import annotations

from typing import Any

import pytest

from nlptasks import rows
from nlptasks.errors import RecordError, UsageError
from nlptasks.qa import row
from nlptasks.qa.row import Lesson, Options, Row, Scored, Settings

GOOD = {"question": "问", "passage": "甲乙"}


@pytest.mark.parametrize("kind", [Row, Scored])
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"question": " \t", "passage": "甲"}, "field 'question': found only blanks, expected a question"),
        ({"question": "", "passage": "甲"}, "field 'question': found \"\", expected text that is not empty"),
        ({"question": "问"}, "no text to answer from: expected a passage that is not blank"),
        ({"question": "问", "passage": " ", "passages": ["", "\n"]}, "no text to answer from"),
        ({"question": "问", "passages": []}, "no text to answer from"),
        ({"question": "问", "passages": [{"other": 1}]}, "field 'passages': item 1: found an object with 1 key"),
        ({"question": "问", "passages": 5}, "field 'passages': found 5, expected a list"),
        ({"question": "问\ud800", "passage": "甲"}, "field 'question': found half a character"),
    ],
)
def test_what_cannot_be_asked_is_refused(kind: type, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(RecordError, match=said):
        rows.parse(kind, {**fields, "answers": []})


@pytest.mark.parametrize("kind", [Row, Scored])
def test_passages_stand_in_the_order_by_which_answers_number_them(kind: Any) -> None:  # noqa: ANN401
    given = {"question": "问", "passage": "一", "passages": ["", "二"], "answers": []}
    assert rows.parse(kind, given).texts == ["一", "", "二"]


def test_a_passage_teaches_the_first_answer_that_it_holds_in_one_piece() -> None:
    fields = {**GOOD, "passages": ["乙丙ＡＢＣ", " ", "丁，甲", "没有"], "answers": ["甲 丁", "abc", "乙"]}
    assert row.training_rows("seq2seq", fields) == [
        {"question": "问", "passage": "甲乙", "answer": "乙", "start": 1},
        {"question": "问", "passage": "乙丙ＡＢＣ", "answer": "ＡＢＣ", "start": 2},
        {"question": "问", "passage": "丁，甲", "answer": "甲,丁", "start": None},
        {"question": "问", "passage": "没有", "answer": "", "start": None},
    ]


def test_where_squad_says_that_an_answer_starts_it_does() -> None:
    fields = {"question": "问", "passage": "甲乙甲", "answers": [{"text": "甲", "answer_start": 2}]}
    assert row.training_rows("mlm", fields)[0]["start"] == 2
    fields["answers"] = [{"text": "甲", "answer_start": 1}]
    assert row.training_rows("mlm", fields)[0]["start"] == 0


def test_no_answer_teaches_silence() -> None:
    assert row.training_rows("mlm", {**GOOD, "answers": []}) == [
        {"question": "问", "passage": "甲乙", "answer": "", "start": None}
    ]
    assert row.lesson("问", "甲", [], {}) == Lesson("问", "甲")


def test_an_answer_that_no_passage_holds_teaches_nothing_but_can_be_scored_on() -> None:
    fields = {**GOOD, "answers": ["丙"]}
    with pytest.raises(RecordError, match=r"no passage holds the answer '丙'; mend it, or give answers: \[\] for none"):
        row.training_rows("mlm", fields)
    with pytest.raises(RecordError, match="no passage holds the answer"):
        row.fitting(fields, "mlm")
    assert row.fitting(fields, None) == ["eval"]
    assert row.traits(fields)["answer_in_no_passage"] == 1


def test_fitting() -> None:
    assert row.fitting({**GOOD, "answers": ["甲"]}, None) == ["seq2seq", "mlm", "eval"]
    assert row.fitting({**GOOD, "answers": ["甲"]}, "mlm") == ["mlm"]
    with pytest.raises(RecordError, match="field 'answers' is missing"):
        row.fitting(GOOD, None)


def test_traits() -> None:
    fields = {"question": "问", "passages": ["甲" * 321, " ", "乙" * 320], "answers": ["甲" * 65]}
    assert row.traits(fields) == {
        "passages": 2,
        "long_passages": 1,
        "several_passages": 1,
        "long_answers": 1,
        "starts_elsewhere": 0,
        "no_answer": 0,
        "answer_in_no_passage": 0,
    }
    squad = {"question": "问", "passage": "甲乙", "answers": {"text": ["乙"], "answer_start": [0]}}
    assert row.traits(squad)["starts_elsewhere"] == 1
    assert row.traits({**squad, "answers": {"text": ["乙"], "answer_start": [1]}})["starts_elsewhere"] == 0
    assert row.traits({**GOOD, "answers": []})["no_answer"] == 1


def test_rows_that_teach_only_silence_are_told() -> None:
    silent, said = {"answer": ""}, {"answer": "甲"}
    assert "no passage holds an answer" in str(row.flaw("mlm", [silent, silent]))
    assert row.flaw("mlm", [silent, said]) is None
    assert row.flaw("mlm", []) is None


@pytest.mark.parametrize("name", ["query", "query_text"])
def test_other_names_are_known(name: str) -> None:
    fields = {name: "问", "context": "甲", "answer": "甲"}
    assert row.training_rows("mlm", fields) == [{"question": "问", "passage": "甲", "answer": "甲", "start": 0}]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"beam": 0}, "--beam 0: expected 1 or more"),
        ({"top_k": 0}, "--top-k 0: expected 1 or more"),
        ({"passage_limit": 7}, "--passage-limit 7: expected 8 or more"),
        ({"abstain": 1.5}, "--abstain 1.5: expected 0 to 1"),
        ({"overlap": -1}, "--overlap -1: expected 0 or more"),
        ({"overlap": 33, "passage_limit": 64}, "--overlap 33: expected at most half of --passage-limit 64"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, int], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Options(**options)  # type: ignore[arg-type]


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(UsageError, match="--overlap 64: expected at most half of --passage-limit 100"):
        Settings(passage_limit=100)
    with pytest.raises(UsageError, match="--max-rows 1: expected 2 or more"):
        Settings(max_rows=1)
