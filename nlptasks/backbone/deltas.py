"""Weights in eight bits or four: what differs from a base, row by row.

A tensor N is stored as `N.delta`, int8 (R, C), and `N.scale`, float32 (R,), so that N = base + delta · scale; where
only some rows differ, `N.rows` (R,) names them. A tensor that the base lacks is put on zeros. In four bits, which are
for what has a base, `N.halves`, uint8 (R, C / 2), holds two numbers a byte, from -7 to 7 and 8 more, and `N.scale`,
float16 (R, C / GROUP), has a scale for every GROUP columns. All else (vectors, and what is no matrix of floating-point
numbers) is stored as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

DELTA, HALVES, SCALE, ROWS = ".delta", ".halves", ".scale", ".rows"
LARGEST, LARGEST_HALF = 127, 7
#: Bits of float16.
HALF = 16
#: Columns that share a scale in four bits.
GROUP = 32
#: A scale below which a row is as good as zeros; of float16 the least with all its digits.
SMALLEST, SMALLEST_HALF = 1e-12, 2.0**-14


def packed(tensors: Mapping[str, Tensor], base: Mapping[str, Tensor], *, bits: int = 8) -> dict[str, Tensor]:
    """Store matrices in few bits each number.

    Args:
        tensors: by name.
        base: by name; what they are put on. One of another shape does not count.
        bits: 8 or 4; what the base lacks, and what has columns that make no groups, takes 8. With 16 nothing is put on
            the base, and all matrices are float16.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.ndim != 2 or not tensor.is_floating_point():
            found[name] = tensor
            continue
        if bits == HALF:
            found[name] = tensor.half()
            continue
        whole, under = tensor.float(), fitting(base.get(name), tensor.shape)
        delta = whole if under is None else whole - under
        differs = torch.ones(len(whole), dtype=torch.bool) if under is None else delta.any(1)
        rows = differs.nonzero().flatten()
        if bits == 4 and under is not None and tensor.shape[1] % GROUP == 0:
            found[name + HALVES], found[name + SCALE] = halved(delta[rows])
        else:
            scale = (delta[rows].abs().amax(1) / LARGEST).clamp_min(SMALLEST)
            found[name + DELTA] = (delta[rows] / scale[:, None]).round().to(torch.int8)
            found[name + SCALE] = scale
        if len(rows) < len(whole):
            found[name + ROWS] = rows.int()
    return found


def halved(delta: Tensor) -> tuple[Tensor, Tensor]:
    """Store (R, C) floats in four bits each: uint8 (R, C / 2) and scales, float16 (R, C / GROUP)."""
    rows, columns = delta.shape
    groups = delta.view(rows, columns // GROUP, GROUP)
    scale = (groups.abs().amax(2) / LARGEST_HALF).clamp_min(SMALLEST_HALF).half()
    levels = (groups / scale.float()[..., None]).round().clamp(-LARGEST_HALF, LARGEST_HALF).to(torch.int8) + 8
    first, second = levels.view(rows, columns // 2, 2).to(torch.uint8).unbind(2)
    return first | (second << 4), scale


def whole(halves: Tensor, scale: Tensor) -> Tensor:
    """Give what `halved` stored: (R, C) float32."""
    rows, groups = scale.shape
    levels = torch.stack([halves & 15, halves >> 4], 2).view(rows, groups, GROUP).to(torch.int8) - 8
    return (levels * scale.float()[..., None]).view(rows, groups * GROUP)


def unpacked(stored: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put stored weights on their base again; matrices come back in float32.

    Args:
        stored: as `packed` gave it; what is not packed stays as it is.
        base: what it was packed with.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in stored.items():
        own, dot, kind = name.rpartition(".")
        if dot + kind in (DELTA, HALVES):
            scale, rows = stored[own + SCALE], stored.get(own + ROWS)
            moved = tensor * scale[:, None] if dot + kind == DELTA else whole(tensor, scale)
            if rows is not None:
                found[own] = base[own].float().index_add(0, rows, moved)
            else:
                under = fitting(base.get(own), moved.shape)
                found[own] = moved if under is None else under + moved
        elif dot + kind not in (SCALE, ROWS) or not {own + DELTA, own + HALVES} & stored.keys():
            found[name] = tensor
    return found


def fitting(tensor: Tensor | None, shape: torch.Size) -> Tensor | None:
    """Give a tensor in float32 where it is there and has that shape."""
    return tensor.float() if tensor is not None and tensor.shape == shape else None
