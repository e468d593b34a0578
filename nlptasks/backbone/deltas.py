"""Weights in eight bits: what differs from a base, row by row, with a scale for each row.

A tensor N is stored as `N.delta`, int8 (R, C), and `N.scale`, float32 (R,), so that N = base + delta · scale; where
only some rows differ, `N.rows` (R,) names them. A tensor that the base lacks is put on zeros. All else (vectors, and
what is no matrix of floating-point numbers) is stored as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

DELTA, SCALE, ROWS = ".delta", ".scale", ".rows"
LARGEST = 127
#: A scale below which a row is as good as zeros.
SMALLEST = 1e-12


def packed(tensors: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Store matrices in eight bits, each row with a scale of its own.

    Args:
        tensors: by name.
        base: by name; what they are put on. One of another shape does not count.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.ndim != 2 or not tensor.is_floating_point():
            found[name] = tensor
            continue
        whole, under = tensor.float(), fitting(base.get(name), tensor.shape)
        delta = whole if under is None else whole - under
        differs = torch.ones(len(whole), dtype=torch.bool) if under is None else delta.any(1)
        rows = differs.nonzero().flatten()
        scale = (delta[rows].abs().amax(1) / LARGEST).clamp_min(SMALLEST)
        found[name + DELTA] = (delta[rows] / scale[:, None]).round().to(torch.int8)
        found[name + SCALE] = scale
        if len(rows) < len(whole):
            found[name + ROWS] = rows.int()
    return found


def unpacked(stored: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put stored weights on their base again; matrices come back in float32.

    Args:
        stored: as `packed` gave it; what is not packed stays as it is.
        base: what it was packed with.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in stored.items():
        own, dot, kind = name.rpartition(".")
        if dot + kind not in (DELTA, SCALE, ROWS) or own + DELTA not in stored:
            found[name] = tensor
        if dot + kind != DELTA:
            continue
        moved, rows = tensor * stored[own + SCALE][:, None], stored.get(own + ROWS)
        if rows is not None:
            found[own] = base[own].float().index_add(0, rows, moved)
        else:
            under = fitting(base.get(own), moved.shape)
            found[own] = moved if under is None else under + moved
    return found


def fitting(tensor: Tensor | None, shape: torch.Size) -> Tensor | None:
    """Give a tensor in float32 where it is there and has that shape."""
    return tensor.float() if tensor is not None and tensor.shape == shape else None
