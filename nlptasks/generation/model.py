"""The model: an encoder whose norms listen to conditions, and the head that names tokens; made, or loaded to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from nlptasks.backbone import weights
from nlptasks.backbone.bert import Bert
from nlptasks.backbone.hardware import ANY, Machine
from nlptasks.backbone.heads import TokenHead
from nlptasks.backbone.language import LanguageModel
from nlptasks.backbone.text import Text
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import UsageError
from nlptasks.generation.labels import Labels
from nlptasks.generation.layouts import Layout, Pass
from nlptasks.generation.naming import Naming
from nlptasks.generation.row import Options, Row, naming
from nlptasks.generation.seen import Seen
from nlptasks.generation.settings import check_length
from nlptasks.inference import loaded
from nlptasks.training import models
from nlptasks.training.checkpoint import Checkpoint
from nlptasks.writing.draft import Writer

#: Tokens of one pass: texts are written for so many at once that a step keeps the processor busy.
TOKENS = {"cpu": 16384, "cuda": 262144, "mps": 32768}
#: Where a model keeps what is not the encoder's and not the head's.
CONDITION, SEEN = "condition.", "memorised.filter"

#: What a backbone as it is goes by.
UNTRAINED: dict[str, Any] = {"conditions": "", "limit": 128, "source_limit": 256, "label_dropout": 0.0}


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


class Generator(LanguageModel):
    """A language model whose norms may listen to a condition."""

    #: What moves the norms learns slowly: a step of it moves all states of a text, which at the full rate costs as much
    #: likelihood as the conditions bring.
    rates: ClassVar[Mapping[str, float]] = {"_shift.": 0.03}

    def __init__(self, bert: Bert, head: TokenHead) -> None:
        """Put the head on the encoder; it listens to nothing yet."""
        super().__init__(bert, head)
        self.condition: Condition | None = None
        self.hidden = 0.0

    def listen(self, condition: Condition | None, hidden: float = 0.0) -> None:
        """Let the norms listen to a condition, or to none; a share of the conditions is hidden while it learns."""
        self.condition, self.hidden = condition, hidden
        self.bert.listen(condition.width if condition else None)

    def heard(self, labels: Tensor | None, vectors: Tensor | None) -> Tensor | None:
        """Give what the norms listen to, (B, C); none where there is no condition."""
        if self.condition is None:
            return None
        found: Tensor = self.condition(labels, vectors)
        if self.training and self.hidden:
            found = found * (torch.rand(len(found), 1, device=found.device) >= self.hidden)
        return found.to(self.bert.norm.weight.dtype)

    def forward(self, work: Pass) -> Tensor:
        """Compute the mean cross entropy of a pass's targets, a scalar."""
        return self.token_loss(work.groups, work.targets, self.heard(work.labels, work.vectors), follows=True)

    def surprises(self, work: Pass) -> Tensor:
        """Compute the cross entropy of each target, (M,) float32."""
        return self.losses(work.groups, work.targets, self.heard(work.labels, work.vectors), follows=True)


def assembled(backbone: Backbone, labels: Labels, settings: Mapping[str, Any]) -> Generator:
    """Put head and condition on a backbone: those that it has, where they fit, else new ones."""
    return conditioned(Generator.new(backbone, copies=settings["copy"]), backbone, labels, settings)


def conditioned(model: Generator, backbone: Backbone, labels: Labels, settings: Mapping[str, Any]) -> Generator:
    """Let a model listen to the backbone's own condition, where it fits the labels, else to a new one."""
    if not labels.sizes and not labels.vector:
        model.listen(None)
        return model
    condition = Condition(labels.sizes, labels.vector, settings["condition_width"], settings["rank"])
    own = {name.removeprefix(CONDITION): part for name, part in backbone.rest.items() if name.startswith(CONDITION)}
    state = condition.state_dict()
    if own.keys() == state.keys() and all(own[name].shape == state[name].shape for name in own):
        condition.load_state_dict(own)
    model.listen(condition, settings["label_dropout"])
    return model


@dataclass(frozen=True, kw_only=True)
class Loaded(loaded.Loaded):
    """What writes, and what it knows of conditions and of the texts it learnt from."""

    model: Generator
    writer: Writer
    text: Text
    layout: Layout
    labels: Labels
    naming: Naming
    seen: Seen | None
    options: Options

    @property
    def asking(self) -> Naming:
        """Give how records are read that ask for texts: they need not say all conditions."""
        return replace(self.naming, is_partial=True)

    def check(self, row: Row) -> None:
        """Refuse a row to score that is not of this model's labels, or not of its vectors' size.

        Raises:
            RecordError: it is one.
        """
        self.labels.check(row.sets or [], row.vector)

    def condition(self, labels: Tensor | None, vectors: Tensor | None) -> Tensor | None:
        """Give what the norms listen to: (B, C), or none."""
        device = self.writer.device
        return self.model.heard(*(None if part is None else part.to(device) for part in (labels, vectors)))


def load(found: Checkpoint | None, options: Options, *, backbone: str | None = None, machine: Machine = ANY) -> Loaded:
    """Load what writes: a trained model, or a backbone as it is, which is a weak language model.

    Args:
        found: the trained model, if any.
        options: how to write.
        backbone: folder or hub name of one that writes as it is, where there is no model.
        machine: what computes.

    Raises:
        ModelError: there is neither, or it cannot be loaded, or has no head.
        UsageError: more is to be written than the model can.
    """
    source = models.source("generation", found, backbone)
    stored = weights.load(source)
    model = Generator.trained(stored, "generation")
    told = {**UNTRAINED, **(found.settings if found else {})}
    method = found.method if found else "cln"
    layout = Layout(method, stored.text, limit=told["limit"], source=told["source_limit"])
    layout.check(stored.bert.config.max_position_embeddings, options.limit)
    check_length(options.shortest, options.limit or layout.limit)
    labels = Labels.load(found.about.get("labels") if found else None)
    model = conditioned(model, stored, labels, told).ready(machine)
    check_guidance(options.guidance, model)
    writer = Writer.of(model, segment=int(layout.reads), causal=not layout.reads, freeze=True)
    silence(writer, stored.text)
    return Loaded(
        model=model,
        writer=writer,
        text=stored.text,
        layout=layout,
        labels=labels,
        naming=naming(method, told),
        seen=Seen.load(stored.rest[SEEN]) if SEEN in stored.rest else None,
        options=options,
        budget=machine.budget(TOKENS),
        name=str(source),
        method=method,
        folder=weights.locate(source),
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
