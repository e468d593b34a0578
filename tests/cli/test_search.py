import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Nlpk = Callable[..., Any]


@pytest.fixture
def index(nlpk: Nlpk, tmp_path: Path) -> Path:
    folder = tmp_path / "index"
    given = '{"text": "怎么改密码", "id": "p"}\n{"text": "今天天气好", "cosine": 5}\n'
    result = nlpk("search", "build", "--out", folder, stdin=given)
    assert result.status == 0
    assert result.complaint == "2 texts in the index"
    return folder


def test_the_nearest_comes_first_with_its_own_keys(nlpk: Nlpk, index: Path) -> None:
    result = nlpk("search", "query", index, "密码怎么改")
    assert (result.status, result.err) == (0, "")
    first, second = result.lines[0]["prediction"]
    assert (first["text"], first["id"]) == ("怎么改密码", "p")
    assert 1 >= first["cosine"] > second["cosine"] >= -1


def test_questions_from_a_stream_keep_their_order(nlpk: Nlpk, index: Path) -> None:
    result = nlpk("search", "query", index, "-k", 1, stdin="天气\n\n密码\n")
    assert result.status == 1
    assert [line.get("text") for line in result.lines] == ["天气", None, "密码"]
    assert [len(line.get("prediction", ())) for line in result.lines] == [1, 0, 1]
    assert result.lines[1] == {"line": 2, "error": "blank line"}


def test_add_and_resume(nlpk: Nlpk, index: Path, tmp_path: Path) -> None:
    assert nlpk("search", "add", index, stdin="股票跌了\n").complaint == "3 texts in the index"
    questions, out = tmp_path / "q.txt", tmp_path / "q.jsonl"
    questions.write_text("股票\n\n天气\n", encoding="utf-8")
    assert nlpk("search", "query", index, "--file", questions, "--out", out, "--on-error", "fail").status == 2
    assert nlpk("search", "query", index, "--file", questions, "--out", out, "--resume").status == 1
    found = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert found[0]["prediction"][0]["text"] == "股票跌了"
    assert [len(line) for line in found] == [2, 2, 2]


def test_bad_texts_are_left_out_one_by_one(nlpk: Nlpk, tmp_path: Path) -> None:
    given = '{"text": "甲"}\n\n{"text": "乙", "x": "\\ud800"}\n{"text": "丙"}\n'
    result = nlpk("search", "build", "--format", "jsonl", "--out", tmp_path / "i", stdin=given)
    assert result.status == 1
    assert "2 texts in the index" in result.err
    assert "nlpk: stdin:3: " in result.err
    assert "2 records failed" in result.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("query", "no-such", "x"), "no-such"),
        (("query", "index", "x", "--file", "y"), "a question and --file: give one of them"),
        (("query", "index", "x", "--as", "text"), "--as text: a field with a meaning"),
        (("query", "index", "x", "-k", "0"), "-k"),
        (("build", "--out", "index"), "the folder is not empty"),
        (("build",), "missing option '--out'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    nlpk: Nlpk, index: Path, options: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(index.parent)
    result = nlpk("search", *options, stdin="甲\n")
    assert result.status == 2
    assert said in result.complaint
    assert os.listdir() == ["index"]


def test_an_index_of_another_model_is_refused(nlpk: Nlpk, index: Path) -> None:
    about = json.loads((index / "index.json").read_text("utf-8"))
    (index / "index.json").write_text(json.dumps({**about, "model": "another"}))
    assert nlpk("search", "query", index, "x").status == 2
    assert nlpk("search", "add", index, stdin="x\n").status == 2
