"""Each optimizer against its published formula, written out in numpy, and the groups that it works on."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from nlptasks.backbone.bert import Bert, Config
from nlptasks.errors import UsageError
from nlptasks.training.optimizers import KINDS, RunningMean, groups_of, make_optimizer
from nlptasks.training.settings import TrainingSettings

Array = NDArray[np.float64]
Steps = Iterator[tuple[Array, float]]
"""The gradient and the rate of each step."""
STEPS, DECAY = 6, 0.1
RATES = [0.01 * (step + 1) / STEPS for step in range(STEPS)]


class Affine(nn.Module):
    """A matrix, much longer than 10, and a bias, in float64."""

    def __init__(self) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(1)
        self.weight = nn.Parameter(20 * torch.randn(5, 3, generator=draw, dtype=torch.float64))
        self.bias = nn.Parameter(torch.randn(3, generator=draw, dtype=torch.float64))


def adamw(weight: Array, decay: float, steps: Steps) -> Array:
    """Loshchilov and Hutter 2017, algorithm 2, the decay times the rate."""
    mean, square = np.zeros_like(weight), np.zeros_like(weight)
    for count, (gradient, rate) in enumerate(steps, 1):
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        move = (mean / (1 - 0.9**count)) / (np.sqrt(square / (1 - 0.999**count)) + 1e-8)
        weight = weight - rate * (move + decay * weight)
    return weight


def lamb(weight: Array, decay: float, steps: Steps) -> Array:
    """You et al. 2019, algorithm 2, without bias correction as in the pre-training of BERT; biases like Adam."""
    mean, square = np.zeros_like(weight), np.zeros_like(weight)
    for gradient, rate in steps:
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        move = mean / (np.sqrt(square) + 1e-6) + decay * weight
        ratio = np.linalg.norm(weight) / np.linalg.norm(move) if weight.ndim > 1 else 1.0
        weight = weight - rate * ratio * move
    return weight


def adafactor(weight: Array, decay: float, steps: Steps) -> Array:
    """Shazeer and Stern 2018, algorithms 4 and 5, with decoupled decay."""
    rows, columns, square = np.zeros((len(weight), 1)), np.zeros((1, weight.shape[-1])), np.zeros_like(weight)
    for count, (gradient, rate) in enumerate(steps, 1):
        beta = 1 - count**-0.8
        rows = beta * rows + (1 - beta) * (gradient**2).mean(-1, keepdims=True)
        square = beta * square + (1 - beta) * gradient**2
        if weight.ndim > 1:
            columns = beta * columns + (1 - beta) * (gradient**2).mean(0, keepdims=True)
            square = rows @ columns / rows.mean()
        move = gradient / np.sqrt(square)
        move = move / max(1.0, np.sqrt((move**2).mean()))
        relative = max(1e-3, np.sqrt((weight**2).mean())) * min(rate, 1 / np.sqrt(count))
        weight = weight - rate * decay * weight - relative * move
    return weight


def lion(weight: Array, decay: float, steps: Steps) -> Array:
    """Chen et al. 2023, algorithm 2."""
    mean = np.zeros_like(weight)
    for gradient, rate in steps:
        weight = weight - rate * (np.sign(0.95 * mean + 0.05 * gradient) + decay * weight)
        mean = 0.98 * mean + 0.02 * gradient
    return weight


def tiger(weight: Array, decay: float, steps: Steps) -> Array:
    """Follow kexue.fm/archives/9512."""
    mean = np.zeros_like(weight)
    for gradient, rate in steps:
        mean = 0.965 * mean + 0.035 * gradient
        weight = weight - rate * (np.sign(mean) + decay * weight)
    return weight


def muon(weight: Array, decay: float, steps: Steps) -> Array:
    """Liu et al. 2025: Nesterov momentum made orthogonal by the quintic iteration of K. Jordan; the rest is AdamW."""
    mean, square = np.zeros_like(weight), np.zeros_like(weight)
    for count, (gradient, rate) in enumerate(steps, 1):
        beta = 0.95 if weight.ndim > 1 else 0.9
        mean = beta * mean + (1 - beta) * gradient
        if weight.ndim > 1:
            move = beta * mean + (1 - beta) * gradient
            move = move / np.linalg.norm(move)
            for _ in range(5):
                gram = move @ move.T
                move = 3.4445 * move + (-4.7750 * gram + 2.0315 * gram @ gram) @ move
            move = 0.2 * np.sqrt(max(move.shape)) * move
        else:
            square = 0.95 * square + 0.05 * gradient**2
            move = (mean / (1 - 0.9**count)) / (np.sqrt(square / (1 - 0.95**count)) + 1e-8)
        weight = weight - rate * (move + decay * weight)
    return weight


FORMULAS: dict[str, Callable[[Array, float, Steps], Array]] = {
    "adamw": adamw,
    "lamb": lamb,
    "adafactor": adafactor,
    "lion": lion,
    "tiger": tiger,
    "muon": muon,
}
#: How far a step may be off, as a share of the whole way: the iteration of Muon is computed in bfloat16.
OFF = {"muon": 0.01}


def test_every_optimizer_has_its_formula() -> None:
    assert set(FORMULAS) == set(KINDS)


@pytest.mark.parametrize("name", FORMULAS)
def test_an_optimizer_follows_its_formula(name: str) -> None:
    model = Affine()
    settings: Any = {"optimizer": name, "weight_decay": DECAY, "rates": "weight:0.5"}
    optimizer = make_optimizer(model, TrainingSettings(**settings))
    draw = np.random.default_rng(2)
    gradients = {key: draw.normal(size=(STEPS, *p.shape)) for key, p in model.named_parameters()}
    starts = {key: parameter.detach().numpy().copy() for key, parameter in model.named_parameters()}
    for step, rate in enumerate(RATES):
        for key, parameter in model.named_parameters():
            parameter.grad = torch.from_numpy(gradients[key][step].copy())
        optimizer.set_rate(rate)
        optimizer.step()
    formula = FORMULAS[name]
    halved = iter([(gradient, rate / 2) for gradient, rate in zip(gradients["weight"], RATES, strict=True)])
    expected = formula(starts["weight"], DECAY, halved)
    way = np.abs(expected - starts["weight"]).max()
    np.testing.assert_allclose(model.weight.detach().numpy(), expected, rtol=1e-6, atol=OFF.get(name, 0.0) * way)
    whole = iter(list(zip(gradients["bias"], RATES, strict=True)))
    np.testing.assert_allclose(model.bias.detach().numpy(), formula(starts["bias"], 0.0, whole), rtol=1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_a_parameter_without_a_gradient_stays(name: str) -> None:
    model = Affine()
    optimizer = make_optimizer(model, TrainingSettings(optimizer=name, learning_rate=0.1))  # type: ignore[arg-type]
    before = model.weight.detach().clone()
    model.bias.grad = torch.ones(3, dtype=torch.float64)
    optimizer.step()
    optimizer.zero_grad()
    assert model.bias.grad is None
    assert torch.equal(model.weight, before)


class Headed(nn.Module):
    """A BERT with a head, as a task has it."""

    def __init__(self) -> None:
        super().__init__()
        self.bert = Bert(
            Config(vocab_size=9, num_hidden_layers=3, hidden_size=4, num_attention_heads=2, intermediate_size=8)
        )
        self.head = nn.Linear(4, 2)


def groups_by_name(model: nn.Module, **settings: Any) -> dict[str, dict[str, Any]]:  # noqa: ANN401
    groups = groups_of(model, TrainingSettings(**settings))
    group_of = {id(parameter): group for group in groups for parameter in group["params"]}
    return {name: group_of[id(parameter)] for name, parameter in model.named_parameters()}


def test_biases_and_norms_do_not_decay_and_all_else_does() -> None:
    found = groups_by_name(Headed(), weight_decay=0.3)
    free = {name for name, group in found.items() if group["weight_decay"] == 0}
    assert free == {name for name in found if name.endswith("bias") or "norm" in name}
    assert {group["weight_decay"] for name, group in found.items() if name not in free} == {0.3}


def test_the_rate_falls_by_the_layer_from_the_head_down_to_the_embeddings() -> None:
    found = {name: group["share"] for name, group in groups_by_name(Headed(), layer_decay=0.5).items()}
    assert found["head.weight"] == found["head.bias"] == 1.0
    assert [found[f"bert.layers.{number}.feed_in.weight"] for number in (2, 1, 0)] == [0.5, 0.25, 0.125]
    assert found["bert.tokens.weight"] == found["bert.norm.bias"] == 0.5**4


def test_a_model_without_a_head_falls_from_its_top_layer() -> None:
    found = {name: group["share"] for name, group in groups_by_name(Headed().bert, layer_decay=0.5).items()}
    assert found["layers.2.feed_in.weight"] == 0.5


def test_a_model_may_have_factors_of_its_own() -> None:
    class Slow(Headed):
        rates: ClassVar[dict[str, float]] = {"head.": 0.1, "nowhere": 3.0}

    shares = {name: group["share"] for name, group in groups_by_name(Slow(), rates="head.bias:10").items()}
    assert (shares["head.weight"], shares["head.bias"], shares["bert.tokens.weight"]) == (0.1, 1.0, 1.0)


def test_factors_by_name_multiply_one_another_and_the_layers() -> None:
    found = groups_by_name(Headed(), layer_decay=0.5, rates="head:10, layers.2:3,feed_in:0.1")
    shares = {name: group["share"] for name, group in found.items()}
    assert shares["head.weight"] == shares["head.bias"] == 10
    assert shares["bert.layers.2.feed_in.weight"] == pytest.approx(0.5 * 3 * 0.1)
    assert shares["bert.layers.1.feed_in.weight"] == pytest.approx(0.25 * 0.1)
    assert shares["bert.tokens.weight"] == 0.5**4


def test_a_factor_of_nothing_holds_a_parameter_still() -> None:
    model = Headed()
    optimizer = make_optimizer(model, TrainingSettings(rates="bert:0", learning_rate=0.1))
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.set_rate(0.1)
    optimizer.step()
    assert {name for name, p in model.named_parameters() if not torch.equal(p, before[name])} == {
        "head.weight",
        "head.bias",
    }


def test_a_factor_for_no_parameter_is_refused() -> None:
    names = r"bert\.tokens\.weight, .*, …, .*, head\.bias"
    with pytest.raises(UsageError, match=f"--rates heat: no trained parameter has that in its name; there are {names}"):
        make_optimizer(Headed(), TrainingSettings(rates="head:2,heat:3"))
    with pytest.raises(UsageError, match=r"--rates x: .*; there are weight, bias$"):
        make_optimizer(Affine(), TrainingSettings(rates="x:3"))


def test_frozen_parameters_are_left_out() -> None:
    model = Headed()
    model.bert.requires_grad_(False)
    groups = groups_of(model, TrainingSettings())
    assert sum(len(group["params"]) for group in groups) == 2


def test_the_running_mean_is_that_of_torch() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    mean = RunningMean(model.parameters(), 0.9)
    reference = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))  # type: ignore[no-untyped-call]
    reference.update_parameters(model)  # the first is a copy; ours copies when it is made
    for _ in range(5):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        mean.update()
        reference.update_parameters(model)
    for ours, theirs in zip(mean.means, reference.module.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_exchanging_twice_changes_nothing() -> None:
    model = nn.Linear(3, 2)
    mean = RunningMean(model.parameters(), 0.5)
    before = model.weight.detach().clone()
    with torch.no_grad():
        model.weight.add_(1)
    mean.update()
    mean.exchange()
    assert torch.allclose(model.weight, before + 0.5)
    mean.exchange()
    assert torch.equal(model.weight, before + 1)


def test_muon_takes_the_linear_maps_and_leaves_embeddings_to_adamw() -> None:
    model = Headed()
    groups = make_optimizer(model, TrainingSettings(optimizer="muon")).param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    mapped = {names[id(parameter)] for group in groups if group["use_muon"] for parameter in group["params"]}
    in_a_layer = ("query_key_value", "attention_out", "feed_in", "feed_out")
    of_layers = {f"bert.layers.{layer}.{part}.weight" for layer in range(3) for part in in_a_layer}
    assert mapped == {"head.weight", *of_layers}
