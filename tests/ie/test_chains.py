from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nlptasks.backbone.batch import Batch
from nlptasks.ie import chains
from nlptasks.ie.grid import Rows

#: Two rows of 4 tokens and one of 6, laid end to end.
ROWS = Rows.of([Batch(torch.zeros(2, 4, dtype=torch.long)), Batch(torch.zeros(1, 6, dtype=torch.long))])


def test_rows_lie_end_to_end() -> None:
    assert ROWS.starts.tolist() == [0, 4, 8]
    assert ROWS.inner().nonzero().flatten().tolist() == [1, 2, 5, 6, 9, 10, 11, 12]
    tokens, rows = ROWS.chosen(torch.tensor([2, 0, 0]))
    assert tokens.tolist() == [*range(8, 14), *range(4), *range(4)]
    assert rows.starts.tolist() == [0, 6, 10]


def test_rectangles_hold_every_token_once() -> None:
    places = [r.index[r.kept] for r in ROWS.rectangles()]
    assert sorted(torch.cat(places).tolist()) == ROWS.inner().nonzero().flatten().tolist()


def test_a_first_token_goes_with_the_next_last_one_of_its_row() -> None:
    chances = torch.zeros(14, 1, 2)
    chances[[1, 5, 9, 11], 0, 0] = 0.9  # row 0 has no last token
    chances[[6, 10, 12], 0, 1] = 0.8
    found, sure = chains.spans(chances, ROWS, 0.5, 0.5)
    assert found.tolist() == [[1, 0, 1, 2], [2, 0, 1, 2], [2, 0, 3, 4]]
    assert torch.allclose(sure, torch.tensor(0.8))


def test_the_surest_of_each_row_are_kept_in_order() -> None:
    found = torch.tensor([[0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3], [1, 0, 1, 1]])
    kept, sure = chains.surest(found, torch.tensor([0.6, 0.9, 0.7, 0.1]), 2)
    assert kept.tolist() == found[[1, 2, 3]].tolist()
    assert torch.equal(sure, torch.tensor([0.9, 0.7, 0.1]))


def test_all_right_subjects_are_taught_and_mixed_ones_teach_nothing_wrong() -> None:
    targets = torch.tensor([[0, 5, 1, 2, 4, 4], [0, 6, 1, 2, 5, 5], [0, 5, 4, 5, 1, 2], [1, 5, 1, 1, 2, 2]])
    plain = chains.taught(targets, mix=False)
    assert plain.places.tolist() == [[0, 1, 2], [0, 4, 5], [1, 1, 1]]
    assert plain.objects.tolist() == [[0, 5, 4, 4], [0, 6, 5, 5], [1, 5, 1, 2], [2, 5, 2, 2]]
    for seed in range(5):
        torch.manual_seed(seed)
        mixed = chains.taught(targets, mix=True)
        told = [[*mixed.places[s].tolist(), *rest] for s, *rest in mixed.objects.tolist()]
        assert sorted(told) == sorted([r, a, b, p, c, d] for r, p, a, b, c, d in targets.tolist())
        assert (mixed.places[:, 1] <= mixed.places[:, 2]).all()


def test_subjects_read_in_parts_have_the_same_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    chances, table = torch.rand(14, 2), torch.rand(14, 5, 2)
    hints = torch.tensor([[0, 1, 1, 2, 1, 1], [2, 3, 1, 1, 2, 4], [2, 0, 4, 4, 1, 1]])
    calls = []

    def objects(places: Tensor) -> tuple[Tensor, Rows]:
        calls.append(len(places))
        tokens, rows = ROWS.chosen(places[:, 0])
        owners = rows.owners()
        return (table[tokens] + places[owners, 1].view(-1, 1, 1) / 7) % 1, rows  # as chances that heed the subject

    found, sure = chains.triples(chances, ROWS, objects, hints, (0.3, 0.3))
    assert len(calls) == 2  # all subjects found, and those of the hints
    calls.clear()
    monkeypatch.setattr(chains, "TOKENS_AT_ONCE", 10)
    in_parts, as_sure = chains.triples(chances, ROWS, objects, hints, (0.3, 0.3))
    assert len(calls) > 3
    assert len(found) > 5
    assert in_parts.tolist() == found.tolist()
    assert torch.equal(as_sure, sure)


@pytest.mark.parametrize("power", [1, 2, 4])
def test_a_bias_starts_a_head_at_a_chance(power: int) -> None:
    bias = torch.tensor(chains.bias_of(0.001, power))
    assert float(bias.sigmoid() ** power) == pytest.approx(0.001, rel=1e-4)
