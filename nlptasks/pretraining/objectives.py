"""What rows teach: words hidden (mlm), every next token (lm), the rest after a part read both ways (unilm).

Everything is drawn by a hash of the seed, the epoch and the token's place in the corpus, so a row is the same whoever
makes it: with other rows beside it, in several passes or processes, or after a resume.

Sources: Devlin et al. 2018, arXiv 1810.04805 (80/10/10); Cui et al. 2019, arXiv 1906.08101 (whole words);
Dong et al. 2019, arXiv 1905.03197 (UniLM).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlptasks.backbone.text import Text
from nlptasks.pretraining.sequences import Ints, ranges
from nlptasks.pretraining.settings import OBJECTIVES

Draws = NDArray[np.uint64]
#: Objectives follow each other by this step around a circle: any stretch of rows has them by their shares, up to one.
GOLDEN = (5**0.5 - 1) / 2
#: Of the hidden tokens so many become the mask, and so many more another token.
MASKED, REPLACED = 0.8, 0.1
#: The parts of a draw: the highest bits order words, then 20 bits treat a token, and 20 choose another.
ORDER_SHIFT, TREAT_SHIFT, BITS = np.uint64(40), np.uint64(20), np.uint64((1 << 20) - 1)


@dataclass(frozen=True)
class Taught:
    """Rows of one objective.

    Attributes:
        ids: (B, T) int32.
        segments: (B, T) int32, 1 for what unilm writes, or none.
        places: (M,) int64, which tokens of the rows laid end to end have a target.
        targets: (M,) int64.
    """

    ids: NDArray[np.int32]
    segments: NDArray[np.int32] | None
    places: Ints
    targets: Ints


class Rules:
    """How rows are made: the special tokens, and how much is hidden."""

    def __init__(self, text: Text, mask_rate: float) -> None:
        """Look up the tokens."""
        self.rate = mask_rate
        self.start, self.end, self.mask = (text.special[name] for name in ("start", "end", "mask"))
        #: (V,) bool, which tokens are never hidden.
        self.special = np.zeros(len(text), bool)
        self.special[list(text.special.values())] = True
        vocabulary = text.tokenizer.get_vocab()
        fillers = [number for word, number in vocabulary.items() if word.startswith("[unused")]
        usual = ~self.special
        usual[fillers] = False
        #: The tokens that one may be replaced by.
        self.usual = np.flatnonzero(usual)

    def expected(self, length: int) -> dict[str, float]:
        """Give the targets that a row of each objective has on average."""
        content = length - 2
        return {"mlm": self.rate * content, "lm": content, "unilm": (content - 1) / 2}

    def mlm(self, tokens: Ints, starts: NDArray[np.uint8], draws: Draws) -> Taught:
        """Hide whole words, in random order, until the rate of the row's tokens is reached.

        Args:
            tokens: (B, C).
            starts: (B, C), 1 where a word begins.
            draws: (B, C).
        """
        places = self.hidden(tokens, starts, draws)
        targets = tokens.reshape(-1)[places]
        drawn = draws.reshape(-1)[places]
        treat = ((drawn >> TREAT_SHIFT) & BITS) / float(1 << 20)
        others = self.usual[((drawn & BITS) * np.uint64(len(self.usual))) >> np.uint64(20)]
        content = tokens.copy()
        shown = np.where(treat < MASKED, self.mask, np.where(treat < MASKED + REPLACED, others, targets))
        content.reshape(-1)[places] = shown
        return Taught(self.framed(content), None, places + 2 * (places // tokens.shape[1]) + 1, targets)

    def hidden(self, tokens: Ints, starts: NDArray[np.uint8], draws: Draws) -> Ints:
        """Choose the tokens to hide, by their places in the rows laid end to end, in order; arguments as for `mlm`.

        Of the word at which the rate is reached, chance decides, so that on average it is met exactly.
        """
        rows, width = tokens.shape
        flat = tokens.reshape(-1)
        begins = starts.astype(bool)
        begins[:, 0] = True
        words = np.flatnonzero(begins)
        lengths = np.diff(words, append=rows * width)
        usual = ~self.special[flat[words]]
        words, lengths = words[usual], lengths[usual]
        drawn = draws.reshape(-1)[words]
        order = np.argsort(words // width + (drawn >> ORDER_SHIFT) * 2.0**-24)
        words, lengths, chance = words[order], lengths[order], (mixed(drawn) >> ORDER_SHIFT)[order] * 2.0**-24
        row = words // width
        sizes = np.bincount(row, lengths, rows)
        before = np.cumsum(lengths) - lengths - (np.cumsum(sizes) - sizes)[row]
        chosen = before + lengths * chance < self.rate * sizes[row]
        places = np.sort(ranges(words[chosen], lengths[chosen]))
        return places[~self.special[flat[places]]]

    def lm(self, tokens: Ints) -> Taught:
        """Let every token but the first be told from those before it; arguments as for `mlm`.

        The end of the row is no target: it is there because the row is full, not because the text ends.
        """
        rows, width = tokens.shape
        places = (np.arange(rows)[:, None] * (width + 2) + np.arange(width)).reshape(-1)
        return Taught(self.framed(tokens), None, places, tokens.reshape(-1))

    def unilm(self, tokens: Ints, draws: Draws) -> Taught:
        """Split each row at random, put an end between, and let the second part be written; arguments as for `mlm`.

        The row's last token leaves, to make room; its end is no target, as for `lm`.
        """
        width = tokens.shape[1]
        share = (draws[:, :1] >> ORDER_SHIFT) * 2.0**-24
        split = 1 + (share * (width - 2)).astype(np.int64)  # tokens of the first part, (B, 1)
        columns = np.arange(width)
        ids = self.framed(np.take_along_axis(tokens, columns - (columns > split), 1))
        np.put_along_axis(ids, split + 1, self.end, 1)
        positions = np.arange(width + 2)
        segments = (positions > split + 1).astype(np.int32)
        written = np.flatnonzero((positions > split) & (positions < width))
        return Taught(ids, segments, written, ids.reshape(-1)[written + 1].astype(np.int64))

    def framed(self, content: Ints) -> NDArray[np.int32]:
        """Put the start and the end around rows: (B, C) to (B, C + 2)."""
        rows, width = content.shape
        ids = np.empty((rows, width + 2), np.int32)
        ids[:, 0], ids[:, 1:-1], ids[:, -1] = self.start, content, self.end
        return ids

    def teach(self, name: str, tokens: Ints, starts: NDArray[np.uint8], draws: Draws) -> Taught:
        """Make rows of one objective by its name; arguments as for `mlm`."""
        if name == "mlm":
            return self.mlm(tokens, starts, draws)
        return self.lm(tokens) if name == "lm" else self.unilm(tokens, draws)


def assigned(numbers: Ints, shares: Mapping[str, float]) -> Ints:
    """Choose each row's objective, as its place in OBJECTIVES, by the row's number alone.

    Args:
        numbers: (B,) of rows, counted through the whole run.
        shares: of the objectives, with a sum of 1.
    """
    edges = np.cumsum([shares[name] for name in OBJECTIVES])[:-1]
    return np.searchsorted(edges, numbers * GOLDEN % 1, "right")


def draw(places: Ints, keys: Sequence[int] | Ints, seed: int) -> Draws:
    """Draw a number for each token by its place in the corpus: SplitMix64 (Steele et al. 2014).

    Args:
        places: (B, C).
        keys: (B,), such as the epochs: another key gives other draws.
        seed: of the run.
    """
    with np.errstate(over="ignore"):
        key = mixed(mixed(np.full(1, seed, np.uint64)) + np.asarray(keys, np.uint64))
        return mixed(places.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + key[:, None])


def mixed(numbers: Draws) -> Draws:
    """Mix the bits of numbers so that neighbours have nothing in common."""
    numbers = numbers ^ (numbers >> np.uint64(30))
    numbers *= np.uint64(0xBF58476D1CE4E5B9)
    numbers ^= numbers >> np.uint64(27)
    numbers *= np.uint64(0x94D049BB133111EB)
    numbers ^= numbers >> np.uint64(31)
    return numbers
