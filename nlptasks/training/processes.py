"""Several processes that train one model, as torchrun and accelerate start them; alone, every function does nothing.

Each process has all of the model and computes a part of each update, so that together they do what one would.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn

from nlptasks.errors import InputError

#: The others wait while the first one prepares a corpus, which may take hours.
PATIENCE = timedelta(days=1)


def join(device: str) -> str:
    """Meet the other processes, if there are any, and give this one's device.

    Args:
        device: as asked for; on CUDA each process takes the GPU of its number.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or distributed.is_initialized():
        return device
    on_gpu = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    if on_gpu:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(torch.device(device))
    distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=PATIENCE)
    return device


def number() -> int:
    """Give this process's number; the one with number 0 writes files and speaks."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def count() -> int:
    """Count the processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def wait() -> None:
    """Wait for all others.

    Raises:
        InputError: one of them has ended; it has said why.
    """
    if distributed.is_initialized():
        try:
            distributed.barrier()
        except RuntimeError as error:
            raise InputError("another of the processes has ended; what it said tells why") from error


def agreed(flag: bool, device: torch.device) -> bool:
    """Tell whether a flag is set in any process: what one decides by its clock, all must do at the same update."""
    if not distributed.is_initialized():
        return flag
    raised = torch.tensor(float(flag), device=device)
    distributed.all_reduce(raised, distributed.ReduceOp.MAX)
    return bool(raised)


def summed(numbers: Sequence[float], device: torch.device) -> list[float]:
    """Add up what each process counted."""
    if not distributed.is_initialized():
        return list(numbers)
    together = torch.tensor(numbers, dtype=torch.float32, device=device)
    distributed.all_reduce(together)
    added: list[float] = together.tolist()
    return added


def add_up(model: nn.Module, total: Tensor) -> None:
    """Replace every gradient, and the loss, by the sum over all processes, in one exchange.

    Args:
        model: after the backward pass.
        total: the loss of this process's part, a scalar.
    """
    if not distributed.is_initialized():
        return
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in parameters:
        if parameter.grad is None:  # another process may have had a use for it
            parameter.grad = torch.zeros_like(parameter)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    together = torch.cat([total.reshape(1), *(gradient.flatten() for gradient in gradients)])
    distributed.all_reduce(together)
    total.copy_(together[0])
    sizes = [gradient.numel() for gradient in gradients]
    torch._foreach_copy_([gradient.view(-1) for gradient in gradients], list(torch.split(together[1:], sizes)))
