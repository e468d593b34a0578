"""QA's model: an encoder with the head that names tokens, put together from a backbone and loaded to answer."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from nlptasks.backbone import hardware, weights
from nlptasks.backbone.batch import Batch, Budget
from nlptasks.backbone.bert import Bert
from nlptasks.backbone.heads import TokenHead, WeightedLoss, token_losses
from nlptasks.backbone.text import Text
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import ModelError
from nlptasks.qa import pairs_row
from nlptasks.qa.examples import Limits
from nlptasks.qa.row import METHODS, Options, Settings
from nlptasks.training import models
from nlptasks.training.checkpoint import Checkpoint
from nlptasks.writing.draft import Writer

#: Tokens of one pass: enough that a step of writing, one token a passage, keeps the processor busy.
TOKENS = {"cpu": 8192, "cuda": 131072, "mps": 16384}

NO_MODEL = models.missing("qa")
logger = logging.getLogger(__name__)


class Reader(nn.Module):
    """An encoder with a head that names tokens."""

    def __init__(self, bert: Bert, head: TokenHead) -> None:
        """Put the head on the encoder."""
        super().__init__()
        self.bert, self.head = bert, head

    def states(self, groups: Sequence[Batch], places: Tensor) -> Tensor:
        """Read groups in one pass, and transform some tokens for the head: (M, H).

        Args:
            groups: each of one length.
            places: (M,) int, which tokens of the groups laid end to end.
        """
        last = deque(self.bert.states(groups), maxlen=1).pop()
        transformed: Tensor = self.head(last[places])
        return transformed

    def forward(self, groups: Sequence[Batch], targets: Tensor) -> Tensor:
        """Compute the mean cross entropy, a scalar, of tokens in their places, (2, M) int."""
        places, tokens = targets
        states, embeddings, bias = self.states(groups, places), self.bert.tokens.weight, self.head.bias
        if states.device.type != "cpu":
            return token_losses(states, embeddings, bias, tokens).mean()
        shares = torch.full(tokens.shape, 1 / len(tokens))
        loss: Tensor = WeightedLoss.apply(states, embeddings, bias, tokens, shares)[0]  # type: ignore[no-untyped-call]
        return loss


def assembled(backbone: Backbone) -> Reader:
    """Put a backbone's head for masked words on its encoder, or a new one where it has none."""
    rest = backbone.rest
    head = TokenHead.load(backbone.bert, rest)
    if head is None:
        logger.info("%s: no head for masked words; it starts from random weights", backbone.name)
        head = TokenHead(backbone.bert.config)
    return Reader(backbone.bert, head)


@dataclass(frozen=True)
class Loaded:
    """A model ready to answer, and what it is called."""

    writer: Writer
    text: Text
    options: Options | pairs_row.Options
    limits: Limits
    budget: Budget
    name: str
    method: str
    folder: Path

    @property
    def fingerprint(self) -> str:
        """Hash what decides the answers."""
        return weights.fingerprint(self.folder)


def load(
    found: Checkpoint | None,
    options: Options | pairs_row.Options,
    *,
    backbone: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    tokens: int | None = None,
) -> Loaded:
    """Load what answers: a trained model, or a backbone as it is.

    Args:
        found: the trained model, if any.
        options: how to answer.
        backbone: folder or hub name of one that answers as it is, where there is no model.
        device: see `hardware.device`.
        dtype: see `hardware.dtype`.
        tokens: of one pass; a good number for the device by default.

    Raises:
        ModelError: there is neither, or it cannot be loaded, or has no head.
        UsageError: more is to be read at once than the model can.
    """
    source = found.folder if found else backbone
    if source is None:
        raise ModelError(NO_MODEL)
    if found and isinstance(options, pairs_row.Options) and not found.settings.get("generate"):
        raise ModelError(f"{source}: has not learnt to write questions; train one with nlpk train qa --generate")
    loaded = weights.load(source)
    head = TokenHead.load(loaded.bert, loaded.rest)
    if head is None:
        raise ModelError(f"{source}: no head for masked words, which answers need; train one with nlpk train qa")
    if not found:
        logger.info("%s has not learnt to answer; train it with nlpk train qa", loaded.name)
    limits = Limits.of(found.settings if found else asdict(Settings()), asdict(options))
    limits.check(loaded.bert.config.max_position_embeddings)
    place = hardware.device(device)
    number_format = hardware.dtype(dtype, place)[0]
    loaded.bert.to(place, number_format).freeze()
    head.to(place, number_format).eval().requires_grad_(False)
    head.dense.freeze()
    return Loaded(
        Writer.of(loaded.bert, head, freeze=True),
        loaded.text,
        options,
        limits,
        Budget(tokens or TOKENS.get(place.type, 4096)),
        str(source),
        found.method if found else next(iter(METHODS)),
        weights.locate(source),
    )
