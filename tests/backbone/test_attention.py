import pytest
import torch

from nlptasks.backbone import masks
from nlptasks.backbone.attention import attend, attend_plainly


@pytest.mark.parametrize("masked", [False, True])
def test_plain_attention_is_the_fused_one_gradients_included(masked: bool) -> None:
    torch.manual_seed(0)
    mask = masks.left_to_right(torch.ones(1, 7, dtype=torch.bool)) if masked else None
    found = []
    for plain in (True, False):
        given = [torch.randn(2, 3, 7, 4, generator=torch.Generator().manual_seed(n)).requires_grad_() for n in range(3)]
        queries, keys, values = given
        seen = attend_plainly(queries, keys, values, mask) if plain else attend(queries, keys, values, mask, 0.0)
        torch.autograd.backward(seen.square().sum())
        found.append([seen.detach(), *(one.grad for one in given if one.grad is not None)])
    assert len(found[0]) == 4
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(*found, strict=True))
