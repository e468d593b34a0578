"""The contract for records, held for every task by name: what goes in comes out again, and one thing more."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nlptasks
from nlptasks.training import models

Nlpk = Callable[..., Any]

#: One good record of every task; a new task adds its own here.
GOOD: dict[str, dict[str, Any]] = {
    "generation": {"prompt": "今天", "label": "好"},
    "ie": {"text": "我们去北京公园玩"},
    "nl2sql": {"question": "翠湖花园的面积是多少", "table_id": "train-0"},
    "qa": {"question": "我们去公园吗", "passage": "今天天气很好，我们去公园玩吧。"},
    "similarity": {"a": "我想改手机号", "b": "怎么换绑手机"},
    "xiangqi": {"moves": "h2e2 h9g7"},
}
TASKS = nlptasks.names()


@pytest.fixture(autouse=True)
def _models(
    generation_models: dict[str, Path],
    ie_models: dict[str, Path],
    nl2sql_model: Path,
    qa_models: dict[str, Path],
    xiangqi_models: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Choose models for the tasks that the package has none for."""
    monkeypatch.setenv("NLPK_HOME", str(tmp_path / "home"))
    models.use("ie", ie_models["gplinker"])
    models.use("nl2sql", nl2sql_model)
    models.use("qa", qa_models["seq2seq"])
    models.use("generation", generation_models["cln"])
    models.use("xiangqi", xiangqi_models["moves"])


def lines(task: str) -> list[bytes]:
    """Make input in which good, blank and bad records alternate."""
    good = {**GOOD[task], "id": 7, "extra": {"nested": [1, None, "x"]}, "big": 2**70}
    lone = json.dumps({**good, "note": "half \ud800"}).encode()  # in a key that the task does not read
    return [
        json.dumps(good, ensure_ascii=False).encode(),
        b"",
        b"{not json",
        json.dumps({"id": 8}).encode(),
        lone,
        b"[1, 2]",
        json.dumps({**good, "id": 9}).encode(),
    ]


def test_every_task_has_a_record_here() -> None:
    assert set(GOOD) == set(TASKS)


@pytest.mark.parametrize("task", TASKS)
def test_lines_in_are_lines_out_in_order(nlpk: Nlpk, task: str) -> None:
    given = lines(task)
    result = nlpk("predict", task, "--format", "jsonl", stdin=b"\n".join(given) + b"\n")
    out = result.lines
    assert result.status == 1
    assert len(out) == len(given)
    assert ["prediction" in line for line in out] == [True, False, False, False, True, False, True]
    assert [line.get("id") for line in out] == [7, None, None, 8, 7, None, 9]
    assert [line.get("line") for line in out] == [None, 2, 3, None, None, 6, None]
    assert all(("error" in line) != ("prediction" in line) for line in out)
    assert all("\n" not in line["error"] for line in out if "error" in line)
    assert "4 records failed" in result.err


@pytest.mark.parametrize("task", TASKS)
def test_own_keys_come_out_unchanged(nlpk: Nlpk, task: str) -> None:
    given = [lines(task)[place] for place in (0, 3, 4)]
    out = nlpk("predict", task, "--format", "jsonl", stdin=b"\n".join(given)).lines
    for line, answer in zip(given, out, strict=True):
        own = {key: value for key, value in answer.items() if key not in ("prediction", "error")}
        assert own == json.loads(line)


@pytest.mark.parametrize("task", TASKS)
def test_only_good_records_give_status_0(nlpk: Nlpk, task: str) -> None:
    result = nlpk("predict", task, stdin=json.dumps(GOOD[task]))
    assert (result.status, result.err) == (0, "")
    assert set(result.lines[0]) == {*GOOD[task], "prediction"}


@pytest.mark.parametrize("task", TASKS)
def test_skip_leaves_bad_records_out(nlpk: Nlpk, task: str) -> None:
    result = nlpk("predict", task, "--format", "jsonl", "--on-error", "skip", stdin=b"\n".join(lines(task)))
    assert result.status == 1
    assert [line["id"] for line in result.lines] == [7, 7, 9]


@pytest.mark.parametrize("task", TASKS)
def test_fail_stops_at_the_first_bad_record(nlpk: Nlpk, task: str) -> None:
    result = nlpk("predict", task, "--format", "jsonl", "--on-error", "fail", stdin=b"\n".join(lines(task)))
    assert result.status == 2
    assert result.complaint == "stdin:2: blank line"
    assert [line["id"] for line in result.lines] == [7]


@pytest.mark.parametrize("task", TASKS)
def test_a_prediction_that_is_there_needs_another_name(nlpk: Nlpk, task: str) -> None:
    given = json.dumps({**GOOD[task], "prediction": "mine"})
    refused = nlpk("predict", task, stdin=given)
    assert refused.status == 1
    assert "already has a field 'prediction'; choose another key with --as" in refused.lines[0]["error"]
    assert refused.lines[0]["prediction"] == "mine"
    named = nlpk("predict", task, "--as", "theirs", stdin=given)
    assert named.status == 0
    assert named.lines[0]["prediction"] == "mine"
    assert named.lines[0]["theirs"] != "mine"


@pytest.mark.parametrize("task", TASKS)
def test_an_answer_is_never_written_as_a_reference(nlpk: Nlpk, task: str) -> None:
    form = nlptasks.form(task)
    assert "prediction" not in form.REFERENCES
    for name in (*form.REFERENCES, *form.ALIASES, "error"):
        result = nlpk("predict", task, "--as", name, stdin=json.dumps(GOOD[task]))
        assert result.status == 2
        assert f"--as {name}: a field with a meaning of its own" in result.complaint
        assert not result.out


@pytest.mark.parametrize("task", TASKS)
def test_a_record_by_its_options_and_one_from_a_file_get_the_same_answer(nlpk: Nlpk, task: str, tmp_path: Path) -> None:
    flags = [part for name, value in GOOD[task].items() for part in (f"--{name.replace('_', '-')}", value)]
    path = tmp_path / "one.jsonl"
    path.write_text(json.dumps(GOOD[task]), encoding="utf-8")
    assert nlpk("predict", task, *flags).lines == nlpk("predict", task, path).lines
