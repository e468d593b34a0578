import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError

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


def test_show_takes_a_task_and_prints_its_models_card(nlpk: Nlpk, model: Path, tmp_path: Path) -> None:
    shown = json.loads(nlpk("models", "show", "qa").out)
    assert (shown["task"], shown["method"]) == ("qa", "seq2seq")
    assert (
        nlpk("models", "show", "ie", "--method", "globalpointer", "--card")
        .out.decode()
        .startswith("# ie: globalpointer\n")
    )
    nlpk("models", "use", "similarity", model)
    assert json.loads(nlpk("models", "show", "similarity").out)["method"] == "simcse"
    assert "README.md: no such file; a model that nlpk train made" in nlpk("models", "show", model, "--card").complaint
    (model / "README.md").write_text("# 一\n", encoding="utf-8")
    assert nlpk("models", "show", model, "--card").out.decode() == "# 一\n"
    result = nlpk("models", "show", "similarity", "--method", "supervised-simcse")
    assert (result.status, result.out) == (2, b"")
    assert result.complaint.startswith("no model of method supervised-simcse; make one: nlpk train similarity --method")
    assert "expected mlm" in nlpk("models", "show", model, "--method", "mlm").complaint
    other = tmp_path / "qa"
    shutil.copytree(model, other)
    assert json.loads(nlpk("models", "show", other).out)["task"] == "similarity"


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
    kept = model.rename(model.with_name("elsewhere"))
    for command in (["embed"], ["predict", "similarity"]):
        result = nlpk(*command, stdin="甲\t乙\n")
        assert result.status == 2
        assert f"{model}: chosen for similarity, but gone; put it back, or go back" in result.complaint
        assert result.complaint.endswith("nlpk models use similarity embedded")
    assert nlpk("embed", "--model", "embedded", stdin="甲乙\n").lines == before
    assert nlpk("models", "use", "similarity", "embedded").complaint == (
        "similarity is now answered by the model in the package"
    )
    assert nlpk("embed", stdin="甲乙\n").lines == before
    listed = [line.split("\t") for line in nlpk("models", "list").out.decode().splitlines()]
    assert ["similarity", "cosent", "embedded, answers"] in [line[:3] for line in listed]
    assert ["backbone", "", "embedded", str(weights.DEFAULT)] in listed
    assert kept.is_dir()


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
    assert (
        nlpk("embed", sentences, "--pooling", "last-avg", "--whiten", "--save-whitening", kept, "--dims", 4).status == 0
    )
    config = json.loads((model / "config.json").read_text("utf-8"))
    (model / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 1e-9}))
    result = nlpk("embed", "--model", model, "--pooling", "last-avg", "--whitening", kept, stdin="甲\n")
    assert result.status == 2
    assert "the whitening was fitted for model" in result.complaint


def test_show_wants_a_model(nlpk: Nlpk, model: Path, tmp_path: Path) -> None:
    (model / "nlpk.json").unlink()
    for folder, said in ((model, "not a model of nlpk, it has no nlpk.json"), (tmp_path / "no", "no such folder")):
        result = nlpk("models", "show", folder)
        assert (result.status, result.out) == (2, b"")
        assert f"{folder}: {said}" in result.complaint


def test_list_names_every_model_and_which_one_answers(nlpk: Nlpk, model: Path, tmp_path: Path) -> None:
    run = tmp_path / "home" / "runs" / "similarity" / "today"
    shutil.copytree(model, run)
    damaged = run.with_name("yesterday")
    damaged.mkdir()
    (damaged / "nlpk.json").write_text("{")
    assert nlpk("models", "use", "similarity", model).status == 0
    head, *lines = [line.split("\t") for line in nlpk("models", "list").out.decode().splitlines()]
    assert head == ["task", "method", "origin", "folder"]
    assert [line for line in lines if "embedded" not in line[2]] == [
        ["similarity", "simcse", "chosen, answers", str(model)],
        ["similarity", "simcse", "run", str(run)],
        ["?", "?", "run, damaged", str(damaged)],
    ]
    assert lines[-1] == ["backbone", "", "embedded", str(weights.DEFAULT)]


def test_use_refuses_what_cannot_answer_and_keeps_the_choice(nlpk: Nlpk, model: Path, tmp_path: Path) -> None:
    assert nlpk("models", "use", "similarity", model).status == 0
    before = (tmp_path / "home" / "models.json").read_bytes()
    other = tmp_path / "other"
    shutil.copytree(model, other)
    change(other, task="qa")
    for task, folder, said in (
        ("similarty", model, "no task 'similarty'; did you mean similarity?"),
        ("similarity", other, "a model of task qa; expected similarity"),
        ("similarity", tmp_path / "no", "no such folder"),
    ):
        result = nlpk("models", "use", task, folder)
        assert result.status == 2
        assert said in result.complaint
    assert (tmp_path / "home" / "models.json").read_bytes() == before


def test_export_writes_a_folder_for_sentence_transformers(nlpk: Nlpk, model: Path, tmp_path: Path) -> None:
    change(model, settings={"pooling": "first-last-avg"})
    out = tmp_path / "exported"
    result = nlpk("models", "export", model, "--to", "sentence-transformers", "--out", out)
    assert result.complaint == f"sentence-transformers model in {out}"
    assert (result.status, result.out) == (0, b"")
    kinds = [module["type"].rpartition(".")[2] for module in json.loads((out / "modules.json").read_text("utf-8"))]
    assert kinds == ["Transformer", "WeightedLayerPooling", "Pooling", "Normalize"]


def test_export_keeps_a_trained_whitening_and_its_dimensions(nlpk: Nlpk, sentences: Path, tmp_path: Path) -> None:
    trained, out = tmp_path / "trained", tmp_path / "exported"
    train = nlpk("train", "similarity", "--method", "whitening", "--train", sentences, "--dims", 8, "--out", trained)
    assert train.status == 0
    assert nlpk("models", "export", trained, "--to", "sentence-transformers", "--out", out).status == 0
    dense = json.loads((out / "2_Dense" / "config.json").read_text("utf-8"))
    assert dense["out_features"] == 8
    assert "whitened to 8 dimensions" in (out / "README.md").read_text("utf-8")


def test_export_takes_a_plain_bert_where_told_so(nlpk: Nlpk, tiny_folder: Path, tmp_path: Path) -> None:
    export = ("models", "export", tiny_folder, "--to", "sentence-transformers", "--out", tmp_path / "out")
    assert "a plain backbone goes with --backbone" in nlpk(*export).complaint
    assert nlpk(*export, "--backbone").status == 0
    assert (tmp_path / "out" / "modules.json").is_file()


def test_export_refuses_what_it_cannot_write(nlpk: Nlpk, model: Path, tmp_path: Path) -> None:
    out, taken = tmp_path / "out", tmp_path / "taken"
    taken.mkdir()
    (taken / "mine.txt").write_text("mine")
    form = ("--to", "sentence-transformers")
    for arguments, said in (
        ((model, *form, "--out", taken), f"{taken}: exists; name a new folder with --out"),
        ((model, "--to", "paper", "--out", out), "'paper' is not"),
        ((model, "--out", out), "missing option '--to'"),
        ((model, *form), "missing option '--out'"),
        ((tmp_path / "no", *form, "--out", out), "no: no such folder"),
    ):
        result = nlpk("models", "export", *arguments)
        assert result.status == 2
        assert said in result.complaint
    change(model, task="qa")
    assert "a model of task qa; expected similarity" in nlpk("models", "export", model, *form, "--out", out).complaint
    assert not out.exists()
    assert [path.name for path in taken.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("command", ["export", "convert"])
def test_a_full_disk_under_a_new_folder_is_one_line(
    nlpk: Nlpk, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("nlptasks.backbone.weights.save_file", full)
    monkeypatch.setattr("nlptasks.backbone.hub.convert", full)
    out = tmp_path / "new" / "out"
    options = ("--to", "sentence-transformers") if command == "export" else ()
    result = nlpk("models", command, model, *options, "--out", out)
    assert result.status == 2
    assert result.complaint.startswith(f"{out}: cannot be written (")
    assert "No space left on device" in result.complaint
    assert not [*tmp_path.glob("new/*")]


def test_convert_gives_the_same_model_without_the_pickle(nlpk: Nlpk, tiny_folder: Path, tmp_path: Path) -> None:
    import torch

    pickled, out = tmp_path / "pickled", tmp_path / "out"
    shutil.copytree(tiny_folder, pickled)
    kept = weights.read_tensors(pickled / weights.WEIGHTS)
    torch.save(kept, pickled / "pytorch_model.bin")
    (pickled / weights.WEIGHTS).unlink()
    assert nlpk("models", "convert", pickled, "--out", out).complaint == f"model in {out}"
    found = weights.read_tensors(out / weights.WEIGHTS)
    assert found.keys() == kept.keys()
    assert all(torch.equal(found[name], kept[name]) for name in kept)
    assert not (out / "pytorch_model.bin").exists()


def test_convert_writes_nothing_for_another_architecture(nlpk: Nlpk, tiny_folder: Path, tmp_path: Path) -> None:
    other, out = tmp_path / "other", tmp_path / "out"
    shutil.copytree(tiny_folder, other)
    config = json.loads((other / "config.json").read_text("utf-8"))
    (other / "config.json").write_text(json.dumps({**config, "model_type": "t5"}))
    assert "a t5 model; expected BERT's architecture" in nlpk("models", "convert", other, "--out", out).complaint
    assert not out.exists()


def test_convert_wants_a_checkpoint(nlpk: Nlpk, tmp_path: Path) -> None:
    result = nlpk("models", "convert", tmp_path, "--out", tmp_path / "out")
    assert result.status == 2
    assert str(tmp_path) in result.complaint
