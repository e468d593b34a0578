"""What two texts of a sequence have in common, told to the encoder as features of their tokens.

A small encoder needs long to learn which words of a question stand in a passage; here it is told. Exact match as a
feature of words: Chen et al. 2017, arXiv 1704.00051 (DrQA), section 3.2; shares of a question within windows: the
sliding window of Richardson et al. 2013 (MCTest).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlptasks.backbone.batch import Batch
from nlptasks.backbone.config import Config
from nlptasks.backbone.text import Text

#: Lengths of runs in common that are told apart: a token is in a run of so many or more.
RUNS = (1, 2, 3, 4)
#: Runs whose density is told, and in how many tokens to either side.
DENSE, REACHES = (1, 2), (4, 12, 32)
#: How much the densest places stand out where a density is compared with the greatest.
SHARPNESS = 4
#: Of a token: its runs, each share as it is and against the greatest, in each reach and in the sentence; its rarity.
FEATURES = len(RUNS) + 2 * len(DENSE) * (len(REACHES) + 1) + 1
#: What ends a sentence.
STOPS = "。！？!?；;"
#: Width between the two layers.
INNER = 64
#: Texts that are compared.
PAIR = 2
#: Of what is divided by.
SMALLEST = 1e-6


class Matcher(nn.Module):
    """Turns what the first two texts of a row have in common into what is added to their tokens' embeddings.

    A text is what stands between special tokens in segment 0. Each token is told in how long a run of tokens of the
    other text it stands, and how much of the other text stands near it and in its sentence, each token of that
    counted by its rarity.
    """

    #: In front of the names of the weights.
    FRONT = "matcher."

    special: Tensor
    stops: Tensor
    rarity: Tensor

    def __init__(self, width: int, words: int, special: Sequence[int], stops: Sequence[int]) -> None:
        """Make one with random weights; all tokens are equally rare until `weigh` says otherwise.

        Args:
            width: of the encoder.
            words: of the vocabulary.
            special: tokens that stand between texts.
            stops: tokens that end a sentence.
        """
        super().__init__()
        self.inner, self.outer = nn.Linear(FEATURES, INNER), nn.Linear(INNER, width)
        nn.init.normal_(self.outer.weight, std=0.02)
        nn.init.zeros_(self.outer.bias)
        self.register_buffer("special", torch.tensor(sorted(special)), persistent=False)
        self.register_buffer("stops", torch.tensor(sorted(stops)), persistent=False)
        self.register_buffer("rarity", torch.ones(words))

    @classmethod
    def of(cls, config: Config, text: Text) -> Matcher:
        """Make one for an encoder and its tokenizer."""
        special = [number for name, number in text.special.items() if name != "unknown"]  # a word, though no known one
        stops = [number for mark in STOPS if (number := text.tokenizer.token_to_id(mark)) is not None]
        return cls(config.hidden_size, config.vocab_size, special, stops)

    def weigh(self, texts: Iterable[Iterable[int]]) -> None:
        """Learn how rare tokens are from texts: log(texts / texts with it), 1 for what stands in none."""
        counts, total = torch.zeros(len(self.rarity)), 0
        for ids in texts:
            counts[list(set(ids))] += 1
            total += 1
        if total:
            self.rarity = 1 - torch.log1p(counts) / math.log(total + 1)

    def forward(self, groups: Sequence[Batch]) -> tuple[Tensor, Tensor] | None:
        """Compare the texts of each row; nothing where no row has two.

        Args:
            groups: each of one length.

        Returns:
            Places in the groups laid end to end, (K,) int, and what is to be added to the embeddings there, (K, H).
        """
        places: list[Tensor] = []
        found: list[Tensor] = []
        first = 0
        for group in groups:
            for ids, kept in zip(group.ids, self.kept(group), strict=True):
                for own, other in both_ways(texts(kept)):
                    found.append(self.known(ids[own], ids[other]))
                    places.append(first + own)
                first += len(ids)
        if not places:
            return None
        inner = F.gelu(self.inner(torch.cat(found).to(self.inner.weight.dtype)))
        return torch.cat(places), self.outer(inner)

    def known(self, own: Tensor, other: Tensor) -> Tensor:
        """Tell what is known of the tokens of a text, (S,) int, beside another, (Q,) int: (S, FEATURES) float32."""
        stops = torch.isin(own, self.stops).long()
        rarity = self.rarity.float()
        shares = common(own, other, rarity[other], stops.cumsum(0) - stops)
        return torch.cat([shares, rarity[own].unsqueeze(1)], 1)

    def kept(self, group: Batch) -> Tensor:
        """Tell which tokens are of texts, (B, T) bool."""
        own = ~torch.isin(group.ids, self.special)
        return own if group.segments is None else own & (group.segments == 0)


def texts(kept: Tensor) -> list[Tensor]:
    """Give the places of the first two texts of a row, (S,) int each, from what is kept of it, (T,) bool."""
    places = kept.nonzero().flatten()
    gaps = (places.diff() > 1).nonzero().flatten() + 1
    return list(places.tensor_split(gaps.cpu()))[:PAIR] if len(places) else []


def both_ways(pair: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Give each of two with the other; nothing where there are no two."""
    return [(pair[0], pair[1]), (pair[1], pair[0])] if len(pair) == PAIR else []


def common(own: Tensor, other: Tensor, weights: Tensor, sentences: Tensor) -> Tensor:
    """Tell of each token of a text what it and its surroundings have in common with another text.

    Args:
        own: (S,) int, the tokens.
        other: (Q,) int, those of the other text.
        weights: (Q,), what each of them counts.
        sentences: (S,) int, the number of the sentence that each token is in.

    Returns:
        (S, FEATURES - 1) float32: whether it stands in a run in common of each length; then for each dense length the
        share of the other text that is within each reach and in its sentence, as it is and against the greatest.
    """
    shared = runs(own, other)
    met = [torch.cat([near(shared[n - 1]), within(shared[n - 1], sentences).unsqueeze(0)]) for n in DENSE]
    shares = (torch.cat(met) @ weights).t()
    shares = shares / weights.sum().clamp_min(SMALLEST)
    peaks = (shares / shares.amax(0).clamp_min(SMALLEST)) ** SHARPNESS
    return torch.cat([torch.stack([one.any(1) for one in shared], 1).float(), shares, peaks], 1)


def runs(own: Tensor, other: Tensor) -> list[Tensor]:
    """Tell for each length in RUNS which token of a text and of another are at one place of a run: (S, Q) bool."""
    equal = begun = own.unsqueeze(1) == other.unsqueeze(0)
    found = [equal]
    for length in RUNS[1:]:
        step = length - 1
        begun = begun & F.pad(equal[step:, step:], (0, min(step, equal.shape[1]), 0, min(step, equal.shape[0])))
        part = begun
        for shift in range(1, length):
            part = part | F.pad(begun, (shift, 0, shift, 0))[: len(own), : len(other)]
        found.append(part)
    return found


def near(shared: Tensor) -> Tensor:
    """Tell which tokens of the other text are met within each reach of each token: (S, Q) bool to (R, S, Q) float32."""
    most = max(REACHES)
    met = F.pad(shared.float().cumsum(0), (0, 0, 1, 0))  # (S + 1, Q), how often above each token
    padded = torch.cat([met[:1].expand(most, -1), met, met[-1:].expand(most, -1)])
    ends = ((most + 1 + reach, most - reach) for reach in REACHES)
    return torch.stack(
        [padded[end : end + len(shared)] > padded[start : start + len(shared)] for end, start in ends]
    ).float()


def within(shared: Tensor, sentences: Tensor) -> Tensor:
    """Tell which tokens of the other text are met in the sentence of each token; (S, Q) bool to float32."""
    met = F.pad(shared.float().cumsum(0), (0, 0, 1, 0))
    ends = sentences.bincount().cumsum(0)
    starts = F.pad(ends[:-1], (1, 0))
    return (met[ends] > met[starts])[sentences].float()
