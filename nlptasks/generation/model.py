"""The model: an encoder whose norms listen to conditions, and the head that names tokens; made, or loaded to write."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nlptasks.backbone import hardware, weights
from nlptasks.backbone.batch import Budget
from nlptasks.backbone.bert import Bert
from nlptasks.backbone.heads import TokenHead, WeightedLoss, token_losses
from nlptasks.backbone.text import Text
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import ModelError, UsageError
from nlptasks.generation.labels import Labels
from nlptasks.generation.layouts import Layout, Pass
from nlptasks.generation.naming import Naming
from nlptasks.generation.row import Options, naming
from nlptasks.generation.seen import Seen
from nlptasks.generation.settings import check_length
from nlptasks.training import models
from nlptasks.training.checkpoint import Checkpoint
from nlptasks.writing.draft import Writer

#: Tokens of one pass: texts are written for so many at once that a step keeps the processor busy.
TOKENS = {"cpu": 16384, "cuda": 262144, "mps": 32768}
#: Targets whose scores are in memory at once while texts are scored.
ROWS = 1024
#: Where a model keeps what is not the encoder's and not the head's.
CONDITION, SEEN = "condition.", "memorised.filter"

NO_MODEL = models.missing("generation")

logger = logging.getLogger(__name__)


class Condition(nn.Module):
    """Turns labels, or a vector, into what the norms listen to."""

    def __init__(self, sizes: Sequence[int], vector: int, width: int, rank: int = 0) -> None:
        """Make embeddings of random numbers.

        Args:
            sizes: how many labels each condition has.
            vector: numbers of the vector, 0 for none.
            width: of a label's embedding.
            rank: numbers that all is squeezed to, 0 for no.
        """
        super().__init__()
        self.embeddings = nn.ModuleList(nn.Embedding(size, width) for size in sizes)
        total = len(sizes) * width + vector
        self.squeeze = nn.Linear(total, rank, bias=False) if rank else None
        self.width = rank or total

    def forward(self, labels: Tensor | None, vectors: Tensor | None) -> Tensor:
        """Put labels (B, C) int and vectors (B, D) together: (B, width)."""
        parts = [] if labels is None else [embed(labels[:, place]) for place, embed in enumerate(self.embeddings)]
        together = torch.cat([*parts, *([] if vectors is None else [vectors])], 1)
        return together if self.squeeze is None else self.squeeze(together)


class Generator(nn.Module):
    """An encoder that may listen to a condition, with a head that names tokens."""

    def __init__(self, bert: Bert, head: TokenHead, condition: Condition | None, hidden: float = 0.0) -> None:
        """Put the head on the encoder; a share of the conditions is hidden while it learns."""
        super().__init__()
        self.bert, self.head, self.condition, self.hidden = bert, head, condition, hidden

    def heard(self, labels: Tensor | None, vectors: Tensor | None) -> Tensor | None:
        """Give what the norms listen to, (B, C); none where there is no condition."""
        if self.condition is None:
            return None
        found: Tensor = self.condition(labels, vectors)
        if self.training and self.hidden:
            found = found * (torch.rand(len(found), 1, device=found.device) >= self.hidden)
        return found.to(self.bert.norm.weight.dtype)

    def states(self, work: Pass) -> Tensor:
        """Read a pass, and transform for the head what has a target: (M, H)."""
        condition = self.heard(work.labels, work.vectors)
        last = deque(self.bert.states(work.groups, None, condition), maxlen=1).pop()
        transformed: Tensor = self.head(last[work.targets[0]])
        return transformed

    def forward(self, work: Pass) -> Tensor:
        """Compute the mean cross entropy of a pass's targets, a scalar."""
        tokens = work.targets[1]
        states, embeddings, bias = self.states(work), self.bert.tokens.weight, self.head.bias
        if states.device.type != "cpu":
            return token_losses(states, embeddings, bias, tokens).mean()
        shares = torch.full(tokens.shape, 1 / len(tokens))
        loss: Tensor = WeightedLoss.apply(states, embeddings, bias, tokens, shares)[0]  # type: ignore[no-untyped-call]
        return loss

    def losses(self, work: Pass) -> Tensor:
        """Compute the cross entropy of each target, (M,) float32."""
        states, embeddings, bias = self.states(work), self.bert.tokens.weight, self.head.bias
        parts = zip(torch.split(states, ROWS), torch.split(work.targets[1], ROWS), strict=True)
        return torch.cat([token_losses(part, embeddings, bias, wanted) for part, wanted in parts])


def assembled(backbone: Backbone, labels: Labels, settings: Mapping[str, Any]) -> Generator:
    """Put head and condition on a backbone: those that it has, where they fit, else new ones."""
    head = TokenHead.load(backbone.bert, backbone.rest)
    if head is None:
        logger.info("%s: no head for masked words; it starts from random weights", backbone.name)
        head = TokenHead(backbone.bert.config)
    condition = None
    if labels.sizes or labels.vector:
        condition = Condition(labels.sizes, labels.vector, settings["condition_width"], settings["rank"])
        own = {name.removeprefix(CONDITION): part for name, part in backbone.rest.items() if name.startswith(CONDITION)}
        state = condition.state_dict()
        if own.keys() == state.keys() and all(own[name].shape == state[name].shape for name in own):
            condition.load_state_dict(own)
    backbone.bert.listen(condition.width if condition else None)
    return Generator(backbone.bert, head, condition, settings["label_dropout"])


@dataclass(frozen=True)
class Loaded:
    """A model ready to write, and what it is called."""

    model: Generator
    writer: Writer
    text: Text
    layout: Layout
    labels: Labels
    naming: Naming
    seen: Seen | None
    options: Options
    budget: Budget
    name: str
    method: str
    folder: Path

    @property
    def fingerprint(self) -> str:
        """Hash what decides the texts."""
        return weights.fingerprint(self.folder)

    def condition(self, labels: Tensor | None, vectors: Tensor | None) -> Tensor | None:
        """Give what the norms listen to: (B, C), or none."""
        device = self.writer.device
        return self.model.heard(*(None if part is None else part.to(device) for part in (labels, vectors)))


def load(
    found: Checkpoint | None,
    options: Options,
    *,
    backbone: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    tokens: int | None = None,
) -> Loaded:
    """Load what writes: a trained model, or a backbone as it is, which is a weak language model.

    Args:
        found: the trained model, if any.
        options: how to write.
        backbone: folder or hub name of one that writes as it is, where there is no model.
        device: see `hardware.device`.
        dtype: see `hardware.dtype`.
        tokens: of one pass; a good number for the device by default.

    Raises:
        ModelError: there is neither, or it cannot be loaded, or has no head.
        UsageError: more is to be written than the model can.
    """
    source = found.folder if found else backbone
    if source is None:
        raise ModelError(NO_MODEL)
    loaded = weights.load(source)
    if TokenHead.load(loaded.bert, loaded.rest) is None:
        raise ModelError(
            f"{source}: no head for masked words, which writing needs; train one with nlpk train generation"
        )
    method = found.method if found else "cln"
    named = naming(method, found.settings if found else {"conditions": ""})
    labels = Labels.load(found.about.get("labels") if found else None)
    told = found.settings if found else {"limit": 128, "source_limit": 256, "condition_width": 1, "rank": 0}
    told = {"label_dropout": 0.0, **told}
    model = assembled(loaded, labels, told)
    layout = Layout(method, loaded.text, limit=told["limit"], source=told["source_limit"])
    layout.check(loaded.bert.config.max_position_embeddings, options.limit)
    check_length(options.shortest, options.limit or layout.limit)
    check_guidance(options.guidance, model)
    place = hardware.device(device)
    number_format = hardware.dtype(dtype, place)[0]
    model.to(place).eval().requires_grad_(False)
    model.bert.to(number_format).freeze()
    model.head.to(number_format).dense.freeze()
    writer = Writer.of(model.bert, model.head, segment=int(layout.reads), causal=not layout.reads, freeze=True)
    silence(writer, loaded.text)
    kept = loaded.rest.get(SEEN)
    return Loaded(
        model,
        writer,
        loaded.text,
        layout,
        labels,
        named,
        Seen.load(kept) if kept is not None else None,
        options,
        Budget(tokens or TOKENS.get(place.type, 4096)),
        str(source),
        method,
        weights.locate(source),
    )


def check_guidance(strength: float, model: Generator) -> None:
    """Refuse guidance by a model that knows nothing but its conditions.

    Raises:
        UsageError: it has none, or never wrote without.
    """
    if strength == 1:
        return
    if model.condition is None:
        raise UsageError(f"--guidance {strength:g}: this model has no conditions to heed; leave it out")
    if not model.hidden:
        remedy = "train one with --label-dropout 0.1"
        raise UsageError(f"--guidance {strength:g}: this model has never written without its conditions; {remedy}")


def silence(writer: Writer, text: Text) -> None:
    """Let a writer never write a token that is no text: padding, the unknown, the start, the mask."""
    bias = writer.decoder.bias.detach().clone()  # the head keeps its own, which real texts are scored by
    bias[[text.special[name] for name in ("pad", "unknown", "start", "mask")]] = -torch.inf
    writer.decoder.bias = nn.Parameter(bias, requires_grad=False)
