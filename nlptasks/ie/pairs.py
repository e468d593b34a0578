"""GlobalPointer: a score for every two tokens and every label, standard and efficient.

Sources: kexue.fm/archives/8373 (standard), kexue.fm/archives/8877 (efficient), kexue.fm/archives/8265 (rotation).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
#: Scores beyond any, and the least sum that has a logarithm.
EDGE, LEAST = 1e4, 1e-37


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
        if self.bias is not None:
            base, ends = self.shared(hidden, kept)
            part = ends[:, :, first:last]
            return base.unsqueeze(1) + part[0].unsqueeze(-2) + part[1].unsqueeze(-1)
        places = torch.arange(hidden.shape[1], device=hidden.device)
        queries, keys = (self.turned(part, places) for part in self.queries_and_keys(hidden, first, last))
        scores = torch.einsum("bihd,bjhd->bhij", queries, keys).float() / SIZE**0.5
        masked: Tensor = scores.masked_fill(~self.allowed(kept).unsqueeze(1), -torch.inf)
        return masked

    def allowed(self, kept: Tensor) -> Tensor:
        """Mark the pairs that can be, (B, T) to (B, T, T) bool."""
        pairs = kept.unsqueeze(1) & kept.unsqueeze(2)
        return pairs.triu() if self.spans else pairs

    def shared(self, hidden: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Compute what the scores of an efficient head are sums of.

        Returns:
            (B, T, T) float32, what all labels share, -inf for pairs that cannot be, and (2, B, labels, T) float32, what
            each adds by the second and by the first token.

        Raises:
            ValueError: the head is a standard one.
        """
        if self.bias is None:
            raise ValueError("a standard head shares nothing")
        projected = self.project(hidden)
        places = torch.arange(hidden.shape[1], device=hidden.device)
        parts = (projected[..., ::2], projected[..., 1::2])
        queries, keys = (self.turned(part.unsqueeze(2), places).squeeze(2) for part in parts)
        base = (queries @ keys.transpose(1, 2)).float() / SIZE**0.5
        ends = (self.bias(projected) / 2).float()
        ends = ends.reshape(*ends.shape[:2], -1, 2).permute(3, 0, 2, 1)
        return base.masked_fill(~self.allowed(kept), -torch.inf), ends

    def queries_and_keys(self, hidden: Tensor, first: int, last: int) -> tuple[Tensor, Tensor]:
        """Project for some labels of a standard head: (..., H) to two of (..., labels, SIZE)."""
        part = slice(2 * SIZE * first, 2 * SIZE * last)
        projected = nn.functional.linear(hidden, self.project.weight[part], self.project.bias[part])
        queries, keys = projected.reshape(*projected.shape[:-1], -1, 2, SIZE).unbind(-2)
        return queries, keys

    def at(self, hidden: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        """Make what scores chosen pairs of a row for all labels, which no table of all pairs is needed for.

        Args:
            hidden: (N, H), rows laid end to end.

        Returns:
            A function of the places of first and of second tokens, (M,) int each, to (M, labels) float32.
        """
        if self.bias is None:
            return lambda firsts, lasts: self.products(hidden[firsts], hidden[lasts], lasts - firsts)
        projected = self.project(hidden)
        ends = (self.bias(projected) / 2).float()

        def scores(firsts: Tensor, lasts: Tensor) -> Tensor:
            keys = self.turned(projected[lasts, 1::2].unsqueeze(1), lasts - firsts).squeeze(1)
            base = (projected[firsts, ::2].float() * keys.float()).sum(-1) / SIZE**0.5
            found: Tensor = ends[lasts, ::2].add_(ends[firsts, 1::2]).add_(base.unsqueeze(1))
            return found

        return scores

    def products(self, first: Tensor, second: Tensor, distances: Tensor) -> Tensor:
        """Score pairs by a standard head, (M, H) both, to (M, labels) float32."""
        queries, _ = self.queries_and_keys(first, 0, self.labels)
        _, keys = self.queries_and_keys(second, 0, self.labels)
        products: Tensor = (queries.float() * self.turned(keys, distances).float()).sum(-1) / SIZE**0.5
        return products

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
        """Compute ZLPR over all pairs, summed over rows and labels.

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
            of_head = self.sliced_loss if self.bias is None else self.shared_loss
            total = total + of_head(hidden, rectangle.kept, listed)
        return total

    def sliced_loss(self, hidden: Tensor, kept: Tensor, listed: Tensor) -> Tensor:
        """Compute the loss of a standard head, some labels at a time; (B, labels, P) pairs are right."""

        def loss(start: int, stop: int) -> Tensor:
            return sparse_zlpr(self.table(hidden, kept, start, stop).flatten(2), listed[:, start:stop]).sum()

        size = max(1, SCORES_AT_ONCE // (len(kept) * kept.shape[1] ** 2))
        starts = range(0, self.labels, size)
        return added(loss, [(start, min(self.labels, start + size)) for start in starts], again=self.training)

    def shared_loss(self, hidden: Tensor, kept: Tensor, listed: Tensor) -> Tensor:
        """Compute the loss of an efficient head, (B, labels, P) pairs being right.

        Only rows and labels for which some pair is right need a table. For all others the sum over all pairs is a
        product: sum_ij exp(base_ij + first_i + second_j) = exp(first) exp(base) exp(second).
        """
        base, ends = self.shared(hidden, kept)
        has_pairs = (listed > 0).any(-1)
        row, label = has_pairs.nonzero().unbind(1)

        def loss(start: int, stop: int) -> Tensor:
            rows, labels = row[start:stop], label[start:stop]
            scores = base[rows] + ends[0, rows, labels].unsqueeze(-2) + ends[1, rows, labels].unsqueeze(-1)
            return sparse_zlpr(scores.flatten(1), listed[rows, labels]).sum()

        size = max(1, SCORES_AT_ONCE // kept.shape[1] ** 2)
        parts = [(start, min(len(row), start + size)) for start in range(0, len(row), size)]
        with torch.autocast(hidden.device.type, enabled=False):
            nothing = nn.functional.softplus(log_sums(base, ends.masked_fill(~kept.unsqueeze(1), -torch.inf)))
            return added(loss, parts, again=self.training) + nothing[~has_pairs].sum()


def added(loss: Callable[[int, int], Tensor], parts: Sequence[tuple[int, int]], *, again: bool) -> Tensor:
    """Add up the losses of parts; with several of them, compute each again on the way back rather than keep it all."""
    total = torch.zeros(())
    for part in parts:
        one = checkpoint(loss, *part, use_reentrant=False) if again and len(parts) > 1 else loss(*part)
        total = total.to(one.device) + one
    return total


def log_sums(base: Tensor, ends: Tensor) -> Tensor:
    """Compute log sum_ij exp(base_ij + ends_0j + ends_1i).

    Args:
        base: (B, T, T) float32, -inf allowed.
        ends: (2, B, L, T) float32, -inf allowed.

    Returns:
        (B, L).
    """
    tops = base.detach().amax((1, 2)).clamp_min(-EDGE), ends.detach().amax(-1).clamp_min(-EDGE)
    middle, sides = (base - tops[0].view(-1, 1, 1)).exp(), (ends - tops[1].unsqueeze(-1)).exp()
    sums = (sides[1] @ middle * sides[0]).sum(-1)
    return sums.clamp_min(LEAST).log() + tops[0].unsqueeze(1) + tops[1].sum(0)


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
