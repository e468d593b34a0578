"""What goes around an optimizer's step, whichever optimizer it is: lookahead, lazy rows, and a rate that is learned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn


class Stateful(Protocol):
    """Something that keeps tensors by name for each parameter, as optimizers of torch do."""

    @property
    def state(self) -> Mapping[Any, Mapping[str, Any]]:
        """Give the tensors; after loading this may be another object."""
        ...


class Wrapper(Protocol):
    """Something done before and after each step."""

    name: str

    def around(self) -> AbstractContextManager[None]:
        """Enclose one step; gradients are ready, and autograd is off."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Name what it remembers from step to step; a copy into these tensors restores it."""
        ...


class Lookahead:
    """Every k steps, move slow weights a part of the way to the fast ones, and set the fast ones there.

    Source: Zhang et al. 2019, arXiv 1907.08610; kexue.fm/archives/6869.
    """

    name = "lookahead"

    def __init__(self, parameters: Sequence[nn.Parameter], every: int, part: float) -> None:
        """Start with the slow weights where the parameters are.

        Args:
            parameters: the fast weights.
            every: steps between two moves, k.
            part: part of the way that the slow weights go, alpha.
        """
        self.parameters, self.every, self.part = parameters, every, part
        self.slow = [parameter.detach().clone() for parameter in parameters]
        self.steps = torch.zeros((), dtype=torch.int64)

    @contextmanager
    def around(self) -> Iterator[None]:
        """Count the step, and move where it is time."""
        yield
        self.steps += 1
        if int(self.steps) % self.every == 0:
            torch._foreach_lerp_(self.slow, list(self.parameters), self.part)
            torch._foreach_copy_(list(self.parameters), self.slow)

    def tensors(self) -> dict[str, Tensor]:
        """Give the slow weights and the count."""
        return {"steps": self.steps, **{f"slow.{number}": slow for number, slow in enumerate(self.slow)}}


class LazyRows:
    """Leave the rows of embeddings alone whose gradient is 0: no decay, and their moments stay as they are.

    So a token that the batch does not have is neither shrunk nor pushed on by momentum. What the whole table shares
    goes on as usual: counts of steps, column means, and the lengths in LAMB's ratio.

    Source: kexue.fm/archives/6869, in what that article calls the standard form.
    """

    name = "lazy"

    def __init__(self, tables: Sequence[nn.Parameter], keepers: Sequence[Stateful]) -> None:
        """Watch embeddings.

        Args:
            tables: their weights, (V, H) each.
            keepers: the optimizer, and what else keeps a state for each parameter.
        """
        self.tables, self.keepers = tables, keepers

    @contextmanager
    def around(self) -> Iterator[None]:
        """Put the rows back that had no gradient; state that is new after the step is still 0 there."""
        kept = []
        for table in self.tables:
            if table.grad is not None:
                rows = (table.grad == 0).all(1).nonzero().squeeze(1)
                kept += [(tensor, rows, tensor[rows]) for tensor in (table, *self.by_row(table))]
        yield
        for tensor, rows, before in kept:
            tensor[rows] = before

    def by_row(self, table: nn.Parameter) -> list[Tensor]:
        """List the state that a table has for each of its rows."""
        slots = [value for keeper in self.keepers for value in keeper.state.get(table, {}).values()]
        return [slot for slot in slots if isinstance(slot, Tensor) and slot.ndim and len(slot) == len(table)]

    def tensors(self) -> dict[str, Tensor]:
        """Give nothing: there is nothing to remember."""
        return {}


class AdaptiveRate:
    r"""Learn the rate while training, by exponentiated gradient: one scale s for all, and a gain p for each weight.

    For the gradient g, its running mean m and the last move h, an optimizer's step of -d becomes

        s <- s exp(scale_rate cos(g, h)),  p <- p exp(gain_rate sign(g) sign(m)),  m <- 0.9 m + 0.1 g,
        h <- p d,  w <- w - s h.

    -g h is the loss's derivative by s, and -g m nearly that by p; the cosine and the signs stand for the products so
    that the size of gradients does not matter. Weight decay is part of d.

    Source: Amid et al. 2022, arXiv 2202.00145, and kexue.fm, 指数梯度下降 + 元学习 = 自适应学习率. There h carries a
    momentum of its own, as plain gradient descent needs it; here that is the wrapped optimizer's part. Cosine, signs
    and bounds are those of EGDD in Lingvo, the same algorithm with one s for each tensor.
    """

    name = "adaptive"
    momentum = 0.9
    scales = (0.1, 10.0)
    gains = (0.01, 100.0)

    def __init__(self, parameters: Sequence[nn.Parameter], scale_rate: float, gain_rate: float) -> None:
        """Start with a scale and gains of 1.

        Args:
            parameters: at least one.
            scale_rate: rate at which the scale is learned; 0 leaves it at 1.
            gain_rate: rate at which the gains are learned; 0 leaves them at 1.
        """
        self.scale_rate, self.gain_rate = scale_rate, gain_rate
        self.scale = torch.ones_like(parameters[0].detach().flatten()[0])
        self.state = {parameter: self.fresh(parameter.detach()) for parameter in parameters}

    @staticmethod
    def fresh(weights: Tensor) -> dict[str, Tensor]:
        """Make the state of a parameter, each tensor of its shape."""
        nothing = torch.zeros_like(weights)
        return {"gain": torch.ones_like(weights), "mean": nothing, "move": nothing.clone()}

    @contextmanager
    def around(self) -> Iterator[None]:
        """Learn from the gradients, and stretch the step."""
        learning = {p: (p.grad, slots) for p, slots in self.state.items() if p.grad is not None}
        self.adapt_scale(list(learning.values()))
        for gradient, slots in learning.values():
            self.adapt_gain(gradient, slots)
        before = [parameter.detach().clone() for parameter in learning]
        yield
        for start, (parameter, (_, slots)) in zip(before, learning.items(), strict=True):
            torch.sub(start, parameter.detach(), out=slots["move"]).mul_(slots["gain"])
            parameter.copy_(start - self.scale * slots["move"])

    def adapt_scale(self, learning: Sequence[tuple[Tensor, dict[str, Tensor]]]) -> None:
        """Let the scale grow where gradients still point along the last move, and fall where they point back."""
        gradients = [gradient for gradient, _ in learning]
        moves = [slots["move"] for _, slots in learning]
        product = torch.stack([(g * move).sum() for g, move in zip(gradients, moves, strict=True)]).sum()
        lengths = [torch.stack(torch._foreach_norm(vectors)).norm() for vectors in (gradients, moves)]
        cosine = product / (lengths[0] * lengths[1]).clamp_min(torch.finfo(product.dtype).tiny)
        self.scale.mul_(torch.exp(self.scale_rate * cosine)).clamp_(*self.scales)

    def adapt_gain(self, gradient: Tensor, slots: dict[str, Tensor]) -> None:
        """Let a weight's gain grow where its gradient keeps its sign, and fall where it turns."""
        alike = gradient.sign().mul_(slots["mean"].sign())
        slots["gain"].mul_(alike.mul_(self.gain_rate).exp_()).clamp_(*self.gains)
        slots["mean"].lerp_(gradient, 1 - self.momentum)

    def tensors(self) -> dict[str, Tensor]:
        """Give the scale, and each parameter's gain, mean gradient and last move."""
        slots = {f"{n}.{name}": slot for n, state in enumerate(self.state.values()) for name, slot in state.items()}
        return {"scale": self.scale, **slots}
