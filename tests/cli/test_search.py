import json
import os
import shutil
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


def test_a_dash_is_stdin_and_a_file_goes_with_its_option(nlpk: Nlpk, index: Path, tmp_path: Path) -> None:
    assert [line["text"] for line in nlpk("search", "query", index, "-", "-k", 1, stdin="天气\n").lines] == ["天气"]
    questions = tmp_path / "q.txt"
    questions.write_text("天气\n", encoding="utf-8")
    refused = nlpk("search", "query", index, questions)
    assert refused.status == 2
    assert refused.complaint == f"{questions}: this is a file; name a file of questions with --file {questions}"
    assert nlpk("search", "query", index, "很长" * 5000, "-k", 1).status == 0


def test_a_blank_question_is_the_users_mistake(nlpk: Nlpk, index: Path) -> None:
    result = nlpk("search", "query", index, " ")
    assert (result.status, result.out, result.complaint) == (2, b"", "blank text")


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


@pytest.fixture
def model(tiny_folder: Path, tmp_path: Path) -> Path:
    """Make a model that can be chosen."""
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "models" / "mine"))
    about = {"format": 1, "nlpk": "0", "task": "similarity", "method": "simcse", "settings": {"pooling": "last-avg"}}
    (folder / "nlpk.json").write_text(json.dumps(about))
    return folder


def test_an_index_keeps_to_its_model_whatever_is_chosen(
    nlpk: Nlpk, index: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLPK_HOME", str(tmp_path / "home"))
    before = nlpk("search", "query", index, "密码")
    assert nlpk("models", "use", "similarity", model).status == 0
    after = nlpk("search", "query", index, "密码")
    assert (after.status, after.lines) == (0, before.lines)
    assert nlpk("search", "add", index, stdin="股票\n").status == 0


def test_an_index_of_the_chosen_model_stays_with_it(
    nlpk: Nlpk, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NLPK_HOME", str(tmp_path / "home"))
    assert nlpk("models", "use", "similarity", model).status == 0
    assert nlpk("search", "build", "--out", tmp_path / "i", stdin="天气\n").complaint == "1 text in the index"
    assert nlpk("models", "use", "similarity", "embedded").status == 0
    assert nlpk("search", "query", tmp_path / "i", "天气").status == 0


@pytest.mark.parametrize("option", ["--model", "--backbone"])
def test_an_index_finds_its_model_again_where_it_is_said_to_be(
    nlpk: Nlpk, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.chdir(model.parent)
    folder = tmp_path / "i"
    assert nlpk("search", "build", option, "./mine", "--out", folder, stdin="天气\n").status == 0
    monkeypatch.chdir("/")
    assert nlpk("search", "query", folder, "天气").status == 0
    moved = model.rename(tmp_path / "moved")
    for command in (("query", folder, "天气"), ("add", folder)):
        result = nlpk("search", *command, stdin="公园\n")
        assert result.status == 2
        assert f"{model}: the model that the index was built with, but gone; put it back, say" in result.complaint
    assert nlpk("search", "query", folder, "天气", "--model", moved).status == 0
    assert nlpk("search", "add", folder, "--model", moved, stdin="公园\n").complaint == "2 texts in the index"


def test_a_model_that_has_changed_is_named_with_the_remedy(nlpk: Nlpk, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "i"
    assert nlpk("search", "build", "--model", model, "--out", folder, stdin="天气\n").status == 0
    other = Path(shutil.copytree(model, tmp_path / "other"))
    for changed in (other, model):
        config = json.loads((changed / "config.json").read_text("utf-8"))
        (changed / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 1e-9}))
    built = f"the index was built with the model {model}, and "
    said = nlpk("search", "query", folder, "天气").complaint
    assert said.startswith(f"{built}that one has changed since")
    assert "{" not in said
    assert nlpk("search", "query", folder, "天气", "--model", other).complaint.startswith(f"{built}{other} is another")


@pytest.mark.parametrize("given", ["", "\n"])
def test_an_index_of_nothing_is_not_made(nlpk: Nlpk, tmp_path: Path, given: str) -> None:
    result = nlpk("search", "build", "--out", tmp_path / "i", stdin=given)
    assert result.status == 2
    assert result.err.splitlines()[-1] == "nlpk: no text to index in the input; expected one on a line or in a record"
    assert not list(tmp_path.iterdir())
