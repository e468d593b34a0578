"""Share what writes on the tiny models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlptasks.backbone.hardware import Machine
from nlptasks.generation.answers import Answerer
from nlptasks.generation.model import load
from nlptasks.generation.row import Options
from nlptasks.training import checkpoint


@pytest.fixture
def answerer(generation_models: dict[str, Path]) -> Callable[..., Answerer]:
    """Load a tiny model by its name, with any options."""

    def made(name: str, tokens: int = 4096, **options: Any) -> Answerer:  # noqa: ANN401
        found = checkpoint.open_folder(generation_models[name])
        return Answerer(load(found, Options(**options), machine=Machine(device="cpu", dtype="float32", tokens=tokens)))

    return made
