"""Tests of the model: what it listens to, and how it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nlptasks.backbone import weights
from nlptasks.backbone.bert import Norm
from nlptasks.backbone.hardware import Machine
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import ModelError, UsageError
from nlptasks.generation.answers import Answerer
from nlptasks.generation.labels import Labels
from nlptasks.generation.model import Condition, assembled, load
from nlptasks.generation.row import Options, Settings
from nlptasks.generation.task import Task
from nlptasks.training import checkpoint
from nlptasks.training.optimizers import groups_of
from nlptasks.training.settings import as_plain

Made = Callable[..., Answerer]
LABELS = Labels({"地": ["上海", "北京"], "label": ["不好", "好"]}, [0.0], [1.0])
ROWS = [
    {"text": "今天天气很好", "sets": ["地=北京", "label=好"], "vector": [1.0]},
    {"text": "我们去公园玩吧。", "sets": ["地=上海", "label=不好"], "vector": [-1.0]},
]


def task(backbone: Backbone, labels: Labels, **flags: Any) -> Task:  # noqa: ANN401
    made = Task("cln", Settings(limit=12, **flags), backbone.text)
    made.labels = labels
    return made


@pytest.mark.parametrize("rank", [0, 3])
def test_at_the_start_a_condition_changes_nothing(tiny_folder: Path, rank: int) -> None:
    losses = []
    for labels in (LABELS, Labels()):
        backbone = weights.load(tiny_folder)
        torch.manual_seed(0)
        made = task(backbone, labels, conditions="地,label", rank=rank)
        model = made.model(backbone).eval()
        losses.append(model.surprises(made.batch(ROWS)))
    assert torch.allclose(losses[0], losses[1], atol=1e-5)


def test_what_moves_the_norms_learns_slowly(tiny_folder: Path) -> None:
    backbone = weights.load(tiny_folder)
    made = task(backbone, LABELS, conditions="地,label")
    model = made.model(backbone)
    slow = {
        id(parameter)
        for group in groups_of(model, made.settings)
        if group["share"] < 1
        for parameter in group["params"]
    }
    named = {name for name, parameter in model.named_parameters() if id(parameter) in slow}
    assert named == {
        name for name, _ in model.named_parameters() if name.endswith(("gain_shift.weight", "bias_shift.weight"))
    }
    assert named


def test_labels_and_vectors_are_put_side_by_side() -> None:
    condition = Condition([2, 3], 4, 5)
    assert condition.width == 14
    vectors = torch.randn(2, 4)
    found = condition(torch.tensor([[1, 2], [0, 0]]), vectors)
    assert torch.equal(found[0, :5], condition.embeddings[0].weight[1])  # type: ignore[index]
    assert torch.equal(found[0, 5:10], condition.embeddings[1].weight[2])  # type: ignore[index]
    assert torch.equal(found[:, 10:], vectors)
    assert Condition([2], 0, 5, rank=2)(torch.tensor([[1]]), None).shape == (1, 2)


def test_conditions_count_once_learnt(answerer: Made) -> None:
    writer = answerer("two").loaded
    found = [
        writer.condition(*writer.labels.tensors([sets], [None]))
        for sets in (["地=北京", "label=好"], ["地=上海", "label=好"])
    ]
    prompts = [[writer.text.special["start"]]]
    north, east = (writer.writer.begin(prompts, one).logits for one in found)
    assert not torch.allclose(north, east)


def test_training_goes_on_from_what_a_model_has_learnt(generation_models: dict[str, Path]) -> None:
    folder = generation_models["two"]
    about = checkpoint.open_folder(folder).about
    backbone = weights.load(folder)
    model = assembled(backbone, Labels.load(about["labels"]), about["settings"])
    assert model.condition is not None
    stored = backbone.rest["condition.embeddings.0.weight"]
    assert torch.equal(model.condition.embeddings[0].weight, stored)  # type: ignore[arg-type]
    norms = [module for module in model.modules() if isinstance(module, Norm) and module.gain_shift is not None]
    assert len(norms) == 1 + 2 * backbone.bert.config.num_hidden_layers
    assert all(norm.gain_shift.weight.any() for norm in norms if norm.gain_shift is not None)


def test_other_conditions_start_anew(generation_models: dict[str, Path]) -> None:
    backbone = weights.load(generation_models["two"])
    model = assembled(backbone, Labels({"x": ["a", "b", "c"]}), as_plain(Settings(condition_width=7)))
    assert model.bert.norm.gain_shift is not None
    assert model.bert.norm.gain_shift.weight.shape == (16, 7)
    assert not model.bert.norm.gain_shift.weight.any()
    plain = assembled(backbone, Labels(), as_plain(Settings()))
    assert plain.bert.norm.gain_shift is None
    assert plain.condition is None


def test_no_special_token_is_ever_written(answerer: Made) -> None:
    writer = answerer("plain").loaded.writer
    logits = writer.begin([[1]]).logits[0, 0]
    special = answerer("plain").loaded.text.special
    assert all(logits[special[name]] == -torch.inf for name in ("pad", "unknown", "start", "mask"))
    assert logits[special["end"]].isfinite()


def test_a_backbone_writes_as_it_is(generation_models: dict[str, Path], tiny_folder: Path) -> None:
    options = Options(limit=20)
    loaded = load(
        None,
        options,
        backbone=str(generation_models["plain"]),
        machine=Machine(device="cpu", dtype="float32", tokens=9),
    )
    assert loaded.method == "cln"
    assert loaded.labels == Labels()
    with pytest.raises(ModelError, match="no head for masked words"):
        load(None, Options(), backbone=str(tiny_folder), machine=Machine(device="cpu"))


def test_without_a_model_it_is_said_how_to_get_one() -> None:
    with pytest.raises(ModelError, match="no model for generation yet; make one: nlpk train generation --out DIR"):
        load(None, Options())


def test_texts_longer_than_a_model_can_read_are_refused(generation_models: dict[str, Path]) -> None:
    found = checkpoint.open_folder(generation_models["seq2seq"])
    with pytest.raises(UsageError, match="texts need 122 positions, the model has 64; lower --limit or --source-limit"):
        load(found, Options(limit=100), machine=Machine(device="cpu"))
    with pytest.raises(UsageError, match="--shortest 12: expected less than the 12 tokens"):
        load(found, Options(shortest=12), machine=Machine(device="cpu"))


def test_a_share_of_the_conditions_is_hidden_while_it_learns(tiny_folder: Path) -> None:
    made = task(weights.load(tiny_folder), LABELS, conditions="地,label", label_dropout=0.25)
    model = made.model(weights.load(tiny_folder))
    labels, vectors = torch.zeros(1000, 2, dtype=torch.long), torch.ones(1000, 1)
    found = model.train().heard(labels, vectors)
    asked = model.eval().heard(labels, vectors)
    assert found is not None
    assert asked is not None
    is_hidden = (found == 0).all(1)
    assert 200 < int(is_hidden.sum()) < 300
    assert torch.equal(found[~is_hidden], asked[~is_hidden])
    assert asked.any(1).all()


def test_guidance_needs_a_model_that_has_written_with_and_without_a_condition(
    generation_models: dict[str, Path], tmp_path: Path
) -> None:
    found = {name: checkpoint.open_folder(folder) for name, folder in generation_models.items()}
    assert load(found["cln"], Options(guidance=2.0), machine=Machine(device="cpu")).labels.known
    with pytest.raises(UsageError, match="--guidance 2: this model has no conditions to heed; leave it out"):
        load(found["plain"], Options(guidance=2.0), machine=Machine(device="cpu"))
    always = replace(
        found["cln"], about={**found["cln"].about, "settings": {**found["cln"].settings, "label_dropout": 0}}
    )
    with pytest.raises(UsageError, match="never written without its conditions; train one with --label-dropout"):
        load(always, Options(guidance=0.5), machine=Machine(device="cpu"))


def test_training_texts_longer_than_a_model_can_read_are_refused(tiny: Backbone) -> None:
    with pytest.raises(UsageError, match="texts need 101 positions, the model has 64; lower --limit"):
        Task("cln", Settings(limit=100), tiny.text).model(tiny)


def test_only_what_reads_can_copy(tiny: Backbone) -> None:
    with pytest.raises(UsageError, match=r"--copy: cln reads nothing .*use --method seq2seq"):
        Task("cln", Settings(limit=12, source_limit=20, copy=True), tiny.text)
    assert Task("seq2seq", Settings(limit=12, source_limit=20, copy=True), tiny.text).model(tiny).copier is not None
