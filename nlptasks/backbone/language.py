"""A language model: the encoder with the head that names tokens, which writes, fills gaps and reads on."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from nlptasks.backbone.batch import Batch, rows_of_tokens
from nlptasks.backbone.bert import Bert
from nlptasks.backbone.copying import Copier
from nlptasks.backbone.hardware import Machine, ready
from nlptasks.backbone.heads import TokenHead, WeightedLoss, token_losses
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import ModelError

logger = logging.getLogger(__name__)


class LanguageModel(nn.Module):
    """An encoder with a head that names tokens, and where it copies, too, a pointer."""

    def __init__(self, bert: Bert, head: TokenHead) -> None:
        """Put the head on the encoder; it copies nothing yet."""
        super().__init__()
        self.bert, self.head = bert, head
        self.copier: Copier | None = None

    @classmethod
    def new(cls, backbone: Backbone, *, copies: bool = False) -> Self:
        """Put a backbone's own head and pointer on its encoder, or new ones where it has none.

        Args:
            backbone: the encoder with its other weights.
            copies: whether it has a pointer.
        """
        head = TokenHead.load(backbone.bert, backbone.rest)
        if head is None:
            logger.info("%s: no head for masked words; it starts from random weights", backbone.name)
            head = TokenHead(backbone.bert.config)
        model = cls(backbone.bert, head)
        if copies:
            model.copier = copier_of(backbone) or Copier(*copier_shape(backbone))
        return model

    @classmethod
    def trained(cls, backbone: Backbone, task: str) -> Self:
        """Put a backbone's own head, and its pointer if it has one, on its encoder.

        Raises:
            ModelError: it has none.
        """
        head = TokenHead.load(backbone.bert, backbone.rest)
        if head is None:
            raise ModelError(f"{backbone.name}: no head for masked words; train one with nlpk train {task}")
        model = cls(backbone.bert, head)
        model.copier = copier_of(backbone)
        return model

    def states(self, groups: Sequence[Batch], places: Tensor, condition: Tensor | None = None) -> Tensor:
        """Read groups in one pass, and transform some tokens for the head: (M, H).

        Args:
            groups: each of one length.
            places: (M,) int, which tokens of the groups laid end to end.
            condition: (B, C) what the norms listen to, or none.
        """
        last = deque(self.bert.states(groups, None, condition), maxlen=1).pop()
        transformed: Tensor = self.head(last[places])
        return transformed

    def token_loss(self, groups: Sequence[Batch], targets: Tensor) -> Tensor:
        """Compute the mean cross entropy, a scalar, of tokens in their places, (2, M) int."""
        places, tokens = targets
        if self.copier is None:
            return self.mean_loss(self.states(groups, places), tokens)
        below, last = deque(self.bert.states(groups), maxlen=2)
        hidden = last[places]
        named = token_losses(self.head(hidden), self.bert.tokens.weight, self.head.bias, tokens)
        rows = rows_of_tokens(groups)[places]
        return self.copier.losses(named, hidden, tokens, rows, self.copier.source(below, groups)).mean()

    def mean_loss(self, states: Tensor, tokens: Tensor) -> Tensor:
        """Compute the mean cross entropy, a scalar, of tokens (M,) int by transformed states (M, H)."""
        return self.loss(states, tokens, torch.full(tokens.shape, 1 / max(1, len(tokens)), device=states.device))[0]

    def loss(self, states: Tensor, tokens: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the sum of losses, each times its share (M,), a scalar, and the losses, (M,) float32.

        On a CPU not all scores are in memory at once; elsewhere a compiler can fuse them.
        """
        embeddings, bias = self.bert.tokens.weight, self.head.bias
        if states.device.type == "cpu":
            found: tuple[Tensor, Tensor] = WeightedLoss.apply(states, embeddings, bias, tokens, shares)  # type: ignore[no-untyped-call]
            return found
        losses = token_losses(states, embeddings, bias, tokens)
        return (losses * shares).sum(), losses.detach()

    def named(self) -> dict[str, Tensor]:
        """Name the weights beside the encoder's, as they are stored."""
        head = {name: tensor.detach() for name, tensor in self.head.named().items()}
        return head if self.copier is None else head | self.copier.named()

    def ready(self, machine: Machine) -> Self:
        """Move it to where it answers, in the number format and layout of that device."""
        copier = () if self.copier is None else (self.copier,)
        ready(self, machine, cast=(self.bert, self.head, *copier), frozen=(self.bert, self.head))
        return self


def copier_shape(backbone: Backbone) -> tuple[int, list[int]]:
    """Tell the width of a backbone's pointer, and what it never copies."""
    return backbone.bert.config.hidden_size, sorted(backbone.text.special.values())


def copier_of(backbone: Backbone) -> Copier | None:
    """Take the pointer from a backbone's weights; none where it has none."""
    return Copier.load(backbone.rest, *copier_shape(backbone))
