"""The pointer: its share and its places against the plainest computation, and what it never copies."""

import math

import pytest
import torch
from torch import Tensor

from nlptasks.backbone.batch import Batch
from nlptasks.backbone.copying import Copier
from nlptasks.backbone.heads import TokenHead, token_losses
from nlptasks.backbone.language import LanguageModel
from nlptasks.backbone.weights import Backbone

WIDTH, WORDS = 8, 12


def groups() -> list[Batch]:
    """Give rows of two lengths, with special tokens, a token twice, and a part in segment 1."""
    written = torch.tensor([[0, 0, 0, 0, 1], [0, 0, 0, 1, 1]])
    return [Batch(torch.tensor([[1, 5, 2]])), Batch(torch.tensor([[1, 7, 8, 7, 5], [1, 9, 2, 4, 6]]), written)]


def chances(copier: Copier, logits: Tensor, state: Tensor, keys: dict[int, list[Tensor]]) -> list[float]:
    """Compute the chance of each word from the states of the places that hold it."""
    share = float(copier.gate(state).sigmoid())
    named = logits.softmax(-1)
    scores = [
        (word, math.exp(float(copier.query(state) @ copier.key(key)) / math.sqrt(WIDTH)))
        for word, some in keys.items()
        for key in some
    ]
    total = sum(score for _, score in scores) or 1.0
    return [
        (1 - share) * float(named[word]) + share * sum(score for one, score in scores if one == word) / total
        for word in range(WORDS)
    ]


def test_chances_are_those_of_every_place_by_itself(copier: Copier) -> None:
    states, hidden, logits = torch.randn(13, WIDTH), torch.randn(3, 2, WIDTH), torch.randn(3, 2, WORDS)
    mixed = copier.mixed(logits, hidden, copier.source(states, groups())).exp()
    keys = [
        {5: [states[1]]},
        {7: [states[4], states[6]], 8: [states[5]]},
        {9: [states[9]]},
    ]
    for row in range(3):
        for place in range(2):
            expected = chances(copier, logits[row, place], hidden[row, place], keys[row])
            assert mixed[row, place].tolist() == pytest.approx(expected, rel=1e-4)
    torch.testing.assert_close(mixed.sum(-1), torch.ones(3, 2))


@pytest.mark.parametrize("follows", [False, True])
def test_losses_are_the_logarithms_of_those_chances(copier: Copier, follows: bool) -> None:
    states, hidden, logits = torch.randn(13, WIDTH), torch.randn(5, WIDTH), torch.randn(5, WORDS)
    tokens, rows = torch.tensor([5, 7, 8, 7, 9]), torch.tensor([0, 1, 1, 1, 2])
    source = copier.source(states, groups())
    named = torch.nn.functional.cross_entropy(logits, tokens, reduction="none")
    found = copier.losses(named, hidden, tokens, rows, source, follows=follows)
    behind = {2: [0, 0, 1, 0, 1], 3: [0, 0, 0, 2, 0]}  # the second row wrote 7, then 8, and reads 7 8 7 5
    runs = torch.tensor([[behind.get(place, [0] * 5)] for place in range(5)]) if follows else None
    bias = None if runs is None else copier.bias(runs)
    mixed = copier.mixed(logits[:, None], hidden[:, None], source.rows(rows), bias)[:, 0]
    torch.testing.assert_close(found, -mixed[torch.arange(5), tokens])


def test_what_must_not_be_named_is_not_but_by_copying(copier: Copier) -> None:
    states, hidden, logits = torch.randn(13, WIDTH), torch.randn(3, 1, WIDTH), torch.randn(3, 1, WORDS)
    logits[..., [0, 1, 7]] = -torch.inf
    mixed = copier.mixed(logits, hidden, copier.source(states, groups()))
    assert mixed[..., :2].isneginf().all()
    assert mixed[:, 0, 7].isneginf().tolist() == [True, False, True]
    assert mixed[..., 2:7].isfinite().all()


def test_where_nothing_can_be_copied_no_word_gains(copier: Copier) -> None:
    logits, hidden = torch.randn(1, 1, WORDS), torch.randn(1, 1, WIDTH)
    source = copier.source(torch.randn(3, WIDTH), [Batch(torch.tensor([[1, 2, 2]]))])
    mixed = copier.mixed(logits, hidden, source)
    torch.testing.assert_close(mixed.log_softmax(-1), logits.log_softmax(-1))


def test_a_model_learns_by_the_pointer_and_keeps_it(tiny: Backbone) -> None:
    torch.manual_seed(2)
    tiny.rest = LanguageModel(tiny.bert, TokenHead(tiny.bert.config)).named()
    assert LanguageModel.new(tiny).copier is None
    model = LanguageModel.new(tiny, copies=True)
    assert model.copier is not None
    lesson = [Batch(torch.tensor([[2, 7, 8, 3], [2, 9, 9, 3]])), Batch(torch.tensor([[2, 6, 3]]))]
    places, tokens = torch.tensor([[1, 2, 6, 9], [7, 8, 9, 7]])
    below, last = list(model.bert.eval().states(lesson))[-2:]
    named = token_losses(model.head(last[places]), tiny.bert.tokens.weight, model.head.bias, tokens)
    rows = torch.tensor([0, 0, 1, 2])
    source = model.copier.source(below, lesson)
    expected = model.copier.losses(named, last[places], tokens, rows, source, follows=True).mean()
    loss = model.token_loss(lesson, torch.stack([places, tokens]), follows=True)
    torch.testing.assert_close(loss, expected)
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(
        weight.grad is not None and weight.grad.any()
        for name, weight in model.copier.named_parameters()
        if "key.bias" not in name
    )
    tiny.rest = model.named()
    for again in (LanguageModel.trained(tiny, "qa"), LanguageModel.new(tiny, copies=True)):
        assert again.copier is not None
        assert torch.equal(again.copier.key.weight, model.copier.key.weight)
