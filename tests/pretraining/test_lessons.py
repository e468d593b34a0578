import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nlptasks.errors import InputError, UsageError
from nlptasks.pretraining.corpus import Corpus
from nlptasks.pretraining.lessons import Lesson, Lessons
from nlptasks.pretraining.settings import Settings

SMALL: dict[str, Any] = {"length": 16, "long_length": 32, "batch_tokens": 96, "steps": 10, "long_share": 0.3}


def lessons(corpus: Corpus, process: int = 0, processes: int = 1, **flags: Any) -> Lessons:  # noqa: ANN401
    return Lessons(corpus, Settings(**{**SMALL, **flags}), process, processes)


def parts(lesson: Lesson) -> dict[str, NDArray[np.int32]]:
    return {name: ids.numpy() for name, ids in zip(lesson.names, lesson.ids, strict=True)}


def test_short_rows_first_then_long_ones_with_as_many_tokens(corpus: Corpus) -> None:
    shapes = [passes[0].ids[0].shape[1] for passes in lessons(corpus).work(0)]
    assert shapes == [16] * 7 + [32] * 3
    assert {passes[0].tokens for passes in lessons(corpus).work(0)} == {96}
    assert {passes[0].ids[0].shape[1] for passes in lessons(corpus, long_share=1.0).work(0)} == {32}
    assert {passes[0].ids[0].shape[1] for passes in lessons(corpus, long_share=0.0).work(0)} == {16}


def test_an_update_is_known_by_its_number(corpus: Corpus) -> None:
    whole = [passes[0] for passes in lessons(corpus).work(0)]
    for start in (3, 6, 7, 9):
        again = next(iter(lessons(corpus).work(start)))[0]
        assert torch.equal(again.targets, whole[start].targets)
        assert torch.equal(again.places, whole[start].places)
        assert again.seed == whole[start].seed
    assert len({lesson.seed for lesson in whole}) == 10


def test_how_long_a_run_is(corpus: Corpus) -> None:
    assert lessons(corpus, steps=None, tokens=96 * 5.5).steps == 6
    content = 0.7 * 6 * 14 + 0.3 * 3 * 30  # of the corpus's own tokens, in rows of 16 and of 32
    assert lessons(corpus, steps=None, epochs=2.0).steps == math.ceil(2 * corpus.tokens / content)
    assert lessons(corpus, steps=7).steps == 7
    assert [lessons(corpus, steps=None, epochs=times).steps for times in (0.0, 1e-9)] == [0, 1]


def test_what_is_counted_is_what_is_read(corpus: Corpus) -> None:
    made = lessons(corpus, batch_tokens=100)  # six rows of 16 and three of 32: four tokens of each update are left
    whole = [one.tokens for update in made.work(0) for one in update]
    assert set(whole) == {96}
    assert [made.tokens(updates) for updates in (0, 3, 10)] == [0, 288, sum(whole)]
    uneven = lessons(corpus, length=16, long_length=40, batch_tokens=100)  # 96, then 80
    assert uneven.tokens(10) == sum(one.tokens for update in uneven.work(0) for one in update) == 7 * 96 + 3 * 80
    assert lessons(corpus, steps=None, tokens=960.0, batch_tokens=100).steps == 10


@pytest.mark.parametrize(("accumulation", "processes"), [(1, 1), (3, 1), (1, 2), (2, 3)])
def test_passes_and_processes_share_the_rows_of_one_update(corpus: Corpus, accumulation: int, processes: int) -> None:
    whole = lessons(corpus, long_share=0.0).update(2)[0]
    made = [lessons(corpus, n, processes, accumulation=accumulation, long_share=0.0) for n in range(processes)]
    shared = [one for part in made for one in part.update(2)]
    assert len(shared) == accumulation * processes
    for name, ids in parts(whole).items():
        assert sorted(map(tuple, np.concatenate([parts(one)[name] for one in shared if name in one.names]))) == sorted(
            map(tuple, ids)
        )
    together = torch.cat([one.weights for one in shared]).sum() / accumulation
    assert float(together) == pytest.approx(float(whole.weights.sum()), rel=1e-5)


def test_the_weights_of_an_update_add_up_to_one_on_average(corpus: Corpus) -> None:
    sums = [float(passes[0].weights.sum()) for passes in lessons(corpus, steps=300).work(0)]
    assert np.mean(sums) == pytest.approx(1, abs=0.08)


def test_each_objective_has_one_weight(corpus: Corpus) -> None:
    lesson = lessons(corpus, objectives="mlm=1,lm=1,unilm=1").update(0)[0]
    assert lesson.names == ("mlm", "lm", "unilm")
    each = [set(part.tolist()) for part in torch.split(lesson.weights, list(lesson.counts))]
    assert all(len(weights) == 1 for weights in each)
    assert each[1].pop() == pytest.approx(1 / 6 / 14)


def test_places_point_at_the_right_rows(corpus: Corpus) -> None:
    lesson = lessons(corpus, objectives="lm=1,unilm=1").update(1)[0]
    flat = torch.cat([ids.reshape(-1) for ids in lesson.ids])
    assert torch.equal(flat[lesson.places + 1], lesson.targets.int())
    moved = lesson.to(torch.device("cpu"))
    assert torch.equal(moved.targets, lesson.targets)


def hidden(corpus: Corpus, epoch: int, masks: str) -> set[int]:
    """Give the places in the corpus that are hidden in an epoch."""
    run = lessons(corpus, objectives="mlm=1", masks=masks, mask_rate=0.3, steps=99, long_share=0.0)
    packed = run.phases[0].packed
    found = set()
    for row in range(packed.per_epoch):
        places, _ = packed.places(epoch * packed.per_epoch + row, 1)
        lesson = run.lesson(dataclasses.replace(run.phases[0], rows=1), epoch * packed.per_epoch + row, 0, 1)
        found |= set(places.reshape(-1)[lesson.places.numpy() % 16 - 1])
    return found


def test_static_masks_stay_about_the_same_and_dynamic_ones_do_not(corpus: Corpus) -> None:
    alike = {}
    for masks in ("static", "dynamic"):
        one, other = hidden(corpus, 0, masks), hidden(corpus, 1, masks)
        alike[masks] = len(one & other) / len(one | other)
    assert alike["static"] > 0.6
    assert alike["dynamic"] < 0.3


def test_what_is_less_than_an_update_is_refused(corpus: Corpus) -> None:
    assert lessons(corpus, accumulation=2).too_large.startswith("a pass of 48 tokens does not fit into memory; raise")
    with pytest.raises(InputError, match=r"^corpus\.txt: \d+ tokens are less than an update of \d+ rows of 16; lower"):
        lessons(corpus, batch_tokens=10**6)
    with pytest.raises(UsageError, match="--batch-tokens 96: 3 rows of 32 for 4 passes; expected a row for each"):
        lessons(corpus, accumulation=2, processes=2)
