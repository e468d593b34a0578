"""Prove what is drawn on models whose scores are known: filters, bounds, and that no text depends on its neighbours."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from nlptasks.writing.beam import Written
from nlptasks.writing.draft import Writer
from nlptasks.writing.sampling import DRAWS, Drawing, draw, least, picked, sample

END = 4


@dataclass
class Fixed:
    """A draft of a model that gives every token the same score each time."""

    logits: Tensor
    room: int = 100

    @classmethod
    def of(cls, chances: Sequence[float], prompts: int = 1) -> Fixed:
        return cls(torch.tensor(chances).log().expand(prompts, 1, -1))

    def write(self, tokens: Tensor) -> None:
        """Read a token, which changes nothing."""
        assert tokens.shape == self.logits.shape[:2]

    def keep(self, rows: Tensor) -> None:
        self.logits = self.logits[rows]


def seeds(count: int, first: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(first + number) for number in range(count)]


def texts(chances: Sequence[float], prompts: int = 1, **drawing: float | None) -> list[list[Written]]:
    return sample(Fixed.of(chances, prompts), END, Drawing(**drawing), seeds(prompts))  # type: ignore[arg-type]


def tokens_of(found: list[list[Written]]) -> list[int]:
    return [token for one in found for text in one for token in text.ids]


def test_a_uniform_model_draws_all_tokens_alike() -> None:
    counts = Counter(tokens_of(texts([0.25, 0.25, 0.25, 0.25, 0.0], prompts=40, count=5, limit=50)))
    assert set(counts) == {0, 1, 2, 3}
    assert all(abs(count - 2500) < 200 for count in counts.values())


def test_a_text_ends_where_the_end_is_drawn() -> None:
    found = [text for one in texts([0.3, 0.2, 0.2, 0.2, 0.1], prompts=50, count=4, limit=30) for text in one]
    assert all(END not in text.ids for text in found)
    assert {text.finished for text in found} == {True, False}
    assert all(len(text.ids) == 30 for text in found if not text.finished)
    mean = sum(len(text.ids) for text in found) / len(found)
    assert mean == pytest.approx(9 * (1 - 0.9**30), abs=1.5)


def test_a_logprob_is_that_of_the_model_without_filters() -> None:
    chances = [0.5, 0.2, 0.1, 0.1, 0.1]
    for one in texts(chances, prompts=20, limit=6, top_k=3, temperature=2.0):
        ids = [*one[0].ids, *[END] * one[0].finished]
        assert one[0].logprob == pytest.approx(sum(math.log(chances[token]) for token in ids), abs=1e-4)


@pytest.mark.parametrize(
    ("top_p", "kept"), [(0.4, {0}), (0.5, {0}), (0.51, {0, 1}), (0.75, {0, 1}), (0.76, {0, 1, 2}), (1.0, {0, 1, 2, 3})]
)
def test_top_p_keeps_the_fewest_tokens_that_reach_it(top_p: float, kept: set[int]) -> None:
    chances = [0.5, 0.25, 0.15, 0.1, 0.0]
    assert set(tokens_of(texts(chances, prompts=30, count=4, limit=20, top_p=top_p))) == kept


def test_what_is_as_likely_as_the_last_token_that_top_p_keeps_counts_too() -> None:
    chances = [0.5, 0.2, 0.2, 0.1, 0.0]
    assert set(tokens_of(texts(chances, prompts=30, count=4, limit=20, top_p=0.6))) == {0, 1, 2}


def test_top_p_leaves_the_others_their_chances() -> None:
    counts = Counter(tokens_of(texts([0.36, 0.24, 0.2, 0.2, 0.0], prompts=40, count=5, limit=50, top_p=0.59)))
    assert set(counts) == {0, 1}
    assert counts[0] / counts.total() == pytest.approx(0.6, abs=0.02)


def test_tokens_of_all_blocks_are_drawn_as_often_as_they_are_likely() -> None:
    generator = torch.Generator().manual_seed(0)
    chances = torch.rand(300, generator=generator)
    chances = chances.where(chances > 0.9, 0)
    chances /= chances.sum()
    found = picked(chances.expand(20_000, -1), torch.rand(20_000, 2, generator=generator)).flatten()
    shares = found.bincount(minlength=300) / len(found)
    assert torch.allclose(shares, chances, atol=0.01)
    assert not shares[chances == 0].any()
    edges = picked(chances.expand(4, -1), torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])).flatten()
    assert (chances[edges] > 0).all()


@pytest.mark.parametrize("top_p", [0.1, 0.5, 0.95])
def test_the_least_probability_is_that_which_putting_all_in_order_finds(top_p: float) -> None:
    chances = torch.randn(50, 300, generator=torch.Generator().manual_seed(0)).mul(2).softmax(1)
    ordered = chances.sort(1, descending=True).values
    count = (ordered.cumsum(1) < top_p).sum(1, keepdim=True)
    assert torch.equal(least(chances, top_p), ordered.gather(1, count))
    assert least(torch.tensor([[0.5, 0.25]]), 0.9).item() == 0  # rounding may leave a sum below 1: then all are kept


def test_top_k_keeps_so_many() -> None:
    assert set(tokens_of(texts([0.4, 0.3, 0.2, 0.1, 0.0], prompts=20, count=4, limit=20, top_k=2))) == {0, 1}
    assert set(tokens_of(texts([0.4, 0.3, 0.2, 0.1, 0.0], prompts=20, limit=20, top_k=100))) == {0, 1, 2, 3}


def test_top_p_counts_of_what_top_k_left() -> None:
    chances = [0.3, 0.3, 0.2, 0.2, 0.0]
    assert set(tokens_of(texts(chances, prompts=20, count=4, limit=20, top_k=3, top_p=0.8))) == {0, 1, 2}
    assert len(set(tokens_of(texts(chances, prompts=20, count=4, limit=20, top_k=3, top_p=0.7)))) == 2


def test_a_low_temperature_draws_the_likeliest() -> None:
    chances = [0.4, 0.3, 0.2, 0.1, 0.0]
    assert set(tokens_of(texts(chances, prompts=20, limit=20, temperature=0.01))) == {0}
    assert set(tokens_of(texts(chances, prompts=20, limit=20, temperature=50.0))) == {0, 1, 2, 3}


def test_no_run_is_drawn_twice() -> None:
    chances = [0.3, 0.3, 0.2, 0.2, 0.0]
    for one in texts(chances, prompts=30, limit=40, no_repeat=2):
        pairs = list(zip(one[0].ids, one[0].ids[1:], strict=False))
        assert len(pairs) == len(set(pairs))
        assert one[0].finished  # only 16 pairs can be made of 4 tokens: then nothing but the end is left


def test_a_text_is_as_long_as_asked() -> None:
    found = texts([0.1, 0.1, 0.1, 0.1, 0.6], prompts=30, limit=12, shortest=5)
    assert min(len(one[0].ids) for one in found) == 5
    assert max(len(one[0].ids) for one in found) <= 12


def test_draws_at_the_very_edge_stay_inside() -> None:
    logits = torch.tensor([0.7, 0.3, 0.0]).log().expand(2, -1)
    found, _ = draw(
        logits, torch.zeros(2, 0, dtype=torch.long), torch.tensor([0.0, 1.0]).expand(DRAWS, -1).T, Drawing(), 2
    )
    assert found.tolist() == [0, 1]


PROMPTS = [[3, *range(6, 6 + size), 4] for size in (3, 9, 5, 1, 7)]


@pytest.mark.parametrize("options", [{}, {"segment": 0, "causal": True}], ids=["unilm", "lm"])
def test_a_text_depends_on_its_own_prompt_and_generator_alone(
    make_writer: Callable[..., Writer], options: dict[str, int]
) -> None:
    writer, drawing = make_writer(**options), Drawing(count=3, limit=12, top_p=0.9, no_repeat=3)
    together = sample(writer.begin(PROMPTS), END, drawing, seeds(5))
    alone = [sample(writer.begin([prompt]), END, drawing, seeds(1, number))[0] for number, prompt in enumerate(PROMPTS)]
    assert [[text.ids for text in one] for one in together] == [[text.ids for text in one] for one in alone]
    assert len({tuple(text.ids) for one in together for text in one}) > 10
    for left, right in zip(together, alone, strict=True):
        assert [text.logprob for text in left] == pytest.approx([text.logprob for text in right], abs=1e-3)
    others = sample(writer.begin(PROMPTS), END, drawing, seeds(5, 100))
    assert [[text.ids for text in one] for one in together] != [[text.ids for text in one] for one in others]


def test_finished_texts_leave_the_batch(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    write = type(writer.begin(PROMPTS)).write

    def counted(self: object, tokens: Tensor, parents: Tensor | None = None) -> None:
        rows.append(len(tokens))
        write(self, tokens, parents)  # type: ignore[arg-type]

    monkeypatch.setattr("nlptasks.writing.draft.Draft.write", counted)
    sample(writer.begin(PROMPTS), END, Drawing(count=4, limit=40), seeds(5))
    assert rows[0] == 20
    assert rows[-1] < 20
    assert rows == sorted(rows, reverse=True)


def test_a_limit_beyond_the_positions_is_refused(writer: Writer) -> None:
    with pytest.raises(ValueError, match="100 tokens do not fit"):
        sample(writer.begin(PROMPTS), END, Drawing(limit=100), seeds(5))
