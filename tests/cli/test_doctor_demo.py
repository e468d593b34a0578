import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nlptasks
from nlptasks.backbone import weights

Nlpk = Callable[..., Any]


def test_doctor_finds_everything_whole(nlpk: Nlpk) -> None:
    result = nlpk("doctor")
    found = dict(line.split("\t") for line in result.out.decode().splitlines())
    assert result.status == 0
    assert {"nlpk", "python", "torch", "device", "number format", "threads", "cache"} <= set(found)
    assert found["embedded models"] == "whole"


def test_doctor_notices_damage(nlpk: Nlpk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for path in weights.DEFAULT.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    sums = [f"{hashlib.sha256(b'other').hexdigest()}  config.json"]
    (tmp_path / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    monkeypatch.setattr(weights, "DEFAULT", tmp_path)
    result = nlpk("doctor")
    assert result.status == 1
    assert "config.json: damaged" in result.out.decode()


def test_doctor_looks_at_the_chosen_models(
    nlpk: Nlpk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_folder: Path
) -> None:
    monkeypatch.setenv("NLPK_HOME", str(tmp_path / "home"))
    model = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    about = {"format": 1, "nlpk": "0", "task": "similarity", "method": "simcse", "settings": {}}
    (model / "nlpk.json").write_text(json.dumps(about))
    assert nlpk("models", "use", "similarity", model).status == 0
    assert "chosen models\twhole" in nlpk("doctor").out.decode()
    content = (model / weights.WEIGHTS).read_bytes()
    (model / weights.WEIGHTS).write_bytes(content[:-1])
    for said in ("model.safetensors: damaged", "chosen for similarity, but gone", "models.json: damaged"):
        result = nlpk("doctor")
        assert result.status == 1
        assert said in result.out.decode()
        if model.is_dir():
            shutil.rmtree(model)
        else:
            (tmp_path / "home" / "models.json").write_text("{")


def test_demo_shows_every_task(nlpk: Nlpk) -> None:
    result = nlpk("demo")
    assert result.status == 0
    named = [
        line.split(":")[0].removeprefix("# ") for line in result.out.decode().splitlines() if line.startswith("# ")
    ]
    assert sorted(dict.fromkeys(named)) == nlptasks.names()
    assert "nlpk predict TASK --help" in result.err


def test_demo_lets_a_task_be_tried(nlpk: Nlpk) -> None:
    result = nlpk("demo", "similarity", "--try", stdin="怎么退款\n怎样退钱\n\n今天天气\n")
    assert result.status == 0
    shown = result.out.decode()
    assert shown.count("# similarity: 怎么退款") == 2
    assert "怎样退钱\t" in shown
    assert "今天天气\t" in shown
    assert "field 'b' is missing" in result.err


def test_demo_lets_its_own_example_be_asked_about(nlpk: Nlpk) -> None:
    result = nlpk("demo", "nl2sql", "--try", stdin="\n人口最多的省份是哪个\n")
    assert result.status == 0
    assert "江苏" in result.out.decode()
    for stdin in ("", "怎么退款\n"):
        result = nlpk("demo", "similarity", "--try", stdin=stdin)
        assert (result.status, result.out) == (0, b"")
        assert result.complaint == "nothing was asked; expected lines of a and b"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--try",), "--try: of which task? one of generation, ie"),
        (("nothing",), "no task 'nothing'"),
    ],
)
def test_what_cannot_be_shown_is_refused(nlpk: Nlpk, arguments: tuple[str, ...], said: str) -> None:
    result = nlpk("demo", *arguments)
    assert (result.status, result.out) == (2, b"")
    assert said in result.complaint


def test_tasks_lists_every_task(nlpk: Nlpk) -> None:
    lines = nlpk("tasks").out.decode().splitlines()
    assert [line.split("\t")[0] for line in lines[1:]] == nlptasks.names()
