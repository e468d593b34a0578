"""Share what answers on the tiny models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlptasks.backbone.hardware import Machine
from nlptasks.qa.answers import Answerer
from nlptasks.qa.model import load
from nlptasks.qa.row import Options, Row
from nlptasks.training import checkpoint

FIRST, SECOND = "今天天气很好，我们去公园玩吧。", "北京的公园很大，上海也有。"
ROWS = [
    Row("我们去公园吗", FIRST),
    Row("北京有公园吗", passages=[FIRST, SECOND]),
    Row("上海", passages=[SECOND, "", FIRST * 3, "我在上海玩"]),
    Row("他们到哪", passages=["他们来了", SECOND * 2]),
]


@pytest.fixture
def answerer(qa_models: dict[str, Path]) -> Callable[..., Answerer]:
    """Load a tiny model of a method, with any options."""

    def made(method: str, tokens: int = 4096, **options: Any) -> Answerer:  # noqa: ANN401
        found = checkpoint.open_folder(qa_models[method])
        return Answerer(load(found, Options(**options), machine=Machine(device="cpu", dtype="float32", tokens=tokens)))

    return made


@pytest.fixture
def rows() -> list[Row]:
    """Give questions of one passage and of several, a blank one and a long one among them."""
    return ROWS
