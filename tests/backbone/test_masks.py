"""The masks against what is written out by hand: a row for each reader, 1 where it sees."""

import pytest
import torch

from nlptasks.backbone import masks

KEPT = torch.tensor([[True, True, True, True], [True, True, True, False]])


def seen(mask: torch.Tensor) -> list[list[str]]:
    assert set(mask.flatten().tolist()) <= {0.0, float("-inf")}
    return [["".join("01"[value == 0] for value in row) for row in one[0].tolist()] for one in mask]


def test_both_ways_hides_padding_alone() -> None:
    assert seen(masks.both_ways(KEPT)) == [["1111"] * 4, ["1110"] * 4]


def test_left_to_right_hides_what_comes_later() -> None:
    assert seen(masks.left_to_right(KEPT)) == [["1000", "1100", "1110", "1111"], ["1000", "1100", "1110", "1110"]]


def test_prefix_reads_the_source_both_ways_and_the_target_left_to_right() -> None:
    segments = torch.tensor([[0, 0, 1, 1], [0, 1, 1, 0]])  # padding is in segment 0, as tokenizers leave it
    assert seen(masks.prefix(segments, KEPT)) == [["1100", "1100", "1110", "1111"], ["1000", "1100", "1110", "1110"]]


def test_padding_in_front_sees_everything_rather_than_nothing() -> None:
    kept = torch.tensor([[False, True, True]])
    assert seen(masks.left_to_right(kept)) == [["111", "010", "011"]]
    assert masks.left_to_right(kept).softmax(-1).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_masks_are_additive_and_broadcast_over_heads(dtype: torch.dtype) -> None:
    mask = masks.additive(torch.ones(2, 3, 5, dtype=torch.bool), dtype)
    assert (mask.shape, mask.dtype) == ((2, 1, 3, 5), dtype)
