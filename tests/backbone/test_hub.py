"""Hub names without a network: the cache that the hub's own library fills, and checkpoints that are pickles."""

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError
from safetensors.torch import load_file
from torch import nn

from nlptasks import places
from nlptasks.backbone import hub, weights
from nlptasks.backbone.batch import Batch
from nlptasks.errors import ModelError

NAME = "owner/tiny-bert"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def pickled(tiny_folder: Path, tmp_path: Path) -> Path:
    """Make the tiny BERT as older checkpoints are: weights in a pickle, words in a list."""
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "pickled"))
    torch.save(load_file(folder / weights.WEIGHTS), folder / "pytorch_model.bin")
    (folder / weights.WEIGHTS).unlink()
    return folder


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give an empty cache to the hub's library, and one to us."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("NLPK_HOME", str(tmp_path / "home"))
    return tmp_path / "hub"


def put(cache: Path, folder: Path) -> Path:
    """Put a model into the hub's cache, in the layout of the hub's library: content apart, and links to it."""
    home = cache / f"models--{NAME.replace('/', '--')}"
    snapshot = home / "snapshots" / COMMIT
    for path in (home / "refs", home / "blobs", snapshot):
        path.mkdir(parents=True, exist_ok=True)
    (home / "refs" / "main").write_text(COMMIT)
    for path in folder.iterdir():
        shutil.copyfile(path, home / "blobs" / path.name)
        (snapshot / path.name).symlink_to(os.path.relpath(home / "blobs" / path.name, snapshot))
    return snapshot


@torch.no_grad()
def assert_same_states(first: Path | str, second: Path | str) -> None:
    given = Batch(torch.tensor([[3, 20, 21, 4]]))
    found = [weights.load(source).bert.eval()(given) for source in (first, second)]
    assert torch.equal(*found)


# --- names ---


@pytest.mark.parametrize("name", [NAME, "bert-base-nowhere", "模型"])
@pytest.mark.usefixtures("cache")
def test_a_name_without_network_names_the_ways_out(name: str) -> None:
    with pytest.raises(ModelError) as caught:
        weights.load(name)
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    assert "\n" not in message
    if name != "模型":
        assert "not in the hub's cache, and the hub cannot be reached; give a local folder, set HF_ENDPOINT" in message
        assert "leave the option out" in message


def test_a_cached_model_needs_no_network(cache: Path, tiny_folder: Path) -> None:
    snapshot = put(cache, tiny_folder)
    assert weights.locate(NAME) == snapshot
    assert_same_states(NAME, tiny_folder)
    assert weights.load(NAME).name == NAME


def test_a_cached_pickle_is_converted_once(cache: Path, tiny_folder: Path, pickled: Path) -> None:
    put(cache, pickled)
    assert_same_states(NAME, tiny_folder)
    found = weights.locate(NAME)
    assert found == places.cache() / "converted" / f"owner--tiny-bert-{COMMIT}"
    before = (found / weights.WEIGHTS).stat().st_mtime_ns
    assert weights.locate(NAME) == found
    assert (found / weights.WEIGHTS).stat().st_mtime_ns == before


def test_a_local_folder_wins_over_a_name(
    cache: Path, tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(cache, tiny_folder)
    shutil.copytree(tiny_folder, tmp_path / NAME)
    monkeypatch.chdir(tmp_path)
    assert weights.locate(NAME) == Path(NAME)


def test_a_local_folder_asks_neither_the_hub_nor_transformers(tiny_folder: Path) -> None:
    program = (
        "import sys; from nlptasks.backbone import weights; weights.load(sys.argv[1]); weights.load();"
        "sys.exit(str({'huggingface_hub', 'transformers'} & sys.modules.keys() or ''))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tiny_folder)], capture_output=True, text=True, check=False
    )
    assert (done.stderr.strip(), done.returncode) == ("", 1)


@pytest.mark.usefixtures("cache")
def test_a_hub_that_is_not_there_is_asked_once_and_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = []

    def connect(api: object, name: str, **options: float) -> None:
        asked.append(name)
        logging.getLogger("huggingface_hub.utils._http").warning("Retrying in 8s")
        raise RuntimeError("no such host")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", connect)
    with pytest.raises(ModelError, match="the hub cannot be reached"):
        hub.fetch(NAME)
    assert asked == [NAME]
    assert not caplog.records


@pytest.mark.parametrize("found", [True, False])
def test_a_hub_that_answers_is_asked_for_the_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, found: bool
) -> None:
    def connect(api: object, name: str, **options: float) -> None:
        if not found:
            response: Any = SimpleNamespace(headers={}, request=None)
            raise RepositoryNotFoundError("404", response=response)

    def fetch(name: str, file: str, local_files_only: bool) -> str:
        assert not local_files_only
        return str(tmp_path / file)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", connect)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    assert hub.fetch(NAME) == tmp_path


def refusing(error: Exception, *files: str) -> Any:  # noqa: ANN401 - takes the place of a function of the hub's library
    def fetch(name: str, file: str, local_files_only: bool) -> str:
        if not files or file in files:
            raise error
        return f"/nowhere/{name}/{file}"

    return fetch


def test_a_name_that_the_hub_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    response: Any = SimpleNamespace(headers={}, request=None)
    error = RepositoryNotFoundError("401 Client Error.\nMore lines.", response=response)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refusing(error))
    with pytest.raises(
        ModelError, match=rf"^{NAME}: the hub refused it \(401 Client Error\.\); check the name on the hub$"
    ):
        hub.fetch(NAME)


@pytest.mark.parametrize("files", [("config.json",), ("model.safetensors", "pytorch_model.bin")])
def test_a_name_that_is_no_bert(monkeypatch: pytest.MonkeyPatch, files: tuple[str, ...]) -> None:
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refusing(EntryNotFoundError("404"), *files))
    with pytest.raises(ModelError, match=r"no config\.json with model\.safetensors or pytorch_model\.bin on the hub"):
        hub.fetch(NAME)


# --- pickles ---


def test_a_pickle_is_converted(tiny_folder: Path, pickled: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder"
    hub.convert(pickled, target)
    assert_same_states(target, tiny_folder)
    assert [path.name for path in target.parent.iterdir()] == ["folder"]
    names = {path.name for path in target.iterdir()}
    assert names == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}


def test_converted_weights_may_be_read_by_all_who_may_read_the_folder(pickled: Path, tmp_path: Path) -> None:
    hub.convert(pickled, tmp_path / "new")
    config, made = (tmp_path / "new" / name for name in ("config.json", "model.safetensors"))
    assert made.stat().st_mode == config.stat().st_mode


def test_weights_that_share_memory_are_converted(tiny_folder: Path, pickled: Path, tmp_path: Path) -> None:
    tensors = load_file(tiny_folder / weights.WEIGHTS)
    tensors["cls.predictions.decoder.weight"] = tensors["bert.embeddings.word_embeddings.weight"]
    tensors["bert.pooler.dense.weight"] = torch.randn(16, 16).t()
    torch.save(tensors, pickled / "pytorch_model.bin")
    hub.convert(pickled, tmp_path / "new")
    assert torch.equal(weights.load(tmp_path / "new").rest["pooler.dense.weight"], tensors["bert.pooler.dense.weight"])


def test_safetensors_are_copied(tiny_folder: Path, tmp_path: Path) -> None:
    hub.convert(tiny_folder, tmp_path / "new")
    assert_same_states(tmp_path / "new", tiny_folder)


class Malicious:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def assert_refused(folder: Path, target: Path, match: str) -> None:
    with pytest.raises(ModelError, match=match) as caught:
        hub.convert(folder, target)
    assert "\n" not in str(caught.value)
    assert not target.exists()
    assert not list(target.parent.iterdir())


@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_pickle_is_refused_and_not_run(pickled: Path, tmp_path: Path, zipped: bool) -> None:
    content = {"bert.embeddings.LayerNorm.weight": Malicious(tmp_path / "trace")}
    torch.save(content, pickled / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    assert_refused(pickled, tmp_path / "out" / "new", "damaged, or more than tensors, which could run code")
    assert not (tmp_path / "trace").exists()
    with pytest.raises(ModelError, match="a pickle, which can run code"):
        weights.load(pickled)


@pytest.mark.parametrize("size", [0, 10, 3000])
def test_a_damaged_pickle(pickled: Path, tmp_path: Path, size: int) -> None:
    path = pickled / "pytorch_model.bin"
    path.write_bytes(path.read_bytes()[:size])
    assert_refused(pickled, tmp_path / "out" / "new", r"pytorch_model\.bin: damaged, .*; fetch it again")


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": {"a": torch.ones(1)}}, {"epoch": 3}])
def test_a_pickle_of_something_else(pickled: Path, tmp_path: Path, content: object) -> None:
    torch.save(content, pickled / "pytorch_model.bin")
    assert_refused(pickled, tmp_path / "out" / "new", "not tensors by name; expected the state_dict of a BERT")


def test_a_whole_module_is_refused(pickled: Path, tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), pickled / "pytorch_model.bin")
    assert_refused(pickled, tmp_path / "out" / "new", "more than tensors")


def test_no_weights_to_convert(pickled: Path, tmp_path: Path) -> None:
    (pickled / "pytorch_model.bin").unlink()
    assert_refused(
        pickled, tmp_path / "out" / "new", r"pytorch_model\.bin: no such file; a model folder holds its weights"
    )


def test_no_tokenizer_to_convert(pickled: Path, tmp_path: Path) -> None:
    (pickled / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"no tokenizer\.json and no vocab\.txt; a model folder holds one of them"):
        hub.convert(pickled, tmp_path / "new")


def test_a_folder_is_never_replaced(pickled: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    with pytest.raises(ModelError, match="new: exists; name a new folder with --out"):
        hub.convert(pickled, tmp_path / "new")
