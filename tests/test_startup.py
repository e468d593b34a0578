"""Hold every start to what it needs: help answers at once, and asking a model loads no more than the model."""

import json
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

import nlpk
from nlptasks.backbone import sums

ROOT = Path(__file__).parents[1]
HEAVY = {"datasets", "jieba", "numpy", "scipy", "torch", "transformers"}
HELPFUL = ("pretrain", "train", "train similarity", "predict similarity", "play", "uci", "train xiangqi")
LIGHT = ["--help", *(f"{command} --help" for command in HELPFUL)]
#: sympy comes with torch's compiler.
NOT_FOR_ASKING = {"datasets", "pandas", "pyarrow", "scipy", "sympy", "transformers"}
LINE_BY_LINE = """
import sys
from nlpk import app
for line in sys.argv[1:]:
    assert app.run(line.split()) == 0
    print(*sys.modules, file=sys.stderr)
"""


@cache
def run(*arguments: str, stdin: str = "") -> tuple[str, set[str]]:
    """Run nlpk in a process of its own; return its stdout and the top-level packages it imported."""
    command = [sys.executable, "-X", "importtime", "-m", "nlpk", *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    times = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return done.stdout, {line.rpartition("|")[2].strip().split(".")[0] for line in times}


def test_the_imports_of_a_process_are_seen() -> None:
    imported = run("--version")[1]
    assert {"nlpk", "typer"} <= imported
    assert not imported & HEAVY


def test_help_imports_nothing_heavy() -> None:
    """One process gives all of it, and tells after each line what it has imported."""
    done = subprocess.run([sys.executable, "-c", LINE_BY_LINE, *LIGHT], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    seen = [set(line.split()) for line in done.stderr.splitlines()]
    assert len(seen) == len(LIGHT)
    assert not {line: found for line, found in zip(LIGHT, (each & HEAVY for each in seen), strict=True) if found}


def test_embedding_a_line_imports_no_more_than_the_model() -> None:
    output, imported = run("embed", stdin="我想改手机号\n")
    assert len(json.loads(output)["vector"]) > 1
    assert "torch" in imported
    assert not imported & NOT_FOR_ASKING


def test_comparing_two_sentences_imports_no_more_than_the_model() -> None:
    output, imported = run("predict", "similarity", "--a", "我想改手机号", "--b", "怎么换绑手机")
    assert -1 <= json.loads(output)["prediction"]["cosine"] <= 1
    assert "torch" in imported
    assert not imported & NOT_FOR_ASKING


def test_listing_and_showing_models_imports_no_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLPK_HOME", str(tmp_path))
    model = tmp_path / "runs/similarity/first"
    shutil.copytree(sums.DEFAULT, model)
    about = {"format": 1, "task": "similarity", "method": "cosent", "settings": {}}
    (model / "nlpk.json").write_text(json.dumps(about))
    for command, said in ((("list",), "similarity\tcosent\trun\t"), (("show", str(model)), '"method": "cosent"')):
        output, imported = run("models", *command)
        assert said in output
        assert not imported & (HEAVY - {"numpy"})


def test_two_people_at_a_board_need_no_torch() -> None:
    output, imported = run("play", "--side", "both", stdin="炮二平五\n")
    assert "炮二平五" in output
    assert not imported & (HEAVY - {"numpy"})


def test_the_version_is_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert nlpk.__version__ == project["version"]
    assert project["version"] in run("--version")[0]
    assert f"## [{project['version']}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")
