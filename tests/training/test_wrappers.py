"""What goes around a step against its formula, in float64, with an inner optimizer that is easy to follow."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nlptasks.training.optimizers import KINDS, Optimizer, make_optimizer
from nlptasks.training.settings import TrainingSettings
from nlptasks.training.wrappers import AdaptiveRate, Lookahead, Wrapper

STEPS, RATE = 9, 0.1
DRAW = np.random.default_rng(4)
#: Most gradients keep their sign from step to step, so that a learned rate has something to learn.
GRADIENTS = [(DRAW.normal(size=(4, 3)) + 0.5, DRAW.normal(size=3) + 0.5) for _ in range(STEPS)]


def parameters() -> list[nn.Parameter]:
    return [
        nn.Parameter(torch.linspace(-1, 1, 12, dtype=torch.float64).view(4, 3)),
        nn.Parameter(torch.ones(3).double()),
    ]


def descended(fast: list[nn.Parameter], wrapper: Wrapper, steps: int = STEPS) -> list[np.ndarray]:
    """Make steps of plain gradient descent, at a rate that is known only at each step."""
    groups: list[dict[str, Any]] = [{"params": [one], "share": 1.0} for one in fast]
    optimizer = Optimizer(torch.optim.SGD(groups, lr=1.0), [wrapper])
    optimizer.set_rate(RATE)
    for gradients in GRADIENTS[:steps]:
        for one, gradient in zip(fast, gradients, strict=True):
            one.grad = torch.from_numpy(gradient.copy())
        optimizer.step()
    return [one.detach().numpy() for one in fast]


@pytest.mark.parametrize(("every", "part"), [(2, 0.5), (4, 0.3)])
def test_lookahead_follows_its_formula(every: int, part: float) -> None:
    """Zhang et al. 2019, algorithm 1."""
    fast = parameters()
    expected = [one.detach().numpy().copy() for one in fast]
    found = descended(fast, Lookahead(fast, every, part))
    for place, weight in enumerate(expected):
        slow = weight.copy()
        for step in range(STEPS):
            weight = weight - RATE * GRADIENTS[step][place]
            if step % every == every - 1:
                weight = slow = slow + part * (weight - slow)
        np.testing.assert_allclose(found[place], weight, rtol=1e-12)


@pytest.mark.parametrize(("scale_rate", "gain_rate"), [(0.05, 0.0), (0.0, 0.2), (0.3, 0.4), (0.99, 0.99)])
def test_a_learned_rate_follows_its_formula(scale_rate: float, gain_rate: float) -> None:
    """Amid et al. 2022, with cosine, signs and bounds as in the authors' EGDD, around plain descent."""
    fast = parameters()
    starts = [one.detach().numpy().copy() for one in fast]
    wrapper = AdaptiveRate(fast, scale_rate, gain_rate)
    found = np.concatenate([weight.ravel() for weight in descended(fast, wrapper)])
    weight = np.concatenate([start.ravel() for start in starts])
    scale, gain, mean, move = 1.0, np.ones_like(weight), np.zeros_like(weight), np.zeros_like(weight)
    for gradients in GRADIENTS:
        gradient = np.concatenate([part.ravel() for part in gradients])
        if np.any(move):
            cosine = gradient @ move / np.linalg.norm(gradient) / np.linalg.norm(move)
            scale = float(np.clip(scale * np.exp(scale_rate * cosine), 0.1, 10))
        gain = np.clip(gain * np.exp(gain_rate * np.sign(gradient * mean)), 0.01, 100)
        mean = 0.9 * mean + 0.1 * gradient
        move = gain * RATE * gradient
        weight = weight - scale * move
    np.testing.assert_allclose(found, weight, rtol=1e-10)
    assert float(wrapper.scale) == pytest.approx(scale)
    assert (scale != 1) == (scale_rate > 0)
    assert bool(np.any(gain != 1)) == (gain_rate > 0)


def test_a_learned_rate_stays_within_its_bounds() -> None:
    weight = nn.Parameter(torch.zeros(2))
    wrapper = AdaptiveRate([weight], 0.9, 0.9)
    optimizer = Optimizer(torch.optim.SGD([{"params": [weight], "share": 1.0}], lr=1.0), [wrapper])

    def learned(*signs: float) -> list[float]:
        for sign in signs:
            weight.grad = torch.tensor([sign, sign])
            optimizer.step()
        return [float(wrapper.scale), *wrapper.state[weight]["gain"].tolist()]

    assert learned(*[1.0] * 20) == pytest.approx([10, 100, 100])
    assert learned(*[-1.0, 1.0] * 40) == pytest.approx([0.1, 0.01, 0.01])


class Tabled(nn.Module):
    """An embedding and what follows."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tokens = nn.Embedding(7, 4)
        self.head = nn.Linear(4, 1)

    def learn(self, optimizer: Optimizer, tokens: list[int]) -> None:
        self.head(self.tokens(torch.tensor(tokens))).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def by_row(optimizer: Optimizer) -> dict[str, Tensor]:
    """Copy what an optimizer keeps for each of the seven rows."""
    return {name: slot.clone() for name, slot in optimizer.tensors().items() if slot.ndim and len(slot) == 7}


LAZY = [*[{"optimizer": name} for name in KINDS], {"adaptive_rate": True}]


@pytest.mark.parametrize("settings", LAZY)
def test_rows_without_a_gradient_are_left_alone(settings: dict[str, Any]) -> None:
    model = Tabled()
    chosen = TrainingSettings(learning_rate=0.1, weight_decay=0.5, lazy_embeddings=True, **settings)
    optimizer = make_optimizer(model, chosen)
    start = model.tokens.weight.detach().clone()
    model.learn(optimizer, [1, 2])
    assert [not torch.equal(*rows) for rows in zip(start, model.tokens.weight, strict=True)] == [
        number in (1, 2) for number in range(7)
    ]
    before, slots = model.tokens.weight.detach().clone(), by_row(optimizer)
    assert slots
    model.learn(optimizer, [2, 5])
    after = {"weight": model.tokens.weight, **by_row(optimizer)}
    for name, was in {"weight": before, **slots}.items():
        still = [torch.equal(*rows) for rows in zip(was, after[name], strict=True)]
        assert still[1], name
        assert still[:2] + still[3:5] + still[6:] == [True] * 5, name
    assert not torch.equal(before[2], model.tokens.weight[2])
    assert not torch.equal(before[5], model.tokens.weight[5])


@pytest.mark.parametrize("settings", LAZY)
def test_without_laziness_every_row_decays(settings: dict[str, Any]) -> None:
    model = Tabled()
    optimizer = make_optimizer(model, TrainingSettings(learning_rate=0.1, weight_decay=0.5, **settings))
    start = model.tokens.weight.detach().clone()
    model.learn(optimizer, [1, 2])
    assert not any(torch.equal(*rows) for rows in zip(start, model.tokens.weight, strict=True))


def test_rows_with_a_gradient_move_as_ever() -> None:
    lazy, eager = Tabled(), Tabled()
    optimizers = [make_optimizer(one, TrainingSettings(lazy_embeddings=one is lazy)) for one in (lazy, eager)]
    for _ in range(3):
        for model, optimizer in zip((lazy, eager), optimizers, strict=True):
            model.learn(optimizer, [1, 2])
    assert torch.equal(lazy.tokens.weight[[1, 2]], eager.tokens.weight[[1, 2]])
    assert torch.equal(lazy.head.weight, eager.head.weight)


def test_a_frozen_table_is_no_trouble() -> None:
    model = Tabled()
    model.tokens.requires_grad_(False)
    optimizer = make_optimizer(model, TrainingSettings(lazy_embeddings=True, adaptive_rate=True, lookahead=2))
    model.learn(optimizer, [1, 2])
    assert sum(name.startswith("lookahead.slow") for name in optimizer.tensors()) == 2


def test_a_table_that_a_step_does_not_use_stays() -> None:
    model = Tabled()
    optimizer = make_optimizer(model, TrainingSettings(lazy_embeddings=True, adaptive_rate=True, lookahead=2))
    before = model.tokens.weight.detach().clone()
    model.head(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    assert torch.equal(model.tokens.weight, before)
