"""Alone, nothing happens; together is tested where two processes train, in tests/pretraining/test_run.py."""

import pytest
import torch

from nlptasks.errors import InputError
from nlptasks.training import processes


def test_alone_there_is_one_process_and_nothing_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert processes.join("cpu") == "cpu"
    assert (processes.number(), processes.count()) == (0, 1)
    assert processes.agreed(True, torch.device("cpu"))
    assert not processes.agreed(False, torch.device("cpu"))
    processes.wait()


def test_another_process_that_has_ended_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("Connection reset by peer")

    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.barrier", broken)
    with pytest.raises(InputError, match="another of the processes has ended; what it said tells why"):
        processes.wait()


def test_alone_a_sum_is_what_is_there() -> None:
    model, total = torch.nn.Linear(2, 1), torch.tensor(3.0)
    torch.autograd.backward(model(torch.ones(1, 2)).sum())
    processes.add_up(model, total)
    assert model.weight.grad is not None
    assert model.weight.grad.tolist() == [[1.0, 1.0]]
    assert float(total) == 3.0
    assert processes.summed([1, 2.5], torch.device("cpu")) == [1, 2.5]
