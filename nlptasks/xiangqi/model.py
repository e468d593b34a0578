"""Xiangqi's model, a language model that reads games from left to right, and how it is loaded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nlptasks.backbone import weights
from nlptasks.backbone.hardware import ANY, Machine
from nlptasks.backbone.language import LanguageModel
from nlptasks.errors import ModelError
from nlptasks.inference import loaded
from nlptasks.task import Work
from nlptasks.training import models
from nlptasks.training.checkpoint import Checkpoint
from nlptasks.writing.draft import Writer
from nlptasks.xiangqi import sight, vocabulary
from nlptasks.xiangqi.settings import Options, check_goal

#: Tokens of one pass.
TOKENS = {"cpu": 8192, "cuda": 131072, "mps": 16384}


def choice_loss(model: LanguageModel, work: Work, legality: float) -> Tensor:
    """Compute the mean loss, a scalar, of moves whose legal alternatives stand beside the token before them."""
    places, tokens = work.taught
    scores = F.linear(model.states(work.groups, places), model.bert.tokens.weight, model.head.bias).float()
    beside = torch.cat([group.beside.flatten(0, 1) for group in work.groups if group.beside is not None])
    return choice_losses(scores, beside[places][:, sight.LEGAL], tokens, legality).mean()


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


def writer_of(player: LanguageModel, *, freeze: bool = False) -> Writer:
    """Make what reads games from left to right."""
    return Writer.of(player, segment=0, causal=True, freeze=freeze)


@dataclass(frozen=True, kw_only=True)
class Loaded(loaded.Loaded):
    """What plays; without a writer only boards are drawn."""

    writer: Writer | None
    options: Options

    @property
    def fingerprint(self) -> str:
        """Hash what decides the answers."""
        return super().fingerprint if self.writer else self.name

    @property
    def player(self) -> Writer:
        """Give the model.

        Raises:
            ModelError: there is none.
        """
        if self.writer is None:
            raise ModelError(models.missing("xiangqi"))
        return self.writer


def load(found: Checkpoint | None, options: Options, *, backbone: str | None = None, machine: Machine = ANY) -> Loaded:
    """Load a trained model; where there is none, what draws boards, if that is asked for.

    Args:
        found: the trained model, if any.
        options: how to answer.
        backbone: a plain BERT, which knows no moves and is refused.
        machine: what computes.

    Raises:
        ModelError: there is none, or it cannot be loaded, or it is damaged.
        UsageError: the options do not go with its method.
    """
    if backbone is not None:
        raise ModelError(f"--backbone {backbone}: a plain BERT knows no moves; train it with nlpk train xiangqi")
    common: dict[str, Any] = {"options": options, "budget": machine.budget(TOKENS)}
    if found is None:
        if options.svg is None:
            raise ModelError(models.missing("xiangqi"))
        return Loaded(writer=None, name="rules", method="moves", **common)
    check_goal(options.goal, found.method)
    stored = weights.load(found.folder)
    if not vocabulary.is_own(found.method, stored.text):
        raise ModelError(f"{found.folder}: not the tokens of method {found.method}; train it again")
    writer = writer_of(LanguageModel.trained(stored, "xiangqi").ready(machine), freeze=True)
    return Loaded(writer=writer, name=str(found.folder), method=found.method, folder=found.folder, **common)
