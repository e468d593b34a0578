"""Check that guided texts follow the difference that their condition makes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from nlptasks.backbone.bert import Bert
from nlptasks.backbone.language import LanguageModel
from nlptasks.writing.draft import Writer
from nlptasks.writing.guided import Guided

PROMPTS = [[3, 7, 8, 4], [3, 9, 4]]
CLOSE = 1e-4


@pytest.fixture
def listening(make_writer: Callable[..., Writer]) -> Writer:
    plain = make_writer()
    torch.manual_seed(1)
    bert = Bert(plain.bert.config, condition=3).eval()
    bert.load_state_dict(plain.bert.state_dict(), strict=False)
    for module in bert.modules():
        if isinstance(module, torch.nn.Linear) and module.in_features == 3:
            torch.nn.init.normal_(module.weight)
    return Writer.of(LanguageModel(bert, plain.head))


def test_scores_are_set_apart_at_every_step(listening: Writer) -> None:
    condition = torch.randn(2, 3)
    heard, plain = listening.begin(PROMPTS, condition), listening.begin(PROMPTS)
    guided = Guided(listening.begin(PROMPTS, condition), listening.begin(PROMPTS), 2.5)
    for draft in (heard, plain, guided):
        draft.write(torch.tensor([[20, 21], [22, 23]]), torch.zeros(2, 2, dtype=torch.long))
        draft.keep(torch.tensor([1, 0]))
        draft.write(torch.tensor([[30], [31]]), torch.tensor([[1], [0]]))
    assert torch.allclose(guided.logits, 2.5 * heard.logits - 1.5 * plain.logits, atol=CLOSE)
    assert not torch.allclose(guided.logits, heard.logits, atol=0.1)
    assert guided.room == heard.room


@pytest.mark.parametrize("strength", [0.0, 1.0, 3.0])
def test_what_is_never_written_stays_so(listening: Writer, strength: float) -> None:
    drafts = listening.begin(PROMPTS, torch.randn(2, 3)), listening.begin(PROMPTS)
    for draft in drafts:
        draft.logits = draft.logits.index_fill(2, torch.tensor([5]), -torch.inf)
    logits = Guided(*drafts, strength).logits
    assert (logits[..., 5] == -torch.inf).all()
    assert logits.isfinite().sum() == logits.numel() - 2
