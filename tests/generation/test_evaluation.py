"""Tests of how a model and its texts are scored."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from nlptasks.backbone.batch import Budget
from nlptasks.errors import InputError, RecordError
from nlptasks.generation import evaluation
from nlptasks.generation.answers import Answerer
from nlptasks.generation.judge import Judge
from nlptasks.generation.row import Row, Sweep
from nlptasks.generation.task import evaluations, score_predictions

Made = Callable[..., Answerer]
ROWS = [
    Row(text=f"{text}{'。' * (number % 3)}", sets=[f"label={label}"])
    for number in range(12)
    for text, label in (("今天天气很好", "好"), ("他们不在公园", "不好"))
]


def test_perplexity_is_told_for_all_and_by_label(answerer: Made) -> None:
    loaded = answerer("cln").loaded
    found = evaluation.perplexities(loaded.model, loaded.layout, loaded.labels, ROWS, Budget(4096))
    assert list(found) == ["all", "label=不好", "label=好"]
    assert all(math.log(one["perplexity"]) == pytest.approx(-one["logprob"]) for one in found.values())
    counts = {
        "好": sum(len(row.text or "") + 1 for row in ROWS[::2]),
        "不好": sum(len(row.text or "") + 1 for row in ROWS[1::2]),
    }
    total = sum(found[f"label={label}"]["logprob"] * count for label, count in counts.items())
    assert found["all"]["logprob"] == pytest.approx(total / sum(counts.values()), rel=1e-5)


def test_perplexity_does_not_depend_on_the_pass(answerer: Made) -> None:
    loaded = answerer("cln").loaded
    whole, single = (
        evaluation.perplexities(loaded.model, loaded.layout, loaded.labels, ROWS, Budget(tokens))["all"]
        for tokens in (4096, 1)
    )
    assert whole == pytest.approx(single, rel=1e-5)


def test_an_unknown_label_cannot_be_scored(answerer: Made) -> None:
    loaded = answerer("cln").loaded
    with pytest.raises(RecordError, match="unknown label 'x' of label"):
        evaluation.perplexities(
            loaded.model, loaded.layout, loaded.labels, [Row(text="好", sets=["label=x"])], Budget(9)
        )


def of(answerer: Answerer, rows: list[Row], **sweep: Any) -> dict[str, dict[str, float]]:  # noqa: ANN401
    found = list(evaluations(answerer.loaded, rows, Sweep(**sweep)))
    return {settings["of"]: scores for settings, scores in found}


def test_texts_are_written_and_judged(answerer: Made) -> None:
    found = of(answerer("cln"), ROWS, samples=6)
    assert list(found)[3:] == ["written", "written to label=不好", "written to label=好"]
    assert found["written"].keys() == {
        *("distinct_1", "distinct_2", "self_bleu", "memorised", "control_accuracy", "judge_accuracy")
    }
    assert found["written"]["judge_accuracy"] == 1.0
    both = [found[f"written to label={label}"]["control_accuracy"] for label in ("好", "不好")]
    assert found["written"]["control_accuracy"] == pytest.approx(sum(both) / 2)
    assert list(of(answerer("cln"), ROWS, samples=0)) == ["all", "label=不好", "label=好"]


def test_each_of_several_conditions_has_a_judge(answerer: Made) -> None:
    rows = [
        Row(text=row.text, sets=["地=北京" if place % 3 else "地=上海", *(row.sets or [])])
        for place, row in enumerate(ROWS)
    ]
    scores = of(answerer("two"), rows, samples=2)["written"]
    assert {name for name in scores if "accuracy" in name} == {
        f"{kind}_accuracy_{name}" for kind in ("control", "judge") for name in ("地", "label")
    }


def test_a_judge_may_learn_from_another_file(answerer: Made, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "real.tsv"
    file.write_text(
        "".join(f"{row.text}\t{(row.sets or [''])[0][6:]}\n" for row in ROWS) + "今天\t\n", encoding="utf-8"
    )
    with caplog.at_level("INFO", "nlptasks"):
        found = of(answerer("cln"), ROWS[:4], samples=2, judge=str(file))
    assert found["written"]["judge_accuracy"] == 1.0
    assert "1 records cannot be used, first" in caplog.text
    empty = tmp_path / "empty.jsonl"
    empty.write_text("{}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"empty.jsonl: no labelled text for the judge; expected text, label"):
        of(answerer("cln"), ROWS, samples=2, judge=str(empty))


def test_vectors_are_written_to_as_they_come(answerer: Made) -> None:
    rows = [Row(text="今天", vector=[0.0, 1.0]), Row(text="我们", vector=[3.0, 1.0])]
    assert of(answerer("vector"), rows, samples=1).keys() == {"all", "written"}


def test_text_to_text_is_compared_with_its_references(answerer: Made) -> None:
    rows = [Row(text="今天天气", source="今天天气很好"), Row(text="公园", source="我们去公园")]
    found = of(answerer("seq2seq"), rows)
    assert {"bleu", "chrf", "rouge_l", "distinct_1", "memorised"} <= found["written"].keys()


def test_a_row_that_cannot_be_written_to_stops_the_scoring(answerer: Made) -> None:
    with pytest.raises(RecordError, match="a prompt of 60 tokens"):
        evaluation.samples_of(answerer("plain"), [Row("今天" * 30)])


def test_predictions_of_another_system_are_scored() -> None:
    predicted = [{"samples": [{"text": "今天天气"}, {"text": "天气"}]}, {"samples": [{"text": "公园"}]}]
    plain = score_predictions(predicted, [Row(text="今天"), Row(text="公园")])
    assert plain.keys() == {"distinct_1", "distinct_2", "self_bleu"}
    pairs = score_predictions(predicted, [Row(text="今天天气", source="x"), Row(text="公园", source="y")])
    assert pairs["rouge_l"] == 1.0


def test_predictions_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match="1 predictions for 2 records"):
        score_predictions([{"samples": [{"text": "x"}]}], ROWS[:2])
    wrongs: list[Any] = [{"samples": []}, {}, None, {"samples": [{}]}]
    for wrong in wrongs:
        with pytest.raises(InputError, match="a prediction without a text"):
            score_predictions([wrong], ROWS[:1])


def test_a_judge_is_asked_for_the_labels_of_its_own_condition() -> None:
    class Echoing(Judge):
        def accuracy_of(self, texts: Sequence[str], labels: Sequence[str]) -> float:
            return float(list(labels) == ["好", "坏"])

    asked = [Row(sets=["类别=书", "情感=好"]), Row(sets=["类别=酒店", "情感=坏"])]
    found = evaluation.controlled({"情感": Echoing(None, 0.9)}, ["一", "二"], asked)  # none for 类别: too few texts
    assert found == {"control_accuracy": 1.0, "judge_accuracy": 0.9}
