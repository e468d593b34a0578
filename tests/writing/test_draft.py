"""Check the writer's readings against the naive engine's, step by step and branch by branch."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
import torch

from nlptasks.backbone.bert import Bert
from nlptasks.backbone.language import LanguageModel
from nlptasks.writing.draft import Draft, Writer

PROMPTS = [[3, 7, 8, 4], [3, 9, 4], [3, 10, 11, 12, 4, 13, 11, 12, 4], [3, 20, 4]]
CLOSE = 1e-4


@pytest.mark.parametrize(
    "options",
    [{}, {"segment": 0, "causal": True}, {"segment": 0}, {"copies": True}, {"matches": True}],
    ids=["unilm", "lm", "plain", "copying", "matching"],
)
def test_a_step_is_what_reading_everything_again_gives(
    make_writer: Callable[..., Writer], naive: ModuleType, options: dict[str, int]
) -> None:
    writer = make_writer(**options)
    draft = writer.begin(PROMPTS)
    written: list[list[int]] = [[] for _ in PROMPTS]
    for step in range(4):
        for row, prompt in enumerate(PROMPTS):
            assert torch.allclose(draft.logits[row, 0], naive.logits(writer, prompt, written[row]), atol=CLOSE)
        tokens = torch.tensor([[20 + step + row] for row in range(len(PROMPTS))])
        draft.write(tokens)
        written = [[*ids, token] for ids, token in zip(written, tokens.flatten().tolist(), strict=True)]


@pytest.mark.parametrize(
    "options",
    [{}, {"segment": 0, "causal": True}, {"segment": 0}, {"matches": True}],
    ids=["unilm", "lm", "plain", "matching"],
)
def test_a_text_that_is_begun_goes_on_as_if_it_had_been_written(
    make_writer: Callable[..., Writer], naive: ModuleType, options: dict[str, int]
) -> None:
    writer = make_writer(**options)
    written = [[30, 31], [], [32], [33, 34, 35]]
    begun = [[*prompt, *ids] for prompt, ids in zip(PROMPTS, written, strict=True)]
    draft = writer.begin(begun, begun=[len(ids) for ids in written])
    for row, prompt in enumerate(PROMPTS):
        assert torch.allclose(draft.logits[row, 0], naive.logits(writer, prompt, written[row]), atol=CLOSE)
    draft.write(torch.tensor([[20], [21], [22], [23]]))
    for row, prompt in enumerate(PROMPTS):
        assert torch.allclose(draft.logits[row, 0], naive.logits(writer, prompt, [*written[row], 20 + row]), atol=CLOSE)


@pytest.mark.parametrize("options", [{}, {"copies": True}], ids=["plain", "copying"])
@pytest.mark.parametrize("cut", [1, 3])
def test_drafts_are_joined_as_if_read_together(
    make_writer: Callable[..., Writer], options: dict[str, bool], cut: int
) -> None:
    writer = make_writer(**options)
    together = writer.begin(PROMPTS)
    parts = [writer.begin(PROMPTS[:cut]), writer.begin(PROMPTS[cut:])]
    joined = Draft.joined(parts)
    for step in range(3):
        assert torch.allclose(joined.logits, together.logits, atol=CLOSE)
        tokens = torch.tensor([[20 + step + row] for row in range(len(PROMPTS))])
        joined.write(tokens)
        together.write(tokens)
    rows = torch.tensor([3, 0])
    for draft in (joined, together):
        draft.keep(rows)
        draft.write(torch.tensor([[25], [26]]))
    assert torch.allclose(joined.logits, together.logits, atol=CLOSE)


def test_a_copy_goes_on_with_what_follows(make_writer: Callable[..., Writer], naive: ModuleType) -> None:
    writer = make_writer(copies=True)
    prompts = [[3, 7, 8, 7, 9, 7, 8, 10, 4], [3, 9, 4], [3, 8, 8, 8, 8, 8, 8, 4]]
    draft = writer.begin(prompts)
    draft.write(torch.tensor([[7, 8], [9, 7], [8, 8]]), torch.zeros(3, 2, dtype=torch.long))
    draft.write(torch.tensor([[8, 7, 9], [7, 9, 9], [8, 8, 8]]), torch.tensor([[0, 1, 0], [0, 0, 1], [1, 0, 0]]))
    for row, texts in enumerate([[[7, 8], [8, 7], [7, 9]], [[9, 7], [9, 9], [7, 9]], [[8, 8]] * 3]):
        for branch, ids in enumerate(texts):
            assert torch.allclose(draft.logits[row, branch], naive.logits(writer, prompts[row], ids), atol=CLOSE)
    draft.keep(torch.tensor([2, 0]))
    draft.write(torch.tensor([[8], [10]]), torch.tensor([[1], [0]]))
    for row, (number, ids) in enumerate([(2, [8, 8, 8]), (0, [7, 8, 10])]):
        assert torch.allclose(draft.logits[row, 0], naive.logits(writer, prompts[number], ids), atol=CLOSE)
    begun = writer.begin([[*prompts[0], 7, 8], prompts[1]], begun=[2, 0])
    for row, (number, ids) in enumerate([(0, [7, 8]), (1, [])]):
        assert torch.allclose(begun.logits[row, 0], naive.logits(writer, prompts[number], ids), atol=CLOSE)


@pytest.mark.parametrize("copies", [False, True])
def test_branches_go_on_from_their_parents(make_writer: Callable[..., Writer], naive: ModuleType, copies: bool) -> None:
    writer = make_writer(copies=copies)
    draft = writer.begin(PROMPTS)
    draft.write(torch.tensor([[20, 21, 22]] * 4), torch.zeros(4, 3, dtype=torch.long))
    draft.write(torch.tensor([[30, 31]] * 4), torch.tensor([[2, 0]] * 4))
    draft.write(torch.tensor([[40, 41, 42]] * 4), torch.tensor([[0, 0, 1]] * 4))
    for row, prompt in enumerate(PROMPTS):
        for branch, ids in enumerate([[22, 30, 40], [22, 30, 41], [20, 31, 42]]):
            assert torch.allclose(draft.logits[row, branch], naive.logits(writer, prompt, ids), atol=CLOSE)


@pytest.mark.parametrize("copies", [False, True])
def test_prompts_are_kept_repeated_and_reordered(
    make_writer: Callable[..., Writer], naive: ModuleType, copies: bool
) -> None:
    writer = make_writer(copies=copies)
    draft = writer.begin(PROMPTS)
    draft.write(torch.tensor([[20], [21], [22], [23]]))
    draft.keep(torch.tensor([3, 1, 1]))
    draft.write(torch.tensor([[30], [31], [32]]))
    for row, (number, ids) in enumerate([(3, [23, 30]), (1, [21, 31]), (1, [21, 32])]):
        assert torch.allclose(draft.logits[row, 0], naive.logits(writer, PROMPTS[number], ids), atol=CLOSE)


def test_room_is_what_the_positions_leave(writer: Writer) -> None:
    draft = writer.begin(PROMPTS)
    assert draft.room == 64 - max(map(len, PROMPTS))
    draft.write(torch.full((4, 1), 20))
    assert draft.room == 64 - max(map(len, PROMPTS)) - 1


def test_prompts_of_one_length_need_no_mask(writer: Writer) -> None:
    draft = writer.begin([PROMPTS[1], PROMPTS[3]])
    draft.write(torch.tensor([[20], [21]]))
    assert draft.mask() is None
    assert writer.begin(PROMPTS).mask() is not None


def test_a_condition_goes_with_its_prompt(make_writer: Callable[..., Writer]) -> None:
    plain = make_writer()
    torch.manual_seed(1)
    bert = Bert(plain.bert.config, condition=3).eval()
    bert.load_state_dict(plain.bert.state_dict(), strict=False)
    for module in bert.modules():
        if isinstance(module, torch.nn.Linear) and module.in_features == 3:
            torch.nn.init.normal_(module.weight)
    writer, conditions = Writer.of(LanguageModel(bert, plain.head)), torch.randn(4, 3)
    together = writer.begin(PROMPTS, conditions)
    parts = [writer.begin(PROMPTS[:1], conditions[:1]), writer.begin(PROMPTS[1:], conditions[1:])]
    joined = Draft.joined(parts)
    assert torch.equal(torch.cat([part.logits for part in parts]), joined.logits)
    together.keep(torch.tensor([2, 0]))
    together.write(torch.tensor([[20], [21]]))
    joined.keep(torch.tensor([2, 0]))
    joined.write(torch.tensor([[20], [21]]))
    assert torch.allclose(together.logits, joined.logits, atol=CLOSE)
    for row, (number, token) in enumerate([(2, 20), (0, 21)]):
        alone = writer.begin([PROMPTS[number]], conditions[[number]])
        alone.write(torch.tensor([[token]]))
        assert torch.allclose(together.logits[row], alone.logits[0], atol=CLOSE)
        other = writer.begin([PROMPTS[number]], conditions[[1]])
        other.write(torch.tensor([[token]]))
        assert not torch.allclose(together.logits[row], other.logits[0], atol=0.01)
