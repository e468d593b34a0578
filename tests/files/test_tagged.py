from __future__ import annotations

from pathlib import Path

import pytest

from nlptasks import files

NAMES = ("text", "tags")


def read(path: Path, text: str, **options: object) -> list[files.Record]:
    path.write_text(text, encoding="utf-8")
    return list(files.read_records(path, names=NAMES, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["ner.txt", "ner.bio", "ner"])
def test_sentences_are_read_with_the_line_they_start_in(tmp_path: Path, name: str) -> None:
    found = read(tmp_path / name, "海\tO\n钓\tB-X\n\n\n厦\tB-LOC\n门\tI-LOC\n")
    assert [(one.line, one.fields, one.problem) for one in found] == [
        (1, {"tokens": ["海", "钓"], "tags": ["O", "B-X"]}, None),
        (5, {"tokens": ["厦", "门"], "tags": ["B-LOC", "I-LOC"]}, None),
    ]


def test_a_wrong_line_spoils_its_sentence_and_is_named(tmp_path: Path) -> None:
    found = read(tmp_path / "ner.bio", "海\tO\n钓 钓 钓\n\n厦\tS-LOC\n")
    assert found[0].line == 2
    assert found[0].problem is not None
    assert "expected a token, a tab, and a tag" in found[0].problem
    assert found[1].problem is None


def test_a_tab_or_nothing_is_a_space_and_columns_between_are_passed_over(tmp_path: Path) -> None:
    (found,) = read(tmp_path / "ner.bio", "海\tn\tO\n\tO\n\t\tO\n门 B-LOC\n")
    assert found.fields == {"tokens": ["海", " ", " ", "门"], "tags": ["O", "O", "O", "B-LOC"]}


@pytest.mark.parametrize("text", ["他 喜欢 B-52\n", "没有标签\n", "O\n"])
def test_plain_text_stays_plain_text(tmp_path: Path, text: str) -> None:
    (found,) = read(tmp_path / "a.txt", text)
    assert found.fields == {"text": text.strip()}


def test_a_caller_that_knows_no_tags_reads_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("海\tO\n", encoding="utf-8")
    (found,) = files.read_records(path)
    assert found.fields == {"text": "海\tO"}
    (found,) = files.read_records(path, format="bio")
    assert found.fields == {"tokens": ["海"], "tags": ["O"]}
