"""Prove that writing with a memory, in batches, gives what reading everything again gives."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import Tensor

from nlptasks.backbone.language import LanguageModel
from nlptasks.writing import beam
from nlptasks.writing.beam import Rule, Written
from nlptasks.writing.draft import Writer
from nlptasks.writing.judges import Anything, Listed, Tries

END = 4
PROMPTS = [[3, *random.Random(seed).choices(range(6, 60), k=2 + seed * 2 % 11), 4] for seed in range(12)]


def search(writer: Writer, prompts: list[list[int]], **rule: int) -> list[list[Written]]:
    judge = Anything(len(prompts), END, no_repeat=rule.pop("no_repeat", 0))
    return beam.search(writer.begin(prompts), judge, len(prompts), Rule(**rule))


@pytest.mark.parametrize("width", [1, 4])
@pytest.mark.parametrize("options", [{}, {"segment": 0, "causal": True}], ids=["unilm", "lm"])
def test_a_batch_with_a_memory_writes_what_reading_everything_again_does(
    make_writer: Callable[..., Writer], naive: ModuleType, width: int, options: dict[str, int]
) -> None:
    writer = make_writer(**options)
    found = search(writer, PROMPTS, width=width, limit=20)
    texts = [naive.beam(writer, prompt, END, width, 20) for prompt in PROMPTS]
    assert [one[0].ids for one in found] == texts
    assert len({len(text) for text in texts}) > 2
    assert any(one[0].finished for one in found)


def test_one_by_one_is_the_same(writer: Writer) -> None:
    together = search(writer, PROMPTS, width=3, limit=12)
    alone = [search(writer, [prompt], width=3, limit=12)[0] for prompt in PROMPTS]
    assert [[text.ids for text in one] for one in together] == [[text.ids for text in one] for one in alone]
    for left, right in zip(together, alone, strict=True):
        assert [text.logprob for text in left] == pytest.approx([text.logprob for text in right], abs=1e-4)


def test_a_score_is_the_sum_of_log_probabilities(writer: Writer, naive: ModuleType) -> None:
    best = search(writer, PROMPTS[:1], width=2, limit=8)[0][0]
    ids = [*best.ids, END] if best.finished else best.ids
    chosen = [naive.logits(writer, PROMPTS[0], ids[:at]).log_softmax(-1)[token] for at, token in enumerate(ids)]
    assert best.logprob == pytest.approx(float(sum(chosen)), abs=1e-4)


def test_finished_texts_leave_the_batch(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    write = type(writer.begin(PROMPTS)).write

    def counted(self: object, tokens: Tensor, parents: Tensor | None = None) -> None:
        rows.append(len(tokens))
        write(self, tokens, parents)  # type: ignore[arg-type]

    monkeypatch.setattr("nlptasks.writing.draft.Draft.write", counted)
    search(writer, PROMPTS, limit=20)
    assert rows[0] == len(PROMPTS)
    assert rows[-1] < len(PROMPTS)
    assert rows == sorted(rows, reverse=True)


def test_a_text_is_as_long_as_asked(writer: Writer) -> None:
    found = search(writer, PROMPTS, limit=9, shortest=6)
    assert all(6 <= len(one[0].ids) <= 9 for one in found)
    assert all(END not in one[0].ids for one in found)


def test_no_run_is_written_twice(writer: Writer) -> None:
    for one in search(writer, PROMPTS, width=2, limit=30, shortest=25, no_repeat=2):
        pairs = list(zip(one[0].ids, one[0].ids[1:], strict=False))
        assert len(pairs) == len(set(pairs))


def test_a_text_may_have_two_ends(writer: Writer) -> None:
    found = [one[0] for one in search(writer, PROMPTS, limit=30, ends=2)]
    assert any(text.finished for text in found)
    assert all(text.ids.count(END) == 1 for text in found if text.finished)


def test_others_come_by_falling_score(writer: Writer) -> None:
    for one in search(writer, PROMPTS, width=6, limit=20):
        scores = [text.logprob for text in one[1:]]
        assert scores == sorted(scores, reverse=True)
        assert all(text.finished for text in one[1:])


def test_only_listed_texts_are_written(writer: Writer, naive: ModuleType) -> None:
    texts = [[[7, 8], [7, 9, 10], [11]], [[20]], [], [[12, 13], [12]]]
    prompts = PROMPTS[:4]
    found = beam.search(writer.begin(prompts), Listed(Tries(texts, END)), 4, Rule(width=4, limit=8))

    def score(prompt: list[int], text: list[int]) -> float:
        ids = [*text, END]
        return sum(float(naive.logits(writer, prompt, ids[:n]).log_softmax(-1)[t]) for n, t in enumerate(ids))

    for prompt, allowed, one in zip(prompts, texts, found, strict=True):
        assert all(text.ids in (allowed or [[]]) for text in one)
        assert [text.logprob for text in one] == pytest.approx([score(prompt, text.ids) for text in one], abs=1e-4)
    assert found[1][0].ids == [20]
    assert found[2][0].ids == []


def test_a_limit_beyond_the_positions_is_refused(writer: Writer) -> None:
    with pytest.raises(ValueError, match="100 tokens do not fit behind the prompts"):
        search(writer, PROMPTS, limit=100)


@pytest.mark.parametrize("prompts", [[], [[3], []]])
def test_a_prompt_has_a_token(writer: Writer, prompts: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="at least one token"):
        writer.begin(prompts)


def test_the_memory_grows_beyond_its_first_room(
    writer: Writer, naive: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nlptasks.writing.shelf.GROWTH", 3)
    found = search(writer, PROMPTS[:3], width=2, limit=15, shortest=14)
    monkeypatch.undo()
    assert [one[0].ids for one in found] == [
        one[0].ids for one in search(writer, PROMPTS[:3], width=2, limit=15, shortest=14)
    ]


def test_bf16_writes_too(make_writer: Callable[..., Writer]) -> None:
    writer = make_writer()
    writer.bert.to(torch.bfloat16)
    writer.head.to(torch.bfloat16)
    half = Writer.of(LanguageModel(writer.bert.freeze(), writer.head), freeze=True)
    found = search(half, PROMPTS, width=2, limit=10)
    assert all(torch.isfinite(torch.tensor(text.logprob)) for one in found for text in one)
