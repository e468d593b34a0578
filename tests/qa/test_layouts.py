"""Check how the methods lay out a sequence, and what of it may be seen and is learnt."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nlptasks.backbone.heads import TokenHead
from nlptasks.backbone.language import LanguageModel
from nlptasks.backbone.weights import Backbone
from nlptasks.qa.examples import Lesson
from nlptasks.qa.layouts import Layout
from nlptasks.task import Work

START, END, MASK = 3, 4, 5
LESSONS = [
    Lesson([20, 21], [30, 31, 32], [31, 32]),
    Lesson([22], [33, 34, 35, 36], []),
    Lesson([23], [37, 38, 39, 40], [37]),
    Lesson([24], [41, 42], [41, 42, 41, 42, 41, 42]),
]


def layout(tiny: Backbone, method: str) -> Layout:
    return Layout(method, tiny.text, 4)


def targets(work: Work) -> list[tuple[int, int]]:
    """Give the tokens that stand in the targets' places, and the targets."""
    assert work.targets is not None
    ids = torch.cat([group.ids.flatten() for group in work.groups])
    return list(zip(ids[work.targets[0]].tolist(), work.targets[1].tolist(), strict=True))


def test_prompts_are_as_the_sources_say(tiny: Backbone) -> None:
    assert layout(tiny, "seq2seq").prompt([20, 21], [30, 31]) == [START, 30, 31, END, 20, 21, END]
    masks = [MASK] * 4
    assert layout(tiny, "mlm").prompt([20, 21], [30, 31]) == [START, *masks, END, 20, 21, END, 30, 31, END]


def test_a_target_ends_unless_it_is_cut(tiny: Backbone) -> None:
    for method in ("seq2seq", "mlm"):
        made = layout(tiny, method)
        assert made.target([]) == [END]
        assert made.target([7, 8, 9]) == [7, 8, 9, END]
        assert made.target([7, 8, 9, 10, 11]) == [7, 8, 9, 10]


def test_only_answers_are_learnt_by_seq2seq_each_from_the_token_before(tiny: Backbone) -> None:
    work = layout(tiny, "seq2seq").work(LESSONS)
    found = targets(work)
    assert sorted(found) == sorted(
        [(END, 31), (31, 32), (32, END), (END, END), (END, 37), (37, END), (END, 41), (41, 42), (42, 41), (41, 42)]
    )
    assert work.tokens == sum(group.ids.numel() for group in work.groups)
    assert sorted(work.order.tolist()) == [0, 1, 2, 3]


def test_a_question_and_its_answer_are_written_behind_the_passage(tiny: Backbone) -> None:
    made = layout(tiny, "seq2seq")
    short, cut = (replace(LESSONS[number], is_asked=False) for number in (0, 3))
    assert made.laid(short) == ([START, 30, 31, 32, END], [31, 32, END, 20, 21, END])
    assert made.laid(cut) == ([START, 41, 42, END], [41, 42, 41, END, 24, END])
    assert targets(made.work([short])) == [(END, 31), (31, 32), (32, END), (END, 20), (20, 21), (21, END)]


def test_only_masks_are_learnt_by_mlm_and_none_behind_the_end(tiny: Backbone) -> None:
    work = layout(tiny, "mlm").work(LESSONS)
    assert sorted(targets(work)) == sorted((MASK, token) for lesson in LESSONS for token in [*lesson.answer, END][:4])
    assert all(group.mask is None and group.segments is None for group in work.groups)


def test_groups_are_of_one_length_and_segments_tell_the_answer(tiny: Backbone) -> None:
    for group in layout(tiny, "seq2seq").work(LESSONS).groups:
        assert group.segments is not None
        for ids, segments in zip(group.ids.tolist(), group.segments.tolist(), strict=True):
            answer = segments.index(1) if 1 in segments else len(ids)
            assert ids[:answer].count(END) == 2
            assert ids[answer - 1] == END
            assert segments == [0] * answer + [1] * (len(ids) - answer)


@pytest.mark.parametrize("method", ["seq2seq", "mlm"])
def test_what_a_token_may_see(tiny: Backbone, method: str) -> None:
    """Changing a token changes what sees it: in seq2seq no token of the answer is seen from before it."""
    made = layout(tiny, method)
    (group,) = made.work([Lesson([20, 21], [30, 31, 32], [31, 32])]).groups
    length = group.ids.shape[1]
    prompt = length - 2 if method == "seq2seq" else length

    def states(ids: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            hidden: torch.Tensor = tiny.bert(replace(group, ids=ids))
            return hidden[0]

    before = states(group.ids)
    for place in range(length):
        other = group.ids.clone()
        other[0, place] = 50
        changed = (states(other) - before).abs().amax(-1) > 1e-5
        sees = [place < prompt or at >= place for at in range(length)]
        assert changed.tolist() == sees


def test_the_loss_is_the_mean_of_the_targets_losses(tiny: Backbone) -> None:
    torch.manual_seed(0)
    reader = LanguageModel(tiny.bert, TokenHead(tiny.bert.config)).eval()
    for method in ("seq2seq", "mlm"):
        made = layout(tiny, method)
        work = made.work(LESSONS)
        assert work.targets is not None
        with torch.inference_mode():
            loss = reader.token_loss(work.groups, work.targets)
            losses = []
            for lesson in LESSONS:
                alone = made.work([lesson])
                assert alone.targets is not None
                hidden = tiny.bert(alone.groups[0])[0]
                places, tokens = alone.targets
                logits = reader.head(hidden[places]) @ tiny.bert.tokens.weight.T + reader.head.bias
                losses += (-logits.log_softmax(-1)[torch.arange(len(tokens)), tokens]).tolist()
        assert float(loss) == pytest.approx(sum(losses) / len(losses), abs=1e-4)
