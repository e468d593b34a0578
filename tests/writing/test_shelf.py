"""Check where the memory puts what it is given."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nlptasks.writing import shelf as module
from nlptasks.writing.shelf import Shelf

HEADS, WIDTH = 2, 3


def states(rows: int, tokens: int, first: float) -> Tensor:
    return first + torch.arange(rows * HEADS * tokens * WIDTH).float().reshape(rows, HEADS, tokens, WIDTH)


@pytest.fixture
def shelf() -> Shelf:
    """Hold three prompts, of 2, 4 and 2 tokens, in two layers."""
    held = Shelf([[0, 2], [1]], 4)
    for layer in range(2):
        held.extend(layer, states(2, 2, 100.0 * layer), -states(2, 2, 100.0 * layer))
        held.extend(layer, states(1, 4, 1000.0 + layer), -states(1, 4, 1000.0 + layer))
    held.advance(4)
    return held


def test_prompts_stand_in_their_rows_with_zeros_behind(shelf: Shelf) -> None:
    for layer in range(2):
        short = states(2, 2, 100.0 * layer)
        assert torch.equal(shelf.keys[layer][0, :, :2], short[0])
        assert torch.equal(shelf.keys[layer][2, :, :2], short[1])
        assert torch.equal(shelf.keys[layer][1, :, :4], states(1, 4, 1000.0 + layer)[0])
        assert not shelf.keys[layer][[0, 2], :, 2:].any()
        assert torch.equal(shelf.values[layer], -shelf.keys[layer])


def test_a_group_of_prompts_sees_itself_alone() -> None:
    held = Shelf([[1], [0]], 5)
    given = states(1, 5, 0.0)
    keys, values = held.extend(0, given, -given)
    assert torch.equal(keys, given)
    assert torch.equal(values, -given)
    assert held.length == 0


def test_what_is_written_stands_behind_the_longest_prompt(shelf: Shelf) -> None:
    new = states(3, 1, 7.0)
    for layer in range(2):
        keys, values = shelf.extend(layer, new, -new)
        assert keys.shape == (3, HEADS, 5, WIDTH)
        assert torch.equal(keys[:, :, 4:], new)
        assert torch.equal(values[:, :, 4:], -new)
    shelf.advance(1)
    assert shelf.length == 5


def test_it_grows_where_it_is_full(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    before = shelf.keys[0][:, :, :4].clone()
    new = states(3, module.GROWTH + 1, 7.0)
    keys, _ = shelf.extend(0, new, new)
    assert torch.equal(keys[:, :, :4], before)
    assert torch.equal(keys[:, :, 4:], new)
    assert shelf.keys[0].shape[2] == 4 + 2 * module.GROWTH + 1


def test_rows_are_kept_repeated_and_reordered(shelf: Shelf) -> None:
    before = shelf.keys[1][:, :, :4].clone()
    shelf.keep(torch.tensor([2, 0, 0]))
    assert torch.equal(shelf.keys[1], before[[2, 0, 0]])
    new = states(3, 1, 7.0)
    keys, _ = shelf.extend(1, new, new)
    assert torch.equal(keys[:, :, 4:], new)
