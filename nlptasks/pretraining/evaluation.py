"""What a model with BERT's head knows of a text it has not seen: hidden words, the next token, and what follows."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from nlptasks.backbone import weights
from nlptasks.backbone.heads import SCORES_AT_ONCE, TokenHead
from nlptasks.errors import InputError, ModelError, UsageError
from nlptasks.pretraining.corpus import Corpus
from nlptasks.pretraining.lessons import SPECIAL, Lesson, taught_by, together
from nlptasks.pretraining.model import Model
from nlptasks.pretraining.objectives import Rules
from nlptasks.pretraining.sequences import Packed
from nlptasks.pretraining.settings import OBJECTIVES, SHORTEST, Examination
from nlptasks.training.state import state_in

logger = logging.getLogger(__name__)
#: Tokens that go through the model at once.
PASS = 8192


@dataclass(frozen=True)
class Examined:
    """What came out.

    Attributes:
        scores: by name.
        tokens: that were read, for each objective.
        unknown: share of the text's tokens that the vocabulary does not have.
    """

    scores: dict[str, float]
    tokens: int
    unknown: float


def load(folder: str | Path | None) -> tuple[weights.Backbone, Model]:
    """Load a model with its head.

    Raises:
        ModelError: it cannot be loaded, or has no head for masked words.
    """
    stopped = state_in(Path(folder)) if folder else None
    if stopped and not (stopped.parent / "config.json").is_file():
        logger.info("%s: a run that is not complete; its last state is scored", folder)
        folder = stopped
    backbone = weights.load(folder)
    head = TokenHead.load(backbone.bert, backbone.rest)
    if head is None:
        raise ModelError(f"{folder}: no head for masked words; expected a BertForMaskedLM, as nlpk pretrain makes one")
    return backbone, Model(backbone.bert, head)


def check_length(model: Model, asked: Examination) -> None:
    """Refuse rows for which a model has no positions.

    Raises:
        UsageError: it has none.
    """
    longest = model.bert.config.max_position_embeddings
    if asked.length > longest:
        raise UsageError(f"--length {asked.length}: expected {SHORTEST} to {longest}, the model's positions")


@torch.no_grad()
def examine(model: Model, corpus: Corpus, asked: Examination, *, device: torch.device, dtype: torch.dtype) -> Examined:
    """Score a model on a corpus, each row with every objective; the seed fixes which words are hidden.

    Args:
        model: on any device.
        corpus: prepared with the model's tokenizer.
        asked: how.
        device: where to compute.
        dtype: number format of the products.

    Raises:
        UsageError: rows for which the model has no positions.
        InputError: too little text for every objective to have a target.
    """
    check_length(model, asked)
    model.to(device).eval()
    counted = {name: np.zeros(3) for name in OBJECTIVES}  # targets, losses, right
    read = 0
    for lesson in lessons(corpus, asked):
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            counted[lesson.names[0]] += compared(model, lesson.to(device))
        read += lesson.tokens
    if lacking := [name for name, total in counted.items() if not total[0]]:
        found = f"{corpus.tokens} tokens, in which {', '.join(lacking)} has nothing to tell"
        raise InputError(f"too little text to score a model on: {found}; expected a few sentences at least")
    loss = {name: float(total[1] / total[0]) for name, total in counted.items()}
    scores = {
        "mlm_loss": loss["mlm"],
        "mlm_accuracy": float(counted["mlm"][2] / counted["mlm"][0]),
        "lm_loss": loss["lm"],
        "lm_perplexity": math.exp(min(loss["lm"], 700)),
        "unilm_loss": loss["unilm"],
    }
    return Examined(scores, read // len(OBJECTIVES), float(corpus.about["unknown"]))


def lessons(corpus: Corpus, asked: Examination) -> Iterator[Lesson]:
    """Cut a corpus into rows in its own order, and make passes of each objective from them."""
    rules, seed, tokens = Rules(corpus.text, asked.mask_rate), asked.seed, asked.tokens
    content = min(asked.length, max(corpus.tokens + SPECIAL, SHORTEST)) - SPECIAL
    packed = Packed(corpus, content, seed, shuffled=False)
    rows = packed.per_epoch if tokens is None else min(packed.per_epoch, math.ceil(tokens / (content + SPECIAL)))
    size = max(1, PASS // (content + SPECIAL))
    for first in range(0, rows, size):
        places, epochs = packed.places(first, min(size, rows - first))
        for kind in range(len(OBJECTIVES)):
            kinds = np.full(len(places), kind)
            yield together(taught_by(rules, corpus, places, epochs, kinds, seed), dict.fromkeys(OBJECTIVES, 1.0))


def compared(model: Model, lesson: Lesson) -> tuple[int, float, int]:
    """Count targets, add up their losses, and count those that the model gives the highest score."""
    states, embeddings, bias = model.transformed(lesson), model.bert.tokens.weight, model.head.bias
    losses, right = 0.0, 0
    size = max(1, SCORES_AT_ONCE // len(embeddings))
    for part, targets in zip(torch.split(states, size), torch.split(lesson.targets, size), strict=True):
        scores = F.linear(part, embeddings, bias).float()
        losses += float(F.cross_entropy(scores, targets, reduction="sum"))
        right += int((scores.argmax(-1) == targets).sum())
    return len(lesson.targets), losses, right
