"""Optimizers over groups of parameters, with all of their state as tensors, and the running mean of the weights."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from nlptasks.errors import UsageError
from nlptasks.training.settings import TrainingSettings, factors
from nlptasks.training.wrappers import AdaptiveRate, LazyRows, Lookahead, Stateful, Wrapper

Groups = list[dict[str, Any]]


class Optimizer:
    """An optimizer of torch and what goes around its steps, the outermost first."""

    def __init__(self, inner: torch.optim.Optimizer, wrappers: Sequence[Wrapper]) -> None:
        """Take an optimizer, each of whose groups has a `share`, the factor on its rate."""
        self.inner, self.wrappers = inner, wrappers
        self.rate = float(inner.param_groups[0]["lr"])

    @property
    def param_groups(self) -> Groups:
        """Give the groups of parameters."""
        return self.inner.param_groups

    def set_rate(self, rate: float) -> None:
        """Set the rate of the next step, in each group times its share."""
        self.rate = rate
        for group in self.param_groups:
            group["lr"] = rate * group["share"]

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameters by their gradients."""
        with ExitStack() as around:
            for wrapper in self.wrappers:
                around.enter_context(wrapper.around())
            self.inner.step()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self.inner.zero_grad(set_to_none=True)

    def tensors(self) -> dict[str, Tensor]:
        """Name all of the state; one number may share its memory with others, and is copied."""
        found = {}
        for number, slots in self.inner.state_dict()["state"].items():
            for name, value in slots.items():
                tensor = torch.as_tensor(value)
                found[f"{number}.{name}"] = tensor if tensor.ndim else tensor.clone()
        for number, group in enumerate(self.param_groups):
            if "step" in group:
                found[f"group.{number}"] = torch.tensor(group["step"])
        for wrapper in self.wrappers:
            found |= {f"{wrapper.name}.{name}": tensor for name, tensor in wrapper.tensors().items()}
        return found

    def restore(self, saved: Mapping[str, Tensor]) -> None:
        """Go on from what `tensors` gave."""
        state = self.inner.state_dict()
        for key, value in saved.items():
            owner, name = key.split(".", 1)
            if owner.isdecimal():
                state["state"].setdefault(int(owner), {})[name] = value
        self.inner.load_state_dict(state)
        for number, group in enumerate(self.param_groups):
            if f"group.{number}" in saved:
                group["step"] = int(saved[f"group.{number}"])
        for wrapper in self.wrappers:
            for name, tensor in wrapper.tensors().items():
                tensor.copy_(saved[f"{wrapper.name}.{name}"])


def make_optimizer(model: nn.Module, settings: TrainingSettings) -> Optimizer:
    """Make the optimizer that the settings ask for, over the parameters that are trained.

    Raises:
        UsageError: rates for parameters that are not there.
    """
    inner = KINDS[settings.optimizer](groups_of(model, settings), settings.learning_rate)
    trained = [parameter for group in inner.param_groups for parameter in group["params"]]
    wrappers: list[Wrapper] = []
    keepers: list[Stateful] = [inner]
    if settings.adaptive_rate:
        adaptive = AdaptiveRate(trained, settings.adaptive_scale, settings.adaptive_gain)
        wrappers.append(adaptive)
        keepers.append(adaptive)
    if settings.lazy_embeddings:  # around the learned rate, so that the state of that is lazy, too
        embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
        wrappers.insert(0, LazyRows([parameter for parameter in trained if id(parameter) in embeddings], keepers))
    if settings.lookahead:
        wrappers.insert(0, Lookahead(trained, settings.lookahead, settings.lookahead_step))
    return Optimizer(inner, wrappers)


def groups_of(model: nn.Module, settings: TrainingSettings) -> Groups:
    """Group the trained parameters: no decay on biases and norms, and each group's `share` of the rate.

    The share is what layer decay gives, 1 for the head and then less and less, times the factors by name, those of the
    settings and those that the model itself has as `rates`. `is_map` tells the matrices of linear maps from embeddings
    and vectors, where the optimizer treats them differently.

    Raises:
        UsageError: a factor for a name that no trained parameter has.
    """
    groups: dict[tuple[bool, bool, float], list[nn.Parameter]] = {}
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    heights = {name: layer_of(name) for name, _ in model.named_parameters()}
    top = 1 + max((height for height in heights.values() if height is not None), default=0)
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    by_name = factors(settings.rates)
    check_names([part for part, _ in by_name], list(trained))
    by_name = [*by_name, *getattr(model, "rates", {}).items()]  # its own, whatever is asked for
    for name, parameter in trained.items():
        height = heights[name]
        below = 0 if height is None else top - height
        share = settings.layer_decay**below * math.prod(factor for part, factor in by_name if part in name)
        is_map = settings.optimizer == "muon" and parameter.ndim == 2 and id(parameter) not in embeddings
        groups.setdefault((parameter.ndim < 2, is_map, share), []).append(parameter)
    return [
        {"params": found, "weight_decay": 0.0 if is_vector else settings.weight_decay, "share": share, "is_map": is_map}
        for (is_vector, is_map, share), found in groups.items()
    ]


def check_names(parts: Iterable[str], names: Sequence[str]) -> None:
    """Refuse a part of a name that no parameter has.

    Raises:
        UsageError: it names some that are there.
    """
    for part in parts:
        if not any(part in name for name in names):
            shown = ", ".join([*names[:3], "…", *names[-3:]] if len(names) > 6 else names)
            raise UsageError(f"--rates {part}: no trained parameter has that in its name; there are {shown}")


def layer_of(name: str) -> int | None:
    """Tell how far up a parameter stands: 0 the embeddings, N the layer N from 1; none is the head, above all."""
    layer = re.search(r"(?:^|\.)layers\.(\d+)\.", name)
    if layer:
        return int(layer[1]) + 1
    return 0 if name.startswith("bert.") else None


def adamw(groups: Groups, rate: float) -> torch.optim.Optimizer:
    """Make AdamW (arXiv 1711.05101)."""
    return torch.optim.AdamW(groups, lr=rate, fused=True)


def adafactor(groups: Groups, rate: float) -> torch.optim.Optimizer:
    """Make AdaFactor (arXiv 1804.04235) without momentum; the rate is relative to the size of each parameter."""
    return torch.optim.Adafactor(groups, lr=rate)


def lamb(groups: Groups, rate: float) -> torch.optim.Optimizer:
    """Make LAMB (arXiv 1904.00962) as BERT is trained with it: no bias correction, no ratio for biases and norms."""
    from pytorch_optimizer import Lamb  # a second to import

    for group in groups:
        group["adam"] = group["params"][0].ndim < 2
    # Not "decoupled": that would take the decay out of the ratio, where the paper has it. The moments never see it.
    # Without adam_debias the library would divide the scaled step by 1 - beta1^t: ten times the rate at the start.
    made = Lamb(groups, lr=rate, weight_decouple=False, adam_debias=True)
    made.clamp = math.inf  # by default no parameter counts as longer than 10; embeddings are, many times
    return made


def lion(groups: Groups, rate: float) -> torch.optim.Optimizer:
    """Make Lion (arXiv 2302.06675) with the momenta that the paper takes for language."""
    from pytorch_optimizer import Lion

    return Lion(groups, lr=rate, betas=(0.95, 0.98))


def tiger(groups: Groups, rate: float) -> torch.optim.Optimizer:
    """Make Tiger (kexue.fm/archives/9512)."""
    from pytorch_optimizer import Tiger

    return Tiger(groups, lr=rate, beta=0.965)


def muon(groups: Groups, rate: float) -> torch.optim.Optimizer:
    """Make Muon (arXiv 2502.16982) for linear maps, with steps of the size of AdamW's, and AdamW for all else."""
    from pytorch_optimizer import Muon

    for group in groups:
        group["use_muon"] = group["is_map"]
    return Muon(groups, lr=rate, adamw_lr=rate, adamw_betas=(0.9, 0.95), adamw_eps=1e-8, use_adjusted_lr=True)


KINDS: dict[str, Callable[[Groups, float], torch.optim.Optimizer]] = {
    "adamw": adamw,
    "lamb": lamb,
    "adafactor": adafactor,
    "lion": lion,
    "tiger": tiger,
    "muon": muon,
}


class RunningMean:
    """Exponential moving average of parameters, started from them."""

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float) -> None:
        """Start from the parameters as they are."""
        self.parameters = list(parameters)
        self.decay = decay
        self.means = [parameter.detach().clone() for parameter in self.parameters]

    @torch.no_grad()
    def update(self) -> None:
        """Move the means towards the parameters."""
        torch._foreach_lerp_(self.means, [p.detach() for p in self.parameters], 1 - self.decay)

    @torch.no_grad()
    def exchange(self) -> None:
        """Swap means and parameters; a second call swaps them back."""
        for parameter, mean in zip(self.parameters, self.means, strict=True):
            held: Tensor = parameter.detach().clone()
            parameter.copy_(mean)
            mean.copy_(held)
