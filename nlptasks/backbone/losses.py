"""Losses that more than one task trains with; each is computed in float32 or finer, whatever comes in."""

import torch
from torch import Tensor
from torch.nn import functional

EXCLUDED = -1e12
"""The score of a candidate that does not take part: finite, so that a row of nothing else has a gradient."""


def contrastive_scores(
    anchors: Tensor, positives: Tensor, negatives: Tensor | None = None, *, temperature: float
) -> tuple[Tensor, Tensor]:
    """Compare each anchor with the positives of the whole batch, and with all negatives if there are any.

    scores[i, j] = cos(anchor_i, candidate_j) / temperature. The other anchors' positives serve as negatives.

    Args:
        anchors: (B, H) float.
        positives: (B, H) float, the i-th belonging to the i-th anchor.
        negatives: (N, H) float, shared by all anchors.
        temperature: above 0; 0.05 in SimCSE.

    Returns:
        Scores (B, B + N) float, and the column of each anchor's own positive (B,) int.
        Source: Gao et al. 2021, SimCSE, arXiv 2104.08821, equations 1 and 5.
    """
    candidates = positives if negatives is None else torch.cat([positives, negatives])
    scores = _cosines(anchors, candidates) / temperature
    return scores, torch.arange(len(anchors), device=scores.device)


def twin_scores(vectors: Tensor, *, temperature: float) -> tuple[Tensor, Tensor]:
    """Compare each row of a batch, in which every sentence stands twice in a row, with all other rows.

    scores[i, j] = cos(vector_i, vector_j) / temperature; a row is never compared with itself.

    Args:
        vectors: (2B, H) float; rows 2i and 2i + 1 are one sentence under two dropout masks.
        temperature: above 0; 0.05 in the source.

    Returns:
        Scores (2B, 2B) float, and the column of each row's twin (2B,) int.
        Source: kexue.fm 8348.

    Raises:
        ValueError: If the number of rows is odd.
    """
    if len(vectors) % 2:
        raise ValueError(f"twins come in pairs of rows, found {len(vectors)} rows: repeat each sentence once")
    scores = _cosines(vectors, vectors) / temperature
    rows = torch.arange(len(vectors), device=scores.device)
    return scores.masked_fill(rows[:, None] == rows, EXCLUDED), rows ^ 1


def info_nce(scores: Tensor, target: Tensor) -> Tensor:
    """Average the cross entropy of picking each anchor's own positive among all candidates.

    loss = mean_i( log(sum_j exp(s_ij)) - s_it ).

    Args:
        scores: (B, C) float, from `contrastive_scores` or `twin_scores`.
        target: (B,) int, the column of the positive.

    Returns:
        () float; 0 if there is no candidate but the positive.
        Source: van den Oord et al. 2018, arXiv 1807.03748; kexue.fm 8348.
    """
    return functional.cross_entropy(_precise(scores), target)


def flat_nce(scores: Tensor, target: Tensor) -> Tensor:
    """Average how far the negatives together outscore the positive, which keeps the gradient large in small batches.

    loss = mean_i( log(sum_{j != t} exp(s_ij)) - s_it ). The paper's x / stop_gradient(x), x being the exponential
    of the i-th term, has this very gradient but is always 1; the logarithm can be watched, and may fall below 0.

    Args:
        scores: (B, C) float, from `contrastive_scores` or `twin_scores`.
        target: (B,) int, the column of the positive.

    Returns:
        () float; an anchor without any negative counts as 0.
        Source: Chen et al. 2021, arXiv 2107.01152; kexue.fm 8586.
    """
    scores, column = _precise(scores), target[:, None]
    negatives = scores.scatter(1, column, EXCLUDED).logsumexp(1)
    excess = negatives - scores.gather(1, column).squeeze(1)
    return excess.where(negatives > EXCLUDED / 2, 0.0).mean()


def cosent(cosines: Tensor, labels: Tensor, *, scale: float = 20.0) -> Tensor:
    """Punish every two pairs of sentences whose cosines stand in the wrong order.

    loss = log(1 + sum over all i, k with label_i > label_k of exp(scale * (cos_k - cos_i))).

    Args:
        cosines: (B,) float, one per pair of sentences.
        labels: (B,) int or float; only their order counts.
        scale: above 0; the inverse of a temperature.

    Returns:
        () float; 0 if no label exceeds another.
        Source: kexue.fm 8847.
    """
    cosines = _precise(cosines)
    differences = scale * (cosines[None, :] - cosines[:, None])  # [i, k] = cos_k - cos_i
    ordered = labels[:, None] > labels[None, :]
    return _log_one_plus_sum(differences.masked_fill(~ordered, -torch.inf).flatten())


def zlpr(scores: Tensor, labels: Tensor) -> Tensor:
    """Push the scores of the labels that hold above 0 and all others below, any number of labels at once.

    loss = log(1 + sum_l exp(s_l + log(1 - y_l))) + log(1 + sum_l exp(-s_l + log y_l)).
    With y of only 0 and 1 the first sum runs over the negatives, the second over the positives.

    Args:
        scores: (..., L) float; a label is predicted if its score is above 0.
        labels: (..., L) bool, int or float from 0 to 1, in between for soft labels.

    Returns:
        (...) float, not reduced.
        Source: Su et al. 2022, arXiv 2208.02955; kexue.fm 7359, soft labels 9064.
    """
    scores = _precise(scores)
    labels = labels.to(scores.dtype)
    # Not left to log 0 = -inf: a score of -inf (masked), or a label rounded to more than 1, would give nan.
    negatives = (scores + torch.log1p(-labels)).where(labels < 1, -torch.inf)
    positives = (labels.log() - scores).where(labels > 0, -torch.inf)
    return _log_one_plus_sum(negatives) + _log_one_plus_sum(positives)


def sparse_zlpr(scores: Tensor, positives: Tensor) -> Tensor:
    """Compute `zlpr` from the numbers of the labels that hold, where there are too many labels for a dense table.

    loss = log(1 + sum_{l not in P} exp(s_l)) + log(1 + sum_{l in P} exp(-s_l)), l from 1 to L - 1.
    The source subtracts the positives from the sum over all labels; once they dominate it, nothing is left but
    rounding (a floor of log 1e-7 there). Leaving them out of the sum costs the same and is exact.

    Args:
        scores: (..., L) float; class 0 is reserved for padding, its score is ignored.
        positives: (..., P) int, each row without repeats, padded with 0; P may be 0.

    Returns:
        (...) float, not reduced.
        Source: kexue.fm 8888 (with the change above).
    """
    scores = _precise(scores)
    negatives = scores.scatter(-1, positives, -torch.inf)
    negatives[..., 0] = 0.0  # class 0 is no label: its place in the sum serves as the 1
    chosen = (-scores.gather(-1, positives)).masked_fill(positives == 0, -torch.inf)
    return negatives.logsumexp(-1) + _log_one_plus_sum(chosen)


def masked_cross_entropy(logits: Tensor, targets: Tensor, *, ignore: int = -100) -> Tensor:
    """Average the cross entropy over the tokens that have a target.

    loss = sum over kept n of (log(sum_v exp(z_nv)) - z_nt) / number of kept n.

    Args:
        logits: (N, V) float.
        targets: (N,) int, `ignore` where there is nothing to predict.
        ignore: The value that marks such places.

    Returns:
        () float; 0 if no token is kept, where a plain mean would give nan.
    """
    total = functional.cross_entropy(_precise(logits), targets, ignore_index=ignore, reduction="sum")
    return total / (targets != ignore).sum().clamp(min=1)


def _cosines(left: Tensor, right: Tensor) -> Tensor:
    """Compare all rows of (A, H) with all of (C, H): (A, C); a zero vector has cosine 0 with everything."""
    with torch.autocast(left.device.type, enabled=False):  # it would compute the product in half precision again
        left, right = (functional.normalize(_precise(side), dim=-1, eps=1e-6) for side in (left, right))
        return left @ right.T


def _log_one_plus_sum(exponents: Tensor) -> Tensor:
    """Compute log(1 + sum exp) over the last dimension, which may be empty or all -inf: (..., L) to (...)."""
    return functional.pad(exponents, (0, 1)).logsumexp(-1)  # the appended 0 is the 1


def _precise(values: Tensor) -> Tensor:
    """Widen half precision to float32; float64 stays."""
    return values if values.dtype == torch.float64 else values.float()
