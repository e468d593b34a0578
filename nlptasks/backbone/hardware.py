"""Which device computes, and in which number format."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from nlptasks.backbone.batch import Budget
from nlptasks.backbone.linear import freeze
from nlptasks.errors import UsageError

# oneDNN keeps what it has compiled for each shape of a product, by default for 1,024 of them. Passes hardly ever have
# the same number of tokens, so that would be gigabytes for nothing; a layer needs fewer than this many again.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "float16": torch.float16}
#: Tokens of one pass where a task names none for a device.
USUAL = 4096
#: Bytes of what was read that are held at once, at most, where the rows of several passes are.
HELD = 2**29


@dataclass(frozen=True)
class Machine:
    """What computes, and how."""

    device: str = "auto"
    """See `device`."""
    dtype: str = "auto"
    """See `dtype`."""
    tokens: int | None = None
    """Tokens of one pass; what suits the device by default."""

    @cached_property
    def place(self) -> torch.device:
        """Give the device.

        Raises:
            UsageError: it is not there.
        """
        return device(self.device)

    @cached_property
    def number_format(self) -> torch.dtype:
        """Give the number format.

        Raises:
            UsageError: no such format.
        """
        return dtype(self.dtype, self.place)[0]

    def budget(self, usual: Mapping[str, int], remembered: int | None = None) -> Budget:
        """Bound the tokens of one pass: as told, or what is usual on that kind of device.

        Args:
            usual: tokens of a pass, by the kind of device.
            remembered: bytes that are kept of a token, where the rows of several passes are held at once.
        """
        tokens = self.tokens or usual.get(self.place.type, USUAL)
        return Budget(tokens, max(1, HELD // (tokens * remembered)) if remembered else 1)


ANY = Machine()


def ready(model: nn.Module, machine: Machine, *, cast: Iterable[nn.Module], frozen: Iterable[nn.Module]) -> None:
    """Move a model to where it answers, no longer to learn.

    Args:
        model: whole.
        machine: what computes.
        cast: its parts that compute in the machine's number format.
        frozen: its parts whose linear layers are laid out for the processor, and can no longer be stored.
    """
    model.to(machine.place).eval().requires_grad_(False)
    for part in cast:
        part.to(machine.number_format)
    for part in frozen:
        freeze(part)


def device(name: str = "auto") -> torch.device:
    """Choose the device: as named, or the first there is of CUDA, Apple's MPS and the CPU.

    Raises:
        UsageError: the device named is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        chosen = torch.device(name)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"--device {name}: not on this machine; use auto, cpu, cuda, cuda:1 or mps") from error
    return chosen


def dtype(name: str, chosen: torch.device) -> tuple[torch.dtype, str]:
    """Choose the number format and say why.

    Args:
        name: auto, float32, bf16 or float16; auto takes bf16 where the hardware multiplies it, else float32.
        chosen: the device.

    Raises:
        UsageError: no such format.
    """
    if name != "auto":
        if name not in DTYPES:
            raise UsageError(f"--dtype {name}: no such number format; use auto, {', '.join(DTYPES)}")
        return DTYPES[name], "asked for"
    if chosen.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return torch.bfloat16, "the GPU multiplies bf16"
        return torch.float32, "the GPU does not multiply bf16"
    if chosen.type == "cpu" and (unit := bf16_unit()):
        return torch.bfloat16, f"the CPU multiplies bf16 ({unit})"
    return torch.float32, f"the {chosen.type} does not multiply bf16 fast"


def bf16_unit() -> str | None:
    """Name the CPU's unit for bf16 products, AMX or AVX512-BF16, or none."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore").split())
    except OSError:
        return None
    if "AVX512" not in torch.backends.cpu.get_cpu_capability():
        return None
    return "AMX" if "amx_bf16" in flags else "AVX512-BF16" if "avx512_bf16" in flags else None


def matrix_rate(chosen: torch.device, dtype: torch.dtype, seconds: float = 1.0) -> float:
    """Measure how many floating-point operations a second the device does in products of square matrices.

    Args:
        chosen: the device.
        dtype: number format of the matrices.
        seconds: how long to try; the best product counts.
    """
    width = 8192 if chosen.type == "cuda" else 2048
    left, right = (torch.randn(width, width, device=chosen).to(dtype) for _ in range(2))
    wait(left @ right)
    best, end = math.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        wait(left @ right)
        best = min(best, time.perf_counter() - started)
    return 2 * width**3 / best


def wait(product: torch.Tensor) -> None:
    """Wait until a device has computed what it was told to: reading a number does it everywhere."""
    product[0, 0].item()
