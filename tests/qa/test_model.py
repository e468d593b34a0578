"""Check what loads a model of QA, and what refuses one."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest
import torch

from nlptasks.backbone import sums, weights
from nlptasks.backbone.hardware import Machine
from nlptasks.backbone.heads import TokenHead
from nlptasks.errors import ModelError, UsageError
from nlptasks.qa.model import load
from nlptasks.qa.row import Options, Settings
from nlptasks.training import checkpoint


def test_a_trained_model_brings_its_limits_and_options_change_them(qa_models: dict[str, Path]) -> None:
    found = checkpoint.open_folder(qa_models["mlm"])
    loaded = load(found, Options(question_limit=5), machine=Machine(device="cpu"))
    assert (loaded.method, loaded.name) == ("mlm", str(qa_models["mlm"]))
    assert (loaded.limits.passage, loaded.limits.question, loaded.limits.answer) == (20, 5, 12)
    assert loaded.fingerprint == sums.fingerprint(qa_models["mlm"])


def test_the_head_comes_out_as_it_was_saved(qa_models: dict[str, Path]) -> None:
    loaded = load(
        checkpoint.open_folder(qa_models["seq2seq"]), Options(), machine=Machine(device="cpu", dtype="float32")
    )
    backbone = weights.load(qa_models["seq2seq"])
    head = TokenHead.load(backbone.bert, backbone.rest)
    assert head is not None
    hidden = torch.randn(2, 3, backbone.bert.config.hidden_size)
    with torch.inference_mode():
        expected = head(hidden) @ backbone.bert.tokens.weight.T + head.bias
        assert torch.allclose(loaded.writer.logits(hidden), expected, atol=1e-4)


def test_without_model_and_backbone_one_line_says_how_to_get_one() -> None:
    with pytest.raises(ModelError, match="no model for qa yet; make one: nlpk train qa --out DIR"):
        load(None, Options())


def test_a_backbone_without_a_head_cannot_answer(tiny_folder: Path) -> None:
    with pytest.raises(ModelError, match="no head for masked words; train one with nlpk train qa"):
        load(None, Options(), backbone=str(tiny_folder))


def test_more_than_the_positions_is_refused(qa_models: dict[str, Path]) -> None:
    with pytest.raises(UsageError, match="need 75 positions, the model has 64; lower --passage-limit"):
        load(checkpoint.open_folder(qa_models["mlm"]), Options(passage_limit=50), machine=Machine(device="cpu"))


def test_a_beam_is_no_use_to_masks(qa_models: dict[str, Path], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        load(checkpoint.open_folder(qa_models["seq2seq"]), Options(beam=4), machine=Machine(device="cpu"))
        assert not caplog.text
        load(checkpoint.open_folder(qa_models["mlm"]), Options(beam=4), machine=Machine(device="cpu"))
    assert "--beam 4: not used, mlm fills all places at once" in caplog.text


def test_a_plain_backbone_answers_and_says_that_it_has_not_learnt_to(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        loaded = load(None, Options(), backbone=str(weights.DEFAULT), machine=Machine(device="cpu"))
    assert "has not learnt to answer; train it with nlpk train qa" in caplog.text
    assert loaded.limits.answer == Settings().answer_limit


def test_what_was_trained_says_when_there_is_no_answer(qa_models: dict[str, Path], tmp_path: Path) -> None:
    copied = tmp_path / "model"
    shutil.copytree(qa_models["seq2seq"], copied)
    about = json.loads((copied / checkpoint.ABOUT).read_text())
    about["settings"]["abstain"] = 0.25
    (copied / checkpoint.ABOUT).write_text(json.dumps(about))
    found = checkpoint.open_folder(copied)
    untold = checkpoint.open_folder(qa_models["seq2seq"])
    loaded = [load(found, Options()), load(found, Options(abstain=1.0)), load(untold, Options())]
    assert [one.options for one in loaded] == [Options(abstain=0.25), Options(abstain=1.0), Options()]
