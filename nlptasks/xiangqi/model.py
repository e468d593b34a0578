"""Xiangqi's model: an encoder that reads from left to right with the head that names tokens, and how it is loaded."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlptasks.backbone import hardware, weights
from nlptasks.backbone.batch import Batch, Budget
from nlptasks.backbone.bert import Bert
from nlptasks.backbone.heads import TokenHead, WeightedLoss, token_losses
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import ModelError
from nlptasks.training import models
from nlptasks.training.checkpoint import Checkpoint
from nlptasks.writing.draft import Writer
from nlptasks.xiangqi import sight, vocabulary
from nlptasks.xiangqi.settings import Options, check_goal

#: Tokens of one pass.
TOKENS = {"cpu": 8192, "cuda": 131072, "mps": 16384}
NO_MODEL = models.missing("xiangqi")


class Player(nn.Module):
    """An encoder with a head that names the next token."""

    def __init__(self, bert: Bert, head: TokenHead) -> None:
        """Put the head on the encoder."""
        super().__init__()
        self.bert, self.head = bert, head

    def forward(self, groups: Sequence[Batch], targets: Tensor, legality: float = 1.0) -> Tensor:
        """Compute a loss, a scalar, of tokens behind their places.

        Args:
            groups: games.
            targets: (2, M) int, places in the groups end to end, and tokens.
            legality: where the legal moves are seen, the weight of their share in the probability.
        """
        places, tokens = targets
        last = deque(self.bert.states(groups), maxlen=1).pop()
        states, embeddings, bias = self.head(last[places]), self.bert.tokens.weight, self.head.bias
        seen = [group.beside.flatten(0, 1) for group in groups if group.beside is not None]
        if seen:
            scores = F.linear(states, embeddings, bias).float()
            return choice_losses(scores, torch.cat(seen)[places][:, sight.LEGAL], tokens, legality).mean()
        if states.device.type != "cpu":
            return token_losses(states, embeddings, bias, tokens).mean()
        shares = torch.full(tokens.shape, 1 / len(tokens))
        loss: Tensor = WeightedLoss.apply(states, embeddings, bias, tokens, shares)[0]  # type: ignore[no-untyped-call]
        return loss


def choice_losses(scores: Tensor, legal: Tensor, tokens: Tensor, legality: float) -> Tensor:
    """Split the cross entropy of moves into choosing among the legal ones and keeping to those, and weigh the latter.

    Args:
        scores: (M, V).
        legal: (M, L) int, the legal moves' tokens, filled up with 0.
        tokens: (M,) int, the moves that were made.
        legality: the weight; 1 gives the cross entropy.

    Returns:
        (M,).
    """
    among = scores.gather(1, legal).masked_fill(legal == 0, -math.inf).logsumexp(1)
    choosing = among - scores.gather(1, tokens.unsqueeze(1)).squeeze(1)
    return choosing + legality * (scores.logsumexp(1) - among)


def assembled(backbone: Backbone) -> Player:
    """Put a backbone's head on its encoder, or a new one where it has none."""
    head = TokenHead.load(backbone.bert, backbone.rest)
    return Player(backbone.bert, TokenHead(backbone.bert.config) if head is None else head)


def writer_of(player: Player, *, freeze: bool = False) -> Writer:
    """Make what reads games from left to right."""
    return Writer.of(player.bert, player.head, segment=0, causal=True, freeze=freeze)


@dataclass(frozen=True)
class Loaded:
    """A model ready to answer, and what it is called; without a writer only boards are drawn."""

    writer: Writer | None
    options: Options
    budget: Budget
    name: str
    method: str
    folder: Path | None

    @property
    def fingerprint(self) -> str:
        """Hash what decides the answers."""
        return weights.fingerprint(self.folder) if self.folder else "rules"

    @property
    def player(self) -> Writer:
        """Give the model.

        Raises:
            ModelError: there is none.
        """
        if self.writer is None:
            raise ModelError(NO_MODEL)
        return self.writer


def load(
    found: Checkpoint | None,
    options: Options,
    *,
    backbone: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    tokens: int | None = None,
) -> Loaded:
    """Load a trained model; where there is none, what draws boards, if that is asked for.

    Args:
        found: the trained model, if any.
        options: how to answer.
        backbone: a plain BERT, which knows no moves and is refused.
        device: see `hardware.device`.
        dtype: see `hardware.dtype`.
        tokens: of one pass; a good number for the device by default.

    Raises:
        ModelError: there is none, or it cannot be loaded, or it is damaged.
        UsageError: the options do not go with its method.
    """
    if backbone is not None:
        raise ModelError(f"--backbone {backbone}: a plain BERT knows no moves; train it with nlpk train xiangqi")
    place = hardware.device(device)
    budget = Budget(tokens or TOKENS.get(place.type, 4096))
    if found is None:
        if options.svg is None:
            raise ModelError(NO_MODEL)
        return Loaded(None, options, budget, "rules", "moves", None)
    check_goal(options.goal, found.method)
    loaded = weights.load(found.folder)
    head = TokenHead.load(loaded.bert, loaded.rest)
    if head is None or not vocabulary.is_own(found.method, loaded.text):
        raise ModelError(f"{found.folder}: not the tokens and the head of method {found.method}; train it again")
    number_format = hardware.dtype(dtype, place)[0]
    loaded.bert.to(place, number_format).freeze()
    head.to(place, number_format).eval().requires_grad_(False)
    head.dense.freeze()
    writer = writer_of(Player(loaded.bert, head), freeze=True)
    return Loaded(writer, options, budget, str(found.folder), found.method, found.folder)
