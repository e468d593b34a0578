"""Prove that passages vote as the source describes, together and one by one, and find what stands where."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import Tensor

from nlptasks.writing import beam
from nlptasks.writing.beam import Rule, Written
from nlptasks.writing.draft import Writer
from nlptasks.writing.passages import Council, Runs, Table, abstained, tally

END, START = 4, 3
Questions = list[list[list[int]]]


def questions(count: int) -> Questions:
    """Make questions of 1 to 4 passages of unequal length, in which some tokens recur."""
    drawn = random.Random(5)
    return [
        [drawn.choices(range(6, 30), k=drawn.randint(3, 14)) for _ in range(1 + number % 4)] for number in range(count)
    ]


def prompts_of(asked: Questions) -> list[list[int]]:
    return [[START, *passage, END, 30 + number, END] for number, some in enumerate(asked) for passage in some]


def council(
    writer: Writer, asked: Questions, *, extractive: bool = True, abstain: float | None = None, **rule: int
) -> list[list[Written]]:
    judge = Council(Table.of(asked, END), END, extractive=extractive, abstain=abstain)
    return beam.search(writer.begin(prompts_of(asked)), judge, len(asked), Rule(**rule))


def found_by(
    naive: ModuleType, writer: Writer, asked: Questions, width: int, limit: int, abstain: float | None = None
) -> list[list[int]]:
    """Answer each question by itself, reading everything again for every token."""
    prompts = [prompts_of_one(asked, number) for number in range(len(asked))]
    return [
        naive.council(writer, own, some, END, width, limit, abstain) for own, some in zip(prompts, asked, strict=True)
    ]


def prompts_of_one(asked: Questions, number: int) -> list[list[int]]:
    return [[START, *passage, END, 30 + number, END] for passage in asked[number]]


@pytest.fixture
def hesitant(make_writer: Callable[..., Writer]) -> Writer:
    """Make a writer for which some passages hold no answer."""
    writer = make_writer()
    writer.decoder.bias.data[END] += 1.3
    return writer


@pytest.mark.parametrize("width", [1, 4])
def test_a_council_is_that_of_the_naive_engine(writer: Writer, naive: ModuleType, width: int) -> None:
    asked = questions(12)
    found = [one[0].ids for one in council(writer, asked, width=width, limit=10)]
    assert found == found_by(naive, writer, asked, width, 10)
    assert len({len(ids) for ids in found}) > 2


@pytest.mark.parametrize("width", [1, 4])
def test_passages_without_an_answer_do_not_vote(hesitant: Writer, naive: ModuleType, width: int) -> None:
    asked = questions(24)
    found = council(hesitant, asked, width=width, limit=10)
    assert [one[0].ids for one in found] == found_by(naive, hesitant, asked, width, 10)
    voters = [len(one[0].note) for one in found]
    assert any(0 < count < len(some) for count, some in zip(voters, asked, strict=True))
    assert all(one[0].ids == [] for one, count in zip(found, voters, strict=True) if not count)
    assert 0 in voters


@pytest.mark.parametrize("width", [1, 4])
def test_the_probability_of_no_answer_alone_may_decide_who_votes(
    hesitant: Writer, naive: ModuleType, width: int
) -> None:
    asked = questions(24)
    first = hesitant.begin(prompts_of(asked)).logits[:, 0]
    none = abstained(first, Table.of(asked, END).owner, len(asked), END, None)[0].sort().values
    usual = float(none[29:31].mean())  # between two of the 60, for none may be on its edge
    found = council(hesitant, asked, abstain=usual, width=width, limit=10)
    assert [one[0].ids for one in found] == found_by(naive, hesitant, asked, width, 10, usual)
    assert {len(one[0].note) == 0 for one in found} == {one[0].ids == [] for one in found} == {True, False}
    assert all(one[0].ids for one in council(hesitant, asked, abstain=1.0, width=width, limit=10))
    assert not any(one[0].ids for one in council(hesitant, asked, abstain=0.0, width=width, limit=10))


@pytest.mark.parametrize("extractive", [True, False])
def test_one_by_one_is_the_same(hesitant: Writer, extractive: bool) -> None:
    asked = questions(12)
    together = council(hesitant, asked, extractive=extractive, width=2, limit=8)
    draft_of = [[START, *p, END, 30 + n, END] for n, some in enumerate(asked) for p in some]
    first = 0
    for number, some in enumerate(asked):
        judge = Council(Table.of([some], END), END, extractive=extractive)
        prompts = draft_of[first : first + len(some)]
        alone = beam.search(hesitant.begin(prompts), judge, 1, Rule(width=2, limit=8))[0]
        assert [text.ids for text in alone] == [text.ids for text in together[number]]
        for left, right in zip(alone, together[number], strict=True):
            assert left.logprob == pytest.approx(right.logprob, abs=1e-3)
            assert [vote.prompt + first for vote in left.note] == [vote.prompt for vote in right.note]
            assert [vote.p for vote in left.note] == pytest.approx([vote.p for vote in right.note], abs=1e-4)
            assert [vote.first for vote in left.note] == [vote.first for vote in right.note]
        first += len(some)


def test_what_is_extracted_stands_where_it_is_said_to(writer: Writer) -> None:
    asked = questions(12)
    passages = [passage for some in asked for passage in some]
    texts = [text for one in council(writer, asked, width=3, limit=6) for text in one if text.ids]
    standing = [(text.ids, vote) for text in texts for vote in text.note if vote.first is not None]
    assert standing
    for ids, vote in standing:
        assert passages[vote.prompt][vote.first : vote.first + len(ids)] == ids
        assert not any(passages[vote.prompt][at : at + len(ids)] == ids for at in range(vote.first))
    assert all(any(vote.first is not None for vote in text.note) for text in texts)


def test_without_extraction_anything_may_be_written(writer: Writer) -> None:
    asked = questions(6)
    found = [one[0] for one in council(writer, asked, extractive=False, limit=8)]
    offered = [{token for passage in some for token in passage} for some in asked]
    assert any(set(text.ids) - own for text, own in zip(found, offered, strict=True))
    assert all(vote.first is None for text in found for vote in text.note)


def test_passages_that_abstain_and_finished_questions_leave(
    writer: Writer, hesitant: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, rows = questions(24), []
    write = type(hesitant.begin([[START]])).write

    def counted(self: object, tokens: Tensor, parents: Tensor | None = None) -> None:
        rows.append(len(tokens))
        write(self, tokens, parents)  # type: ignore[arg-type]

    monkeypatch.setattr("nlptasks.writing.draft.Draft.write", counted)
    council(hesitant, asked, limit=10)
    assert rows[0] < len(prompts_of(asked))
    rows.clear()
    council(writer, asked, limit=10)
    assert rows == sorted(rows, reverse=True)
    assert rows[-1] < rows[0]


def test_a_vote_is_not_normalised() -> None:
    chances = torch.tensor([[0.5, 0.1], [0.5, 0.2]])
    assert tally(chances, 0).tolist() == pytest.approx([0.5 / 2.0, 0.05 / 1.3])


def test_a_table_lists_each_token_once() -> None:
    table = Table.of([[[7, 8, 7], [9]], [[8]]], END)
    assert table.tokens.tolist() == [[END, 7, 8, 9], [END, 8, END, END]]
    assert table.columns.tolist() == [[1, 2, 1, 0], [3, 0, 0, 0], [1, 0, 0, 0]]
    assert table.kept.tolist() == [[True, True, True, False], [True, False, False, False], [True, False, False, False]]
    assert table.owner.tolist() == [0, 0, 1]
    assert table.rows(torch.tensor([1, 2])).columns.tolist() == table.columns[1:3].tolist()


def test_runs_follow_what_was_written() -> None:
    runs = Runs(Table.of([[[7, 8, 7, 9]]], END))
    assert runs.allowed(4).tolist() == [[[False, True, True, True]]]
    runs.follow(torch.tensor([[0]]), torch.tensor([[1]]))  # 7
    assert runs.allowed(4).tolist() == [[[False, False, True, True]]]
    assert runs.first(0, 0, 1) == 0
    runs.follow(torch.tensor([[0]]), torch.tensor([[3]]))  # 9
    assert runs.allowed(4).tolist() == [[[False] * 4]]
    assert runs.first(0, 0, 2) == 2
    runs.follow(torch.tensor([[0]]), torch.tensor([[0]]))  # the end
    assert runs.first(0, 0, 2) == 2
    runs.follow(torch.tensor([[0]]), torch.tensor([[2]]))
    assert runs.first(0, 0, 3) is None
