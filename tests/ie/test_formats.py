from __future__ import annotations

import json
from typing import Any

import pytest

from nlptasks import rows
from nlptasks.errors import RecordError
from nlptasks.ie import formats, tags, written
from nlptasks.ie.mentions import Entity, Triple
from nlptasks.ie.row import Row, Scored, converted, fitting, flaw, training_rows, traits

TEXT = "《雾江》是林知远写的，林知远生于南川"
DUIE = {
    "text": TEXT,
    "spo_list": [
        {"subject": "雾江", "predicate": "作者", "object": "林知远", "subject_type": "图书", "object_type": "人物"}
    ],
}
DUIE2 = {
    "text": TEXT,
    "spo_list": [
        {
            "subject": "雾江",
            "predicate": "作者",
            "object": {"@value": "林知远", "inWork": "南川"},
            "subject_type": "图书",
            "object_type": {"@value": "人物", "inWork": "图书"},
        }
    ],
}
DOCCANO = {"text": TEXT, "label": [[1, 3, "图书"], [5, 8, "人物"]]}
RELATIONS = {
    "text": TEXT,
    "entities": [
        {"id": 7, "start_offset": 1, "end_offset": 3, "label": "图书"},
        {"id": 9, "start_offset": 5, "end_offset": 8, "label": "人物"},
    ],
    "relations": [{"id": 0, "from_id": 7, "to_id": 9, "type": "作者"}],
}


@pytest.mark.parametrize("fields", [DUIE, RELATIONS, {"text": TEXT, "triples": [["雾江", "作者", "林知远"]]}])
def test_every_form_says_the_same_triple(fields: dict[str, Any]) -> None:
    document = formats.read(fields)
    assert [one.key for one in document.triples or ()] == [("雾江", "作者", "林知远")]


def test_slots_beside_the_main_value_are_triples_of_it() -> None:
    document = formats.read(DUIE2)
    assert document.triples == [
        Triple(Entity("雾江", "图书"), "作者", Entity("林知远", "人物")),
        Triple(Entity("林知远", "人物"), "作者@inWork", Entity("南川", "图书")),
    ]
    assert traits(DUIE2)["slots"] == 1
    assert traits(DUIE)["slots"] == 0
    (lesson,) = training_rows("gplinker", DUIE2)
    assert set(lesson["predicates"]) == {"作者", "作者@inWork"}


def test_an_object_beside_its_whole_is_read_with_its_slots() -> None:
    full = {"@value": "林知远", "inWork": "南川", "onDate": ""}
    fields = {"text": TEXT, "spo_list": [{**DUIE["spo_list"][0], "object_full": full}]}  # type: ignore[dict-item]
    assert [one.key for one in formats.read(fields).triples or ()][1:] == [("林知远", "作者@inWork", "南川")]


def test_slots_go_back_into_their_objects() -> None:
    def of(value: str, **slots: str) -> dict[str, Any]:
        types = {"@value": "人物", **dict.fromkeys(slots, "图书")}
        object = {"@value": value, **slots}
        return {
            "subject": "雾江",
            "predicate": "作者",
            "object": object,
            "subject_type": "图书",
            "object_type": types,
        }

    every = [of("林知远", inWork="雾江"), of("林知远", inWork="南川"), of("南川")]
    (line,) = converted({"text": TEXT, "spo_list": every}, "duie2")
    assert json.loads(line)["spo_list"] == every
    alone = {"text": TEXT, "triples": [["林知远", "作者@inWork", "南川"], ["雾江", "作者", "南川"]]}
    (line,) = converted(alone, "duie2")
    assert [one["predicate"] for one in json.loads(line)["spo_list"]] == ["作者@inWork", "作者"]


def test_a_triple_is_taught_in_every_place() -> None:
    (lesson,) = training_rows("gplinker", DUIE)
    assert lesson["subjects"] == [[1, 3], [1, 3]]
    assert sorted(lesson["objects"]) == [[5, 8], [11, 14]]
    assert lesson["dropped"] == []
    assert traits(DUIE)["triples_in_several_places"] == 1


def test_places_that_are_told_are_the_only_ones() -> None:
    (lesson,) = training_rows("gplinker", RELATIONS)
    assert (lesson["subjects"], lesson["objects"]) == ([[1, 3]], [[5, 8]])


def test_a_triple_whose_end_is_not_in_the_text_is_dropped_and_told() -> None:
    fields = {"text": TEXT, "triples": [["雾江", "作者", "无名"], ["雾江", "作者", "林知远"]]}
    (lesson,) = training_rows("casrel", fields)
    assert lesson["dropped"] == ["雾江 | 作者 | 无名"]
    assert set(lesson["predicates"]) == {"作者"}
    assert traits(fields)["triples_not_in_text"] == 1


def test_width_and_case_do_not_hide_a_mention() -> None:
    (lesson,) = training_rows("gplinker", {"text": "ＡＢＣ公司的app", "triples": [["abc公司", "产品", "APP"]]})
    assert (lesson["subjects"], lesson["objects"]) == ([[0, 5]], [[6, 9]])


def test_an_empty_list_is_not_a_missing_one() -> None:
    (lesson,) = training_rows("gplinker", {"text": TEXT, "spo_list": []})
    assert lesson["predicates"] == []
    assert traits({"text": TEXT, "spo_list": []})["without_triples"] == 1
    with pytest.raises(RecordError, match="no triples, which gplinker learns from"):
        training_rows("gplinker", DOCCANO)
    with pytest.raises(RecordError, match="neither triples nor entities"):
        training_rows("globalpointer", {"text": TEXT})


def test_doccano_and_bio_are_read_as_entities() -> None:
    assert formats.read(DOCCANO).entities == [Entity("雾江", "图书", 1, 3), Entity("林知远", "人物", 5, 8)]
    tags = {"tokens": list("林知远在南川"), "tags": ["B-人物", "I-人物", "I-人物", "O", "B-地点", "I-地点"]}
    document = formats.read(tags)
    assert document.text == "林知远在南川"
    assert document.entities == [Entity("林知远", "人物", 0, 3), Entity("南川", "地点", 4, 6)]
    assert document.mended == 0


@pytest.mark.parametrize(
    ("tags", "found", "mended"),
    [
        ("O I-X I-X", [(1, 3)], 1),
        ("B-X I-Y O", [(0, 1), (1, 2)], 1),
        ("B-X B-X I-X", [(0, 1), (1, 3)], 0),
        ("B-X M-X E-X", [(0, 3)], 0),
        ("S-X I-X O", [(0, 1), (1, 2)], 1),
        ("B-X E-X I-X", [(0, 2), (2, 3)], 1),
    ],
)
def test_a_tag_that_does_not_follow_begins_an_entity(tags: str, found: list[tuple[int, int]], mended: int) -> None:
    document = formats.read({"tokens": list("甲乙丙"), "tags": tags.split()})
    assert [one.place for one in document.entities or ()] == found
    assert document.mended == mended


def test_words_in_latin_letters_are_joined_by_a_space() -> None:
    text, places = tags.joined(["New", "York", "的", "A", "I", "2024"])
    assert text == "New York的AI 2024"
    assert [text[slice(*place)] for place in places] == ["New", "York", "的", "A", "I", "2024"]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"triples": []}, "field 'text' is missing"),
        ({"text": "a", "triples": "x"}, "expected a list"),
        ({"text": "a", "triples": [3]}, "expected subject, predicate and object"),
        ({"text": "a", "triples": [["a", "", "a"]]}, "no predicate"),
        ({"text": "a", "triples": [["", "p", "a"]]}, "no subject"),
        ({"text": "a", "entities": [3]}, "expected text, type, start and end"),
        ({"text": "a", "entities": [{"type": "X"}]}, "neither text nor place"),
        ({"text": "a", "label": [[0, 2, "X"]]}, "expected a place within"),
        ({"text": "ab", "entities": [["b", "X", 0, 1]]}, "not 'b'; mend the place"),
        ({"text": "ab", "entities": [], "relations": [{"from_id": 1}]}, "from_id and to_id"),
        ({"tokens": ["a"], "tags": []}, "expected one for each"),
    ],
)
def test_what_cannot_be_read_is_told(fields: dict[str, Any], problem: str) -> None:
    if fields.get("tags") == []:
        fields = {"tokens": ["a", "b"], "tags": ["O"]}
    with pytest.raises(RecordError, match=problem):
        formats.read(fields)


@pytest.mark.parametrize("to", ["jsonl", "duie", "duie2", "doccano"])
def test_what_is_written_reads_the_same(to: str) -> None:
    (line,) = converted({**DUIE, "source": "s"}, to)
    made = json.loads(line)
    assert made["source"] == "s"
    assert [one.key for one in formats.read(made).triples or ()] == [("雾江", "作者", "林知远")]


def test_bio_is_written_a_character_a_line() -> None:
    lines = converted({"text": "林知远在", "label": [[0, 3, "人物"]]}, "bio")
    assert lines == ["林\tB-人物", "知\tI-人物", "远\tI-人物", "在\tO", ""]
    with pytest.raises(RecordError, match="overlaps another"):
        converted({"text": "林知远", "label": [[0, 3, "人物"], [1, 2, "字"]]}, "bio")


def test_doccano_without_triples_has_labels() -> None:
    (line,) = written.lines(DOCCANO, "doccano")
    assert '"label": [[1, 3, "图书"], [5, 8, "人物"]]' in line


def test_a_row_has_what_any_form_says() -> None:
    row = rows.parse(Row, DUIE)
    assert row.triples == [["雾江", "作者", "林知远"]]
    assert row.entities is not None
    assert ["林知远", "人物", "11", "14"] in row.entities
    again = rows.parse(Row, {"text": row.text, "triples": row.triples, "entities": row.entities})
    assert again == row
    with pytest.raises(RecordError, match="only blanks"):
        rows.parse(Row, {"text": "  "})
    with pytest.raises(RecordError, match="training and scoring need one of them"):
        rows.parse(Scored, {"text": TEXT})


def test_check_says_what_a_record_is_fit_for() -> None:
    assert fitting(DOCCANO, None) == ["globalpointer", "eval"]
    assert "gplinker" in fitting(DUIE, None)
    assert fitting(DUIE, "casrel") == ["casrel"]
    assert flaw("gplinker", [{"predicates": []}]) == (
        "no record has a triple that stands in its text, so there is nothing to learn"
    )
    assert flaw("gplinker", [{"predicates": ["p"]}]) is None
    assert flaw("globalpointer", []) is None


def test_one_end_that_has_a_place_is_joined_with_the_other_where_it_stands() -> None:
    text = "甲在乙，甲去过乙"
    row = {
        "text": text,
        "triples": [{"subject": {"text": "甲", "start": 4, "end": 5}, "predicate": "在", "object": "乙"}],
    }
    [lesson] = training_rows("gplinker", row)
    assert lesson["subjects"] == [[4, 5], [4, 5]]
    assert lesson["objects"] == [[2, 3], [7, 8]]


def test_an_end_gets_a_place_only_where_there_is_no_other() -> None:
    text = "李白说杜甫好，李白写《静夜思》"
    triples = [["李白", "作品", "静夜思"]]
    [line] = converted({"text": text, "triples": triples}, "jsonl")
    assert json.loads(line)["triples"][0]["subject"] == {"text": "李白"}
    assert json.loads(line)["triples"][0]["object"] == {"text": "静夜思", "start": 11, "end": 14}
    [line] = converted({"text": text, "triples": triples}, "doccano")
    made = json.loads(line)
    starts = {one["id"]: one["start_offset"] for one in made["entities"]}
    assert [starts[made["relations"][0][name]] for name in ("from_id", "to_id")] == [7, 11]


def test_no_relations_is_not_the_same_as_none_known() -> None:
    [line] = converted({"text": "甲", "triples": []}, "doccano")
    assert formats.read(json.loads(line)).triples == []
    with pytest.raises(RecordError, match="no triples, and DuIE has nothing else"):
        converted({"text": "甲", "entities": [[0, 1, "A"]]}, "duie")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"text": "甲\n乙", "entities": [[0, 1, "A"]]}, "a text of several lines"),
        ({"text": "甲", "entities": [[0, 1, "A B"]]}, "the type 'A B' has a blank"),
    ],
)
def test_what_bio_cannot_say_is_refused(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(RecordError, match=problem):
        converted(fields, "bio")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"tokens": ["甲"], "tags": 5}, "field 'tags': found '5', expected a list"),
        ({"tokens": ["甲"], "tags": [1]}, "found the tag '1', expected O"),
        ({"tokens": ["甲", "乙"], "tags": ["o", "O"]}, "found the tag 'o', expected O"),
        ({"tokens": ["甲"], "tags": ["X-9"]}, "found the tag 'X-9'"),
        ({"text": "甲", "entities": [{"start": 0, "end": 1, "type": ["A"]}]}, "an entity's type is"),
        ({"text": "甲", "entities": [[0, 1, "A"]], "relations": [{"from_id": 0}]}, "a relation is"),
    ],
)
def test_what_has_the_wrong_kind_of_value_is_told(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(RecordError, match=problem):
        formats.read(fields)


def test_tags_without_types_and_tokens_without_tags() -> None:
    found = formats.read({"tokens": list("甲乙丙"), "ner_tags": ["I", "I", "B"]})
    assert [(one.start, one.end, one.type) for one in found.entities or ()] == [(0, 2, "ENTITY"), (2, 3, "ENTITY")]
    assert found.mended == 1
    assert formats.read({"tokens": list("甲乙")}).entities is None


def test_a_class_of_another_collection_is_no_list_of_entities_and_text_goes_before_its_other_names() -> None:
    assert formats.read({"text": "甲", "label": "1"}).entities is None
    assert formats.read({"text": "甲", "data": "2020年", "sentence": "乙"}).text == "甲"
