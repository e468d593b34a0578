"""Heads that more than one task uses: the one that names tokens, and its loss without all scores in memory at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlptasks.backbone.bert import ACTIVATIONS, Bert, Config, Norm
from nlptasks.backbone.linear import Linear
from nlptasks.errors import ModelError

#: Numbers of the scores that are in memory at once: tokens times vocabulary.
SCORES_AT_ONCE = 1 << 24
#: Of a chance; a loss above 87 is told as 87.
SMALLEST = torch.finfo(torch.float32).tiny
FRONT = "cls.predictions."
#: Our names and Hugging Face's.
NAMES = {
    "bias": "bias",
    "dense.weight": "transform.dense.weight",
    "dense.bias": "transform.dense.bias",
    "norm.weight": "transform.LayerNorm.weight",
    "norm.bias": "transform.LayerNorm.bias",
}


class TokenHead(nn.Module):
    """BERT's head for masked words, which also reads on: a transform, a norm, and the embeddings as the decoder."""

    def __init__(self, config: Config) -> None:
        """Make a head with random weights."""
        super().__init__()
        width = config.hidden_size
        self.dense = Linear(width, width)
        self.norm = Norm(width, config.layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.activation = ACTIVATIONS[config.hidden_act]
        nn.init.normal_(self.dense.weight, std=config.initializer_range)
        nn.init.zeros_(self.dense.bias)

    @classmethod
    def load(cls, bert: Bert, rest: Mapping[str, Tensor]) -> TokenHead | None:
        """Take the head from a checkpoint's weights that are not the encoder's; none where it has no head.

        Raises:
            ModelError: its weights have other shapes, or its decoder is not the embeddings.
        """
        found = {ours: rest[FRONT + theirs] for ours, theirs in NAMES.items() if FRONT + theirs in rest}
        if "bias" not in found and FRONT + "decoder.bias" in rest:
            found["bias"] = rest[FRONT + "decoder.bias"]
        if len(found) < len(NAMES):
            return None
        decoder = rest.get(FRONT + "decoder.weight")
        if decoder is not None and not torch.equal(decoder, bert.tokens.weight):
            raise ModelError("the head's decoder is not the token embeddings; expected BERT's head, which shares them")
        head = cls(bert.config)
        try:
            head.load_state_dict(found)
        except RuntimeError as error:
            said = " ".join(str(error).split())
            raise ModelError(f"the head does not fit the model ({said}); fetch the model again") from error
        return head

    def named(self) -> dict[str, Tensor]:
        """Name the weights as Hugging Face does; the decoder is left out, being the embeddings."""
        state = self.state_dict()
        return {FRONT + theirs: state[ours].contiguous() for ours, theirs in NAMES.items()}

    def forward(self, hidden: Tensor) -> Tensor:
        """Transform hidden states, (N, H) to (N, H), into what is compared with the embeddings."""
        transformed: Tensor = self.norm(self.activation(self.dense(hidden)))
        return transformed


def token_losses(transformed: Tensor, embeddings: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Compute the cross entropy of each token, all scores at once: what a compiler can fuse.

    Args:
        transformed: (N, H), from `TokenHead`.
        embeddings: (V, H).
        bias: (V,).
        targets: (N,) int.

    Returns:
        (N,) float32.
    """
    return F.cross_entropy(F.linear(transformed, embeddings, bias).float(), targets, reduction="none")


class WeightedLoss(torch.autograd.Function):
    """The weighted sum of `token_losses`, and the losses themselves; the gradient is made on the way forward.

    Scores exist for some tokens at a time, are turned into their own gradient in place, and are gone: in 16 bits for
    the products, in float32 for the softmax. The idea: Hsu et al. 2024, arXiv 2410.10989.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own, without a public type
        transformed: Tensor,
        embeddings: Tensor,
        bias: Tensor,
        targets: Tensor,
        weights: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Compute the sum, a scalar, and the losses (N,), which have no gradient of their own; `weights` is (N,)."""
        table, shift = embeddings.to(transformed.dtype), bias.to(transformed.dtype)
        losses, states = [], []
        by_table, by_bias = torch.zeros_like(embeddings), torch.zeros_like(bias)
        size = max(1, SCORES_AT_ONCE // len(table))
        parts = (torch.split(one, size) for one in (transformed, targets, weights))
        for part, wanted, weight in zip(*parts, strict=True):
            chances = F.linear(part, table, shift).softmax(-1, dtype=torch.float32)
            row = torch.arange(len(part), device=part.device)
            losses.append(-chances[row, wanted].clamp_min(SMALLEST).log())
            chances[row, wanted] -= 1
            by_bias += weight @ chances
            gradient = chances.to(table.dtype)
            # Weighted here, where the numbers are few.
            states.append((gradient @ table) * weight[:, None].to(table.dtype))
            by_table += gradient.t() @ (part * weight[:, None].to(part.dtype))
        ctx.save_for_backward(torch.cat(states) if states else transformed, by_table, by_bias)
        each = torch.cat(losses) if losses else weights
        ctx.mark_non_differentiable(each)
        return (each * weights).sum(), each  # no product, which autocast would compute in 16 bits

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Scale the gradients by that of the sum."""
        states, by_table, by_bias = ctx.saved_tensors
        factor = above[0]
        return states * factor.to(states.dtype), by_table * factor, by_bias * factor, None, None
