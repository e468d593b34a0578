"""Export to sentence-transformers: by what the files say in plain torch, and by sentence-transformers where it is."""

import dataclasses
import importlib
import json
import os
import random
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from nlptasks.backbone.batch import Budget
from nlptasks.backbone.hardware import Machine
from nlptasks.backbone.weights import WEIGHTS, Backbone
from nlptasks.errors import ModelError
from nlptasks.similarity import export, whitening
from nlptasks.similarity.encoder import affine
from nlptasks.similarity.settings import POOLINGS, Options
from nlptasks.similarity.task import Loaded, assembled, embedder, load
from nlptasks.training import checkpoint

# Longer than the 64 positions, upper case, an accent, characters that are in no vocabulary, a special token, nothing.
TEXTS = ["今天天气很好", "我", "我们去公园玩吧，北京好不好？" * 9, "The PLAYING ，。Ä plays", "魑魅", "[MASK]天", "  "]


@pytest.fixture(params=POOLINGS)
def pooling(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[None, 16, 5], ids=["raw", "whitened", "whitened to 5"])
def trained(request: pytest.FixtureRequest, tiny: Backbone, pooling: str, tmp_path: Path) -> Path:
    """Write a trained model with a pooling, raw or with a whitening."""
    return store(tmp_path / "trained", tiny, pooling, request.param)


def store(folder: Path, tiny: Backbone, pooling: str, dims: int | None = None) -> Path:
    if pooling == "pooler":
        torch.manual_seed(1)
        tiny.rest = {f"bert.pooler.dense.{name}": part for name, part in nn.Linear(16, 16).state_dict().items()}
    rest = dict(tiny.rest)
    if dims is not None:
        rest |= {f"whitening.{name}": part for name, part in fitted(tiny, pooling, dims).state_dict().items()}
    about = {"nlpk": "0", "task": "similarity", "method": "cosent", "settings": {"pooling": pooling}}
    checkpoint.save(folder, tiny.bert, tiny.text, rest, about)
    return folder


def fitted(tiny: Backbone, pooling: str, dims: int) -> nn.Linear:
    """Fit a whitening on sentences of random words; a mild one, which does not blow up differences of rounding."""
    draw = random.Random(0)
    words = "今天气很好我们去公园玩吧北京上海的和不是"
    texts = ["".join(draw.choices(words, k=draw.randint(2, 12))) for _ in range(200)]
    moments = whitening.Moments(16)
    for block in embedder(assembled(tiny, pooling).eval(), tiny.text, Budget(4096), limit=16).embed(texts):
        moments.update(block)
    return affine(whitening.fit(moments, dims=dims, beta=0.5, gamma=0.2))


def opened(folder: Path, *, freeze: bool = False, limit: int | None = None) -> Loaded:
    found = checkpoint.open_folder(folder)
    return load(found, Options(limit=limit), machine=Machine(device="cpu", dtype="float32"), freeze=freeze)


def ours(loaded: Loaded) -> np.ndarray:
    """Give the vectors that `nlpk embed` does."""
    vectors = np.concatenate(list(loaded.embedder.embed(TEXTS)))
    scaled: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return scaled


def read(path: Path) -> Any:  # noqa: ANN401
    return json.loads(path.read_text("utf-8"))


@torch.no_grad()
def by_the_files(folder: Path) -> np.ndarray:
    """Do what the files of an exported folder say, with transformers and plain torch."""
    from transformers import AutoModel, AutoTokenizer

    limit = read(folder / "sentence_bert_config.json")["max_seq_length"]
    batch = AutoTokenizer.from_pretrained(folder)(
        TEXTS, padding=True, truncation=True, max_length=limit, return_tensors="pt"
    )
    answer = AutoModel.from_pretrained(folder).eval()(**batch)
    kept = batch["attention_mask"][..., None].float()
    x = answer.last_hidden_state
    for kind, settings, tensors in modules_of(folder):
        if kind == "WeightedLayerPooling":
            layers = torch.stack(answer.hidden_states)[settings["layer_start"] :]
            shares = tensors["layer_weights"]
            x = (layers * shares[:, None, None, None]).sum(0) / shares.sum()
        elif kind == "Pooling":
            x = x[:, 0] if settings["pooling_mode"] == "cls" else (x * kept).sum(1) / kept.sum(1)
        elif kind == "Dense":
            module, _, name = settings["activation_function"].rpartition(".")
            activation = getattr(importlib.import_module(module), name)()
            x = activation(F.linear(x, tensors["linear.weight"], tensors["linear.bias"]))
        else:
            assert kind == "Normalize"
            x = F.normalize(x, dim=-1)
    vectors: np.ndarray = x.numpy()
    return vectors


def modules_of(folder: Path) -> Iterator[tuple[str, dict[str, Any], dict[str, Tensor]]]:
    """Read the modules behind the transformer: class, settings, weights."""
    for number, module in enumerate(read(folder / "modules.json")):
        assert (module["idx"], module["name"]) == (number, str(number))
        place = folder / module["path"]
        kind = module["type"].removeprefix("sentence_transformers.models.")
        if kind == "Transformer":
            assert number == 0
            assert place == folder
            continue
        yield kind, read(place / "config.json"), load_file(place / WEIGHTS) if (place / WEIGHTS).is_file() else {}


def kinds(folder: Path) -> list[str]:
    return [kind for kind, _, _ in modules_of(folder)]


def test_the_files_give_our_vectors(trained: Path, tmp_path: Path) -> None:
    loaded, out = opened(trained), tmp_path / "new" / "out"
    export.sentence_transformers(loaded, out)
    expected = ours(loaded)
    assert np.abs(by_the_files(out) - expected).max() < 1e-5
    assert expected.shape == (len(TEXTS), loaded.embedder.width)


def test_sentence_transformers_gives_our_vectors(trained: Path, tmp_path: Path) -> None:
    theirs = pytest.importorskip("sentence_transformers")
    loaded, out = opened(trained), tmp_path / "out"
    export.sentence_transformers(loaded, out)
    model = theirs.SentenceTransformer(str(out), device="cpu")
    assert np.abs(model.encode(TEXTS) - ours(loaded)).max() < 1e-5
    assert model.max_seq_length == 64


@pytest.mark.parametrize("limit", [8, None])
def test_texts_are_cut_where_the_loaded_model_cuts_them(tiny: Backbone, tmp_path: Path, limit: int | None) -> None:
    loaded = opened(store(tmp_path / "trained", tiny, "last-avg"), limit=limit)
    export.sentence_transformers(loaded, tmp_path / "out")
    assert read(tmp_path / "out" / "sentence_bert_config.json")["max_seq_length"] == (limit or 64)
    assert np.abs(by_the_files(tmp_path / "out") - ours(loaded)).max() < 1e-5


@pytest.mark.parametrize(
    ("pooling", "chain"),
    [
        ("cls", ["Pooling", "Dense", "Normalize"]),
        ("pooler", ["Pooling", "Dense", "Dense", "Normalize"]),
        ("last-avg", ["Pooling", "Dense", "Normalize"]),
        ("first-last-avg", ["WeightedLayerPooling", "Pooling", "Dense", "Normalize"]),
    ],
)
def test_nothing_is_asked_for_that_the_pooling_does_not_need(
    tiny: Backbone, tmp_path: Path, pooling: str, chain: list[str]
) -> None:
    out = tmp_path / "out"
    export.sentence_transformers(opened(store(tmp_path / "trained", tiny, pooling, 5)), out)
    assert kinds(out) == chain
    assert read(out / "config.json").get("output_hidden_states", False) is (pooling == "first-last-avg")


@pytest.mark.parametrize("pooling", ["cls", "pooler"])
def test_transformers_misses_no_weight_but_a_pooler_that_never_was(
    tiny: Backbone, tmp_path: Path, pooling: str
) -> None:
    from transformers import AutoModel

    loaded, out = opened(store(tmp_path / "trained", tiny, pooling, 5)), tmp_path / "out"
    export.sentence_transformers(loaded, out)
    model, found = AutoModel.from_pretrained(out, output_loading_info=True)
    missing = {"pooler.dense.weight", "pooler.dense.bias"} if pooling == "cls" else set()
    assert set(found["missing_keys"]) == missing
    assert not found["unexpected_keys"]
    if loaded.embedder.model.pooler is not None:
        assert torch.equal(model.pooler.dense.weight, loaded.embedder.model.pooler.weight)


@pytest.mark.parametrize(("blocks", "shares"), [(0, [1]), (1, [0, 1]), (2, [0, 1, 1]), (4, [0, 1, 0, 0, 1])])
def test_first_and_last_are_blocks_and_not_the_embeddings(tiny: Backbone, blocks: int, shares: list[float]) -> None:
    config = dataclasses.replace(tiny.bert.config, num_hidden_layers=blocks)
    assert export.first_and_last(config).tensors["layer_weights"].tolist() == shares


def test_the_card_says_what_it_is_and_keeps_that_of_the_training(tiny: Backbone, tmp_path: Path) -> None:
    trained = store(tmp_path / "trained", tiny, "first-last-avg", 5)
    export.sentence_transformers(opened(trained), tmp_path / "mine")
    card = (tmp_path / "mine" / "README.md").read_text("utf-8")
    assert card.startswith("---\nlibrary_name: sentence-transformers\n")
    assert "\n# mine\n" in card
    assert "vectors of 5 dimensions" in card
    assert "method cosent, pooling first-last-avg,\nwhitened to 5 dimensions." in card
    assert card.endswith((trained / "README.md").read_text("utf-8"))


def test_a_plain_bert_is_exported_under_a_card_of_its_own(tiny_folder: Path, tmp_path: Path) -> None:
    source, out = str(tiny_folder), tmp_path / "out"
    loaded = load(
        None, Options(pooling="cls"), backbone=source, machine=Machine(device="cpu", dtype="float32"), freeze=False
    )
    export.sentence_transformers(loaded, out)
    assert np.abs(by_the_files(out) - ours(loaded)).max() < 1e-5
    assert "a plain BERT, pooling cls,\nnot whitened." in (out / "README.md").read_text("utf-8")


def test_a_folder_that_exists_is_left_alone(tiny: Backbone, tmp_path: Path) -> None:
    loaded, out = opened(store(tmp_path / "trained", tiny, "cls")), tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(ModelError, match="out: exists; name a new folder with --out"):
        export.sentence_transformers(loaded, out)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]


def test_others_may_read_the_folder_as_far_as_the_umask_lets_them(tiny: Backbone, tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = os.umask(0o027)
    try:
        export.sentence_transformers(opened(store(tmp_path / "trained", tiny, "first-last-avg", 5)), out)
    finally:
        os.umask(before)
    modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in (out, *out.rglob("*"))}
    assert modes == {(True, 0o750), (False, 0o640)}


def test_an_export_that_fails_leaves_nothing(tiny: Backbone, tmp_path: Path) -> None:
    loaded = opened(store(tmp_path / "trained", tiny, "cls"), freeze=True)
    with pytest.raises(ValueError, match="a frozen model cannot be stored"):
        export.sentence_transformers(loaded, tmp_path / "new" / "out")
    assert list((tmp_path / "new").iterdir()) == []


def test_what_is_exported_is_a_backbone_here_again(tiny: Backbone, tmp_path: Path) -> None:
    loaded, out = opened(store(tmp_path / "trained", tiny, "first-last-avg")), tmp_path / "out"
    export.sentence_transformers(loaded, out)
    again = load(
        None, Options(pooling="first-last-avg"), backbone=str(out), machine=Machine(device="cpu", dtype="float32")
    )
    assert np.abs(ours(again) - ours(loaded)).max() < 1e-5
