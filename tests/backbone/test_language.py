"""The language model: its head, its losses on both ways to compute them, and how it goes to where it answers."""

import logging

import pytest
import torch

from nlptasks.backbone.batch import Batch
from nlptasks.backbone.hardware import Machine
from nlptasks.backbone.heads import TokenHead
from nlptasks.backbone.language import LanguageModel
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import ModelError


@pytest.fixture
def model(tiny: Backbone) -> LanguageModel:
    """Put a head of random numbers on the tiny BERT."""
    torch.manual_seed(1)
    return LanguageModel(tiny.bert, TokenHead(tiny.bert.config)).eval()


def lesson() -> tuple[list[Batch], torch.Tensor]:
    """Two groups of one length each, and three tokens in their places."""
    groups = [Batch(torch.tensor([[2, 7, 8, 3], [2, 9, 9, 3]])), Batch(torch.tensor([[2, 6, 3]]))]
    return groups, torch.tensor([[1, 6, 9], [8, 5, 7]])


def test_the_mean_loss_is_that_of_every_token_by_itself(model: LanguageModel) -> None:
    groups, targets = lesson()
    hidden = torch.cat([list(model.bert.states([group]))[-1] for group in groups])
    scores = model.head(hidden[targets[0]]) @ model.bert.tokens.weight.T + model.head.bias
    expected = torch.nn.functional.cross_entropy(scores, targets[1])
    torch.testing.assert_close(model.token_loss(groups, targets), expected)


def test_shares_weigh_losses_on_the_cpu_as_elsewhere(model: LanguageModel) -> None:
    groups, targets = lesson()
    states, shares = model.states(groups, targets[0]), torch.tensor([0.5, 0.25, 2.0])
    total, each = model.loss(states, targets[1], shares)
    torch.testing.assert_close(total, (each * shares).sum())
    torch.testing.assert_close(model.mean_loss(states, targets[1]), each.mean())


def test_a_missing_head_is_started_fresh_to_train_and_refused_to_answer(
    tiny: Backbone, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        made = LanguageModel.new(tiny)
    assert "no head for masked words; it starts from random weights" in caplog.text
    assert made.head.dense.weight.requires_grad
    with pytest.raises(ModelError, match="no head for masked words; train one with nlpk train qa"):
        LanguageModel.trained(tiny, "qa")


def test_the_head_comes_out_as_it_is_named(tiny: Backbone, model: LanguageModel) -> None:
    tiny.rest = model.named()
    again = LanguageModel.trained(tiny, "qa")
    assert all(torch.equal(*pair) for pair in zip(again.head.parameters(), model.head.parameters(), strict=True))
    del tiny.rest["cls.predictions.transform.dense.bias"]
    with pytest.raises(ModelError, match="no head for masked words"):
        LanguageModel.trained(tiny, "qa")


def test_ready_it_learns_no_more_and_says_the_same(model: LanguageModel) -> None:
    groups, targets = lesson()
    before = model.states(groups, targets[0]).detach()
    ready = model.ready(Machine("cpu", "float32"))
    assert not ready.training
    assert not any(parameter.requires_grad for parameter in ready.parameters())
    with torch.inference_mode():
        torch.testing.assert_close(ready.states(groups, targets[0]), before)
