from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nlptasks.backbone import heads, weights
from nlptasks.backbone.batch import Batch
from nlptasks.backbone.bert import Bert, Config
from nlptasks.backbone.heads import TokenHead, WeightedLoss, token_losses
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import ModelError

CONFIG = Config(
    vocab_size=11, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, hidden_act="gelu"
)


def random_head(seed: int = 0) -> TokenHead:
    torch.manual_seed(seed)
    head = TokenHead(CONFIG)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    return head


def test_a_head_comes_back_from_its_names() -> None:
    head, bert = random_head(), Bert(CONFIG)
    again = TokenHead.load(bert, head.named())
    assert again is not None
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in head.state_dict().items())


def test_the_bias_may_stand_at_the_decoder_and_the_decoder_may_repeat_the_embeddings() -> None:
    head, bert = random_head(), Bert(CONFIG)
    rest = head.named()
    rest["cls.predictions.decoder.bias"] = rest.pop("cls.predictions.bias")
    rest["cls.predictions.decoder.weight"] = bert.tokens.weight.detach().clone()
    again = TokenHead.load(bert, rest)
    assert again is not None
    assert torch.equal(again.bias, head.bias)


def test_a_checkpoint_without_a_head_gives_none() -> None:
    assert TokenHead.load(Bert(CONFIG), {}) is None


def test_a_decoder_of_its_own_is_refused() -> None:
    rest = {**random_head().named(), "cls.predictions.decoder.weight": torch.zeros(11, 8)}
    with pytest.raises(ModelError, match="the head's decoder is not the token embeddings"):
        TokenHead.load(Bert(CONFIG), rest)


def test_a_head_of_another_shape_is_refused() -> None:
    rest = {**random_head().named(), "cls.predictions.bias": torch.zeros(12)}
    with pytest.raises(ModelError, match="the head does not fit the model"):
        TokenHead.load(Bert(CONFIG), rest)


def test_the_scores_are_those_of_transformers(tiny: Backbone, tmp_path: Path) -> None:
    from transformers import BertForMaskedLM

    torch.manual_seed(1)
    head = TokenHead(tiny.bert.config)
    torch.nn.init.normal_(head.bias)
    weights.save(tmp_path, tiny.bert, tiny.text, head.named())
    theirs: Any = BertForMaskedLM.from_pretrained(tmp_path, attn_implementation="eager")
    theirs.eval()
    ids = torch.tensor([[3, 7, 8, 9, 4], [3, 30, 5, 12, 4]])
    with torch.no_grad():
        hidden = head(tiny.bert(Batch(ids)).view(10, -1))
        ours = torch.nn.functional.linear(hidden, tiny.bert.tokens.weight, head.bias)
        expected = theirs(input_ids=ids).logits.view(10, -1)
    assert torch.allclose(ours, expected, atol=1e-5)


def losses_both_ways(dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
    """Compute loss, losses and gradients by the plain way and by the frugal one."""
    found = []
    for frugal in (False, True):
        torch.manual_seed(2)
        states, table, bias = torch.randn(9, 8, dtype=dtype), torch.randn(11, 8), torch.randn(11)
        targets, shares = torch.randint(0, 11, (9,)), torch.rand(9)
        inputs = [one.requires_grad_() for one in (states, table, bias)]
        if frugal:
            total, losses = WeightedLoss.apply(states, table, bias, targets, shares)  # type: ignore[no-untyped-call]
        else:
            losses = token_losses(states, table.to(dtype), bias.to(dtype), targets)
            total = (losses * shares).sum()
        (3 * total).backward()
        found.append([total.detach(), losses.detach(), *(one.grad.float() for one in inputs if one.grad is not None)])
    return found[0], found[1]


@pytest.mark.parametrize("at_once", [1, 33, 1 << 20])
def test_the_frugal_loss_and_its_gradients_are_the_plain_ones(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(heads, "SCORES_AT_ONCE", at_once)
    plain, frugal = losses_both_ways(torch.float32)
    assert len(plain) == len(frugal) == 5
    for one, other in zip(plain, frugal, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_the_frugal_loss_is_near_the_plain_one_in_16_bits() -> None:
    plain, frugal = losses_both_ways(torch.bfloat16)
    for one, other in zip(plain, frugal, strict=True):
        assert torch.allclose(one, other, atol=0.1, rtol=0.05)


def test_no_target_is_no_loss() -> None:
    table = torch.randn(11, 8, requires_grad=True)
    states, bias = torch.zeros(0, 8, requires_grad=True), torch.zeros(11, requires_grad=True)
    nothing = torch.zeros(0)
    total, losses = WeightedLoss.apply(states, table, bias, nothing.long(), nothing)  # type: ignore[no-untyped-call]
    total.backward()
    assert (float(total.detach()), len(losses)) == (0.0, 0)
    assert table.grad is not None
    assert not table.grad.any()
