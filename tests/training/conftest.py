"""A task that is arithmetic, so that training can be checked by hand, and runs of the real one that take a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nlptasks.backbone.batch import Batch
from nlptasks.similarity import row as form
from nlptasks.task import Work
from nlptasks.training.data import Source
from nlptasks.training.run import Plan
from nlptasks.training.settings import TrainingSettings, as_plain, resolve
from nlptasks.training.trainer import Run


class Line:
    """A task without language: learn y = w x + b, its rows {x, y}; the mean loss has no interaction within a batch."""

    name, best = "line", "fit"

    def __init__(self) -> None:
        self.seen: list[list[float]] = []

    def stage(self, share: float) -> None:
        """Teach the same from start to end."""

    def batch(self, rows: Sequence[Mapping[str, Any]]) -> Work:
        self.seen.append([row["x"] for row in rows])
        targets = torch.tensor([[row["x"], row["y"]] for row in rows])
        return Work([Batch(torch.zeros(len(rows), 1, dtype=torch.long))], torch.arange(len(rows)), targets, len(rows))

    def loss(self, model: nn.Module, work: Work) -> Tensor:
        assert work.targets is not None
        x, y = work.targets.unbind(1)
        guessed: Tensor = model(x[:, None]).squeeze(1).float()
        return (guessed - y).square().mean()


def line_model(dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 1))


LINE = [{"x": number / 8 - 1, "y": 0.5 - number / 8} for number in range(16)]


@pytest.fixture
def line_run() -> Callable[..., Run]:
    """Make a run of the line from settings."""

    def make(rows: Sequence[Mapping[str, Any]] = LINE, dropout: float = 0.0, **settings: Any) -> Run:  # noqa: ANN401
        chosen = {"learning_rate": 0.01, "batch_size": 4, "schedule": "constant", "warmup": 0.0, **settings}
        task: Any = Line()
        return Run(task, line_model(dropout), rows, TrainingSettings(**chosen), torch.device("cpu"))

    return make


SENTENCES = (
    "今天天气很好",
    "我们去公园玩吧",
    "北京是首都",
    "上海在中国",
    "the play",
    "你好abc",
    "时间不在了",
    "要有天气",
)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Write 24 pairs with scores from 0 to 5, with a header."""
    lines = ["a\tb\tscore"]
    for number in range(24):
        left, right = SENTENCES[number % 8], SENTENCES[(number * 3 + number // 8) % 8]
        lines.append(f"{left}{number}\t{right}\t{number % 6}")
    path = tmp_path / "pairs.tsv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def plan(tiny_folder: Path, pairs: Path) -> Callable[..., Plan]:
    """Plan a run of similarity on the pairs, float32, with the tiny BERT."""

    def make(
        method: str = "cosent",
        train: Sequence[Path | str] = (pairs,),
        dev: Path | None = pairs,
        **flags: Any,  # noqa: ANN401
    ) -> Plan:
        small = {"batch_size": 4, "dtype": "float32", "learning_rate": 1e-3, "epochs": 2.0, "limit": 16}
        settings = resolve(form.Settings, form.METHODS[method].defaults, flags={**small, **flags})
        return Plan(
            task="similarity",
            method=method,
            settings=as_plain(settings),
            train=tuple(Source(str(name)) for name in train),
            dev=Source(str(dev)) if dev else None,
            backbone=str(tiny_folder),
            command="nlpk train similarity",
            version="0",
        )

    return make


def same_weights(left: nn.Module, right: nn.Module) -> bool:
    """Tell whether two models are equal bit for bit."""
    others = right.state_dict()
    return all(torch.equal(tensor, others[name]) for name, tensor in left.state_dict().items())


@pytest.fixture
def equal() -> Callable[[nn.Module, nn.Module], bool]:
    """Give `same_weights`."""
    return same_weights
