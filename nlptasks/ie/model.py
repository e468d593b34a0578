"""The task's models: put together from a backbone, named for storing, and loaded to answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from nlptasks.backbone import weights
from nlptasks.backbone.batch import Batch
from nlptasks.backbone.bert import Bert
from nlptasks.backbone.hardware import ANY, Machine, ready
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import ModelError, UsageError
from nlptasks.ie import knowledge
from nlptasks.ie.casrel import CasRel
from nlptasks.ie.dgcnn import Dgcnn
from nlptasks.ie.examples import Encoder, Reach
from nlptasks.ie.knowledge import Known
from nlptasks.ie.labels import Labels
from nlptasks.ie.pointers import Linker, Pointer
from nlptasks.ie.row import ENTITIES_ONLY, Options, Settings
from nlptasks.ie.words import Words
from nlptasks.inference import loaded
from nlptasks.training import models
from nlptasks.training.checkpoint import Checkpoint

#: Tokens of one pass.
TOKENS = {"cpu": 4096, "cuda": 65536, "mps": 8192}
FRONT = "ie."
WORDS, KNOWN = f"{FRONT}list.words", f"{FRONT}list.known"


class Finder(Protocol):
    """A model that finds entities or triples."""

    bert: Bert

    def find(self, groups: Sequence[Batch], targets: Tensor) -> tuple[Tensor, Tensor]:
        """Find what rows say: numbers of row, label and tokens, and scores from 0 to 1."""
        ...


@dataclass(frozen=True)
class Extras:
    """What a model knows beside its weights."""

    words: Words | None = None
    known: Known | None = None

    def named(self) -> dict[str, Tensor]:
        """Give it as tensors of bytes."""
        lists = {WORDS: "\n".join(self.words.words) if self.words else "", KNOWN: ""}
        lists[KNOWN] = self.known.as_text() if self.known else ""
        given = {name: bytearray(text.encode()) for name, text in lists.items() if text}
        return {name: torch.frombuffer(text, dtype=torch.uint8) for name, text in given.items()}

    @classmethod
    def of(cls, rest: Mapping[str, Tensor]) -> Extras:
        """Read it back."""
        words, known = (rest[name].numpy().tobytes().decode() if name in rest else "" for name in (WORDS, KNOWN))
        vectors = rest.get(f"{FRONT}words.weight")
        listed = Words(words.split("\n"), vectors, vectors.shape[1]) if words and vectors is not None else None
        return cls(listed, Known.of_text(known) if known else None)


def assembled(
    method: str, backbone: Backbone, labels: Labels, settings: Mapping[str, Any], extras: Extras
) -> nn.Module:
    """Put a method's model on a backbone, with the weights that this has for it, if any."""
    model = fresh(method, backbone.bert, labels, settings, extras)
    own = {name.removeprefix(FRONT): tensor for name, tensor in backbone.rest.items() if name.startswith(FRONT)}
    own = {name: tensor for name, tensor in own.items() if not name.startswith("list.")}
    if own:
        state = {name: tensor for name, tensor in model.state_dict().items() if name.startswith("bert.")}
        try:
            model.load_state_dict({**state, **own})
        except RuntimeError as error:
            raise ModelError(f"{backbone.name}: {' '.join(str(error).split())[:200]}; train the model again") from error
    return model


def fresh(method: str, bert: Bert, labels: Labels, settings: Mapping[str, Any], extras: Extras) -> nn.Module:
    """Make a method's model with random weights on an encoder."""
    if method == "casrel":
        return CasRel(bert, len(labels.predicates))
    if method == "dgcnn":
        return Dgcnn(
            embeddings(bert, settings["filters"]), len(labels.predicates), extras.words, distant=settings["distant"]
        )
    if method == "globalpointer":
        return Pointer(bert, len(labels.types), efficient=settings["efficient"])
    return Linker(bert, len(labels.predicates), efficient=settings["efficient"])


def embeddings(bert: Bert, width: int) -> Bert:
    """Take an encoder without layers for what it is, and make one of a backbone's vocabulary otherwise."""
    if not bert.layers:
        return bert
    config = dataclasses.replace(
        bert.config, hidden_size=width, num_hidden_layers=0, num_attention_heads=1, intermediate_size=width
    )
    return Bert(config)


def rest(model: nn.Module, extras: Extras) -> dict[str, Tensor]:
    """Name the weights beside the encoder's."""
    own = {name: tensor.detach() for name, tensor in model.state_dict().items() if not name.startswith("bert.")}
    return {**{FRONT + name: tensor for name, tensor in own.items()}, **extras.named()}


@dataclass(frozen=True, kw_only=True)
class Loaded(loaded.Loaded):
    """What finds entities or triples."""

    model: Any
    encoder: Encoder
    device: torch.device
    options: Options

    @property
    def labels(self) -> Labels:
        """Give what it can say."""
        return self.encoder.labels


def load(found: Checkpoint | None, options: Options, *, backbone: str | None = None, machine: Machine = ANY) -> Loaded:
    """Load a trained model.

    Args:
        found: the trained model, if any.
        options: how to answer.
        backbone: refused, for a plain encoder knows no labels.
        machine: what computes.

    Raises:
        ModelError: there is none, or it cannot be loaded.
        UsageError: a plain encoder is to answer, or knowledge of triples is given to a model that finds none.
    """
    if backbone is not None:
        raise UsageError(f"--backbone {backbone}: has not learnt what to find; train it: nlpk train ie --backbone")
    if found is None:
        raise ModelError(models.missing("ie"))
    if not isinstance(found.about.get("labels"), dict):
        raise ModelError(f"{found.folder}: nlpk.json has no labels; train the model again")
    settings = {**{field.name: field.default for field in fields(Settings)}, **found.settings}
    labels, stored = Labels.of_json(found.about["labels"]), weights.load(found.folder)
    extras = Extras.of(stored.rest)
    known = extras.known
    if options.knowledge is not None:
        if found.method in ENTITIES_ONLY:
            raise UsageError(f"--knowledge {options.knowledge}: {found.method} finds no triples; leave it out")
        known = knowledge.read(options.knowledge)
    model = assembled(found.method, stored, labels, settings, extras)
    reach = Reach.of(settings, asdict(options))
    reach.check(stored.bert.config.max_position_embeddings)
    ready(model, machine, cast=[model], frozen=[stored.bert])  # the heads read their weights in part
    return Loaded(
        model=model,
        encoder=Encoder(stored.text, found.method, reach, labels, known, extras.words),
        device=machine.place,
        options=options,
        budget=machine.budget(TOKENS),
        name=str(found.folder),
        method=found.method,
        folder=found.folder,
    )
