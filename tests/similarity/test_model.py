"""The model of similarity as it is loaded to embed, by itself or as a backbone."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from nlptasks.backbone import weights
from nlptasks.backbone.hardware import Machine
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import UsageError
from nlptasks.similarity.model import Loaded, drop_whitening, load
from nlptasks.similarity.row import Options, Settings
from nlptasks.similarity.task import Task

TEXTS = ("今天", "我们去玩", "the play")


def on_cpu(backbone: Path, options: Options) -> Loaded:
    return load(None, options, backbone=str(backbone), machine=Machine(device="cpu", dtype="float32"))


def vectors(loaded: Loaded) -> np.ndarray:
    return np.concatenate(list(loaded.embedder.embed(TEXTS)))


def test_a_limit_must_fit_the_model(tiny: Backbone, tiny_folder: Path) -> None:
    with pytest.raises(UsageError, match=r"^--limit 65: expected 3 to 64, the positions of this model$"):
        on_cpu(tiny_folder, Options(limit=65))
    with pytest.raises(UsageError, match=r"^--limit 65: expected 3 to 64, the positions of this model$"):
        Task("cosent", Settings(limit=65), tiny.text).model(tiny)
    assert on_cpu(tiny_folder, Options(limit=64)).embedder.limit == 64
    assert on_cpu(tiny_folder, Options()).embedder.limit == 64


def test_a_whitened_model_embeds_as_a_plain_one_where_it_is_named_as_a_backbone(
    tiny: Backbone, tiny_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rest = {"whitening.weight": torch.randn(7, 16), "whitening.bias": torch.randn(7)}
    weights.save(tmp_path, tiny.bert, tiny.text, rest)
    with caplog.at_level(logging.INFO, "nlptasks"):
        loaded = on_cpu(tmp_path, Options(pooling="cls"))
    assert caplog.messages == [f"{tmp_path}: as a backbone it embeds without its whitening; with --model it has it"]
    assert np.array_equal(vectors(loaded), vectors(on_cpu(tiny_folder, Options(pooling="cls"))))


def test_only_the_whitening_is_taken_away(tiny: Backbone) -> None:
    tiny.rest = {"pooler.dense.bias": torch.ones(16), "whitening.weight": torch.ones(7, 16)}
    assert drop_whitening(tiny)
    assert list(tiny.rest) == ["pooler.dense.bias"]
    assert not drop_whitening(tiny)
