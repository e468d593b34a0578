"""QA's model, which is a language model, loaded to answer."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace

from nlptasks.backbone import weights
from nlptasks.backbone.hardware import ANY, Machine
from nlptasks.backbone.language import LanguageModel
from nlptasks.backbone.text import Text
from nlptasks.errors import ModelError
from nlptasks.inference import loaded
from nlptasks.qa import pairs_row
from nlptasks.qa.examples import Limits
from nlptasks.qa.row import METHODS, Options, Settings
from nlptasks.training import models
from nlptasks.training.checkpoint import Checkpoint
from nlptasks.writing.draft import Writer

#: Tokens of one pass.
TOKENS = {"cpu": 8192, "cuda": 131072, "mps": 16384}

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Loaded(loaded.Loaded):
    """What writes answers, or questions."""

    writer: Writer
    text: Text
    limits: Limits
    options: Options | pairs_row.Options


def load(
    found: Checkpoint | None,
    options: Options | pairs_row.Options,
    *,
    backbone: str | None = None,
    machine: Machine = ANY,
) -> Loaded:
    """Load what answers: a trained model, or a backbone as it is.

    Args:
        found: the trained model, if any.
        options: how to answer.
        backbone: folder or hub name of one that answers as it is, where there is no model.
        machine: what computes.

    Raises:
        ModelError: there is neither, or it cannot be loaded, or has no head.
        UsageError: more is to be read at once than the model can.
    """
    source = models.source("qa", found, backbone)
    if found and isinstance(options, pairs_row.Options) and not found.settings.get("generate"):
        remedy = "train one with nlpk train qa --method seq2seq --generate"
        raise ModelError(f"{source}: has not learnt to write questions; {remedy}")
    stored = weights.load(source)
    model, config = LanguageModel.trained(stored, "qa"), stored.bert.config
    if not found:
        logger.info("%s has not learnt to answer; train it with nlpk train qa", stored.name)
    settings = {**asdict(Settings()), **(found.settings if found else {})}
    limits = Limits.of(settings, asdict(options))
    if isinstance(options, Options) and options.abstain is None:
        options = replace(options, abstain=settings["abstain"])
    limits.check(config.max_position_embeddings)
    model.ready(machine)
    remembered = 2 * config.num_hidden_layers * config.hidden_size * machine.number_format.itemsize
    method = found.method if found else next(iter(METHODS))
    if method == "mlm" and isinstance(options, Options) and options.beam > 1:
        logger.info("--beam %d: not used, mlm fills all places at once", options.beam)
    return Loaded(
        writer=Writer.of(model, freeze=True),
        text=stored.text,
        limits=limits,
        options=options,
        budget=machine.budget(TOKENS, remembered),
        name=str(source),
        method=method,
        folder=weights.locate(source),
    )
