import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlptasks.backbone import weights

Nlpk = Callable[..., Any]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a model folder out of the embedded backbone, and a home without choices."""
    monkeypatch.setenv("NLPK_HOME", str(tmp_path / "home"))
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", weights.WEIGHTS):
        shutil.copyfile(weights.DEFAULT / name, folder / name)
    about = {"format": 1, "nlpk": "0", "task": "similarity", "method": "simcse", "settings": {"pooling": "cls"}}
    (folder / "nlpk.json").write_text(json.dumps(about))
    return folder


def change(folder: Path, **values: object) -> None:
    path = folder / "nlpk.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **values}))


def test_show_prints_what_the_model_says_of_itself(nlpk: Nlpk, model: Path) -> None:
    shown = json.loads(nlpk("models", "show", model).out)
    assert (shown["task"], shown["method"], len(shown["fingerprint"])) == ("similarity", "simcse", 64)


def test_the_model_in_use_answers(nlpk: Nlpk, model: Path) -> None:
    before = nlpk("embed", stdin="甲乙\n").lines
    assert nlpk("models", "use", "similarity", model).complaint == f"similarity (simcse) is now answered by {model}"
    assert nlpk("embed", stdin="甲乙\n").lines != before
    assert (
        nlpk("embed", "--pooling", "cls", "--model", model, stdin="甲乙\n").lines == nlpk("embed", stdin="甲乙\n").lines
    )
    assert ["similarity", "simcse", "chosen, answers", str(model)] in [
        line.split("\t") for line in nlpk("models", "list").out.decode().splitlines()
    ]
    shutil.rmtree(model)
    assert "chosen for similarity, but gone" in nlpk("embed", stdin="甲\n").complaint


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: change(folder, task="qa"), "a model of task qa; expected similarity"),
        (lambda folder: change(folder, format=99), "format 99, newer than"),
        (lambda folder: (folder / "nlpk.json").write_text("{"), "nlpk.json: damaged"),
        (lambda folder: (folder / "nlpk.json").unlink(), "a plain backbone goes with --backbone"),
        (lambda folder: (folder / weights.WEIGHTS).unlink(), "no such file"),
        (lambda folder: (folder / weights.WEIGHTS).write_bytes(b"\0" * 99), "damaged"),
        (lambda folder: truncate(folder / weights.WEIGHTS), "damaged"),
        (lambda folder: (folder / "config.json").write_text("[]"), "config.json"),
        (lambda folder: truncate(folder / "tokenizer.json"), "tokenizer.json"),
        (shutil.rmtree, "no such folder"),
    ],
)
def test_a_model_that_cannot_answer_is_refused_in_one_line(
    nlpk: Nlpk, model: Path, damage: Callable[[Path], object], said: str
) -> None:
    damage(model)
    for command in (["embed"], ["predict", "similarity"], ["eval", "similarity", "-"]):
        result = nlpk(*command, "--model", model, stdin="甲\t乙\t1\n")
        assert result.status == 2
        assert said in result.complaint
        assert str(model) in result.complaint


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_whitening_of_another_model_is_refused(nlpk: Nlpk, model: Path, sentences: Path, tmp_path: Path) -> None:
    kept = tmp_path / "w.safetensors"
    assert nlpk("embed", sentences, "--whiten", "--save-whitening", kept, "--dims", 4).status == 0
    config = json.loads((model / "config.json").read_text("utf-8"))
    (model / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 1e-9}))
    result = nlpk("embed", "--model", model, "--pooling", "last-avg", "--whitening", kept, stdin="甲\n")
    assert result.status == 2
    assert "the whitening was fitted for model" in result.complaint


def test_export_writes_a_folder_for_sentence_transformers(nlpk: Nlpk, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "exported"
    result = nlpk("models", "export", model, "--to", "sentence-transformers", "--out", out)
    assert result.status == 0
    assert (out / "modules.json").is_file()
    assert nlpk("models", "export", model, "--to", "paper", "--out", out).status == 2


def test_convert_wants_a_checkpoint(nlpk: Nlpk, tmp_path: Path) -> None:
    result = nlpk("models", "convert", tmp_path, "--out", tmp_path / "out")
    assert result.status == 2
    assert str(tmp_path) in result.complaint
