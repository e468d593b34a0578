"""Weights in eight bits and in four: exact where nothing differs, near where something does, small either way."""

import pytest
import torch
from torch import Tensor

from nlptasks.backbone.deltas import DELTA, GROUP, HALVES, ROWS, packed, unpacked


def matrix(seed: int, rows: int = 6, columns: int = 5) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def test_a_difference_comes_back_within_half_a_step_of_its_row() -> None:
    base, tensor = {"w": matrix(1)}, matrix(1) + 0.01 * matrix(2)
    small = packed({"w": tensor}, base)
    assert small["w" + DELTA].dtype == torch.int8
    assert ROWS not in "".join(small)
    step = (tensor - base["w"]).abs().amax(1, keepdim=True) / 127
    off = (unpacked(small, base)["w"] - tensor).abs()
    assert bool((off <= 0.51 * step).all())


def test_rows_that_do_not_differ_are_left_out_and_come_back_exactly() -> None:
    base, tensor = {"w": matrix(1).half()}, matrix(1).half().float()
    tensor[4] += 1
    small = packed({"w": tensor}, base)
    assert small["w" + ROWS].tolist() == [4]
    assert small["w" + DELTA].shape == (1, 5)
    again = unpacked(small, base)["w"]
    kept = [0, 1, 2, 3, 5]
    assert torch.equal(again[kept], tensor[kept])
    torch.testing.assert_close(again[4], tensor[4], atol=0.01, rtol=0)


def test_what_does_not_differ_at_all_takes_no_room() -> None:
    base = {"w": matrix(1)}
    small = packed(base, base)
    assert sum(tensor.numel() for tensor in small.values()) == 0
    assert torch.equal(unpacked(small, base)["w"], base["w"])


def test_four_bits_come_back_within_half_a_step_of_their_group() -> None:
    base, tensor = {"w": matrix(1, columns=3 * GROUP)}, matrix(1, columns=3 * GROUP) + 0.01 * matrix(2, 6, 3 * GROUP)
    tensor[2] = base["w"][2]
    small = packed({"w": tensor}, base, bits=4)
    assert (small["w" + HALVES].dtype, small["w" + HALVES].shape) == (torch.uint8, (5, 3 * GROUP // 2))
    assert small["w" + ROWS].tolist() == [0, 1, 3, 4, 5]
    step = (tensor - base["w"]).view(6, 3, GROUP).abs().amax(2, keepdim=True) / 7
    off = (unpacked(small, base)["w"] - tensor).view(6, 3, GROUP).abs()
    assert bool((off <= 0.51 * step + 1e-7).all())
    assert float(off.max()) > 0
    same = packed(base, base, bits=4)
    assert sum(one.numel() for one in same.values()) == 0
    assert torch.equal(unpacked(same, base)["w"], base["w"])


@pytest.mark.parametrize("base", [{}, {"w": matrix(1, columns=GROUP)}])
def test_four_bits_are_for_groups_on_a_base_and_all_else_has_eight(base: dict[str, Tensor]) -> None:
    wide, narrow = matrix(3, columns=GROUP), matrix(4)
    small = packed({"w": wide, "v": narrow}, base | {"v": matrix(5)}, bits=4)
    assert (("w" + HALVES) in small) is bool(base)
    assert "v" + DELTA in small
    found = unpacked(small, base | {"v": matrix(5)})
    torch.testing.assert_close(found["w"], wide, atol=0.4, rtol=0)
    torch.testing.assert_close(found["v"], narrow, atol=0.05, rtol=0)


@pytest.mark.parametrize("base", [{}, {"w": matrix(3, rows=7)}])
def test_without_a_base_that_fits_the_weights_themselves_are_stored(base: dict[str, Tensor]) -> None:
    tensor = matrix(1)
    tensor[2] = 0
    again = unpacked(packed({"w": tensor}, base), base)["w"]
    assert torch.equal(again[2], tensor[2])
    assert float((again - tensor).abs().max()) < float(tensor.abs().max()) / 250


def test_vectors_and_numbers_stay_as_they_are() -> None:
    plain = {"bias": matrix(1)[0], "filter": torch.arange(6, dtype=torch.uint8).reshape(2, 3), "x.scale": matrix(2)[0]}
    small = packed(plain, {})
    assert set(small) == set(plain)
    found = unpacked(small, {})
    assert all(torch.equal(found[name], plain[name]) for name in plain)
