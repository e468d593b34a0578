"""Share a tiny writer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from nlptasks.backbone.copying import Copier
from nlptasks.backbone.heads import TokenHead
from nlptasks.backbone.language import LanguageModel
from nlptasks.backbone.matching import Matcher
from nlptasks.backbone.weights import Backbone
from nlptasks.writing.draft import Writer


@pytest.fixture
def make_writer(tiny: Backbone) -> Callable[..., Writer]:
    """Make a writer on the tiny BERT with a head of random weights, sharp enough that no two tokens tie."""

    def make(*, copies: bool = False, matches: bool = False, **options: bool | int) -> Writer:
        torch.manual_seed(3)
        head = TokenHead(tiny.bert.config).eval()
        torch.nn.init.normal_(head.dense.weight, std=0.5)
        torch.nn.init.normal_(head.bias, std=0.3)
        head.bias.data[tiny.text.special["end"]] += 1.0  # or else hardly any text ends
        model = LanguageModel(tiny.bert, head)
        if copies:
            model.copier = Copier.of(tiny.bert.config, tiny.text).eval()
            torch.nn.init.normal_(model.copier.gate.weight)
        if matches:
            model.matcher = Matcher.of(tiny.bert.config, tiny.text).eval()
            torch.nn.init.normal_(model.matcher.outer.weight)
        return Writer.of(model, **options)  # type: ignore[arg-type]

    return make


@pytest.fixture
def writer(make_writer: Callable[..., Writer]) -> Writer:
    """Make a writer that reads prompts both ways."""
    return make_writer()
