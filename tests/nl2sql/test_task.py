"""NL2SQL as a task: what it learns from, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from nlptasks.backbone import weights
from nlptasks.backbone.batch import Budget
from nlptasks.backbone.hardware import Machine
from nlptasks.errors import InputError, ModelError, UsageError
from nlptasks.nl2sql import baseline, loading, model
from nlptasks.nl2sql.baseline import place_of, ruled
from nlptasks.nl2sql.encoding import Encoder
from nlptasks.nl2sql.inputs import put_together
from nlptasks.nl2sql.library import Library
from nlptasks.nl2sql.query import ALL_OPERATORS, Condition
from nlptasks.nl2sql.reading import scored, unseen
from nlptasks.nl2sql.row import Options, Row, Settings
from nlptasks.nl2sql.tables import Table, of_rows
from nlptasks.nl2sql.task import Task, predicted, score_predictions
from nlptasks.task import Work
from nlptasks.training import checkpoint

SQL = json.dumps({"sel": [2], "agg": [0], "cond_conn_op": 0, "conds": [[0, 2, "翠湖花园"]]})
ROW = {"question": "翠湖花园的面积是多少", "table_id": "train-0", "inline": None, "sql": SQL}


def task(method: str = "slots", **settings: Any) -> Task:  # noqa: ANN401
    return Task(method, Settings(**settings), weights.load().text)


@pytest.mark.parametrize("method", ["slots", "baseline"])
def test_a_batch_without_targets_teaches_nothing(method: str) -> None:
    made = task(method)
    reader = made.model(weights.load())
    work = made.batch([ROW])
    assert work.tokens > 0
    groups, inputs = put_together([made.lesson(ROW)[0]])
    with pytest.raises(ValueError, match="training needs targets"):
        made.loss(reader, Work(groups, torch.zeros(0), inputs, work.tokens))  # type: ignore[arg-type]


def test_rows_that_do_not_fit_are_refused_before_training() -> None:
    made = task()
    bad = {**ROW, "sql": json.dumps({"sel": [77], "agg": [0], "cond_conn_op": 0, "conds": []})}
    with pytest.raises(
        InputError, match="question '翠湖花园的面积是多少': field 'sql': column 77 of a table with 6 columns"
    ):
        made.check(None, [ROW, bad])
    with pytest.raises(InputError, match="no table 'nowhere'"):
        made.score(made.model(weights.load()), [Row("问", "nowhere", sql=SQL)], Budget(4096))


def test_dev_records_are_asked_of_tables_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "dev.jsonl"
    path.write_text(json.dumps({"id": "train-0", "header": ["甲"], "rows": [["x"]]}) + "\n", encoding="utf-8")
    made = task(dev_tables=[str(path)])
    made.check(None, [ROW])  # column 2 of the sample's table, which stays that of training
    asked: list[Library] = []
    monkeypatch.setattr("nlptasks.nl2sql.task.scores_of", lambda loaded, rows: asked.append(loaded.library))
    reader = made.model(weights.load())
    for one in (made, task()):
        one.score(reader, [], Budget(4096))
    assert [library.table("train-0", None).columns[0].header for library in asked] == ["甲", "小区"]
    assert asked[0].table("train-1", None).id == "train-1"


def test_more_than_the_backbone_reads_is_refused() -> None:
    with pytest.raises(UsageError, match="--limit 600: the backbone reads 512 tokens"):
        task(limit=600).model(weights.load())


def test_rows_are_drawn_by_the_seed() -> None:
    found = [
        task(max_rows=2, seed=seed).chosen([ROW, {**ROW, "sql": "{}"}, {**ROW, "question": "x"}]) for seed in (1, 1)
    ]
    assert found[0] == found[1]
    assert len(found[0]) == 2


def test_heads_of_another_method_are_refused(nl2sql_model: Path) -> None:
    with pytest.raises(ModelError, match="its heads are not those of baseline"):
        loading.assembled(weights.load(nl2sql_model), "baseline")


def test_without_a_model_one_line_says_how_to_get_one() -> None:
    with pytest.raises(ModelError, match="no model for nl2sql yet; make one: nlpk train nl2sql"):
        loading.load(None, Options())


def test_blocks_give_the_same_scores_as_neighbours_do_not_matter(companies: Table, nl2sql_model: Path) -> None:
    found = checkpoint.open_folder(nl2sql_model)
    loaded = loading.load(found, Options(), machine=Machine(dtype="float32"))
    wide = of_rows("w", [f"列{number}" for number in range(40)], [list(range(40))])
    examples = [loaded.encoder.read("恒大集团的收入", companies), loaded.encoder.read("列3是12的", wide)]
    assert len(examples[1].blocks) > 1
    assert isinstance(loaded.model, model.Slots)
    together = scored(loaded.model, examples)
    for example, both in zip(examples, together, strict=True):
        alone = scored(loaded.model, [example])[0]
        assert both.select == pytest.approx(alone.select, abs=1e-4)
        width = alone.pair.shape[1]
        assert both.pair[:, :width] == pytest.approx(alone.pair, abs=1e-3)


def test_what_is_a_candidate_already_is_not_read_again(companies: Table, encoder: Encoder) -> None:
    example = encoder.read("恒大集团的收入", companies)
    assert unseen(example, [(0, 4), (0, 3), (5, 7)]) == [(5, 7)]


# The baseline's rules


@pytest.mark.parametrize(
    ("column", "operator", "text", "condition"),
    [
        (2, ">", "300", Condition(2, ">", "300")),
        (2, ">", "三百", Condition(2, "==", "1.2")),
        (0, "==", "蓝鲸软件有限公司", Condition(0, "==", "蓝鲸软件有限公司")),
        (1, "==", "蓝鲸软件有限公司", Condition(0, "==", "蓝鲸软件有限公司")),
        (0, "==", "蓝鲸软件公司", Condition(0, "==", "蓝鲸软件有限公司")),
    ],
)
def test_the_articles_rules(companies: Table, column: int, operator: str, text: str, condition: Condition) -> None:
    made = ruled(companies, column, operator, text)[0]
    if text != "三百":
        assert made == condition
    assert made.operator == condition.operator


def test_a_value_that_is_not_in_the_question_is_the_nearest_stretch() -> None:
    assert place_of("请问大黄锋的票房", "大黄蜂") == (2, 5)
    assert place_of("请问票房", "票房") == (2, 4)
    assert place_of("没有", "大黄蜂123") is None


def test_the_baseline_leaves_out_what_it_cannot_say(companies: Table, encoder: Encoder) -> None:
    example = encoder.read("收入不低于300的", companies)
    from nlptasks.nl2sql.query import Query

    lesson = baseline.lesson_of(example, Query((("", 0),), (Condition(2, ">=", "300"),)))
    assert set(lesson[2].tolist()) == {baseline.NO_OPERATOR}
    assert set(baseline.lesson_of(example, None)[0].tolist()) == {-100}


# Predictions of other systems


def test_predictions_need_a_query() -> None:
    assert predicted({"sql": ""}, ["a"]) is None
    assert predicted({"sql": "no sql"}, ["a"]) is None
    assert predicted({"query": {"sel": [0], "agg": [0], "cond_conn_op": 0, "conds": []}}, ["a"]) is not None
    with pytest.raises(InputError, match="a prediction without a query"):
        predicted({"answer": 1}, ["a"])
    with pytest.raises(InputError, match="1 predictions for 2 records"):
        score_predictions([{"sql": ""}], [Row("a"), Row("b")])


def test_words_that_tell_an_operator_are_trusted_before_anything_is_learnt(
    companies: Table, nl2sql_model: Path
) -> None:
    loaded = loading.load(checkpoint.open_folder(nl2sql_model), Options(), machine=Machine(dtype="float32"))
    assert isinstance(loaded.model, model.Slots)
    for words, operator in (("超过", ">"), ("不超过", "<="), ("至少", ">=")):
        example = loaded.encoder.read(f"收入{words}300亿的", companies)
        (place,) = [at for at, one in enumerate(example.candidates) if one.number]
        scores = scored(loaded.model, [example])[0].pair[place, 1:].reshape(-1, len(ALL_OPERATORS))
        assert ALL_OPERATORS[int(scores[2].argmax())] == operator
