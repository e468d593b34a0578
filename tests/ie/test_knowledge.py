from __future__ import annotations

from pathlib import Path

import pytest

from nlptasks.errors import InputError, UsageError
from nlptasks.files import Record
from nlptasks.ie import knowledge
from nlptasks.ie.labels import Labels
from nlptasks.ie.row import Labelling, labelled, training_rows

LABELS = Labels({"作者": ("", ""), "导演": ("", "")}, [])


def row(text: str, *triples: tuple[str, str, str]) -> dict[str, object]:
    return training_rows("dgcnn", {"text": text, "triples": [list(one) for one in triples]})[0]


def test_what_only_the_row_itself_says_is_not_known_of_it() -> None:
    first, second = row("甲写乙", ("乙", "作者", "甲")), row("乙是甲的书", ("乙", "作者", "甲"))
    alone = row("丙拍丁", ("丁", "导演", "丙"))
    known = knowledge.learnt([first, second, alone])
    assert known.triples("甲写乙", LABELS, without=first) == [(0, (2, 3), (0, 1))]
    assert known.triples("丙拍丁", LABELS, without=alone) == []
    assert known.triples("丙拍丁", LABELS) == [(1, (2, 3), (0, 1))]
    assert known.triples("丙拍丁", Labels({"作者": ("", "")}, [])) == []


def test_knowledge_survives_being_written() -> None:
    known = knowledge.learnt([row("ＡＢ写cd", ("cd", "作者", "ＡＢ"))])
    again = knowledge.Known.of_text(known.as_text())
    assert again.triples("AB写CD", LABELS) == [(0, (3, 5), (0, 2))]


def test_a_file_of_triples_is_read(tmp_path: Path) -> None:
    path = tmp_path / "known.tsv"
    path.write_text("乙\t作者\t甲\n丁\t导演\t丙\n", encoding="utf-8")
    known = knowledge.read(str(path))
    assert {said for said, _, _ in known.said("甲写乙，丙")} == {("乙", "作者", "甲")}


@pytest.mark.parametrize(
    ("text", "problem"), [("", "no triples"), ("甲\t乙\n", "expected subject TAB"), ("甲\t \t乙\n", "known.tsv:1")]
)
def test_a_file_without_triples_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "known.tsv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=problem):
        knowledge.read(str(path))


def test_texts_are_labelled_with_what_they_mention(tmp_path: Path) -> None:
    path = tmp_path / "known.tsv"
    path.write_text("乙\t作者\t甲\n", encoding="utf-8")
    records = [
        Record("f", 1, {"text": "甲写乙，甲", "id": 3}),
        Record("f", 2, {"text": "无"}),
        Record("f", 3, {}, "bad"),
    ]
    found = list(labelled(records, Labelling(knowledge=str(path))))
    assert found[0].fields == {
        "text": "甲写乙，甲",
        "id": 3,
        "triples": [{"subject": "乙", "predicate": "作者", "object": "甲"}],
    }
    assert [one.line for one in found] == [1, 3]
    every = list(labelled(records, Labelling(knowledge=str(path), keep_empty=True)))
    assert every[1].fields == {"text": "无", "triples": []}


def test_labelling_needs_knowledge() -> None:
    with pytest.raises(UsageError, match="nothing to label with"):
        Labelling()
