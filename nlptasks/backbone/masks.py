"""What a token may see: the three ways to read, as additive float masks (0 seen, -inf hidden).

The only file that knows mask layout. All masks are (B, 1, T, S) so that they broadcast over heads, and additive: with
boolean masks some attention kernels leak later tokens without a word.
"""

from __future__ import annotations

import torch
from torch import Tensor


def additive(seen: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Turn what is seen, (B, T, S) bool, into an additive mask (B, 1, T, S).

    A row that sees nothing (padding) sees everything instead, since a softmax over nothing is not a number.
    """
    seen = seen | ~seen.any(-1, keepdim=True)
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, float("-inf")).unsqueeze(1)


def both_ways(kept: Tensor) -> Tensor:
    """Let every token see every kept token.

    Args:
        kept: (B, S) bool, False where padded.

    Returns:
        (B, 1, S, S) float.
    """
    return additive(kept.unsqueeze(1).expand(-1, kept.shape[1], -1))


def left_to_right(kept: Tensor) -> Tensor:
    """Let every token see itself and the kept tokens before it: a language model.

    Args:
        kept: (B, S) bool, False where padded.

    Returns:
        (B, 1, S, S) float.
    """
    length = kept.shape[1]
    order = torch.ones(length, length, dtype=torch.bool, device=kept.device).tril()
    return additive(order & kept.unsqueeze(1))


def prefix(segments: Tensor, kept: Tensor) -> Tensor:
    """Let the source (segment 0) be read both ways and the target (segment 1) left to right, as in UniLM.

    Query i sees key j where c[j] <= c[i], c being the running sum of the segments (Dong et al. 2019, arXiv 1905.03197;
    kexue.fm/archives/6933).

    Args:
        segments: (B, S) int, 0 for the source and 1 for the target.
        kept: (B, S) bool, False where padded.

    Returns:
        (B, 1, S, S) float.
    """
    order = segments.cumsum(1)
    return additive((order.unsqueeze(1) <= order.unsqueeze(2)) & kept.unsqueeze(1))
