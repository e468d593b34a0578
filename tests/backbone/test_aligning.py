"""Masks that are filled at once: where the first one leads the others, and the end, computed place by place."""

import math

import pytest
import torch
from torch import Tensor

from nlptasks.backbone.aligning import LEAST, Aligner
from nlptasks.backbone.batch import Batch
from nlptasks.backbone.copying import Copier, Source, runs_of
from nlptasks.backbone.heads import TokenHead
from nlptasks.backbone.language import LanguageModel
from nlptasks.backbone.weights import Backbone

WIDTH, WORDS, END = 8, 12, 2


@pytest.fixture
def aligner() -> Aligner:
    """Make one that ends texts by where it looks."""
    torch.manual_seed(3)
    made = Aligner(WIDTH, END)
    torch.nn.init.normal_(made.over.weight)
    made.pace.data.fill_(0.7)
    return made.requires_grad_(False)


def source(copier: Copier) -> Source:
    """Read two rows of one length."""
    torch.manual_seed(6)
    return copier.source(torch.randn(10, WIDTH), [Batch(torch.tensor([[1, 5, 7, 5, 2], [1, 6, 5, 8, 9]]))])


def test_the_first_mask_leads_the_others_to_where_they_go_on(aligner: Aligner) -> None:
    ids, written = torch.tensor([[4, 5, 7, 5, 6], [9, 6, 5, 8, 9]]), torch.tensor([[5, 7, 5, 6], [6, 5, 9, 9]])
    first = torch.tensor([[0.1, 0.4, 0.25, 0.25, 0.0], [0.0, 0.6, 0.3, 0.0, 0.1]])
    runs = runs_of(ids, written)
    bias = aligner.bias(first, runs)
    for row, (text, picked) in enumerate(zip(ids.tolist(), written.tolist(), strict=True)):
        for mask in range(4):
            starts = [at for at in range(5 - mask) if text[at : at + mask] == picked[:mask]]
            total = sum(float(first[row, at]) for at in starts)
            for place in range(5):
                led = float(first[row, place - mask]) / total if place - mask in starts and total else 0.0
                expected = 0.7 * math.log(max(led, LEAST)) if mask else 0.0
                assert float(bias[row, mask, place]) == pytest.approx(expected, rel=1e-4)
            torch.testing.assert_close(aligner.bias(first, runs[:, mask : mask + 1], mask), bias[:, mask : mask + 1])


def test_what_is_over_is_the_end(aligner: Aligner, copier: Copier) -> None:
    hidden, logits = torch.randn(2, 3, WIDTH), torch.randn(2, 3, WORDS)
    plain = source(copier)
    closed = aligner.closed(plain)
    over = torch.sigmoid(plain.keys @ aligner.over.weight[0] + aligner.over.bias)
    runs = runs_of(plain.ids, torch.tensor([[5, 7, 5], [6, 5, 8]]))
    bias = aligner.bias(copier.places(hidden[:, :1], plain)[:, 0], runs)
    places, share = copier.places(hidden, plain, bias), copier.gate(hidden).sigmoid()[..., 0]
    mixed = copier.mixed(logits, hidden, closed, bias).exp()
    torch.testing.assert_close(mixed.sum(-1), torch.ones(2, 3))
    for row in range(2):
        for mask in range(3):
            expected = (1 - share[row, mask]) * logits[row, mask].softmax(-1)
            for place in range(5):
                chance = share[row, mask] * places[row, mask, place]
                expected[plain.ids[row, place]] += chance * (1 - over[row, place])
                expected[END] += chance * over[row, place]
            torch.testing.assert_close(mixed[row, mask], expected)
    kept = closed.rows(torch.tensor([1]))
    torch.testing.assert_close(copier.mixed(logits[1:], hidden[1:], kept, bias[1:]).exp(), mixed[1:])


def test_losses_are_the_logarithms_of_those_chances(aligner: Aligner, copier: Copier) -> None:
    hidden, logits = torch.randn(4, WIDTH), torch.randn(4, WORDS)
    tokens, rows = torch.tensor([5, 7, END, 8]), torch.tensor([0, 0, 0, 1])
    closed = aligner.closed(source(copier))
    named = torch.nn.functional.cross_entropy(logits, tokens, reduction="none")
    found = copier.losses(named, hidden, tokens, rows, closed, align=aligner.bias)

    def alone(part: slice, row: int) -> Tensor:
        own, masks = closed.rows(torch.tensor([row])), hidden[None, part]
        bias = aligner.bias(copier.places(masks[:, :1], own)[:, 0], runs_of(own.ids, tokens[None, part]))
        return copier.mixed(logits[None, part], masks, own, bias)[0].gather(1, tokens[part, None])[:, 0]

    torch.testing.assert_close(found, -torch.cat([alone(slice(0, 3), 0), alone(slice(3, 4), 1)]))


def test_a_model_learns_it_and_keeps_it(tiny: Backbone) -> None:
    torch.manual_seed(2)
    tiny.rest = LanguageModel(tiny.bert, TokenHead(tiny.bert.config)).named()
    model = LanguageModel.new(tiny, copies=True, aligns=True)
    assert model.aligner is not None
    lesson = [Batch(torch.tensor([[2, 5, 5, 5, 3, 9, 8, 7, 3]]))]
    loss = model.token_loss(lesson, torch.tensor([[1, 2, 3], [9, 8, tiny.text.special["end"]]]))
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(weight.grad is not None and weight.grad.any() for weight in model.aligner.parameters())
    model.aligner.pace.data.fill_(2.5)
    tiny.rest = model.named()
    again = LanguageModel.trained(tiny, "qa").aligner
    assert again is not None
    assert again.pace.item() == 2.5
    assert LanguageModel.new(tiny, copies=True).aligner is None
