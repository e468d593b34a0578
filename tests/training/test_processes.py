"""Alone, nothing happens; together is tested where two processes train, in tests/pretraining/test_run.py."""

import pytest
import torch

from nlptasks.training import processes


def test_alone_there_is_one_process_and_nothing_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert processes.join("cpu") == "cpu"
    assert (processes.number(), processes.count()) == (0, 1)
    assert processes.agreed(True, torch.device("cpu"))
    assert not processes.agreed(False, torch.device("cpu"))
    processes.wait()


def test_alone_a_sum_is_what_is_there() -> None:
    model, total = torch.nn.Linear(2, 1), torch.tensor(3.0)
    torch.autograd.backward(model(torch.ones(1, 2)).sum())
    processes.add_up(model, total)
    assert model.weight.grad is not None
    assert model.weight.grad.tolist() == [[1.0, 1.0]]
    assert float(total) == 3.0
