"""Check what is told of matches against plain loops, and that a model learns from it and keeps it."""

from __future__ import annotations

import math
import random

import pytest
import torch
from torch import Tensor

from nlptasks.backbone.batch import Batch
from nlptasks.backbone.heads import TokenHead
from nlptasks.backbone.language import LanguageModel
from nlptasks.backbone.matching import DENSE, FEATURES, REACHES, RUNS, SHARPNESS, Matcher, common, runs, texts
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import ModelError

WIDTH, WORDS, SPECIAL, STOPS = 8, 12, (0, 1, 2, 3), (4,)


@pytest.fixture
def matcher() -> Matcher:
    torch.manual_seed(4)
    made = Matcher(WIDTH, WORDS, SPECIAL, STOPS)
    made.weigh([[5, 6], [5, 5], [7]])
    return made.requires_grad_(False)


def plain_runs(own: list[int], other: list[int], length: int) -> set[tuple[int, int]]:
    starts = [
        (a, b)
        for a in range(len(own) - length + 1)
        for b in range(len(other) - length + 1)
        if own[a : a + length] == other[b : b + length]
    ]
    return {(a + step, b + step) for a, b in starts for step in range(length)}


def plain_common(own: list[int], other: list[int], weights: list[float], sentences: list[int]) -> list[list[float]]:
    shared = {length: plain_runs(own, other, length) for length in RUNS}
    found = [[float(any(a == place for a, _ in shared[length])) for length in RUNS] for place in range(len(own))]
    shares = []
    for place in range(len(own)):
        around = [range(place - reach, place + reach + 1) for reach in REACHES]
        around.append([at for at, sentence in enumerate(sentences) if sentence == sentences[place]])  # type: ignore[arg-type]
        shares.append(
            [
                sum(w for b, w in enumerate(weights) if any((a, b) in shared[n] for a in some)) / sum(weights)
                for n in DENSE
                for some in around
            ]
        )
    peaks = [[(s / max(max(column), 1e-6)) ** SHARPNESS for s in column] for column in zip(*shares, strict=True)]
    return [row + share + list(peak) for row, share, peak in zip(found, shares, zip(*peaks, strict=True), strict=True)]


@pytest.mark.parametrize("sizes", [(1, 1), (3, 1), (2, 5), (9, 4), (70, 6), (100, 3)])
def test_what_is_in_common_is_what_plain_loops_find(sizes: tuple[int, int]) -> None:
    draw = random.Random(str(sizes))
    for _ in range(5):
        own, other = ([draw.randrange(5, 9 if size < 50 else 40) for _ in range(size)] for size in sizes)
        weights = [draw.random() for _ in other]
        sentences = sorted(draw.randrange(4) for _ in own)
        found = common(torch.tensor(own), torch.tensor(other), torch.tensor(weights), torch.tensor(sentences))
        assert found.shape == (len(own), FEATURES - 1)
        torch.testing.assert_close(found, torch.tensor(plain_common(own, other, weights, sentences)))


def test_runs_are_of_both_texts() -> None:
    own, other = torch.tensor([5, 6, 7, 5, 9]), torch.tensor([7, 5, 6])
    assert runs(own, other)[1].nonzero().tolist() == [[0, 1], [1, 2], [2, 0], [3, 1]]
    assert not runs(own, other)[2].any()


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ([0, 1, 1, 0, 1, 0], [[1, 2], [4]]),
        ([0, 0, 0, 1, 0, 1, 1, 0, 1], [[3], [5, 6]]),
        ([0, 1, 1, 0], [[1, 2]]),
        ([0, 0], []),
    ],
)
def test_texts_stand_between_special_tokens(kept: list[int], expected: list[list[int]]) -> None:
    assert [one.tolist() for one in texts(torch.tensor(kept).bool())] == expected


def test_a_stop_ends_its_sentence_and_what_is_rare_counts_more(matcher: Matcher) -> None:
    assert matcher.rarity[[5, 6, 7, 8]].tolist() == pytest.approx([1 - math.log(c) / math.log(4) for c in (3, 2, 2, 1)])
    own, other = torch.tensor([5, 4, 8, 9, 4, 9]), torch.tensor([5, 8])
    told = matcher.known(own, other)
    shares, at = matcher.rarity[other] / matcher.rarity[other].sum(), len(RUNS) + len(REACHES)
    assert told[:, at].tolist() == pytest.approx([*[float(shares[0])] * 2, *[float(shares[1])] * 3, 0.0])
    assert told[:, -1].tolist() == pytest.approx(matcher.rarity[own].tolist())


def added(matcher: Matcher, groups: list[Batch]) -> Tensor:
    """Lay out what is added to all tokens."""
    found = torch.zeros(sum(group.ids.numel() for group in groups), WIDTH)
    told = matcher(groups)
    return found if told is None else found.index_add(0, *told)


def test_rows_are_compared_one_by_one(matcher: Matcher) -> None:
    groups = [
        Batch(torch.tensor([[2, 5, 6, 3, 6, 3], [2, 6, 3, 5, 5, 3]])),
        Batch(torch.tensor([[2, 5, 3]])),
        Batch(torch.tensor([[2, 1, 1, 3, 5, 6, 3, 6, 3]])),
    ]
    found = added(matcher, groups)
    alone = [added(matcher, [Batch(ids[None])]) for group in groups for ids in group.ids]
    torch.testing.assert_close(found, torch.cat(alone))
    told = found.any(1)
    assert told[:12].tolist() == [False, True, True, False, True, False, False, True, False, True, True, False]
    assert not told[12:15].any(), "a single text has nothing in common with another"
    assert told[15:].nonzero().flatten().tolist() == [4, 5, 7]
    assert matcher(groups[1:2]) is None


def test_an_unknown_word_does_not_end_a_text(tiny: Backbone) -> None:
    matcher, special = Matcher.of(tiny.bert.config, tiny.text), tiny.text.special
    start, end, unknown = (special[name] for name in ("start", "end", "unknown"))
    found = matcher([Batch(torch.tensor([[start, 20, unknown, 21, end, 21, 22, end]]))])
    assert found is not None
    assert found[0].sort().values.tolist() == [1, 2, 3, 5, 6]


def test_what_is_written_is_not_compared(matcher: Matcher) -> None:
    ids = torch.tensor([[2, 5, 6, 3, 6, 3, 6, 5]])
    written = Batch(ids, torch.tensor([[0, 0, 0, 0, 0, 0, 1, 1]]))
    read = added(matcher, [Batch(ids[:, :6])])
    torch.testing.assert_close(added(matcher, [written]), torch.cat([read, torch.zeros(2, WIDTH)]))


def without(named: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key: part for key, part in named.items() if key != name}


def test_a_smaller_vocabulary_keeps_what_is_known_of_its_tokens(tiny: Backbone) -> None:
    rarity = torch.arange(tiny.bert.config.vocab_size) / 1000
    words = tiny.text.tokenizer.get_vocab()
    tiny.rest = {"matcher.rarity": rarity}
    tiny.simplify_vocabulary()
    kept = tiny.text.tokenizer.get_vocab()
    assert len(tiny.rest["matcher.rarity"]) == tiny.bert.config.vocab_size < len(rarity)
    assert float(tiny.rest["matcher.rarity"][kept["公"]]) == float(rarity[words["公"]])


def test_a_model_learns_from_matches_and_keeps_that(tiny: Backbone) -> None:
    torch.manual_seed(2)
    tiny.rest = LanguageModel(tiny.bert, TokenHead(tiny.bert.config)).named()
    assert LanguageModel.new(tiny).matcher is None
    model = LanguageModel.new(tiny, matches=True)
    assert model.matcher is not None
    lesson = [Batch(torch.tensor([[3, 20, 21, 4, 21, 22, 4]]))]
    model.token_loss(lesson, torch.tensor([[6], [20]])).backward()  # type: ignore[no-untyped-call]
    assert all(weight.grad is not None and weight.grad.any() for weight in model.matcher.parameters())
    model.matcher.weigh([[5], [6]])
    tiny.rest = model.named()
    with pytest.raises(ModelError, match=r"Missing key.*inner\.bias.*train the model again"):
        LanguageModel.trained(Backbone(tiny.bert, tiny.text, without(tiny.rest, "matcher.inner.bias"), "x"), "qa")
    for again in (LanguageModel.trained(tiny, "qa"), LanguageModel.new(tiny, matches=True)):
        assert again.matcher is not None
        assert torch.equal(again.matcher.outer.weight, model.matcher.outer.weight)
        assert torch.equal(again.matcher.rarity, model.matcher.rarity)
