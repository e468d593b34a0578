from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nlptasks.task import fit_labels


class Labelled:
    def fit_labels(self, rows: Sequence[Any]) -> dict[str, Any]:
        return {"labels": len(rows)}


def test_a_task_learns_its_labels_if_it_has_any() -> None:
    assert fit_labels(Labelled(), [{}, {}]) == {"labels": 2}
    assert fit_labels(object(), [{}]) is None
