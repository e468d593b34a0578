"""A model made small answers as before, says what it stands on, and is refused without that."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from nlptasks.backbone import sums, weights
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import ModelError, UsageError
from nlptasks.training import checkpoint
from nlptasks.training.checkpoint import Checkpoint
from nlptasks.training.packing import pack


@pytest.fixture
def trained(tiny: Backbone, tmp_path: Path) -> Checkpoint:
    """Store a model whose layers and head moved away from the tiny BERT."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for layer in tiny.bert.layers:
            for parameter in layer.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.01)
    about = {"task": "qa", "method": "mlm", "settings": {}, "nlpk": "0"}
    rest = {"head.weight": 0.01 * torch.randn(3, 16, generator=generator), "list": torch.arange(4, dtype=torch.uint8)}
    checkpoint.save(tmp_path / "trained", tiny.bert, tiny.text, rest, about)
    return checkpoint.open_folder(tmp_path / "trained")


def states(folder: Path) -> torch.Tensor:
    found: torch.Tensor = weights.load(folder).bert.state_dict()["layers.0.feed_in.weight"]
    return found


@pytest.mark.parametrize("has_base", [True, False])
def test_a_small_model_is_near_the_large_one(
    trained: Checkpoint, tiny_folder: Path, tmp_path: Path, has_base: bool
) -> None:
    found = pack(trained, tmp_path / "small", str(tiny_folder) if has_base else None)
    assert found.size < found.before
    small, large = weights.load(tmp_path / "small"), weights.load(trained.folder)
    for name, tensor in large.bert.state_dict().items():
        torch.testing.assert_close(small.bert.state_dict()[name], tensor, atol=found.error + 1e-6, rtol=0)
    assert found.error < (0.001 if has_base else 0.05)
    assert torch.equal(small.bert.tokens.weight, large.bert.tokens.weight) == has_base
    assert torch.equal(small.rest["list"], large.rest["list"])
    assert small.text.encode(["今天"], 8) == large.text.encode(["今天"], 8)
    assert (tmp_path / "small" / "tokenizer.json").is_file() != has_base
    assert checkpoint.open_folder(tmp_path / "small", "qa", "mlm").settings == {}
    sums.check_sums(tmp_path / "small")


def test_four_bits_are_smaller_still_and_nothing_else_is_known(
    trained: Checkpoint, tiny_folder: Path, tmp_path: Path
) -> None:
    found, half = (pack(trained, tmp_path / f"of {bits}", str(tiny_folder), bits=bits) for bits in (8, 4))
    assert half.size < found.size
    assert found.error < half.error < 0.02
    large = weights.load(trained.folder).bert.state_dict()
    for name, tensor in weights.load(tmp_path / "of 4").bert.state_dict().items():
        torch.testing.assert_close(tensor, large[name], atol=half.error + 1e-6, rtol=0)
    with pytest.raises(UsageError, match="--bits 5: expected 4, 8 or 16"):
        pack(trained, tmp_path / "of 5", None, bits=5)


def test_sixteen_bits_are_the_weights_themselves(trained: Checkpoint, tmp_path: Path) -> None:
    found = pack(trained, tmp_path / "small", None, bits=16)
    assert found.size < found.before
    assert found.error < 0.001
    large = weights.load(trained.folder).bert.state_dict()
    for name, tensor in weights.load(tmp_path / "small").bert.state_dict().items():
        torch.testing.assert_close(tensor, large[name], atol=found.error, rtol=0)


def test_a_small_model_can_be_packed_again(trained: Checkpoint, tiny_folder: Path, tmp_path: Path) -> None:
    pack(trained, tmp_path / "one", str(tiny_folder))
    pack(checkpoint.open_folder(tmp_path / "one"), tmp_path / "two", str(tiny_folder))
    torch.testing.assert_close(states(tmp_path / "two"), states(tmp_path / "one"), atol=1e-6, rtol=0)


def test_the_base_must_be_the_same(trained: Checkpoint, tiny_folder: Path, tmp_path: Path) -> None:
    base = shutil.copytree(tiny_folder, tmp_path / "base")
    pack(trained, tmp_path / "small", str(base))
    shutil.copyfile(trained.folder / weights.WEIGHTS, base / weights.WEIGHTS)
    with pytest.raises(ModelError, match="not the base that the model was made on"):
        weights.load(tmp_path / "small")
    shutil.rmtree(base)
    with pytest.raises(ModelError, match="no such folder"):
        weights.load(tmp_path / "small")


def test_a_missing_scale_is_damage(trained: Checkpoint, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    pack(trained, tmp_path / "small", None)
    path = tmp_path / "small" / weights.WEIGHTS
    save_file({name: tensor for name, tensor in load_file(path).items() if name != "head.weight.scale"}, path)
    sums.write_sums(tmp_path / "small")
    with pytest.raises(ModelError, match=r"model\.safetensors: damaged"):
        weights.load(tmp_path / "small")


def test_a_base_is_found_from_any_folder(
    trained: Checkpoint, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_folder, tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    pack(trained, tmp_path / "small", "base")
    monkeypatch.chdir("/")
    weights.load(tmp_path / "small")


def test_a_failure_leaves_nothing(trained: Checkpoint, tmp_path: Path) -> None:
    (trained.folder / "README.md").unlink()
    with pytest.raises(FileNotFoundError):
        pack(trained, tmp_path / "small", None)
    assert not list(tmp_path.glob("small*"))


def test_a_folder_that_is_there_is_left_alone(trained: Checkpoint, tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    with pytest.raises(UsageError, match="small: already there; choose another --out"):
        pack(trained, tmp_path / "small", None)
    assert json.loads((trained.folder / "nlpk.json").read_text())["task"] == "qa"
