"""What decides a pre-training run: its plan, and the corpus and the model that it begins with."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlptasks.backbone.bert import Bert, Config
from nlptasks.backbone.heads import TokenHead
from nlptasks.backbone.text import Text
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import ModelError, UsageError
from nlptasks.pretraining import corpus, preparing
from nlptasks.pretraining.corpus import Corpus
from nlptasks.pretraining.documents import Source
from nlptasks.pretraining.settings import Settings, Shape
from nlptasks.training import processes
from nlptasks.training.state import read_state

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """Everything that decides a run."""

    settings: Mapping[str, Any]
    sources: tuple[Source, ...]
    """Files, or one folder of a prepared corpus."""
    shape: Shape | None
    """Of a new model."""
    backbone: str | None
    """The model to go on from, where there is no shape."""
    command: str
    version: str


def planned(out: Path, sources: tuple[Source, ...] = ()) -> Plan:
    """Read the plan of a run that was stopped.

    Args:
        out: its folder.
        sources: where the same corpus is now, if it has moved.

    Raises:
        ModelError: there is nothing to go on from, or another version wrote it.
    """
    plan = read_state(out)["plan"]
    try:
        shape = Shape(**plan["shape"]) if plan["shape"] else None
        found = sources or tuple(Source(**one) for one in plan["sources"])
        return Plan(**{**plan, "sources": found, "shape": shape})
    except (KeyError, TypeError) as error:
        raise ModelError(f"{out}: not a pre-training run, or of another version of nlpk ({error})") from error


def opened(plan: Plan, text: Text | None, workers: int | None) -> Corpus:
    """Open the corpus of a plan, prepared first where it is not: by one process, while the others wait."""
    if processes.number():
        processes.wait()
    # A new model's vocabulary is made of the corpus, also where the run goes on: the corpus is then the same one.
    found = corpus_of(plan.sources, plan.shape.vocab_size if plan.shape else text or Shape().vocab_size, workers)
    if not processes.number():
        processes.wait()
    if text and plan.shape and corpus.fingerprint_of(found.text) != corpus.fingerprint_of(text):
        raise UsageError(
            f"{plan.sources[0].name}: not the corpus that the run began with; give the same files, or none"
        )
    if text and not plan.shape:
        corpus.check_tokenizer(found, text, str(plan.backbone))
    return found


def corpus_of(sources: tuple[Source, ...], text: Text | int, workers: int | None = None) -> Corpus:
    """Open a prepared corpus, or prepare one from files.

    Raises:
        UsageError: a prepared corpus beside other files, or with a word on how files are read.
    """
    prepared = [one.name for one in sources if corpus.is_prepared(one.name)]
    if prepared and len(sources) > 1:
        raise UsageError(f"{prepared[0]}: a prepared corpus stands alone; leave out the other files")
    if prepared and (sources[0].format or sources[0].field or sources[0].encoding):
        raise UsageError(f"{prepared[0]}: prepared already; leave out --format, --field and --encoding")
    return corpus.open_folder(Path(prepared[0])) if prepared else preparing.prepare(sources, text, workers=workers)


def new(shape: Shape, settings: Settings, found: Corpus) -> Backbone:
    """Make a model with random weights, the head's too, for the tokenizer of a corpus."""
    config = Config(
        vocab_size=len(found.text),
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.number_of_heads,
        intermediate_size=shape.intermediate or 4 * shape.width,
        max_position_embeddings=max(512, settings.longest),
        pad_token_id=found.text.special["pad"],
    )
    return Backbone(Bert(config), found.text, TokenHead(config).named(), "new")


def check_length(config: Config, settings: Settings) -> None:
    """Refuse rows that the model has no positions for.

    Raises:
        UsageError: they are too long.
    """
    if settings.longest > config.max_position_embeddings:
        found = f"rows of {settings.longest} tokens, but the model has {config.max_position_embeddings} positions"
        raise UsageError(f"{found}; lower --length or --long-length")


def head_of(backbone: Backbone) -> TokenHead:
    """Take a backbone's head, or make one."""
    head = TokenHead.load(backbone.bert, backbone.rest)
    if head is None:
        logger.info("%s: no head for masked words; a new one is trained", backbone.name)
        head = TokenHead(backbone.bert.config)
    return head
