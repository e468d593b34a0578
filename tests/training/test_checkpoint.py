import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from nlptasks.backbone import weights
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import ModelError
from nlptasks.training import checkpoint

ABOUT: dict[str, Any] = {
    "nlpk": "0.1.0",
    "task": "similarity",
    "method": "cosent",
    "settings": {"pooling": "cls"},
    "training": {
        "data": [{"name": "pairs.tsv", "rows": 12, "bad": 3, "sha256": "0123456789abcdef0123"}],
        "backbone": "hfl/rbt3",
        "seed": 7,
        "command": "nlpk train similarity --method cosent",
    },
    "scores": {"spearman": 0.81249},
}


@pytest.fixture
def folder(tiny: Backbone, tmp_path: Path) -> Path:
    checkpoint.save(tmp_path / "model", tiny.bert, tiny.text, {"head.weight": torch.arange(6.0).view(2, 3).T}, ABOUT)
    return tmp_path / "model"


def damage(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    about = json.loads((folder / "nlpk.json").read_text("utf-8"))
    change(about)
    (folder / "nlpk.json").write_text(json.dumps(about), "utf-8")


def test_what_is_saved_is_there_again(folder: Path, tiny: Backbone) -> None:
    found = checkpoint.open_folder(folder, "similarity", "cosent")
    assert (found.task, found.method, found.settings) == ("similarity", "cosent", {"pooling": "cls"})
    assert {**found.about} == {"format": 1, **ABOUT}
    loaded = weights.load(folder)
    for name, tensor in tiny.bert.state_dict().items():
        assert torch.equal(loaded.bert.state_dict()[name], tensor), name
    assert torch.equal(loaded.rest["head.weight"], torch.arange(6.0).view(2, 3).T)
    assert loaded.text.encode(["今天天气很好"], 16) == tiny.text.encode(["今天天气很好"], 16)
    assert not list(folder.glob("*.part"))


def test_the_fingerprint_is_that_of_the_answers(folder: Path) -> None:
    before = checkpoint.open_folder(folder).fingerprint
    damage(folder, lambda about: about.update(scores={}))
    assert checkpoint.open_folder(folder).fingerprint == before
    tensors = load_file(folder / "model.safetensors")
    tensors["head.weight"] += 1
    save_file(tensors, folder / "model.safetensors")
    assert checkpoint.open_folder(folder).fingerprint != before


def test_missing_weights_are_named(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["bert.encoder.layer.1.output.dense.bias"]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"model\.safetensors: lacks .*layer.*1.*; expected the weights of its config"):
        weights.load(folder)


def test_unexpected_weights_are_named(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["bert.encoder.layer.7.output.dense.bias"] = torch.zeros(16)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"model\.safetensors: has unexpected .*7"):
        weights.load(folder)


def test_weights_that_are_cut_off_are_damaged(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=r"model\.safetensors: damaged"):
        weights.load(folder)


@pytest.mark.parametrize("content", ["{", "", "[1]", "3", "null", '{"format": 1, "task": "x", "method": "y"}', "\xff"])
def test_a_damaged_description_is_named(folder: Path, content: str) -> None:
    (folder / "nlpk.json").write_text(content, "latin-1")
    with pytest.raises(ModelError, match=r"nlpk\.json: damaged .*; train or fetch the model again"):
        checkpoint.open_folder(folder)


@pytest.mark.parametrize("changed", [{"format": "new"}, {"format": None}, {"settings": 3}])
def test_a_description_of_the_wrong_types_is_damaged(folder: Path, changed: dict[str, Any]) -> None:
    damage(folder, lambda about: about.update(changed))
    with pytest.raises(ModelError, match=r"nlpk\.json: damaged"):
        checkpoint.open_folder(folder)


def test_a_newer_format_says_so(folder: Path) -> None:
    damage(folder, lambda about: about.update(format=2))
    with pytest.raises(ModelError, match="format 2, newer than the 1 known here; upgrade nlpk"):
        checkpoint.open_folder(folder)


def test_a_model_of_another_task_or_method_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="a model of task similarity; expected qa; choose another --model"):
        checkpoint.open_folder(folder, "qa")
    with pytest.raises(ModelError, match="a model of method cosent; expected simcse; choose another --model"):
        checkpoint.open_folder(folder, "similarity", "simcse")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"gone: no such folder; --model takes a folder that nlpk train made"):
        checkpoint.open_folder(tmp_path / "gone")


def test_a_folder_without_a_model_says_what_it_is(tmp_path: Path, tiny_folder: Path) -> None:
    with pytest.raises(ModelError, match=r"not a model of nlpk, it has no nlpk\.json; nlpk train makes one"):
        checkpoint.open_folder(tmp_path)
    with pytest.raises(ModelError, match=r"it has no nlpk\.json; a plain backbone goes with --backbone"):
        checkpoint.open_folder(tiny_folder)
    (tmp_path / "last").mkdir()
    with pytest.raises(ModelError, match="a run stopped there before it had one; go on with nlpk train TASK --resume"):
        checkpoint.open_folder(tmp_path)


def test_the_model_card_names_data_scores_and_the_command(folder: Path) -> None:
    card = (folder / "README.md").read_text("utf-8")
    assert card.startswith("# similarity: cosent\n")
    assert "```\nnlpk train similarity --method cosent\n```" in card
    assert "Backbone: hfl/rbt3. Seed: 7." in card
    assert "| pairs.tsv | 12 | 3 | 0123456789abcdef |" in card
    assert "| spearman | 0.8125 |" in card
    assert re.search("^Licence of the weights: that of the backbone and the data", card, re.M)


def test_a_model_card_without_scores_has_no_empty_table() -> None:
    card = checkpoint.model_card({"nlpk": "0.1.0", "task": "similarity", "method": "x", "settings": {}})
    assert "|" not in card
    assert "Backbone: unknown. Seed: unknown." in card
