"""A language model: the encoder with the head that names tokens, which writes, fills gaps and reads on."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from typing import Self, TypeVar

import torch
from torch import Tensor, nn

from nlptasks.backbone.aligning import Aligner
from nlptasks.backbone.batch import Batch, rows_of_tokens
from nlptasks.backbone.bert import Bert
from nlptasks.backbone.copying import Copier
from nlptasks.backbone.hardware import Machine, ready
from nlptasks.backbone.heads import TokenHead, WeightedLoss, token_losses
from nlptasks.backbone.matching import Matcher
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import ModelError

logger = logging.getLogger(__name__)
P = TypeVar("P", Copier, Matcher, Aligner)
#: Tokens whose scores are in memory at once.
ROWS = 512


class LanguageModel(nn.Module):
    """An encoder with a head that names tokens, and where it copies or is told of matches, what does so."""

    def __init__(self, bert: Bert, head: TokenHead) -> None:
        """Put the head on the encoder; it copies nothing yet, and is told of no matches."""
        super().__init__()
        self.bert, self.head = bert, head
        self.copier: Copier | None = None
        self.matcher: Matcher | None = None
        self.aligner: Aligner | None = None

    @classmethod
    def new(cls, backbone: Backbone, *, copies: bool = False, matches: bool = False, aligns: bool = False) -> Self:
        """Put a backbone's own head, pointer and matcher on its encoder, or new ones where it has none.

        Args:
            backbone: the encoder with its other weights.
            copies: whether it has a pointer.
            matches: whether it has a matcher.
            aligns: whether the masks that copy know of each other.
        """
        head = TokenHead.load(backbone.bert, backbone.rest)
        if head is None:
            logger.info("%s: no head for masked words; it starts from random weights", backbone.name)
            head = TokenHead(backbone.bert.config)
        model = cls(backbone.bert, head)
        if copies:
            model.copier = part_of(Copier, backbone) or Copier.of(backbone.bert.config, backbone.text)
        if matches:
            model.matcher = part_of(Matcher, backbone) or Matcher.of(backbone.bert.config, backbone.text)
        if aligns:
            model.aligner = part_of(Aligner, backbone) or Aligner.of(backbone.bert.config, backbone.text)
        return model

    @classmethod
    def trained(cls, backbone: Backbone, task: str) -> Self:
        """Put a backbone's own head, and its pointer and matcher if it has them, on its encoder.

        Raises:
            ModelError: it has none.
        """
        head = TokenHead.load(backbone.bert, backbone.rest)
        if head is None:
            raise ModelError(f"{backbone.name}: no head for masked words; train one with nlpk train {task}")
        model = cls(backbone.bert, head)
        model.copier, model.matcher = part_of(Copier, backbone), part_of(Matcher, backbone)
        model.aligner = part_of(Aligner, backbone)
        return model

    def states(self, groups: Sequence[Batch], places: Tensor, condition: Tensor | None = None) -> Tensor:
        """Read groups in one pass, and transform some tokens for the head: (M, H).

        Args:
            groups: each of one length.
            places: (M,) int, which tokens of the groups laid end to end.
            condition: (B, C) what the norms listen to, or none.
        """
        last = deque(self.bert.states(groups, None, condition, matcher=self.matcher), maxlen=1).pop()
        transformed: Tensor = self.head(last[places])
        return transformed

    def token_loss(
        self, groups: Sequence[Batch], targets: Tensor, condition: Tensor | None = None, *, follows: bool = False
    ) -> Tensor:
        """Compute the mean cross entropy, a scalar, of tokens in their places; the arguments are those of `losses`."""
        if self.copier is None:
            return self.mean_loss(self.states(groups, targets[0], condition), targets[1])
        return self.losses(groups, targets, condition, follows=follows).mean()

    def losses(
        self, groups: Sequence[Batch], targets: Tensor, condition: Tensor | None = None, *, follows: bool = False
    ) -> Tensor:
        """Compute the cross entropy of tokens in their places, (M,) float32.

        Args:
            groups: each of one length.
            targets: (2, M) int, places in the groups laid end to end, rising, and tokens.
            condition: (B, C) what the norms listen to, or none.
            follows: whether the tokens of a row were written one behind the other.
        """
        places, tokens = targets
        below, last = deque(self.bert.states(groups, None, condition, matcher=self.matcher), maxlen=2)
        hidden = last[places]
        parts = zip(self.head(hidden).split(ROWS), tokens.split(ROWS), strict=True)
        named = torch.cat([token_losses(some, self.bert.tokens.weight, self.head.bias, own) for some, own in parts])
        if self.copier is None:
            return named
        rows = rows_of_tokens(groups)[places]
        source, align = self.copier.source(below, groups), None
        if self.aligner is not None:
            source, align = self.aligner.closed(source), self.aligner.bias
        return self.copier.losses(named, hidden, tokens, rows, source, follows=follows, align=align)

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
        for part in self.others():
            head |= {part.FRONT + name: tensor.detach() for name, tensor in part.state_dict().items()}
        return head

    def others(self) -> list[Copier | Matcher | Aligner]:
        """List the parts it has beside encoder and head."""
        return [part for part in (self.copier, self.matcher, self.aligner) if part is not None]

    def ready(self, machine: Machine) -> Self:
        """Move it to where it answers, in the number format and layout of that device."""
        ready(self, machine, cast=(self.bert, self.head, *self.others()), frozen=(self.bert, self.head))
        return self


def part_of(kind: type[P], backbone: Backbone) -> P | None:
    """Take the pointer, matcher or aligner from a backbone's weights; none where it has none.

    Raises:
        ModelError: it is none that is known here.
    """
    found = {name.removeprefix(kind.FRONT): part for name, part in backbone.rest.items() if name.startswith(kind.FRONT)}
    if not found:
        return None
    part = kind.of(backbone.bert.config, backbone.text)
    try:
        part.load_state_dict(found)
    except RuntimeError as error:
        raise ModelError(f"{backbone.name}: {' '.join(str(error).split())[:200]}; train the model again") from error
    return part
