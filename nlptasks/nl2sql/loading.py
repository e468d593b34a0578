"""Models put together from a backbone, and loaded to answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from nlptasks.backbone import weights
from nlptasks.backbone.hardware import ANY, Machine, ready
from nlptasks.backbone.text import Text
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import ModelError
from nlptasks.inference import loaded
from nlptasks.nl2sql import baseline, reading
from nlptasks.nl2sql.baseline import Baseline
from nlptasks.nl2sql.decoding import Hypothesis
from nlptasks.nl2sql.encoding import Encoder, Example
from nlptasks.nl2sql.library import Library
from nlptasks.nl2sql.model import Slots
from nlptasks.nl2sql.row import Options, Settings
from nlptasks.training import models
from nlptasks.training.checkpoint import Checkpoint

#: Tokens of one pass.
TOKENS = {"cpu": 4096, "cuda": 65536, "mps": 8192}
#: Names of the weights that are not the encoder's begin so.
FRONT = "nl2sql."


class Reading(Protocol):
    """What a model makes of one example."""

    @property
    def answerable(self) -> float:
        """Give the chance that the table can answer."""
        ...

    @property
    def hypotheses(self) -> Iterable[Hypothesis]:
        """Give queries, the likeliest first."""
        ...


def read(model: Slots | Baseline, examples: Sequence[Example], encoder: Encoder) -> Sequence[Reading]:
    """Let a model read the examples of one pass."""
    if isinstance(model, Baseline):
        return baseline.read(model, examples)
    return reading.read(model, examples, encoder)


def assembled(backbone: Backbone, method: str) -> Slots | Baseline:
    """Put a method's heads on a backbone; those that the checkpoint has, else new ones.

    Raises:
        ModelError: the checkpoint's heads do not fit.
    """
    model = Slots(backbone.bert) if method == "slots" else Baseline(backbone.bert)
    found = {name.removeprefix(FRONT): tensor for name, tensor in backbone.rest.items() if name.startswith(FRONT)}
    if found:
        try:
            model.heads.load_state_dict(found)
        except RuntimeError as error:
            said = " ".join(str(error).split())
            raise ModelError(
                f"{backbone.name}: its heads are not those of {method} ({said[:200]}); train it anew"
            ) from error
    return model


def rest(model: Slots | Baseline) -> dict[str, Tensor]:
    """Name the weights beside the encoder's."""
    return {FRONT + name: tensor.detach() for name, tensor in model.heads.state_dict().items()}


def encoder_of(text: Text, method: str, settings: Mapping[str, Any]) -> Encoder:
    """Make what encodes for a method; the baseline knows neither kinds nor cells."""
    is_plain = method == "baseline"
    return Encoder(
        text,
        limit=int(settings["limit"]),
        question_limit=int(settings["question_limit"]),
        types=bool(settings["types"]) and not is_plain,
        matching=bool(settings["matching"]) and not is_plain,
        cues=bool(settings["cues"]) and not is_plain,
    )


@dataclass(frozen=True, kw_only=True)
class Loaded(loaded.Loaded):
    """What makes queries, and the tables."""

    model: Slots | Baseline
    encoder: Encoder
    library: Library
    options: Options


def load(found: Checkpoint | None, options: Options, *, backbone: str | None = None, machine: Machine = ANY) -> Loaded:
    """Load what answers.

    Args:
        found: the trained model.
        options: how to answer, and which tables.
        backbone: refused, because a backbone alone has no heads.
        machine: what computes.

    Raises:
        ModelError: there is none, or it cannot be loaded.
        InputError: a table cannot be read.
    """
    if found is None:
        raise ModelError(models.missing("nl2sql"))
    library = Library.asked(options)
    stored = weights.load(found.folder)
    model = assembled(stored, found.method)
    ready(model, machine, cast=[model], frozen=[model])
    known = ("limit", "question_limit", "types", "matching", "cues")
    settings = {field: getattr(Settings, field) for field in known}
    return Loaded(
        model=model,
        encoder=encoder_of(stored.text, found.method, settings | found.settings),
        library=library,
        options=options,
        budget=machine.budget(TOKENS),
        name=str(found.folder),
        method=found.method,
        folder=found.folder,
    )
