"""The sample data are what their generator makes, and hold what data/README.md says."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

DATA = Path(__file__).resolve().parents[2] / "data"
QA = DATA / "qa"
FILES = ("train.jsonl", "dev.jsonl")
PASSAGE = "张三今年三十岁，在城南的邮局上班。" * 4
BLOCK = f"# 张三\n{PASSAGE}\n? 张三多大\n= 三十岁 | 三十\n? 张三姓什么\n= 张\n? 他有孩子吗\n=\n"


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("qa_make", QA / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (QA / name).read_text(encoding="utf-8").splitlines()]


def texts(row: dict[str, Any]) -> list[str]:
    found: list[str] = row["passages"] if "passages" in row else [row["passage"]]
    return found


def test_rebuilding_gives_the_same_bytes(make: ModuleType, tmp_path: Path) -> None:
    make.write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(FILES)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (QA / name).read_bytes(), name


def test_the_order_of_the_source_files_does_not_matter(make: ModuleType, tmp_path: Path) -> None:
    for path in sorted((QA / "source").iterdir(), reverse=True):
        shutil.copy(path, tmp_path)
    assert make.build(tmp_path) == make.build(QA / "source")


@pytest.mark.parametrize(("name", "least"), [("train.jsonl", 400), ("dev.jsonl", 100)])
def test_there_are_rows_of_every_kind(name: str, least: int) -> None:
    found = rows(name)
    assert len(found) >= least
    assert len({row["id"] for row in found}) == len(found)
    for share, kind in ((0.4, lambda row: "passages" in row), (0.15, lambda row: not row["answers"])):
        assert share < sum(map(kind, found)) / len(found) < 0.6
    assert {len(texts(row)) for row in found} == {1, 2, 3, 4}
    assert any("passages" in row and not row["answers"] for row in found)


@pytest.mark.parametrize("name", FILES)
def test_answers_stand_in_exactly_one_of_the_passages(name: str) -> None:
    for row in rows(name):
        holding = [text for text in texts(row) if any(answer in text for answer in row["answers"])]
        assert len(holding) == bool(row["answers"]), row["id"]
        assert len(set(texts(row))) == len(texts(row))


def test_a_question_is_not_answered_where_the_right_passage_was_left_out() -> None:
    for name in FILES:
        found = rows(name)
        answers = {row["question"]: row["answers"] for row in found if row["answers"]}
        without = [row for row in found if row["id"].endswith("-without")]
        assert without
        assert not [
            row["id"]
            for row in without
            for text in texts(row)
            if any(answer in text for answer in answers[row["question"]])
        ]


def test_the_files_share_no_passage_and_no_question() -> None:
    train, dev = rows("train.jsonl"), rows("dev.jsonl")
    assert not {text for row in train for text in texts(row)} & {text for row in dev for text in texts(row)}
    assert not {row["question"] for row in train} & {row["question"] for row in dev}


def test_everyday_questions_are_short_and_answered_by_their_passage() -> None:
    asked = rows("everyday.jsonl")
    taught = {text for name in FILES for row in rows(name) for text in [row.get("passage"), *row.get("passages", [])]}
    assert len({row["id"] for row in asked}) == len(asked)
    for row in asked:
        assert len(row["passage"]) <= 60
        assert row["passage"] not in taught
        assert all(answer in row["passage"] for answer in row["answers"])
    assert sum(not row["answers"] for row in asked) == 4


def test_the_readme_counts_right() -> None:
    told = (DATA / "README.md").read_text(encoding="utf-8").partition("## qa")[2].partition("\n## ")[0]
    assert [int(number) for number in re.findall(r"^\| `\w+\.jsonl` \| (\d+) \|", told, re.M)] == [
        len(rows(name)) for name in (*FILES, "everyday.jsonl")
    ]
    silent = [sum(not row["answers"] for row in rows(name)) for name in FILES]
    assert f"{silent[0]} rows of `train.jsonl` and {silent[1]} of `dev.jsonl` have no answer" in told
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (QA / "source").iterdir())
    counted = f"{len(re.findall('^# ', sources, re.M))} passages, {len(re.findall('^[?] ', sources, re.M))} questions"
    assert counted in told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            BLOCK.replace("三十 ", "四十 ").replace("| 三十", "| 四十"),
            "the answer '四十' does not stand in the passage",
        ),
        (BLOCK.replace("? 张三姓什么\n", ""), "expected lines of questions and answers by turns, found 5"),
        (f"# 张三\n{PASSAGE}\n", "expected lines of questions and answers by turns, found 0"),
        (BLOCK.replace("? 张三姓什么", "张三姓什么"), "expected a question after '\\? ' and its answers after '= '"),
        (BLOCK.replace("= 张\n", "张\n"), "expected a question after"),
        (BLOCK.replace(PASSAGE, "张三"), "'张三' is not followed by a passage of 60 to 400 characters"),
        (BLOCK + BLOCK, "occurs twice, remove one of them"),
        (BLOCK.replace("张三姓什么", "张三多大"), "occurs twice, remove one of them"),
    ],
)
def test_a_bad_source_is_refused(make: ModuleType, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "people.txt").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        make.build(tmp_path)
