"""A prepared corpus: ids, word starts and documents in a folder, mapped into memory; nothing here needs jieba."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlptasks.backbone.text import Text
from nlptasks.errors import InputError, UsageError

FORMAT = 1
ABOUT, IDS, STARTS, OFFSETS = "corpus.json", "ids.bin", "starts.bin", "offsets.npy"


@dataclass(frozen=True)
class Corpus:
    """Documents laid end to end.

    Attributes:
        folder: where it is.
        ids: (N,) unsigned; each document ends with the end token.
        starts: (N,) uint8, 1 where a word begins.
        offsets: (documents + 1,) int64, where each document begins, and the end.
        text: the tokenizer.
        about: what it was made of, and how much it is.
    """

    folder: Path
    ids: NDArray[np.unsignedinteger]
    starts: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    text: Text
    about: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """Tell it from other corpora, wherever it lies."""
        return str(self.about["fingerprint"])

    @property
    def name(self) -> str:
        """Name the file that it was made of, the first where there are several."""
        named = [str(one["name"]) for one in self.about["files"]]
        return named[0] + (f" and {len(named) - 1} more" if len(named) > 1 else "")

    @property
    def tokens(self) -> int:
        """Count the tokens, the ends of documents included."""
        return len(self.ids)

    @property
    def documents(self) -> int:
        """Count the documents."""
        return len(self.offsets) - 1


def is_prepared(path: str | Path) -> bool:
    """Tell whether a path is the folder of a prepared corpus."""
    return (Path(path) / ABOUT).is_file()


def open_folder(folder: Path) -> Corpus:
    """Map a prepared corpus into memory.

    Raises:
        InputError: damaged, or written by a newer version.
        ModelError: its tokenizer is damaged.
    """
    path = folder / ABOUT
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if about["format"] > FORMAT:
            raise InputError(f"{folder}: format {about['format']}, newer than the {FORMAT} known here; upgrade nlpk")
        ids = np.memmap(folder / IDS, np.dtype(about["dtype"]), "r", shape=(about["tokens"],))
        starts = np.memmap(folder / STARTS, np.uint8, "r", shape=(about["tokens"],))
        offsets = np.load(folder / OFFSETS, mmap_mode="r")
        if (folder / IDS).stat().st_size != ids.nbytes or offsets[-1] != len(ids):
            raise ValueError("sizes that do not fit together")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: damaged ({error}); prepare the corpus again with --prepare") from error
    return Corpus(folder, ids, starts, offsets, Text.load(folder), about)


def fingerprint_of(text: Text) -> str:
    """Hash a tokenizer."""
    return hashlib.sha256(text.tokenizer.to_str().encode()).hexdigest()


def check_tokenizer(corpus: Corpus, text: Text, model: str) -> None:
    """Make sure that a corpus was prepared with a model's tokenizer.

    Raises:
        UsageError: with another.
    """
    if fingerprint_of(corpus.text) != fingerprint_of(text):
        remedy = f"prepare it again with --backbone {model}"
        raise UsageError(f"{corpus.folder}: prepared with another tokenizer than that of {model}; {remedy}")
