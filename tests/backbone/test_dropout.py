"""Dropout with cheap random numbers: what it keeps, how it scales, and when it stays out of the way."""

import pytest
import torch
from torch import nn

from nlptasks.backbone.dropout import Dropout

COUNT = 1 << 18  # so many that a share strays by less than 0.003 from its mean, three deviations


def dropped(p: float, x: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(0)
    made: torch.Tensor = Dropout(p).train()(x)
    return made


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_share_of_p_is_dropped_and_the_mean_stays(p: float, dtype: torch.dtype) -> None:
    made = dropped(p, torch.ones(COUNT, dtype=dtype))
    assert made.dtype == dtype
    assert (made == 0).float().mean().item() == pytest.approx(p, abs=3e-3)
    kept = set(made[made != 0].tolist())
    assert list(kept) == [pytest.approx(1 / (1 - p), rel=4e-3 if dtype == torch.bfloat16 else 1e-3)]
    assert made.double().mean().item() == pytest.approx(1, abs=0.02)


def test_places_are_dropped_one_by_one_and_not_alike() -> None:
    zeros = dropped(0.5, torch.ones(COUNT)) == 0
    for step in (1, 2, 3, 4, 64):  # four numbers are cut from one that is drawn
        both = (zeros[step:] & zeros[:-step]).float().mean().item()
        assert both == pytest.approx(0.25, abs=4e-3)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3, 5), (0, 4)])
def test_any_shape_is_kept(shape: tuple[int, ...]) -> None:
    made = dropped(0.5, torch.ones(shape))
    assert made.shape == shape
    assert set(made.flatten().tolist()) <= {0.0, 2.0}


def test_without_a_share_nothing_changes() -> None:
    x = torch.randn(7, 5)
    assert torch.equal(dropped(0.0, x), x)


def test_the_whole_share_leaves_nothing() -> None:
    assert not dropped(1.0, torch.ones(1000)).any()


def test_after_training_nothing_changes_and_nothing_is_drawn() -> None:
    x, before = torch.randn(7, 5), torch.get_rng_state()
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_gradient_is_the_mask_with_its_scale() -> None:
    x = torch.randn(50, 40, requires_grad=True)
    made = dropped(0.3, x)
    torch.autograd.backward(made.sum())
    assert x.grad is not None
    scale = 65536 / (65536 - round(0.3 * 65536))
    assert torch.equal(x.grad, torch.where(made == 0, 0.0, torch.tensor(scale)))
    assert torch.equal(made, x * x.grad)


def test_a_seed_gives_the_same_again_and_each_pass_another() -> None:
    layer, x = Dropout(0.5).train(), torch.ones(1000)
    torch.manual_seed(7)
    first, second = layer(x), layer(x)
    torch.manual_seed(7)
    assert torch.equal(layer(x), first)
    assert torch.equal(layer(x), second)
    assert not torch.equal(first, second)


def test_elsewhere_it_is_the_usual_dropout() -> None:
    x = torch.ones(4, 3, device="meta")
    assert Dropout(0.5).train()(x).device.type == "meta"
    assert isinstance(Dropout(0.5), nn.Dropout)
