"""GlobalPointer: a score for every two tokens and every label, standard and efficient.

Sources: kexue.fm/archives/8373 (standard), kexue.fm/archives/8877 (efficient), kexue.fm/archives/8265 (rotation).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from nlptasks.backbone.linear import Linear
from nlptasks.backbone.losses import sparse_zlpr
from nlptasks.ie.grid import Rectangle

#: Width of queries and keys.
SIZE = 64
#: Scores that are in memory at once, in the order of one label's (B, T, T).
SCORES_AT_ONCE = 1 << 23


class Pairs(nn.Module):
    """Scores of pairs of tokens for labels.

    Efficient heads share one product of queries and keys, to which each label adds a bias at both ends; standard ones
    have queries and keys for each label.
    """

    def __init__(self, width: int, labels: int, *, efficient: bool, spans: bool) -> None:
        """Make a head with random weights.

        Args:
            width: of the hidden states.
            labels: how many.
            efficient: share the product.
            spans: pairs are first and last token of a span: they stand in this order, and how far apart counts.
        """
        super().__init__()
        self.labels, self.efficient, self.spans = labels, efficient, spans
        self.project = Linear(width, 2 * SIZE if efficient else 2 * SIZE * labels)
        self.bias = Linear(2 * SIZE, 2 * labels) if efficient else None
        for layer in (self.project, self.bias):
            if layer is not None:
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    def table(self, hidden: Tensor, kept: Tensor, first: int, last: int) -> Tensor:
        """Score all pairs of tokens for the labels from first to last, exclusive.

        Args:
            hidden: (B, T, H).
            kept: (B, T) bool, tokens that may be part of a pair.
            first: label.
            last: label.

        Returns:
            (B, last - first, T, T) float32, -inf for pairs that cannot be.
        """
        places = torch.arange(hidden.shape[1], device=hidden.device)
        if self.bias is not None:
            projected = self.project(hidden)
            parts = (projected[..., ::2], projected[..., 1::2])
            queries, keys = (self.turned(part.unsqueeze(2), places) for part in parts)
            base = torch.einsum("bihd,bjhd->bhij", queries, keys).float() / SIZE**0.5
            ends = (self.bias(projected)[..., 2 * first : 2 * last] / 2).float()
            ends = ends.reshape(*ends.shape[:2], -1, 2).permute(3, 0, 2, 1)  # (2, B, labels, T)
            scores = base + ends[0].unsqueeze(-2) + ends[1].unsqueeze(-1)
        else:
            queries, keys = self.queries_and_keys(hidden, first, last)
            queries, keys = self.turned(queries, places), self.turned(keys, places)
            scores = torch.einsum("bihd,bjhd->bhij", queries, keys).float() / SIZE**0.5
        allowed = kept.unsqueeze(1) & kept.unsqueeze(2)
        if self.spans:
            allowed = allowed.triu()
        masked: Tensor = scores.masked_fill(~allowed.unsqueeze(1), -torch.inf)
        return masked

    def queries_and_keys(self, hidden: Tensor, first: int, last: int) -> tuple[Tensor, Tensor]:
        """Project for some labels of a standard head: (..., H) to two of (..., labels, SIZE)."""
        part = slice(2 * SIZE * first, 2 * SIZE * last)
        projected = nn.functional.linear(hidden, self.project.weight[part], self.project.bias[part])
        queries, keys = projected.reshape(*projected.shape[:-1], -1, 2, SIZE).unbind(-2)
        return queries, keys

    def at(self, hidden: Tensor, firsts: Tensor, lasts: Tensor) -> Tensor:
        """Score chosen pairs of a row for all labels, which no table of all pairs is needed for.

        Args:
            hidden: (N, H), rows laid end to end.
            firsts: (M,) int, places of the first tokens.
            lasts: (M,) int, places of the second tokens.

        Returns:
            (M, labels) float32.
        """
        if self.bias is None:
            queries, _ = self.queries_and_keys(hidden[firsts], 0, self.labels)
            _, keys = self.queries_and_keys(hidden[lasts], 0, self.labels)
            products: Tensor = (queries.float() * self.turned(keys, lasts - firsts).float()).sum(-1) / SIZE**0.5
            return products
        projected = self.project(hidden)
        ends = (self.bias(projected) / 2).float()
        keys = self.turned(projected[lasts, 1::2].unsqueeze(1), lasts - firsts).squeeze(1)
        base = (projected[firsts, ::2].float() * keys.float()).sum(-1) / SIZE**0.5
        scores: Tensor = base.unsqueeze(1) + ends[lasts, ::2] + ends[firsts, 1::2]
        return scores

    def turned(self, vectors: Tensor, places: Tensor) -> Tensor:
        """Turn queries or keys of spans by their places (RoPE), so that distance counts.

        Args:
            vectors: (..., P, h, SIZE).
            places: (P,) int.
        """
        if not self.spans:
            return vectors
        rates = 10000 ** (-torch.arange(0, SIZE, 2, device=vectors.device, dtype=torch.float32) / SIZE)
        angles = places.unsqueeze(1) * rates
        cosines, sines = angles.cos().to(vectors.dtype).unsqueeze(1), angles.sin().to(vectors.dtype).unsqueeze(1)
        even, odd = vectors[..., ::2], vectors[..., 1::2]
        return torch.stack([even * cosines - odd * sines, odd * cosines + even * sines], -1).flatten(-2)

    def loss(self, states: Tensor, rectangles: list[Rectangle], positives: Tensor) -> Tensor:
        """Compute ZLPR over all pairs, summed over rows and labels; slice by slice where there are many labels.

        Args:
            states: (N, H), rows laid end to end.
            rectangles: of the rows.
            positives: (M, 4) int, without repeats: row, label, first and second token.
        """
        total = torch.zeros((), device=states.device)
        for rectangle in rectangles:
            rows, length = rectangle.index.shape
            hidden = states[rectangle.index]
            is_here = (positives[:, 0] >= rectangle.first) & (positives[:, 0] < rectangle.first + rows)
            row, label, first, second = positives[is_here].unbind(1)
            listed = lists(row - rectangle.first, label, first * length + second, (rows, self.labels))
            slice_size = max(1, SCORES_AT_ONCE // (rows * length * length))
            for start in range(0, self.labels, slice_size):
                stop = min(self.labels, start + slice_size)
                part = listed[:, start:stop]
                if self.training and slice_size < self.labels:
                    total = total + checkpoint(
                        self.slice_loss, hidden, rectangle.kept, start, stop, part, use_reentrant=False
                    )
                else:
                    total = total + self.slice_loss(hidden, rectangle.kept, start, stop, part)
        return total

    def slice_loss(self, hidden: Tensor, kept: Tensor, start: int, stop: int, positives: Tensor) -> Tensor:
        """Compute the loss of some labels; the pair of the start with itself is no candidate, and pads the lists."""
        scores = self.table(hidden, kept, start, stop).flatten(2)
        return sparse_zlpr(scores, positives).sum()


def lists(rows: Tensor, labels: Tensor, pairs: Tensor, shape: tuple[int, int]) -> Tensor:
    """List the pairs of each row and label, padded with 0.

    Args:
        rows: (M,) int.
        labels: (M,) int.
        pairs: (M,) int, above 0.
        shape: rows and labels.

    Returns:
        (*shape, P) int.
    """
    places, order = (rows * shape[1] + labels).sort(stable=True)
    counts = torch.bincount(places, minlength=shape[0] * shape[1])
    rank = torch.arange(len(places), device=places.device) - (counts.cumsum(0) - counts)[places]
    most = int(counts.max()) if len(places) else 0
    made = torch.zeros(shape[0] * shape[1], most, dtype=torch.long, device=rows.device)
    made[places, rank] = pairs[order]
    return made.view(*shape, most)


def positive(scores: Tensor, most: int) -> Tensor:
    """Find the pairs with a score above 0, of each row and label at most so many, the best.

    Args:
        scores: (B, L, T, T).
        most: bounds what a model that has learnt nothing would find.

    Returns:
        (M, 4) int: row, label, first and second token.
    """
    flat = scores.flatten(2)
    if int((flat > 0).sum(-1).max()) > most:
        floor = flat.topk(most).values[..., -1:]
        flat = flat.masked_fill(flat < floor, -torch.inf)
    return (flat.view_as(scores) > 0).nonzero()
