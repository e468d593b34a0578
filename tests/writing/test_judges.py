"""Check what may come next: repeats, tries, and that judges follow branches."""

from __future__ import annotations

import pytest
import torch

from nlptasks.writing.judges import Anything, Listed, Tries, repeats

END = 9
LOGITS = torch.randn(2, 1, 10, generator=torch.Generator().manual_seed(0))


def test_anything_gives_log_probabilities() -> None:
    judge = Anything(2, END)
    assert torch.equal(judge.scores(LOGITS), LOGITS.log_softmax(-1))
    assert judge.owner.tolist() == [0, 1]
    columns = torch.tensor([[4], [5]])
    assert torch.equal(judge.follow(torch.zeros_like(columns), columns), columns)


@pytest.mark.parametrize(
    ("ids", "size", "banned"),
    [
        ([1, 2, 1], 2, {2}),
        ([1, 2, 1, 3, 1], 2, {2, 3}),
        ([1, 2, 3, 1, 2], 3, {3}),
        ([1, 2, 3, 1, 2], 4, set()),
        ([1, 2], 1, {1, 2}),
        ([1, 1, 1], 2, {1}),
        ([], 1, set()),
        ([1], 2, set()),
    ],
)
def test_a_run_that_stands_already_is_banned(ids: list[int], size: int, banned: set[int]) -> None:
    written = torch.tensor([[ids]], dtype=torch.long)
    found = repeats(written, size, torch.zeros(1, 1, 10))
    assert set(found[0, 0].nonzero().flatten().tolist()) == banned


def test_branches_are_followed_before_repeats_are_told() -> None:
    judge = Anything(1, END, no_repeat=1)
    judge.follow(torch.tensor([[0, 0]]), torch.tensor([[3, 4]]))
    judge.follow(torch.tensor([[1, 1]]), torch.tensor([[5, 6]]))  # both go on with 4
    scores = judge.scores(LOGITS[:1].expand(1, 2, -1))
    banned = [set(row.isneginf().nonzero().flatten().tolist()) for row in scores[0]]
    assert banned == [{4, 5}, {4, 6}]


def test_some_prompts_go_on_alone() -> None:
    judge = Anything(3, END, no_repeat=1)
    judge.follow(torch.zeros(3, 1, dtype=torch.long), torch.tensor([[3], [4], [5]]))
    assert judge.keep(torch.tensor([0, 2])).tolist() == [0, 2]
    scores = judge.scores(LOGITS)
    assert judge.owner.tolist() == [0, 1]
    assert scores[0, 0, 3].isneginf()
    assert scores[1, 0, 5].isneginf()
    assert not scores[1, 0, 4].isneginf()


def test_a_trie_shares_beginnings_and_puts_the_end_first() -> None:
    tries = Tries([[[1, 2], [1, 3], [1]], []], END)
    assert tries.roots == [0, 4]
    assert tries.tokens.tolist()[:2] == [[END, 1, END], [END, 2, 3]]
    assert tries.allowed.tolist() == [
        [False, True, False],
        [True, True, True],
        [True, False, False],
        [True, False, False],
        [True, False, False],  # no text: only the end
    ]


def test_listed_goes_down_the_tries() -> None:
    judge = Listed(Tries([[[1, 2], [1, 3], [1]], [[4]]], END))
    scores = judge.scores(LOGITS)
    known = LOGITS.log_softmax(-1)
    assert scores[0, 0].tolist() == pytest.approx([-torch.inf, float(known[0, 0, 1]), -torch.inf])
    assert scores[1, 0].tolist() == pytest.approx([-torch.inf, float(known[1, 0, 4]), -torch.inf])
    parents = torch.zeros(2, 2, dtype=torch.long)
    assert judge.follow(parents, torch.tensor([[1, 1], [1, 1]])).tolist() == [[1, 1], [4, 4]]
    assert judge.follow(parents, torch.tensor([[1, 2], [0, 0]])).tolist() == [[2, 3], [END, END]]


def test_listed_goes_on_with_some_prompts_alone() -> None:
    judge = Listed(Tries([[[1]], [[4]], [[5]]], END))
    assert judge.keep(torch.tensor([2])).tolist() == [2]
    assert judge.owner.tolist() == [0]
    assert judge.follow(torch.tensor([[0]]), torch.tensor([[1]])).tolist() == [[5]]
