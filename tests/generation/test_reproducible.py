"""Prove on a model of real size that a text depends on seed, record and number alone."""

from __future__ import annotations

from typing import Any

import pytest

from nlptasks.backbone import weights
from nlptasks.backbone.batch import Budget
from nlptasks.backbone.hardware import Machine
from nlptasks.generation.answers import Answerer, Example
from nlptasks.generation.model import load
from nlptasks.generation.row import Options, Row

ROWS = [Row("房间很好，"[: number % 6], id=str(number)) for number in range(24)]


def written(rows: list[Row], tokens: int, **options: Any) -> list[tuple[str, float]]:  # noqa: ANN401
    """Write with the embedded backbone in float32, in passes of so many tokens."""
    told, folder = Options(limit=40, **options), str(weights.locate(None))
    answerer = Answerer(
        load(None, told, backbone=folder, machine=Machine(device="cpu", dtype="float32", tokens=tokens))
    )
    examples = [one for one in answerer.read(rows) if isinstance(one, Example)]
    answers = [one for one in Budget(tokens).run(examples, answerer.size, answerer.answer) if isinstance(one, dict)]
    return [(sample["text"], sample["logprob"]) for answer in answers for sample in answer["samples"]]


#: Texts of a hundred in which a number may fall just between two tokens, whose scores rounding has moved.
ROUNDED = 3


@pytest.mark.slow
def test_texts_do_not_depend_on_the_batch() -> None:
    whole = written(ROWS, 1 << 20, n=4)
    assert len({text for text, _ in whole}) > 80
    halves = [one for number, one in enumerate(whole) if number % 4 < 2]
    for wanted, others in (
        (whole, written(ROWS, 1, n=4)),
        (whole, written(ROWS, 1000, n=4)),
        (whole[32:64], written(ROWS[8:16], 3000, n=4)),
        (halves, written(ROWS, 1 << 20, n=2)),
    ):
        same = [(one, other) for one, other in zip(wanted, others, strict=True) if one[0] == other[0]]
        assert len(wanted) - len(same) <= ROUNDED / 100 * len(wanted)
        assert [other[1] for _, other in same] == pytest.approx([one[1] for one, _ in same], abs=1e-3)
    assert written(ROWS[:2], 1 << 20, n=4, seed=2) != whole[:8]
