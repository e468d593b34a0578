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
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
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
#: Counted up whenever the same text comes out otherwise, so that what the cache holds of before is not taken for it.
RECIPE = 2


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
        InputError: a file cannot be read, there is no text, or the folder cannot be written.
        UsageError: the folder holds something already, or jieba is not installed.
    """
    check_files(sources)
    if out is not None:
        check_out(out)
    hashes = hashes_of(sources)
    if out is None and (found := kept(sources, text, hashes)):
        report(sources, found.about)
        return found
    folder = out or in_cache(sources, text, hashes)
    if out is None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        data.forget_unused(folder.parent, corpus.ABOUT)
    with tempfile.TemporaryDirectory(dir=nearest(folder), prefix=f"{folder.name}.") as work:
        made = Path(work, "made")
        made.mkdir()
        about = made_of(sources, text, made, workers or os.cpu_count() or 1)
        about["files"] = listed(sources, hashes)
        if hashes_of(sources) != hashes:
            raise InputError(f"{named(sources)}: changed while it was read; wait until it is whole")
        (made / corpus.ABOUT).write_text(json.dumps(about, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        if out is None:
            publish(made, folder)
        else:
            fill(made, folder)
    report(sources, about)
    return corpus.open_folder(folder)


def hashes_of(sources: Sequence[Source]) -> list[str]:
    """Compute the SHA-256 of files."""
    return [files.fingerprint(one.name) for one in sources]


def in_cache(sources: Sequence[Source], text: Text | int, hashes: Sequence[str]) -> Path:
    """Name the folder in the cache for what is made of these files, of which the hashes are known, in this way."""
    decides = [
        corpus.FORMAT,
        RECIPE,
        text if isinstance(text, int) else corpus.fingerprint_of(text),
        *zip(hashes, ((one.kind, one.field, one.encoding, one.columns) for one in sources), strict=True),
    ]
    return places.cache() / "corpora" / hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:32]


def kept(sources: Sequence[Source], text: Text | int, hashes: Sequence[str]) -> Corpus | None:
    """Open the corpus that was made of the same bytes before, whatever the files were called."""
    folder = in_cache(sources, text, hashes)
    if not corpus.is_prepared(folder):
        return None
    (folder / corpus.ABOUT).touch()
    found = corpus.open_folder(folder)
    return replace(found, about={**found.about, "files": listed(sources, hashes)})


def listed(sources: Sequence[Source], hashes: Sequence[str]) -> list[dict[str, str]]:
    """Describe files by their names and their SHA-256."""
    return [{"name": Path(one.name).name, "sha256": sha256} for one, sha256 in zip(sources, hashes, strict=True)]


def check_out(out: Path) -> None:
    """Refuse before any work a folder that a corpus cannot be put into.

    Raises:
        UsageError: it is a file, or holds something already.
        InputError: it cannot be made or written.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UsageError(f"{out}: not an empty folder; choose another for --prepare")
    files.check_folder(out)


def nearest(folder: Path) -> Path:
    """Find where to work: in a folder, or, where it is not there yet, in the nearest above, on the same disk."""
    above = Path(os.path.realpath(folder))
    while not above.is_dir():
        above = above.parent
    return above


def publish(made: Path, folder: Path) -> None:
    """Let what was made take its place in the cache, unless another process has just made the same."""
    try:
        made.rename(folder)
    except OSError:
        if not corpus.is_prepared(folder):
            raise


def fill(made: Path, folder: Path) -> None:
    """Move what was made into a folder, which may be there, or be the current one: last what says that all is there."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(made.iterdir(), key=lambda path: path.name == corpus.ABOUT):
        path.rename(folder / path.name)


def check_files(sources: Sequence[Source]) -> None:
    """Refuse folders where files are expected, and what does not go with a file's format.

    Raises:
        UsageError: one is a prepared corpus, or is to be read in a way that its format does not know.
        InputError: one is another folder.
    """
    for one in sources:
        one.check()
        if corpus.is_prepared(one.name):
            raise UsageError(f"{one.name}: prepared already; name the files that it was made of")
        if Path(one.name).is_dir():
            raise InputError(f"{one.name}: a folder, and not one made with --prepare; name the files in it")


def made_of(sources: Sequence[Source], text: Text | int, folder: Path, workers: int) -> dict[str, Any]:
    """Write the corpus, with a vocabulary made first where only its size is known, and describe it."""
    if not isinstance(text, int):
        return write(folder, sources, text, workers)
    tokenizer = vocabulary.train(noted(read(sources)), text)
    with said_before():
        about = write(folder, sources, tokenizer, workers)
    if len(tokenizer) < text:
        counted = f"{len(tokenizer):,} tokens of {text:,}"
        logger.info("the vocabulary has %s: the corpus holds no more", counted)
    return about


def noted(found: Iterator[str]) -> Iterator[str]:
    """Say now and then how much was counted."""
    characters, since = 0, time.monotonic()
    for document in found:
        characters += len(document)
        if time.monotonic() - since > NOTED:
            logger.info("counting for the vocabulary: %.1f M characters so far", characters / 1e6)
            since = time.monotonic()
        yield document


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
    since, hashes = time.monotonic(), [hashlib.sha256(), hashlib.sha256()]
    with ExitStack() as stack:
        ids, starts = (stack.enter_context((folder / name).open("wb")) for name in (corpus.IDS, corpus.STARTS))
        for part in stack.enter_context(closing(encoded(chunks(read(sources)), text, dtype, workers))):
            for handle, numbers, sha256 in zip((ids, starts), (part.ids, part.starts), hashes, strict=True):
                handle.write(numbers.tobytes())
                sha256.update(numbers.tobytes())
            lengths.append(part.lengths)
            counts += np.bincount(part.ids, minlength=len(text))
            characters, left_out = characters + part.characters, left_out + part.left_out
            if time.monotonic() - since > NOTED:
                logger.info("preparing: %.1f M tokens so far", counts.sum() / 1e6)
                since = time.monotonic()
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
        "fingerprint": "".join(sha256.hexdigest()[:32] for sha256 in hashes),
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


def encoded(found: Iterator[list[str]], text: Text, dtype: str, workers: int) -> Generator[Encoded]:
    """Encode chunks in worker processes, in order; a small corpus, or one worker, needs none.

    Raises:
        InputError: a process was killed.
    """
    made = (text.tokenizer.to_str(), text.special["end"], dtype)
    first: list[list[str]] = []
    if workers > 1:
        first = list(islice(found, SMALL // CHUNK))
    if len(first) < SMALL // CHUNK:
        yield from map(Encoder(*made), chain(first, found))
        return
    words.jieba_words()  # writes jieba's cache once, before the workers read it
    # Not by fork: torch may have threads that hold locks.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), words.start_worker, made)
    try:
        waiting: deque[Future[Encoded]] = deque()
        for chunk in chain(first, found):
            waiting.append(pool.submit(words.encode, chunk))
            if len(waiting) >= IN_FLIGHT * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        reason = "a process that prepares the corpus was killed, as happens where memory runs out"
        raise InputError(f"{reason}; lower --workers") from error
    finally:
        pool.shutdown(cancel_futures=True)


def report(sources: Sequence[Source], about: Mapping[str, Any]) -> None:
    """Say what the corpus is."""
    name = named([Source(Path(one.name).name) for one in sources])
    counted = f"{about['documents']:,} documents, {about['tokens']:,} tokens, {about['unknown']:.4%} of them unknown"
    logger.info("%s: %s", name, counted)
    if about["chinese"] < LITTLE_CHINESE:
        logger.info("%s: only %.2g %% of the tokens are Chinese characters", name, about["chinese"] * 100)
