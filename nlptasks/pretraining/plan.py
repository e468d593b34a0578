"""What decides a pre-training run: its plan, and the corpus and the model that it begins with."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlptasks.backbone.bert import Bert, Config
from nlptasks.backbone.heads import TokenHead
from nlptasks.backbone.text import Text
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import InputError, ModelError, UsageError
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


def opened(plan: Plan, text: Text | None, workers: int | None, began_with: Sequence[str] = ()) -> Corpus:
    """Open the corpus of a plan, prepared first where it is not: by one process, while the others wait.

    Args:
        plan: of the run.
        text: the model's tokenizer; none for a new model, whose vocabulary is made of the corpus.
        workers: processes that prepare.
        began_with: SHA-256 of the files that a run which goes on began with, where it began with files.

    Raises:
        InputError: the files are others now, or cannot be read.
        UsageError: the corpus was prepared with another tokenizer.
    """
    if processes.number():
        processes.wait()
    size = (plan.shape or Shape()).vocab_size
    found = kept(plan.sources, text, size, began_with) or corpus_of(plan.sources, text or size, workers)
    if not processes.number():
        processes.wait()
    if text:
        corpus.check_tokenizer(found, text, str(plan.backbone or "the run"))
    return found


def kept(sources: tuple[Source, ...], text: Text | None, size: int, began_with: Sequence[str]) -> Corpus | None:
    """Find in the cache what a run that goes on has made of its files when it began, its vocabulary with it.

    Raises:
        InputError: the files are others now.
    """
    if text is None or not began_with or corpus.is_prepared(sources[0].name):
        return None
    hashes = preparing.hashes_of(sources)
    if hashes != list(began_with):
        raise InputError(f"{sources[0].name}: not the corpus that the run began with; --resume needs the same files")
    found = preparing.kept(sources, size, hashes)
    return found if found and corpus.fingerprint_of(found.text) == corpus.fingerprint_of(text) else None


def corpus_of(sources: tuple[Source, ...], text: Text | int, workers: int | None = None) -> Corpus:
    """Open a prepared corpus, or prepare one from files.

    Raises:
        UsageError: a prepared corpus beside other files, or with a word on how files are read.
    """
    prepared = [one.name for one in sources if corpus.is_prepared(one.name)]
    if prepared and len(sources) > 1:
        raise UsageError(f"{prepared[0]}: a prepared corpus stands alone; leave out the other files")
    if prepared and sources[0] != Source(sources[0].name):
        raise UsageError(f"{prepared[0]}: prepared already; leave out --format, --field, --columns and --encoding")
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
