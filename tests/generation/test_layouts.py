"""Tests of how texts are laid out."""

from __future__ import annotations

import pytest
import torch

from nlptasks.backbone.weights import Backbone
from nlptasks.generation.layouts import Layout, Pass


@pytest.fixture
def lm(tiny: Backbone) -> Layout:
    return Layout("cln", tiny.text, limit=8, source=6)


@pytest.fixture
def unilm(tiny: Backbone) -> Layout:
    return Layout("seq2seq", tiny.text, limit=8, source=6)


def test_a_long_text_is_cut_behind_a_sentence_or_else_anywhere(lm: Layout) -> None:
    whole, sentence, clause, piece = lm.lessons(
        ["我们去玩", "我们去公园玩。天气很好天气很好", "我们去公园，天气很好天气很好", "今天天气很好我们去公园玩"], None
    )
    assert (len(whole.text), whole.whole) == (4, True)
    assert (lm.text.decode(sentence.text), sentence.whole) == ("我们去公园玩。", True)
    assert (lm.text.decode(clause.text), clause.whole) == ("我们去公园，", True)
    assert (lm.text.decode(piece.text), piece.whole) == ("今天天气很好我们", False)
    assert lm.counts["cut"] == 3


def test_a_language_model_reads_on_from_the_start(lm: Layout) -> None:
    start, end = lm.start, lm.end
    lessons = lm.lessons(["我们", "今天天气很好我们去公园"], None)
    work = lm.work(lessons, torch.tensor([[5], [6]]), None)
    assert work.groups[0].ids.tolist() == [[start, *lessons[0].text]]
    assert work.targets[1].tolist() == [*lessons[0].text, end, *lessons[1].text]
    assert work.targets[0].tolist() == list(range(3 + 8))
    assert work.labels is not None
    assert work.labels.tolist() == [[5], [6]]
    assert work.tokens == 3 + 8


def test_labels_go_with_their_rows(lm: Layout) -> None:
    work = lm.work(lm.lessons(["今天天气很好", "我们"], None), torch.tensor([[5], [6]]), torch.tensor([[0.5], [0.6]]))
    assert work.order.tolist() == [1, 0]
    assert work.labels is not None
    assert work.vectors is not None
    assert work.labels.tolist() == [[6], [5]]
    assert work.vectors.flatten().tolist() == pytest.approx([0.6, 0.5])


def test_a_source_stands_before_the_text(unilm: Layout) -> None:
    lesson = unilm.lessons(["我们"], ["今天天气很好我们"])[0]
    assert lesson.source is not None
    assert len(lesson.source) == 6
    work = unilm.work([lesson], None, None)
    group = work.groups[0]
    assert group.ids.tolist() == [[unilm.start, *lesson.source, unilm.end, *lesson.text]]
    assert group.segments is not None
    assert group.segments.tolist() == [[0] * 8 + [1] * 2]
    assert work.targets.tolist() == [[7, 8, 9], [*lesson.text, unilm.end]]
    assert group.mask is not None
    seen = group.mask[0, 0] == 0
    assert seen[0].tolist() == [True] * 8 + [False] * 2
    assert seen[8].tolist() == [True] * 9 + [False]


def test_the_first_token_of_a_text_is_named_where_writing_names_it(unilm: Layout, lm: Layout) -> None:
    for layout, source in ((unilm, [8, 9]), (lm, None)):
        prompt = layout.prompt(source)
        assert layout.row(layout.lesson([10, 11], source))[0][: len(prompt)] == prompt
        assert layout.row(layout.lesson([10, 11], source))[1] == len(prompt) - 1


def test_a_pass_can_be_moved(lm: Layout) -> None:
    work = lm.work(lm.lessons(["我们"], None), None, None)
    moved = work.to(torch.device("cpu"))
    assert isinstance(moved, Pass)
    assert torch.equal(moved.targets, work.targets)
    assert moved.labels is None


def test_unknown_tokens_are_counted(lm: Layout) -> None:
    lm.lessons(["我们龘靐"], None)
    assert lm.counts["unknown"] == 2
    assert lm.counts["tokens"] == 4
