"""Similarity's model: put together from a backbone, and loaded to embed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from nlptasks import HERE, places
from nlptasks.backbone import weights
from nlptasks.backbone.batch import Budget
from nlptasks.backbone.hardware import ANY, Machine, ready
from nlptasks.backbone.text import Text
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import UsageError
from nlptasks.inference import loaded
from nlptasks.similarity.encoder import Embedder, SentenceEncoder
from nlptasks.similarity.settings import LEAST_LIMIT, Options
from nlptasks.training.checkpoint import Checkpoint

DEFAULT_POOLING = "last-avg"
#: Tokens of one pass: on a CPU what stays in its cache, on a GPU enough to fill it.
TOKENS = {"cpu": 2048, "cuda": 131072, "mps": 16384}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Loaded(loaded.Loaded):
    """What embeds; its fingerprint leaves the pooling out."""

    embedder: Embedder
    pooling: str
    origin: dict[str, str]
    """The option that loads it again: `model` or `backbone`, with a folder, a hub name or `embedded`."""


def load(
    found: Checkpoint | None,
    options: Options,
    *,
    backbone: str | None = None,
    machine: Machine = ANY,
    freeze: bool = True,
) -> Loaded:
    """Load what embeds: a trained model, or a backbone as it is.

    Args:
        found: the trained model; with none the backbone answers by itself, without a whitening that it may bring.
        options: pooling and limit.
        backbone: folder or hub name; the embedded one by default.
        machine: what computes.
        freeze: lay the weights out for the processor; without it they can be stored again.

    Raises:
        ModelError: it cannot be loaded.
        UsageError: another pooling than the one a whitening in the model was fitted for, or too high a limit.
    """
    source = found.folder if found else backbone
    stored = weights.load(source)
    check_limit(options.limit, stored)
    if not found and drop_whitening(stored):
        logger.info("%s: as a backbone it embeds without its whitening; with --model it has it", backbone)
    settings = found.settings if found else {}
    pooling = options.pooling or settings.get("pooling", DEFAULT_POOLING)
    model = assembled(stored, pooling)
    if model.whitening is not None and pooling != settings.get("pooling"):
        raise UsageError(f"--pooling {pooling}: the model's whitening was fitted for {settings.get('pooling')}")
    cast = [part for part in (model.bert, model.pooler) if part is not None]
    ready(model, machine, cast=cast, frozen=[model.bert] if freeze else [])
    budget = machine.budget(TOKENS)
    limit = options.limit or stored.bert.config.max_position_embeddings
    folder = weights.locate(source)
    return Loaded(
        embedder=Embedder(model, stored.text, budget, limit=limit, device=machine.place),
        pooling=pooling,
        origin={"model" if found else "backbone": named(folder, None if found else backbone)},
        options=options,
        budget=budget,
        name=str(found.folder) if found else backbone or places.EMBEDDED,
        method=found.method if found else "none",
        folder=folder,
    )


def named(folder: Path, asked: str | None) -> str:
    """Name a model so that it is found again from elsewhere.

    Args:
        folder: where it lies.
        asked: the backbone asked for, perhaps by a name on the hub.
    """
    if folder.resolve().is_relative_to(HERE):
        return places.EMBEDDED
    return str(folder.resolve()) if asked is None or Path(asked).expanduser().is_dir() else asked


def check_limit(limit: int | None, backbone: Backbone) -> None:
    """Refuse to read more of a sentence than a model can.

    Raises:
        UsageError: the limit is beyond its positions.
    """
    most = backbone.bert.config.max_position_embeddings
    if limit is not None and limit > most:
        raise UsageError(f"--limit {limit}: expected {LEAST_LIMIT} to {most}, the positions of this model")


def drop_whitening(backbone: Backbone) -> bool:
    """Take a whitening away from a model that serves as a backbone; tell whether there was one.

    It was fitted for that model's own vectors, and neither others nor those that training will make are like them.
    """
    found = [name for name in backbone.rest if name.startswith("whitening.")]
    for name in found:
        del backbone.rest[name]
    return bool(found)


def assembled(backbone: Backbone, pooling: str) -> SentenceEncoder:
    """Build a model from a backbone and the weights beside its encoder."""
    rest = {weights.canonical(name): tensor for name, tensor in backbone.rest.items()}
    return SentenceEncoder(
        backbone.bert, pooling, pooler=layer(rest, "pooler.dense"), whitening=layer(rest, "whitening")
    )


def layer(tensors: Mapping[str, Tensor], name: str) -> nn.Linear | None:
    """Build a linear layer from its stored weights; none where there are none."""
    if f"{name}.weight" not in tensors:
        return None
    weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
    made = nn.Linear(weight.shape[1], weight.shape[0])
    made.load_state_dict({"weight": weight.float(), "bias": bias.float()})
    return made


def embedder(model: SentenceEncoder, text: Text, budget: Budget, **options: Any) -> Embedder:  # noqa: ANN401
    """Make an embedder where the model is."""
    return Embedder(model, text, budget, device=next(model.bert.parameters()).device, **options)
