from __future__ import annotations

import pytest
import torch

from nlptasks.backbone.batch import Batch
from nlptasks.backbone.losses import zlpr
from nlptasks.ie import pairs
from nlptasks.ie.grid import Rows
from nlptasks.ie.pairs import Pairs, lists, positive

ROWS = Rows.of([Batch(torch.zeros(2, 5, dtype=torch.long)), Batch(torch.zeros(1, 9, dtype=torch.long))])


def head(efficient: bool, spans: bool, labels: int = 3) -> Pairs:
    torch.manual_seed(0)
    made = Pairs(8, labels, efficient=efficient, spans=spans)
    if made.bias is not None:
        torch.nn.init.normal_(made.bias.bias)
    return made


@pytest.mark.parametrize("spans", [True, False])
@pytest.mark.parametrize("efficient", [True, False])
def test_chosen_pairs_have_the_scores_of_the_table(efficient: bool, spans: bool) -> None:
    made, states = head(efficient, spans), torch.randn(19, 8)
    for rectangle in ROWS.rectangles():
        table = made.table(states[rectangle.index], rectangle.kept, 0, 3)
        row, _, first, last = table.isfinite().nonzero().unbind(1)
        index = rectangle.index
        chosen = made.at(states)(index[row, first], index[row, last])
        assert torch.allclose(chosen, table[row, :, first, last], atol=1e-5)


@pytest.mark.parametrize("efficient", [True, False])
def test_spans_stand_in_order_and_only_where_there_is_text(efficient: bool) -> None:
    made = head(efficient, spans=True)
    (rectangle,) = Rows.of([Batch(torch.zeros(1, 5, dtype=torch.long))]).rectangles()
    table = made.table(torch.randn(1, 5, 8), rectangle.kept, 0, 3)
    found = table[0, 0].isfinite().nonzero().tolist()
    assert found == [[a, b] for a in (1, 2, 3) for b in (1, 2, 3) if a <= b]


def test_distance_counts_for_spans_and_place_does_not() -> None:
    made = head(efficient=True, spans=True)
    torch.nn.init.zeros_(made.bias.bias)  # type: ignore[union-attr]
    hidden = torch.randn(1, 1, 8).expand(1, 8, 8)
    kept = torch.ones(1, 8, dtype=torch.bool)
    table = made.table(hidden, kept, 0, 1)[0, 0]
    assert torch.allclose(table[0, 2], table[3, 5], atol=1e-5)
    assert not torch.allclose(table[0, 2], table[0, 5], atol=1e-3)


@pytest.mark.parametrize("efficient", [True, False])
def test_the_loss_is_that_of_the_dense_table_slice_by_slice(efficient: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    made, states = head(efficient, spans=False), torch.randn(19, 8)
    positives = torch.tensor([[0, 0, 1, 2], [0, 2, 3, 1], [2, 1, 4, 4], [2, 1, 7, 1]])
    expected = torch.zeros(())
    for rectangle in ROWS.rectangles():
        table = made.table(states[rectangle.index], rectangle.kept, 0, 3)
        labels = torch.zeros_like(table)
        for row, label, first, last in positives.tolist():
            if 0 <= row - rectangle.first < len(table):
                labels[row - rectangle.first, label, first, last] = 1
        expected = expected + zlpr(table.flatten(2), labels.flatten(2)).sum()
    rectangles = ROWS.rectangles()
    assert torch.allclose(made.loss(states, rectangles, positives), expected, atol=1e-4)
    whole = torch.autograd.grad(made.loss(states, rectangles, positives), made.project.weight)[0]
    monkeypatch.setattr(pairs, "SCORES_AT_ONCE", 1)
    sliced = made.loss(states, rectangles, positives)
    assert torch.allclose(sliced, expected, atol=1e-4)
    assert torch.allclose(torch.autograd.grad(sliced, made.project.weight)[0], whole, atol=1e-5)


def test_an_efficient_label_costs_256_weights() -> None:
    def count(labels: int) -> int:
        return sum(p.numel() for name, p in head(True, False, labels).named_parameters() if name.endswith("weight"))

    assert count(11) - count(10) == 256


def test_pairs_are_listed_by_row_and_label() -> None:
    made = lists(torch.tensor([1, 0, 1]), torch.tensor([0, 1, 0]), torch.tensor([7, 8, 9]), (2, 2))
    assert made.tolist() == [[[0, 0], [8, 0]], [[7, 9], [0, 0]]]
    empty = torch.zeros(0, dtype=torch.long)
    assert lists(empty, empty, empty, (2, 3)).shape == (2, 3, 0)


def test_only_the_best_are_found_where_there_are_too_many() -> None:
    scores = torch.tensor([[[[1.0, 2.0], [3.0, -1.0]]]])
    assert positive(scores, 5).tolist() == [[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]
    assert positive(scores, 2).tolist() == [[0, 0, 0, 1], [0, 0, 1, 0]]
