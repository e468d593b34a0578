"""Check QA as a task: what it learns by heart it answers, what it is scored by, and what it refuses."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nlptasks.backbone import weights
from nlptasks.backbone.batch import Batch, Budget
from nlptasks.backbone.hardware import Machine
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import InputError, UsageError
from nlptasks.inference.predictor import answers
from nlptasks.qa import task as module
from nlptasks.qa.answers import Answerer
from nlptasks.qa.masks import Masks
from nlptasks.qa.row import Options, Row, Settings, Sweep, training_rows
from nlptasks.qa.task import Task, evaluations, score_predictions
from nlptasks.training import checkpoint
from nlptasks.training.trainer import Run, fit
from nlptasks.writing.draft import Writer

LIMITS: dict[str, Any] = {"passage_limit": 20, "overlap": 6, "question_limit": 10, "answer_limit": 8}
RECORDS: list[dict[str, Any]] = [
    {"question": "我们去哪玩", "passage": "今天天气很好，我们去公园玩吧。", "answers": ["公园"]},
    {"question": "天气好吗", "passage": "今天天气很好，我们去公园玩吧。", "answers": ["很好"]},
    {"question": "上海有吗", "passage": "北京的公园很大，上海也有。", "answers": ["也有"]},
    {"question": "公园大吗", "passage": "北京的公园很大，上海也有。", "answers": ["很大"]},
    {"question": "他来了吗", "passage": "北京的公园很大，上海也有。", "answers": []},
    {"question": "谁来了", "passage": "他们到上海来了。", "answers": ["他们"]},
    {"question": "到哪来了", "passage": "他们到上海来了。", "answers": ["上海"]},
    {"question": "天气好吗", "passage": "他们到上海来了。", "answers": []},
]


def rows() -> list[Row]:
    return [Row(**record) for record in RECORDS]


def lessons(method: str) -> list[dict[str, Any]]:
    return [lesson for record in RECORDS for lesson in training_rows(method, record)]


@pytest.mark.parametrize("method", ["seq2seq", "mlm"])
def test_what_is_learnt_by_heart_is_answered(tiny: Backbone, method: str) -> None:
    torch.manual_seed(0)
    rate = {"learning_rate": 5e-3, "schedule": "constant", "warmup": 0.0}
    made: dict[str, Any] = {**rate, "batch_size": 8, "steps": 400}
    settings = Settings(**made, **LIMITS)
    task = Task(method, settings, tiny.text)
    model = task.model(tiny)
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
        if hasattr(part, "attention_dropout"):
            part.attention_dropout = 0.0  # type: ignore[assignment]
    run = Run(task, model, lessons(method), settings, torch.device("cpu"))
    for progress in fit(run, None, dtype=torch.float32, every=10):
        if progress.loss < 0.01:
            break
    model.eval()
    scores = task.score(model, rows(), Budget(4096))
    assert scores["exact_match"] == scores["f1"] == scores["no_answer_f1"] == 1.0


def test_limits_beyond_the_positions_are_refused_before_training(tiny: Backbone) -> None:
    task = Task("mlm", Settings(**{**LIMITS, "passage_limit": 50}), tiny.text)
    with pytest.raises(UsageError, match="the model has 64; lower --passage-limit"):
        task.model(tiny)


def test_rows_are_drawn_by_the_seed(tiny: Backbone) -> None:
    found = lessons("mlm")
    drawn = [Task("mlm", Settings(max_rows=3, seed=seed, **LIMITS), tiny.text).chosen(found) for seed in (1, 1, 2)]
    assert len(drawn[0]) == 3
    assert drawn[0] == drawn[1] != drawn[2]
    assert Task("mlm", Settings(max_rows=100, **LIMITS), tiny.text).chosen(found) is found


def test_the_heads_weights_are_named_as_hugging_face_does(tiny: Backbone) -> None:
    settings = [Settings(**LIMITS, copy=both, match=both) for both in (True, False)]
    more, named = (set(task.rest(task.model(tiny))) for task in (Task("mlm", one, tiny.text) for one in settings))
    assert {name.split(".")[0] for name in more - named} == {"copier", "matcher", "aligner"}
    assert named == {
        "cls.predictions.bias",
        "cls.predictions.transform.dense.weight",
        "cls.predictions.transform.dense.bias",
        "cls.predictions.transform.LayerNorm.weight",
        "cls.predictions.transform.LayerNorm.bias",
    }


def test_predictions_of_any_system_are_scored() -> None:
    good = [{"answer": (record["answers"] or [""])[0]} for record in RECORDS]
    assert score_predictions(good, rows())["exact_match"] == 1.0
    wrong = [{"answer": "错", "score": 0.1}, *({**one, "score": 0.5} for one in good[1:])]
    assert score_predictions(wrong, rows())["score_auroc"] == 1.0
    for unsure in ({"score": None}, {"score": "high"}, {}):
        assert "score_auroc" not in score_predictions([{"answer": "错", **unsure}, *wrong[1:]], rows())
    with pytest.raises(InputError, match="7 predictions for 8 records; expected one for each"):
        score_predictions(good[1:], rows())
    with pytest.raises(InputError, match="a prediction without an answer"):
        score_predictions([*good[1:], {"text": "公园"}], rows())
    with pytest.raises(InputError, match="a prediction without an answer"):
        score_predictions([*good[1:], None], rows())


def test_an_error_while_answering_is_not_swallowed(
    answerer: Callable[..., Answerer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(self: Answerer, examples: object) -> None:
        raise RuntimeError("out of paper")

    monkeypatch.setattr(module.Answerer, "answer", failing)
    with pytest.raises(RuntimeError, match="out of paper"):
        list(evaluations(answerer("mlm").loaded, rows(), Sweep()))


def test_a_question_that_does_not_fit_into_memory_ends_the_scoring(
    answerer: Callable[..., Answerer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hungry(self: Answerer, examples: object) -> None:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(module.Answerer, "answer", hungry)
    with pytest.raises(InputError, match="tokens do not fit into memory; shorten the text"):
        list(evaluations(answerer("mlm").loaded, rows(), Sweep()))


@pytest.mark.parametrize("method", ["seq2seq", "mlm"])
def test_few_questions_are_encoded_at_a_time(
    answerer: Callable[..., Answerer], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    ((_, together),) = evaluations(answerer(method).loaded, rows(), Sweep())
    found = answerer(method)
    monkeypatch.setattr(Answerer, "window", 3)
    ((_, apart),) = evaluations(found.loaded, rows(), Sweep())
    assert apart == together


def test_scores_come_with_the_options_that_made_them(answerer: Callable[..., Answerer]) -> None:
    ((settings, scores),) = evaluations(answerer("seq2seq", beam=2).loaded, rows(), Sweep())
    assert settings == {"mode": "extractive", "beam": 2, "abstain": None}
    assert set(scores) == {"exact_match", "f1", "sogou_accuracy", "sogou_f1", "sogou_final", "no_answer_f1"}


def test_answers_are_shown_in_their_passages(qa_models: dict[str, Path]) -> None:
    loaded = module.load(checkpoint.open_folder(qa_models["seq2seq"]), Options(), machine=Machine(device="cpu"))
    rows = module.examples(loaded)
    told = list(module.shown(rows, answers(rows, Answerer(loaded), loaded.budget)))
    assert [one.title for one in told] == [row.question for row in rows]
    found = {"answer": "北京", "score": 0.5, "passage": 1, "start": 2, "end": 4}
    shown = next(iter(module.shown([Row("在哪", passages=["你好", "我在北京"])], [found])))
    assert list(shown.texts) == [("你好", []), ("我在北京", [(2, 4)])]
    assert shown.lines == [("北京", "0.500")]


def test_a_backbone_as_it_is_can_be_asked() -> None:
    loaded = module.load(None, Options(), backbone=str(weights.DEFAULT), machine=Machine(device="cpu"))
    worker = module.worker(loaded)
    assert isinstance(worker, module.Answerer)
    (found,) = worker.answer(worker.read([Row("诺贝尔奖是哪年设立的", "诺贝尔奖于1895年设立。")]))
    assert found["candidates"]


def test_what_is_rare_is_learnt_from_the_passages(tiny: Backbone) -> None:
    task = Task("seq2seq", Settings(**LIMITS), tiny.text)
    found = lessons("seq2seq")
    task.fit_labels(found)
    matcher = task.model(tiny).matcher
    assert matcher is not None
    passages = {row["passage"] for row in found}
    common, absent = (tiny.text.tokenizer.token_to_id(word) for word in ("。", "z"))
    holding = sum("。" in passage for passage in passages)
    assert float(matcher.rarity[common]) == pytest.approx(1 - math.log(holding + 1) / math.log(len(passages) + 1))
    assert float(matcher.rarity[absent]) == 1


@pytest.mark.parametrize("method", ["seq2seq", "mlm"])
def test_what_is_learnt_is_how_answers_are_written(tiny: Backbone, method: str) -> None:
    """The loss of an answer is that of its tokens as they are named when it is written: copied, matched and all."""
    torch.manual_seed(5)
    task = Task(method, Settings(**LIMITS), tiny.text)
    lesson = task.encoder.lessons(lessons(method))[0]
    assert lesson.answer
    model = task.model(tiny).eval()
    assert model.copier is not None
    torch.nn.init.normal_(model.copier.gate.weight)
    with torch.inference_mode():
        loss = float(task.loss(model, task.layout.work([lesson])))
        writer, (prompt, target) = Writer.of(model), task.layout.laid(lesson)
        if method == "seq2seq":
            draft = writer.begin([prompt])
            named = []
            for token in target:
                named.append(float(draft.logits[0, 0].log_softmax(0)[token]))
                draft.write(torch.tensor([[token]]))
        else:
            hidden, source = writer.read([Batch(torch.tensor([prompt]))], [0], slice(1, 1 + len(target)))
            masks, named = Masks(writer, hidden, source), []
            for place, token in enumerate(target):
                named.append(math.log(float(masks.chances(place)[0, token])))
                masks.pick(torch.tensor([token]))
    assert loss == pytest.approx(-sum(named) / len(named), rel=1e-4)
