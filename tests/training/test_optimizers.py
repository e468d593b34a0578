import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from nlptasks.backbone.bert import Bert, Config
from nlptasks.training.optimizers import RunningMean, adamw, share_of_rate
from nlptasks.training.settings import TrainingSettings

TOTAL = 40


def shares(**settings: Any) -> list[float]:  # noqa: ANN401
    made = TrainingSettings(**settings)
    return [share_of_rate(made, update, TOTAL) for update in range(TOTAL)]


def test_a_constant_rate_stays() -> None:
    assert shares(schedule="constant", warmup=0.0) == [1.0] * TOTAL


def test_a_linear_rate_falls_evenly_to_nothing_behind_the_last_update() -> None:
    assert shares(schedule="linear", warmup=0.0) == pytest.approx([1 - update / TOTAL for update in range(TOTAL)])


def test_a_cosine_rate_falls_as_half_a_wave() -> None:
    expected = [(1 + math.cos(math.pi * update / TOTAL)) / 2 for update in range(TOTAL)]
    assert shares(schedule="cosine", warmup=0.0) == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
@pytest.mark.parametrize("warmup", [0.25, 10.0])
def test_the_rate_first_rises_evenly_for_a_share_or_a_count_of_updates(schedule: str, warmup: float) -> None:
    made = shares(schedule=schedule, warmup=warmup)
    assert made[:11] == pytest.approx([(update + 1) / 11 for update in range(11)])
    assert max(made) == made[10] == 1.0
    rest = {"constant": [1.0] * 30, "linear": [1 - update / 30 for update in range(30)]}
    rest["cosine"] = [(1 + math.cos(math.pi * update / 30)) / 2 for update in range(30)]
    assert made[10:] == pytest.approx(rest[schedule])


def test_a_warmup_longer_than_the_run_only_rises() -> None:
    made = shares(schedule="linear", warmup=100.0)
    assert made == sorted(made)
    assert made[-1] == pytest.approx(40 / 101)


def test_a_piecewise_rate_goes_through_its_points_and_is_level_outside() -> None:
    made = shares(schedule="piecewise", pieces="5:0,15:1,25:0.2")
    assert made[0] == made[5] == 0.0
    assert made[10] == pytest.approx(0.5)
    assert made[15] == 1.0
    assert made[20] == pytest.approx(0.6)
    assert [made[25], made[39]] == pytest.approx([0.2, 0.2])


class Headed(nn.Module):
    """A BERT with a head, as a task has it."""

    def __init__(self) -> None:
        super().__init__()
        self.bert = Bert(
            Config(vocab_size=9, num_hidden_layers=3, hidden_size=4, num_attention_heads=2, intermediate_size=8)
        )
        self.head = nn.Linear(4, 2)


def groups_by_name(model: nn.Module, **settings: Any) -> dict[str, dict[str, Any]]:  # noqa: ANN401
    groups = adamw(model, TrainingSettings(**settings)).param_groups
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


def test_frozen_parameters_are_left_out() -> None:
    model = Headed()
    model.bert.requires_grad_(False)
    groups = adamw(model, TrainingSettings()).param_groups
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
