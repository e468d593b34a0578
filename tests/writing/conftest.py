"""Share a tiny writer and the naive one that it is compared with."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from nlptasks.backbone.copying import Copier
from nlptasks.backbone.heads import TokenHead
from nlptasks.backbone.weights import Backbone
from nlptasks.writing.draft import Writer


@pytest.fixture(scope="session")
def naive() -> ModuleType:
    """Load the naive engine, which is no test module."""
    spec = importlib.util.spec_from_file_location("naive_writer", Path(__file__).with_name("naive.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def make_writer(tiny: Backbone) -> Callable[..., Writer]:
    """Make a writer on the tiny BERT with a head of random weights, sharp enough that no two tokens tie."""

    def make(*, copies: bool = False, **options: bool | int) -> Writer:
        torch.manual_seed(3)
        head = TokenHead(tiny.bert.config).eval()
        torch.nn.init.normal_(head.dense.weight, std=0.5)
        torch.nn.init.normal_(head.bias, std=0.3)
        head.bias.data[tiny.text.special["end"]] += 1.0  # or else hardly any text ends
        copier = Copier(tiny.bert.config.hidden_size, list(tiny.text.special.values())).eval() if copies else None
        if copier:
            torch.nn.init.normal_(copier.gate.weight)
        return Writer.of(tiny.bert, head, copier=copier, **options)  # type: ignore[arg-type]

    return make


@pytest.fixture
def writer(make_writer: Callable[..., Writer]) -> Writer:
    """Make a writer that reads prompts both ways."""
    return make_writer()
