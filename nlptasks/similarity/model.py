"""Similarity's model: put together from a backbone, and loaded to embed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from nlptasks import HERE, places
from nlptasks.backbone import hardware, weights
from nlptasks.backbone.batch import Budget
from nlptasks.backbone.text import Text
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import UsageError
from nlptasks.similarity.encoder import Embedder, SentenceEncoder
from nlptasks.similarity.row import LEAST_LIMIT, Options
from nlptasks.training.checkpoint import Checkpoint

DEFAULT_POOLING = "last-avg"
#: Tokens of one pass: on a CPU what stays in its cache, on a GPU enough to fill it.
TOKENS = {"cpu": 2048, "cuda": 131072, "mps": 16384}

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Loaded:
    """A model ready to embed, and what it is called."""

    embedder: Embedder
    name: str
    method: str
    folder: Path
    pooling: str
    origin: dict[str, str]
    """The option that loads it again: `model` or `backbone`, with a folder, a hub name or `embedded`."""

    @property
    def budget(self) -> Budget:
        """Give the budget of a pass."""
        return self.embedder.budget

    @property
    def fingerprint(self) -> str:
        """Hash what decides the vectors, the pooling apart."""
        return weights.fingerprint(self.folder)


def load(
    found: Checkpoint | None,
    options: Options,
    *,
    backbone: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    tokens: int | None = None,
    freeze: bool = True,
) -> Loaded:
    """Load what embeds: a trained model, or a backbone as it is.

    Args:
        found: the trained model; with none the backbone answers by itself, without a whitening that it may bring.
        options: pooling and limit.
        backbone: folder or hub name; the embedded one by default.
        device: see `hardware.device`.
        dtype: see `hardware.dtype`.
        tokens: of one pass; a good number for the device by default.
        freeze: lay the weights out for the processor; without it they can be stored again.

    Raises:
        ModelError: it cannot be loaded.
        UsageError: another pooling than the one a whitening in the model was fitted for, or too high a limit.
    """
    source = found.folder if found else backbone
    loaded = weights.load(source)
    check_limit(options.limit, loaded)
    if not found and drop_whitening(loaded):
        logger.info("%s: as a backbone it embeds without its whitening; with --model it has it", backbone)
    settings = found.settings if found else {}
    pooling = options.pooling or settings.get("pooling", DEFAULT_POOLING)
    model = assembled(loaded, pooling)
    if model.whitening is not None and pooling != settings.get("pooling"):
        raise UsageError(f"--pooling {pooling}: the model's whitening was fitted for {settings.get('pooling')}")
    place = hardware.device(device)
    model.bert.to(place, hardware.dtype(dtype, place)[0])
    model.to(place)
    if freeze:
        model.bert.freeze()
    if model.pooler is not None:
        model.pooler.to(model.bert.norm.weight.dtype)
    budget = Budget(tokens or TOKENS.get(place.type, 4096))
    limit = options.limit or loaded.bert.config.max_position_embeddings
    made = Embedder(model.eval(), loaded.text, budget, limit=limit, device=place)
    name = str(found.folder) if found else backbone or places.EMBEDDED
    folder = weights.locate(source)
    origin = {"model" if found else "backbone": named(folder, None if found else backbone)}
    return Loaded(made, name, found.method if found else "none", folder, pooling, origin)


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
