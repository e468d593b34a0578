"""Training that ends with a whitening, and training that starts from a model that has one."""

import itertools
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from nlptasks.backbone import weights
from nlptasks.backbone.batch import Budget
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import NlpkError
from nlptasks.similarity.encoder import SentenceEncoder
from nlptasks.similarity.row import METHODS, Settings
from nlptasks.similarity.task import Task
from nlptasks.training.settings import resolve

ANCHORS, POSITIVES = ("今天", "我们去玩", "the play"), ("今天好", "去公园", "playing")
ROWS = [{"a": "今天", "b": "天气", "score": 1.0}, {"a": "我们", "b": "去公园", "score": 0.0}]
BUDGET = Budget(2048)


def task_of(backbone: Backbone, method: str, **flags: Any) -> Task:  # noqa: ANN401
    return Task(method, resolve(Settings, METHODS[method].defaults, flags={"limit": 16, **flags}), backbone.text)


@torch.no_grad()
def loss_of(backbone: Backbone, method: str, rows: Sequence[dict[str, Any]]) -> tuple[float, SentenceEncoder]:
    task = task_of(backbone, method)
    model = task.model(backbone).eval()
    return float(task.loss(model, task.batch(rows))), model


def whitened(tiny: Backbone, folder: Path) -> Backbone:
    """Load a whitened model as a backbone."""
    rest = {"whitening.weight": torch.randn(7, 16), "whitening.bias": torch.randn(7)}
    weights.save(folder, tiny.bert, tiny.text, rest)
    return weights.load(folder)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({}, r"whitening to 16 of 16 dimensions needs at least 17 sentences .* found 4: .* keep at most --dims 2, or"),
        ({"dims": 3}, r"whitening to 3 of 16 dimensions needs at least 6 sentences .* found 4: give more"),
        ({"dims": 17}, r"--dims 17 is out of range: these vectors have 16 dimensions, choose 1 to 16"),
    ],
)
def test_a_whitening_that_cannot_be_fitted_is_refused_before_and_after_the_training_alike(
    tiny: Backbone, flags: dict[str, int], said: str
) -> None:
    task = task_of(tiny, "cosent", whiten=True, **flags)
    model = task.model(tiny).eval()
    with pytest.raises(NlpkError, match=said) as before:
        task.check(model, ROWS)
    with pytest.raises(NlpkError, match=said) as after:
        task.finish(model, ROWS, BUDGET)
    assert (type(before.value), str(before.value)) == (type(after.value), str(after.value))


@pytest.mark.parametrize("flags", [{"whiten": True, "dims": 2}, {"whiten": True, "whiten_gamma": 0.0}, {"dims": 99}])
def test_what_can_be_fitted_is_let_through(tiny: Backbone, flags: dict[str, Any]) -> None:
    task = task_of(tiny, "cosent", **flags)
    model = task.model(tiny).eval()
    task.check(model, ROWS)
    assert task.finish(model, ROWS, BUDGET) == bool(flags.get("whiten"))


def test_enough_sentences_are_counted_and_no_more(tiny: Backbone) -> None:
    def endless() -> Iterator[dict[str, str]]:
        for number in itertools.count():
            assert number < 20
            yield {"text": f"第{number}句"}

    task = task_of(tiny, "whitening")
    task.check(task.model(tiny), endless())  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["simcse", "cosent", "supervised-simcse"])
def test_the_whitening_of_a_backbone_takes_no_part_in_training(
    tiny: Backbone, tmp_path: Path, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [
        {"text": a, "a": a, "b": b, "positive": b, "negative": "上海", "score": float(number)}
        for number, (a, b) in enumerate(zip(ANCHORS, POSITIVES, strict=True))
    ]
    expected, _ = loss_of(tiny, method, rows)
    backbone = whitened(tiny, tmp_path / "model")
    with caplog.at_level(logging.INFO, "nlptasks"):
        found, model = loss_of(backbone, method, rows)
    assert found == pytest.approx(expected, rel=1e-5)
    assert model.whitening is None
    assert not [name for name, _ in model.named_parameters() if "whitening" in name]
    assert task_of(backbone, method).rest(model) == {}
    said = f"{tmp_path}/model: its whitening is left out; --whiten fits a new one after the training"
    assert caplog.messages == [said]


def test_a_backbone_with_a_whitening_is_whitened_anew(
    tiny: Backbone, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    texts = [{"text": f"今天{n}天气{n * 5 % 7}"} for n in range(60)]
    backbone = whitened(tiny, tmp_path / "model")
    task = task_of(backbone, "cosent", whiten=True, dims=5)
    with caplog.at_level(logging.INFO, "nlptasks"):
        model = task.model(backbone).eval()
    assert caplog.messages == []
    assert task.finish(model, texts, BUDGET)
    assert model.whitening is not None
    assert model.whitening.weight.shape == (5, 16)
    assert not any(parameter.requires_grad for parameter in model.whitening.parameters())
