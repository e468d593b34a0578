"""What two texts of a sequence have in common, told to the encoder as features of their tokens.

A small encoder needs long to learn which words of a question stand in a passage; here it is told. Exact match as a
feature of words: Chen et al. 2017, arXiv 1704.00051 (DrQA), section 3.2; shares of a question within windows: the
sliding window of Richardson et al. 2013 (MCTest).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlptasks.backbone.batch import Batch

#: Lengths of runs in common that are told apart: a token is in a run of so many or more.
RUNS = (1, 2, 3, 4)
#: Runs whose density is told, and in how many tokens to either side.
DENSE, REACHES = (1, 2), (4, 12, 32)
#: How much the densest places stand out where a density is compared with the greatest.
SHARPNESS = 4
#: Of a token: its runs, each density as it is and against the greatest, and its importance.
FEATURES = len(RUNS) + 2 * len(DENSE) * len(REACHES) + 1
INNER = 64
PAIR = 2
#: Of what is divided by.
SMALLEST = 1e-6


class Matcher(nn.Module):
    """Turns what the first two texts of a row have in common into what is added to their tokens' embeddings.

    A text is what stands between special tokens in segment 0. Each token is told in how long a run of tokens of the
    other text it stands, and how much of the other text stands near it, each token of that counted by its importance,
    which is learnt.
    """

    #: In front of the names of the weights.
    FRONT = "matcher."

    special: Tensor

    def __init__(self, width: int, special: Sequence[int]) -> None:
        """Make one with random weights, for an encoder of a width; at the start all tokens are equally important."""
        super().__init__()
        self.importance = nn.Linear(width, 1)
        self.inner, self.outer = nn.Linear(FEATURES, INNER), nn.Linear(INNER, width)
        nn.init.zeros_(self.importance.weight)
        nn.init.zeros_(self.importance.bias)
        nn.init.normal_(self.outer.weight, std=0.02)
        nn.init.zeros_(self.outer.bias)
        self.register_buffer("special", torch.tensor(sorted(special)), persistent=False)

    def named(self) -> dict[str, Tensor]:
        """Name the weights as they are stored."""
        return {self.FRONT + name: part.detach() for name, part in self.state_dict().items()}

    def forward(self, groups: Sequence[Batch], embeddings: Tensor) -> Tensor:
        """Compare the texts of each row.

        Args:
            groups: each of one length.
            embeddings: (N, H), of the groups' tokens laid end to end.

        Returns:
            (N, H) to be added to the embeddings; 0 for tokens of no text.
        """
        weights = self.importance(embeddings.detach()).float().sigmoid().squeeze(1)
        places: list[Tensor] = []
        found: list[Tensor] = []
        first = 0
        for group in groups:
            for ids, kept in zip(group.ids, self.kept(group), strict=True):
                for own, other in both_ways(texts(kept)):
                    shares = common(ids[own], ids[other], weights[first + other])
                    found.append(torch.cat([shares, weights[first + own].unsqueeze(1)], 1))
                    places.append(first + own)
                first += len(ids)
        added = torch.zeros_like(embeddings)
        if not places:
            return added
        inner = F.gelu(self.inner(torch.cat(found).to(self.inner.weight.dtype)))
        return added.index_copy(0, torch.cat(places), self.outer(inner).to(added.dtype))

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


def common(own: Tensor, other: Tensor, weights: Tensor) -> Tensor:
    """Tell of each token of a text what it and its surroundings have in common with another text.

    Args:
        own: (S,) int, the tokens.
        other: (Q,) int, those of the other text.
        weights: (Q,), their importance.

    Returns:
        (S, FEATURES - 1) float32: whether it stands in a run in common of each length, then for each length and reach
        the share of the other text's importance that is near it, as it is and against the greatest in the text.
    """
    shared = runs(own, other)
    shares = torch.cat([near(shared[n - 1]) @ weights for n in DENSE]).t()
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
