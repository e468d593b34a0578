"""Documents to token ids and the places where words begin: what a worker process does.

It imports no torch, so that a worker starts fast.
"""

from __future__ import annotations

import logging
import os
import signal
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from nlptasks import places
from nlptasks.errors import UsageError

Words = Callable[[str], list[str]]


@dataclass(frozen=True)
class Encoded:
    """Some documents laid end to end.

    Attributes:
        ids: (N,) of the dtype asked for; each document ends with its end token.
        starts: (N,) uint8, 1 where a word begins.
        lengths: (documents,) int64.
        characters: of the documents.
        left_out: documents without any token.
    """

    ids: NDArray[np.unsignedinteger]
    starts: NDArray[np.uint8]
    lengths: NDArray[np.int64]
    characters: int
    left_out: int


def jieba_words() -> Words:
    """Load jieba, quietly, with its dictionary's cache in our own cache folder.

    Raises:
        UsageError: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import jieba
    except ImportError as error:
        remedy = "pip install jieba, or prepare the corpus elsewhere with --prepare"
        raise UsageError(f"jieba, which finds the words, is not installed; {remedy}") from error
    jieba.setLogLevel(logging.WARNING)
    folder = places.cache() / "jieba"
    folder.mkdir(parents=True, exist_ok=True)
    jieba.dt.tmp_dir = str(folder)
    jieba.initialize()
    words: Words = jieba.lcut
    return words


class Encoder:
    """Turns documents into ids and word starts."""

    def __init__(self, tokenizer: str, end: int, dtype: str, words: Words | None = None) -> None:
        """Load what is needed.

        Args:
            tokenizer: as JSON.
            end: the token behind each document.
            dtype: of the ids.
            words: cuts a text into words, which laid end to end are the text; jieba by default.
        """
        self.tokenizer = Tokenizer.from_str(tokenizer)
        self.tokenizer.encode_special_tokens = True  # "[SEP]" in a text is a text about BERT
        self.end, self.dtype = end, np.dtype(dtype)
        self.words = words or jieba_words()

    def __call__(self, documents: Sequence[str]) -> Encoded:
        """Encode documents; a word begins at a token where its first character is in a word that has not begun yet."""
        ids, starts, lengths = [], [], []
        encodings = self.tokenizer.encode_batch(documents, add_special_tokens=False)
        for document, encoding in zip(documents, encodings, strict=True):
            if not encoding.ids:
                continue
            ids += [np.array(encoding.ids), [self.end]]
            starts += [self.starts(document, [start for start, _ in encoding.offsets]), [1]]
            lengths.append(len(encoding.ids) + 1)
        return Encoded(
            np.concatenate([*ids, []]).astype(self.dtype),
            np.concatenate([*starts, []]).astype(np.uint8),
            np.array(lengths, np.int64),
            sum(map(len, documents)),
            len(documents) - len(lengths),
        )

    def starts(self, document: str, offsets: list[int]) -> NDArray[np.bool_]:
        """Tell for each token, by the place of its first character, whether it begins a word."""
        ends = np.cumsum([len(word) for word in self.words(document)])
        word = np.searchsorted(ends, offsets, "right")
        return np.concatenate([[True], word[1:] != word[:-1]])


_encoder: Encoder | None = None


def start_worker(tokenizer: str, end: int, dtype: str) -> None:
    """Prepare a worker process, which remembers its encoder; there are as many as cores, so each keeps to one."""
    global _encoder
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C comes to all; who asks for the work ends it
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _encoder = Encoder(tokenizer, end, dtype)


def encode(documents: Sequence[str]) -> Encoded:
    """Encode documents in a worker process.

    Raises:
        RuntimeError: the process was not prepared.
    """
    if _encoder is None:
        raise RuntimeError("encode was called before start_worker")
    return _encoder(documents)
