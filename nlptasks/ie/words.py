"""Words of a text for dgcnn: jieba's, with vectors that are learned with the rest, made by gensim, or given."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from nlptasks import files
from nlptasks.errors import InputError, UsageError

#: Times that a word must stand in the texts to have a vector of its own, and the most words that have one.
LEAST, MOST = 2, 200_000
#: For N words, a vector of this many times ln N numbers; source: kexue.fm/archives/7695.
RULE = 8.33
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Words:
    """Words that have a vector.

    Attributes:
        words: in the order of the vectors.
        vectors: (words, size) float, or none where they are learned with the rest.
        size: of a vector.
    """

    words: list[str]
    vectors: Tensor | None
    size: int

    @cached_property
    def by_word(self) -> dict[str, int]:
        """Number the words."""
        return {word: number for number, word in enumerate(self.words)}

    def numbers(self, text: str) -> list[int]:
        """Give for each character the number of the word that it belongs to, -1 where that has no vector."""
        found: list[int] = []
        for word in cut(text):
            found += [self.by_word.get(word, -1)] * len(word)
        return found


def cut(text: str) -> Iterator[str]:
    """Cut a text into words."""
    import jieba  # here, because its dictionary takes most of a second

    jieba.setLogLevel(logging.WARNING)
    words: Iterator[str] = jieba.cut(text)
    return words


def rule(count: int) -> int:
    """Choose a size for the vectors of so many words: n >= 8.33 ln N."""
    return max(1, math.ceil(RULE * math.log(max(2, count))))


def made(texts: Iterable[str], kind: str, size: int | None) -> Words | None:
    """Make the vectors that a setting asks for.

    Args:
        texts: those that are trained on.
        kind: learned, train, none, or a file in word2vec's text form.
        size: of vectors that are made; by the rule where it is none.
    """
    if kind == "none":
        return None
    if kind not in ("learned", "train"):
        return read(kind)
    sentences = [list(cut(text)) for text in texts]
    counts = Counter(word for sentence in sentences for word in sentence)
    words = [word for word, count in counts.most_common(MOST) if count >= LEAST and word.strip()]
    if not words:
        return None
    size = size or rule(len(words))
    logger.info("words with a vector: %d, of %d numbers each (8.33 ln N is %d)", len(words), size, rule(len(words)))
    return Words(words, by_gensim(sentences, words, size) if kind == "train" else None, size)


def by_gensim(sentences: list[list[str]], words: list[str], size: int) -> Tensor:
    """Train vectors by word2vec.

    Raises:
        UsageError: gensim is not installed.
    """
    try:
        from gensim.models import Word2Vec
    except ImportError as error:
        raise UsageError("--words train needs gensim; pip install 'nlpk[words]', or use --words learned") from error
    model = Word2Vec(sentences, vector_size=size, min_count=LEAST, sg=1, workers=1, seed=1, epochs=10)
    return torch.stack([torch.from_numpy(model.wv[word].copy()) for word in words])


def read(path: str) -> Words:
    """Read vectors in word2vec's text form: a word and its numbers a line, perhaps behind a line that counts them.

    Raises:
        InputError: it cannot be read, or a line is of another form.
    """
    words: list[str] = []
    rows: list[list[float]] = []
    for record in files.read_records(path, format="text", names=("line",)):
        parts = str(record.fields.get("line", "")).rstrip().split(" ")
        if len(parts) == 2 and not words and record.line == 1:
            continue
        try:
            numbers = [float(part) for part in parts[1:]]
        except ValueError:
            numbers = []
        if not numbers or (rows and len(numbers) != len(rows[0])):
            raise InputError(
                f"{record.place}: found {str(parts)[:40]}, expected a word and its numbers, as word2vec has"
            )
        words.append(parts[0])
        rows.append(numbers)
        if len(words) == MOST:
            break
    if not words:
        raise InputError(f"{path}: no vectors; expected a word and its numbers a line, as word2vec has")
    return Words(words, torch.tensor(rows), len(rows[0]))
