"""Files to a prepared corpus: read once in constant memory, encoded by worker processes, kept in the cache."""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from nlptasks import files, places
from nlptasks.backbone.text import CJK_BLOCKS, Text
from nlptasks.errors import InputError, UsageError
from nlptasks.pretraining import corpus, documents, vocabulary, words
from nlptasks.pretraining.corpus import Corpus
from nlptasks.pretraining.documents import Source
from nlptasks.pretraining.words import Encoded, Encoder
from nlptasks.training import data

logger = logging.getLogger(__name__)

#: Characters that a worker gets at once.
CHUNK = 1 << 17
#: Chunks for each worker that are on their way or wait for their turn.
IN_FLIGHT = 4
#: Characters for which no processes are started.
SMALL = 4 * CHUNK
#: Seconds between two notes on how far it is.
NOTED = 30.0
LITTLE_CHINESE = 0.05


def prepare(
    sources: Sequence[Source], text: Text | int, *, out: Path | None = None, workers: int | None = None
) -> Corpus:
    """Prepare a corpus, or take the one made from the same bytes in the same way before.

    Args:
        sources: its files.
        text: the tokenizer, or the size of the vocabulary to make from the corpus.
        out: new folder for it; in the cache by default.
        workers: processes that encode; one for each core by default.

    Raises:
        InputError: a file cannot be read, or there is no text.
        UsageError: the folder holds something already, or jieba is not installed.
    """
    check_files(sources)
    fingerprint = fingerprint_of(sources, text)
    folder = out or places.cache() / "corpora" / fingerprint[:32]
    if out is None and corpus.is_prepared(folder):
        (folder / corpus.ABOUT).touch()
        kept = corpus.open_folder(folder)
        report(sources, kept.about)
        return kept
    if out is not None and out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UsageError(f"{out}: not an empty folder; choose another for --prepare")
    folder.parent.mkdir(parents=True, exist_ok=True)
    if out is None:
        data.forget_unused(folder.parent, corpus.ABOUT)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.") as work:
        made = Path(work, "made")
        made.mkdir()
        about = made_of(sources, text, made, workers or os.cpu_count() or 1)
        listed = [{"name": Path(one.name).name, "sha256": files.fingerprint(one.name)} for one in sources]
        about |= {"fingerprint": fingerprint, "files": listed}
        (made / corpus.ABOUT).write_text(json.dumps(about, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        try:
            made.rename(folder)
        except OSError:
            if out is not None or not corpus.is_prepared(folder):  # else another process has just made the same
                raise
    report(sources, about)
    return corpus.open_folder(folder)


def check_files(sources: Sequence[Source]) -> None:
    """Refuse folders where files are expected.

    Raises:
        UsageError: one is a prepared corpus.
        InputError: one is another folder.
    """
    for one in sources:
        if corpus.is_prepared(one.name):
            raise UsageError(f"{one.name}: prepared already; name the files that it was made of")
        if Path(one.name).is_dir():
            raise InputError(f"{one.name}: a folder, and not one made with --prepare; name the files in it")


def made_of(sources: Sequence[Source], text: Text | int, folder: Path, workers: int) -> dict[str, Any]:
    """Write the corpus, with a vocabulary made first where only its size is known, and describe it."""
    if not isinstance(text, int):
        return write(folder, sources, text, workers)
    tokenizer = vocabulary.train(read(sources), text)
    with said_before():
        about = write(folder, sources, tokenizer, workers)
    if len(tokenizer) < text:
        counted = f"{len(tokenizer):,} tokens of {text:,}"
        logger.info("the vocabulary has %s: the corpus holds no more", counted)
    return about


def fingerprint_of(sources: Sequence[Source], text: Text | int) -> str:
    """Hash what decides how a corpus comes out."""
    made_of = [
        corpus.FORMAT,
        text if isinstance(text, int) else corpus.fingerprint_of(text),
        *((files.fingerprint(one.name), one.kind, one.field, one.encoding) for one in sources),
    ]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()


def named(sources: Sequence[Source]) -> str:
    """Name files by the first of them."""
    return sources[0].name + (f" and {len(sources) - 1} more" if len(sources) > 1 else "")


def read(sources: Sequence[Source]) -> Iterator[str]:
    """Read the documents of all files, one file after the other."""
    return chain.from_iterable(documents.read(one) for one in sources)


@contextmanager
def said_before() -> Iterator[None]:
    """Leave out what was said of the files when they were read the first time."""
    readers = [logging.getLogger(name) for name in (files.__name__, documents.__name__)]
    levels = [reader.level for reader in readers]
    try:
        for reader in readers:
            reader.setLevel(logging.WARNING)
        yield
    finally:
        for reader, level in zip(readers, levels, strict=True):
            reader.setLevel(level)


def write(folder: Path, sources: Sequence[Source], text: Text, workers: int) -> dict[str, Any]:
    """Encode the documents of all files and write them, in order.

    Raises:
        InputError: there is none.
    """
    dtype = "uint16" if len(text) <= 1 << 16 else "uint32"
    chinese = chinese_tokens(text)
    counts = np.zeros(len(text), np.int64)
    lengths, characters, left_out = [], 0, 0
    noted = time.monotonic()
    with ExitStack() as stack:
        ids, starts = (stack.enter_context((folder / name).open("wb")) for name in (corpus.IDS, corpus.STARTS))
        for part in encoded(chunks(read(sources)), text, dtype, workers):
            ids.write(part.ids.tobytes())
            starts.write(part.starts.tobytes())
            lengths.append(part.lengths)
            counts += np.bincount(part.ids, minlength=len(text))
            characters, left_out = characters + part.characters, left_out + part.left_out
            if time.monotonic() - noted > NOTED:
                logger.info("preparing: %.1f M tokens so far", counts.sum() / 1e6)
                noted = time.monotonic()
    if not counts.sum():
        raise InputError(f"{named(sources)}: no text; expected some, with a blank line between documents")
    offsets = np.cumsum(np.concatenate([[0], *lengths]), dtype=np.int64)
    np.save(folder / corpus.OFFSETS, offsets)
    text.save(folder, 512)
    unknown = int(counts[text.special["unknown"]])
    tokens = int(counts.sum())
    plain = tokens - (len(offsets) - 1)
    return {
        "format": corpus.FORMAT,
        "dtype": dtype,
        "tokens": tokens,
        "documents": len(offsets) - 1,
        "characters": characters,
        "documents_without_tokens": left_out,
        "unknown": unknown / plain,
        "chinese": int(counts[chinese].sum()) / plain,
    }


def chinese_tokens(text: Text) -> list[int]:
    """List the tokens that are Chinese characters."""
    vocabulary = text.tokenizer.get_vocab().items()
    return [number for word, number in vocabulary if any(low <= ord(word[0]) <= high for low, high in CJK_BLOCKS)]


def chunks(found: Iterable[str]) -> Iterator[list[str]]:
    """Put documents together until they are worth sending to a worker."""
    chunk: list[str] = []
    size = 0
    for document in found:
        chunk.append(document)
        size += len(document)
        if size >= CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def encoded(found: Iterator[list[str]], text: Text, dtype: str, workers: int) -> Iterator[Encoded]:
    """Encode chunks in worker processes, in order; a small corpus, or one worker, needs none."""
    made = (text.tokenizer.to_str(), text.special["end"], dtype)
    first: list[list[str]] = []
    if workers > 1:
        first = list(islice(found, SMALL // CHUNK))
    if len(first) < SMALL // CHUNK:
        yield from map(Encoder(*made), chain(first, found))
        return
    words.jieba_words()  # writes jieba's cache once, before the workers read it
    # Not by fork: torch may have threads that hold locks.
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, words.start_worker, made) as pool:
        waiting: deque[Any] = deque()
        for chunk in chain(first, found):
            waiting.append(pool.apply_async(words.encode, (chunk,)))
            if len(waiting) >= IN_FLIGHT * workers:
                yield waiting.popleft().get()
        while waiting:
            yield waiting.popleft().get()


def report(sources: Sequence[Source], about: Mapping[str, Any]) -> None:
    """Say what the corpus is."""
    name = named([Source(Path(one.name).name) for one in sources])
    counted = f"{about['documents']:,} documents, {about['tokens']:,} tokens, {about['unknown']:.4%} of them unknown"
    logger.info("%s: %s", name, counted)
    if about["chinese"] < LITTLE_CHINESE:
        logger.info("%s: only %.2g %% of the tokens are Chinese characters", name, about["chinese"] * 100)
