from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nlptasks import files
from nlptasks.errors import RecordError
from nlptasks.qa import formats, row

RARE = "去𠮷野家👩\u200d🚀：ＡＢＣ cafe\u0301，𠮷野家很好"
SQUAD = {
    "version": "v1",
    "data": [
        {
            "title": "店",
            "paragraphs": [
                {
                    "context": RARE,
                    "qas": [
                        {"id": "1", "question": "去哪里", "answers": [{"text": "𠮷野家", "answer_start": 14 + 5}]},
                        {"id": "2", "question": "多少钱", "answers": [], "is_impossible": True},
                    ],
                },
                {"context": "另一段", "qas": [{"id": "3", "question": "问"}]},
            ],
        }
    ],
}


def read(path: Path) -> list[dict[str, Any]]:
    found = list(files.read_records(path, names=row.COLUMNS_ASKED, aliases=row.ALIASES, parts=row.parts))
    assert not [record.problem for record in found if record.problem]
    return [record.fields for record in found]


def written(path: Path, fields: list[dict[str, Any]], to: str) -> Path:
    lines = [line for one in fields for line in row.converted(one, to)]
    opening, end = formats.FRAMES.get(to, ("", "\n"))
    path.write_text(opening + ("\n" if to == "jsonl" else ",\n").join(lines) + end, encoding="utf-8")
    return path


@pytest.fixture
def squad(tmp_path: Path) -> list[dict[str, Any]]:
    text = json.dumps(SQUAD, ensure_ascii=False)
    start = RARE.rindex("𠮷野家")
    (tmp_path / "squad.json").write_text(text.replace("19", str(start)), encoding="utf-8")
    return read(tmp_path / "squad.json")


def test_a_squad_document_gives_its_questions(squad: list[dict[str, Any]]) -> None:
    assert [(one["id"], one["title"], one["passage"]) for one in squad] == [
        ("1", "店", RARE),
        ("2", "店", RARE),
        ("3", "店", "另一段"),
    ]


@pytest.mark.parametrize("to", row.FORMATS)
def test_what_is_written_is_read_again_as_the_same(squad: list[dict[str, Any]], tmp_path: Path, to: str) -> None:
    many: list[dict[str, Any]] = [
        *squad,
        {"question": "空", "passage": "甲乙", "answers": ["甲"], "source": {"a": 1}},
    ]
    if to != "squad":
        many.append({"id": "x", "question": "多", "passages": ["甲乙", "丙", ""], "answers": ["乙 甲", "丁", "甲"]})
    again = read(written(tmp_path / "x", many, to))
    assert len(again) == len(many)
    for one, other in zip(many, again, strict=True):
        old, new = formats.arranged(formats.named(one)), formats.arranged(formats.named(other))
        for name in ("question", "answers", "title", "source"):
            assert new.get(name) == old.get(name), name
        if one.get("answers"):
            assert row.training_rows("mlm", one) == row.training_rows("mlm", other)


def test_squad_says_where_answers_start(squad: list[dict[str, Any]]) -> None:
    (article,) = [json.loads(line) for line in row.converted(squad[0], "squad")]
    (asked,) = article["paragraphs"][0]["qas"]
    assert article["title"] == "店"
    assert asked == {
        "id": "1",
        "question": "去哪里",
        "answers": [{"text": "𠮷野家", "answer_start": RARE.rindex("𠮷野家")}],
        "is_impossible": False,
    }


@pytest.mark.parametrize("answer", ["𠮷野家", "👩\u200d🚀", "abc", "cafe\u0301，", "CAFE\u0301"])
def test_answers_start_where_they_stand_behind_rare_characters(answer: str) -> None:
    (line,) = row.converted({"question": "问", "passage": RARE, "answers": [answer]}, "squad")
    (place,) = json.loads(line)["paragraphs"][0]["qas"][0]["answers"]
    assert RARE[place["answer_start"] :].startswith(place["text"])
    assert place["text"].lower().replace("ａｂｃ", "abc") == answer.lower()


def test_squad_asks_each_of_several_passages() -> None:
    fields = {"id": "q", "question": "问", "passages": ["甲乙", "丙"], "answers": ["甲"]}
    (line,) = row.converted(fields, "squad")
    asked = [(one["context"], one["qas"][0]) for one in json.loads(line)["paragraphs"]]
    assert [(text, one["id"], one["is_impossible"]) for text, one in asked] == [
        ("甲乙", "q_0", False),
        ("丙", "q_1", True),
    ]


def test_squad_refuses_what_it_has_no_place_for() -> None:
    with pytest.raises(RecordError, match=r"no passage holds the answer '丙 甲' in one piece.*use --to webqa"):
        row.converted({"question": "问", "passage": "甲，乙，丙", "answers": ["丙 甲"]}, "squad")


def test_questions_without_answers_stay_so() -> None:
    fields = {"question": "问", "passage": "甲"}
    (line,) = row.converted(fields, "squad")
    assert set(json.loads(line)["paragraphs"][0]["qas"][0]) == {"id", "question"}
    (line,) = row.converted(fields, "webqa")
    assert json.loads(line)["passages"] == [{"passage": "甲"}]
    (line,) = row.converted(fields, "jsonl")
    assert json.loads(line) == fields


def test_webqa_gives_each_passage_the_answer_it_holds() -> None:
    fields = {"id": "q", "question": "问", "passages": ["甲乙", "丙"], "answers": ["甲"], "more": 1}
    (line,) = row.converted(fields, "webqa")
    assert json.loads(line) == {
        "id": "q",
        "question": "问",
        "passages": [{"passage": "甲乙", "answer": "甲"}, {"passage": "丙", "answer": ""}],
        "more": 1,
    }
    (line,) = row.converted({**fields, "answers": ["甲", "乙"]}, "webqa")
    assert json.loads(line)["answers"] == ["甲", "乙"]


def test_a_question_without_a_name_is_given_one_that_stays() -> None:
    fields = {"question": "问", "passage": "甲", "answers": []}
    names = [json.loads(row.converted(one, "webqa")[0])["id"] for one in (fields, fields, {**fields, "passage": "乙"})]
    assert names[0] == names[1] != names[2]
    assert len(names[0]) == 16


@pytest.mark.parametrize(
    ("fields", "answers"),
    [
        ({"answers": "甲"}, ["甲"]),
        ({"answers": ["甲", "甲", "", None, "no_answer"]}, ["甲"]),
        ({"answers": [{"text": "甲", "answer_start": 0}]}, ["甲"]),
        ({"answers": {"text": ["甲", "乙"], "answer_start": [0, 1]}}, ["甲", "乙"]),
        ({"answers": '["甲"]'}, ["甲"]),
        ({"answers": "[甲"}, ["[甲"]),
        ({"answers": ["甲"], "is_impossible": True}, []),
        ({"answers": 5}, 5),
        ({"passages": [{"passage": "x", "answer": "甲"}, {"context": "y"}, "z"]}, ["甲"]),
        ({"passages": [{"passage": "x", "answer": ""}]}, []),
        ({}, None),
    ],
)
def test_answers_come_in_many_forms(fields: dict[str, Any], answers: object) -> None:
    assert formats.arranged(fields).get("answers") == answers


def test_passages_come_as_texts_and_objects() -> None:
    fields = {"passages": [{"passage": "x"}, {"context": "y"}, "z", {"other": 1}, 5]}
    assert formats.arranged(fields)["passages"] == ["x", "y", "z", {"other": 1}, 5]
    assert formats.arranged({"passages": "x"}) == {"passages": ["x"]}
    assert formats.arranged({"passages": '["x", "y"]'}) == {"passages": ["x", "y"]}
    assert formats.arranged({"passage": "[1, 2]"}) == {"passage": "[1, 2]"}
    assert formats.arranged({"passage": ["x", {"text": "y"}], "passages": "z"}) == {"passages": ["x", "y", "z"]}


@pytest.mark.parametrize("name", ["paragraphs", "qas"])
def test_an_article_in_a_line_is_refused(name: str) -> None:
    with pytest.raises(RecordError, match=f"found a SQuAD article \\(field '{name}'\\).*jq -s"):
        formats.arranged({"title": "x", name: []})


def test_a_document_in_a_line_is_refused() -> None:
    with pytest.raises(RecordError, match=r"found a SQuAD document \(field 'data'\).*a file of its own"):
        formats.arranged({"data": []})


@pytest.mark.parametrize(
    ("fields", "starts"),
    [
        ({"answers": [{"text": "甲", "answer_start": 3}, {"text": "甲", "answer_start": 5}]}, {"甲": 3}),
        ({"answers": {"text": ["甲"], "answer_start": [3]}}, {"甲": 3}),
        ({"answers": {"text": "甲"}}, {}),
        ({"answers": ["甲", "乙"], "starts": [3, None]}, {"甲": 3}),
        ({"answers": ["甲"]}, {}),
        ({"answers": [{"text": 5, "answer_start": 3}, {"text": "甲", "answer_start": True}]}, {}),
        ({"answers": "甲"}, {}),
    ],
)
def test_starts_are_taken_where_they_are_told(fields: dict[str, Any], starts: dict[str, int]) -> None:
    assert formats.starts_of(fields) == starts


def test_nothing_in_a_document_is_passed_over() -> None:
    item = {"paragraphs": [{"context_text": "甲", "qas": [{"query_text": "问", "answers": ["甲"]}, 5]}, 7]}
    found = formats.parts(item)
    assert found == [{"passage": "甲", "query_text": "问", "answers": ["甲"]}, {"passage": "甲"}, {}]
    assert row.training_rows("mlm", found[0])[0]["answer"] == "甲"
