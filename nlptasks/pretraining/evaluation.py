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
from nlptasks.pretraining.lessons import Lesson, taught_by, together
from nlptasks.pretraining.model import Model
from nlptasks.pretraining.objectives import Rules
from nlptasks.pretraining.sequences import Packed
from nlptasks.pretraining.settings import OBJECTIVES, SHORTEST
from nlptasks.training.state import LAST

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
    stopped = Path(folder or "") / LAST
    if folder and not (stopped.parent / "config.json").is_file() and (stopped / "config.json").is_file():
        logger.info("%s: a run that is not complete; its last state is scored", folder)
        folder = stopped
    backbone = weights.load(folder)
    head = TokenHead.load(backbone.bert, backbone.rest)
    if head is None:
        raise ModelError(f"{folder}: no head for masked words; expected a BertForMaskedLM, as nlpk pretrain makes one")
    return backbone, Model(backbone.bert, head)


@torch.no_grad()
def examine(
    model: Model,
    corpus: Corpus,
    *,
    device: torch.device,
    dtype: torch.dtype,
    length: int = 128,
    mask_rate: float = 0.15,
    tokens: float | None = None,
    seed: int = 1,
) -> Examined:
    """Score a model on a corpus, each row with every objective; the seed fixes which words are hidden.

    Args:
        model: on any device.
        corpus: prepared with the model's tokenizer.
        device: where to compute.
        dtype: number format of the products.
        length: tokens of a row; one row of all there is where there is less.
        mask_rate: share of the tokens that are hidden for mlm.
        tokens: read no more than these; all by default.
        seed: decides what is hidden and where rows are split.

    Raises:
        UsageError: rows for which the model has no positions, or in which there is nothing to learn.
        InputError: too little text for every objective to have a target.
    """
    longest = model.bert.config.max_position_embeddings
    if not SHORTEST <= length <= longest:
        raise UsageError(f"--length {length}: expected {SHORTEST} to {longest}, the model's positions")
    model.to(device).eval()
    counted = {name: np.zeros(3) for name in OBJECTIVES}  # targets, losses, right
    read = 0
    for lesson in lessons(corpus, Rules(corpus.text, mask_rate), length, tokens, seed):
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


def lessons(corpus: Corpus, rules: Rules, length: int, tokens: float | None, seed: int) -> Iterator[Lesson]:
    """Cut a corpus into rows in its own order, and make passes of each objective from them."""
    content = min(length - 2, max(corpus.tokens, SHORTEST - 2))
    packed = Packed(corpus, content, seed, shuffled=False)
    rows = packed.per_epoch if tokens is None else min(packed.per_epoch, math.ceil(tokens / (content + 2)))
    size = max(1, PASS // (content + 2))
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
