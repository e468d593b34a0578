import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nlptasks.backbone import weights
from nlptasks.backbone.batch import Batch, Budget
from nlptasks.backbone.hardware import Machine
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import InputError, ModelError, UsageError
from nlptasks.inference.predictor import answers
from nlptasks.similarity import task as similarity
from nlptasks.similarity import whitening
from nlptasks.similarity.encoder import SentenceEncoder
from nlptasks.similarity.row import METHODS, Options, Row, Settings, Sweep
from nlptasks.similarity.task import Task, load
from nlptasks.training import checkpoint
from nlptasks.training.checkpoint import Checkpoint
from nlptasks.training.metrics import pearson, spearman
from nlptasks.training.settings import as_plain, resolve

LABELLED = [Row(f"今天{n}天气", f"{n * 5 % 7}天气很好", float(n % 4)) for n in range(30)]
BUDGET = Budget(2048)


def task_of(tiny: Backbone, method: str, **flags: Any) -> Task:  # noqa: ANN401
    return Task(method, resolve(Settings, METHODS[method].defaults, flags={"limit": 16, **flags}), tiny.text)


def vector(model: SentenceEncoder, tiny: Backbone, text: str) -> torch.Tensor:
    """Embed one sentence by the shortest way."""
    vectors: torch.Tensor = model([Batch(torch.tensor(tiny.text.encode([text], 16)))])
    return vectors[0]


def loss_of(tiny: Backbone, method: str, rows: Sequence[dict[str, Any]], **flags: Any) -> tuple[float, SentenceEncoder]:  # noqa: ANN401
    task = task_of(tiny, method, **flags)
    model = task.model(tiny).eval()
    with torch.no_grad():
        return float(task.loss(model, task.batch(rows))), model


@torch.no_grad()
def cosine_table(model: SentenceEncoder, tiny: Backbone, left: Sequence[str], right: Sequence[str]) -> torch.Tensor:
    sides = [F.normalize(torch.stack([vector(model, tiny, text) for text in side]), dim=-1) for side in (left, right)]
    return sides[0] @ sides[1].T


ANCHORS, POSITIVES, NEGATIVES = ("今天", "我们去玩", "the play"), ("今天好", "去公园", "playing"), ("上海", "你", "abc")


def test_simcse_compares_each_sentence_with_itself_and_all_others(tiny: Backbone) -> None:
    found, model = loss_of(tiny, "simcse", [{"text": text} for text in ANCHORS], temperature=0.1)
    twice = [text for text in ANCHORS for _ in range(2)]
    scores = cosine_table(model, tiny, twice, twice) / 0.1
    scores.fill_diagonal_(-torch.inf)
    assert found == pytest.approx(F.cross_entropy(scores, torch.tensor([1, 0, 3, 2, 5, 4])).item(), rel=1e-4)


def test_the_two_readings_of_a_sentence_differ_while_training(tiny: Backbone) -> None:
    task = task_of(tiny, "simcse")
    model = task.model(tiny).train()
    pooled = model(task.batch([{"text": "今天天气很好"}]).groups)
    assert not torch.allclose(pooled[0], pooled[1])


def test_cosent_orders_cosines_by_the_scores(tiny: Backbone) -> None:
    rows = [{"a": a, "b": b, "score": s} for a, b, s in zip(ANCHORS, POSITIVES, (2.0, 0.0, 1.0), strict=True)]
    found, model = loss_of(tiny, "cosent", rows, scale=10.0)
    cosines = cosine_table(model, tiny, ANCHORS, POSITIVES).diagonal()
    wrong = [cosines[k] - cosines[i] for i, k in ((0, 1), (0, 2), (2, 1))]
    assert found == pytest.approx(torch.log(1 + torch.exp(10 * torch.stack(wrong)).sum()).item(), rel=1e-4)


@pytest.mark.parametrize("negatives", [(None, None, None), NEGATIVES, (None, "上海", None)])
def test_supervised_simcse_takes_negatives_where_there_are_some(
    tiny: Backbone, negatives: Sequence[str | None]
) -> None:
    triples = zip(ANCHORS, POSITIVES, negatives, strict=True)
    rows = [{"text": text, "positive": positive, "negative": negative} for text, positive, negative in triples]
    found, model = loss_of(tiny, "supervised-simcse", rows, temperature=0.1)
    candidates = [*POSITIVES, *[negative for negative in negatives if negative]]
    scores = cosine_table(model, tiny, ANCHORS, candidates) / 0.1
    assert found == pytest.approx(F.cross_entropy(scores, torch.arange(3)).item(), rel=1e-4)


def test_flatnce_leaves_the_positive_out_of_the_sum(tiny: Backbone) -> None:
    rows = [
        {"text": text, "positive": positive, "negative": None}
        for text, positive in zip(ANCHORS, POSITIVES, strict=True)
    ]
    found, model = loss_of(tiny, "supervised-simcse", rows, loss="flatnce", temperature=0.1)
    scores = cosine_table(model, tiny, ANCHORS, POSITIVES) / 0.1
    others = scores.masked_fill(torch.eye(3, dtype=torch.bool), -torch.inf).logsumexp(1)
    assert found == pytest.approx((others - scores.diagonal()).mean().item(), rel=1e-4)


@pytest.mark.parametrize("method", ["simcse", "cosent", "supervised-simcse"])
def test_the_order_of_rows_of_other_lengths_does_not_matter(tiny: Backbone, method: str) -> None:
    rows = [
        {"text": a, "a": a, "b": b, "positive": b, "negative": n, "score": float(number)}
        for number, (a, b, n) in enumerate(zip(ANCHORS, POSITIVES, NEGATIVES, strict=True))
    ]
    found = {round(loss_of(tiny, method, order)[0], 4) for order in itertools.permutations(rows)}
    assert len(found) == 1


def dropouts(model: SentenceEncoder) -> tuple[set[float], set[float]]:
    hidden = {module.p for module in model.modules() if isinstance(module, nn.Dropout)}
    return hidden, {layer.attention_dropout for layer in model.bert.layers}  # type: ignore[misc]


def test_hidden_dropout_leaves_that_of_attention_alone(tiny: Backbone) -> None:
    assert dropouts(task_of(tiny, "simcse").model(tiny)) == ({0.3}, {0.1})


def test_without_hidden_dropout_the_backbone_keeps_its_own(tiny: Backbone) -> None:
    assert dropouts(task_of(tiny, "cosent").model(tiny)) == ({0.1}, {0.1})


def test_scores_are_correlations_of_the_cosines(tiny: Backbone) -> None:
    task = task_of(tiny, "cosent")
    model = task.model(tiny).eval()
    answers = [cosine_table(model, tiny, [row.a], [row.b]).item() for row in LABELLED]
    references = [row.score for row in LABELLED]
    found = task.score(model, LABELLED, Budget(100))
    assert found == {
        "spearman": pytest.approx(spearman(answers, references), abs=1e-3),  # type: ignore[arg-type]
        "pearson": pytest.approx(pearson(answers, references), abs=1e-5),  # type: ignore[arg-type]
    }


def saved(tiny: Backbone, folder: Path, method: str = "cosent", **flags: Any) -> Checkpoint:  # noqa: ANN401
    """Save an untrained model of a method, finished as after training."""
    task = task_of(tiny, method, **flags)
    model = task.model(tiny).eval()
    task.finish(model, [{"text": side} for row in LABELLED for side in (row.a, row.b)], BUDGET)
    about = {"nlpk": "0", "task": "similarity", "method": method, "settings": as_plain(task.settings)}
    checkpoint.save(folder, model.bert, tiny.text, task.rest(model), about)
    return checkpoint.open_folder(folder)


def vectors(loaded: similarity.Loaded, texts: Sequence[str]) -> np.ndarray:
    return np.concatenate(list(loaded.embedder.embed(texts)))


def on_cpu(found: Checkpoint | None, options: Options | None = None, **how: Any) -> similarity.Loaded:  # noqa: ANN401
    return load(found, options or Options(), machine=Machine(device="cpu", dtype="float32"), **how)


@pytest.mark.parametrize("pooling", ["cls", "last-avg", "first-last-avg"])
def test_a_whitening_is_kept_in_the_model(tiny: Backbone, tiny_folder: Path, tmp_path: Path, pooling: str) -> None:
    loaded = on_cpu(saved(tiny, tmp_path / "model", "whitening", pooling=pooling, dims=6, limit=16))
    raw = on_cpu(None, Options(pooling=pooling, limit=16), backbone=str(tiny_folder))  # type: ignore[arg-type]
    texts = [side for row in LABELLED for side in (row.a, row.b)]
    moments = whitening.Moments(16)
    moments.update(vectors(raw, texts))
    expected = whitening.fit(moments, dims=6)(vectors(raw, texts))
    found = vectors(loaded, texts)
    assert found.shape == (60, 6)
    assert np.allclose(found, expected, atol=2e-3 * np.abs(expected).max())
    assert loaded.pooling == pooling


def test_beta_and_gamma_reach_the_whitening(tiny: Backbone, tmp_path: Path) -> None:
    found = saved(tiny, tmp_path / "model", "whitening", whiten_beta=0.0, whiten_gamma=0.0)
    stored = weights.load(found.folder).rest
    assert torch.equal(stored["whitening.bias"], torch.zeros(16))
    assert torch.allclose(stored["whitening.weight"] @ stored["whitening.weight"].T, torch.eye(16), atol=1e-5)


def test_a_whitening_is_for_one_pooling(tiny: Backbone, tmp_path: Path) -> None:
    found = saved(tiny, tmp_path / "model", "whitening")
    with pytest.raises(UsageError, match="--pooling cls: the model's whitening was fitted for last-avg"):
        on_cpu(found, Options(pooling="cls"))


def test_too_few_sentences_to_whiten_are_refused(tiny: Backbone) -> None:
    task = task_of(tiny, "whitening")
    with pytest.raises(InputError, match=r"whitening to 16 of 16 dimensions needs at least 17 sentences .* found 3"):
        task.finish(task.model(tiny).eval(), [{"text": text} for text in ANCHORS], BUDGET)


def test_without_whitening_there_is_nothing_to_finish(tiny: Backbone) -> None:
    task = task_of(tiny, "cosent")
    model = task.model(tiny)
    assert not task.finish(model, [], BUDGET)
    assert task.rest(model) == {}


def test_a_pooler_of_the_backbone_is_used_and_kept(tiny: Backbone, tmp_path: Path) -> None:
    torch.manual_seed(0)
    rest = {"bert.pooler.dense.weight": torch.randn(16, 16), "bert.pooler.dense.bias": torch.randn(16)}
    weights.save(tmp_path / "backbone", tiny.bert, tiny.text, rest)
    backbone = weights.load(tmp_path / "backbone")
    task = task_of(backbone, "cosent", pooling="pooler")
    kept = task.rest(task.model(backbone))
    assert kept.keys() == rest.keys()
    assert all(torch.equal(kept[name], tensor) for name, tensor in rest.items())


def test_pooling_by_a_pooler_that_is_not_there_is_refused(tiny: Backbone) -> None:
    with pytest.raises(ModelError, match="pooling pooler: this model has no pooler weights"):
        task_of(tiny, "cosent", pooling="pooler").model(tiny)


def test_a_sweep_over_few_texts_leaves_out_what_is_whitened(
    tiny: Backbone, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="nlptasks")
    loaded = on_cpu(saved(tiny, tmp_path / "model"), Options(limit=16))
    few = [Row("天", "北", 0.0), Row("天", "天", 1.0), Row("气", "气", 1.0)]
    settings = [setting for setting, _ in similarity.evaluations(loaded, few, Sweep(sweep=True))]
    assert settings == [{"pooling": name, "whitened": "no"} for name in ("cls", "last-avg", "first-last-avg")]
    assert caplog.messages == ["not scored whitened: 3 different texts, needs more than the model's 16 dimensions"]


def test_a_sweep_gives_what_single_runs_give(tiny: Backbone, tiny_folder: Path, tmp_path: Path) -> None:
    loaded = on_cpu(saved(tiny, tmp_path / "model"), Options(limit=16))
    swept = {
        tuple(setting.values()): scores
        for setting, scores in similarity.evaluations(loaded, LABELLED, Sweep(sweep=True))
    }
    assert list(swept) == list(itertools.product(("cls", "last-avg", "first-last-avg"), ("no", "yes")))
    texts = list(dict.fromkeys(side for row in LABELLED for side in (row.a, row.b)))
    for pooling in ("cls", "last-avg", "first-last-avg"):
        single = on_cpu(None, Options(pooling=pooling, limit=16), backbone=str(tiny_folder))
        ((setting, scores),) = similarity.evaluations(single, LABELLED, Sweep())
        assert setting == {"pooling": pooling, "whitened": "no"}
        assert scores == pytest.approx(swept[pooling, "no"], abs=1e-4)
        moments = whitening.Moments(16)
        moments.update(vectors(single, texts))
        fitted = whitening.fit(moments)
        left, right = (fitted(vectors(single, [getattr(row, side) for row in LABELLED])) for side in "ab")
        cosines = (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)
        expected = pearson(cosines, [row.score for row in LABELLED])  # type: ignore[arg-type]
        assert swept[pooling, "yes"]["pearson"] == pytest.approx(expected, abs=1e-3)


def test_a_model_with_a_whitening_says_so_when_it_is_scored(tiny: Backbone, tmp_path: Path) -> None:
    loaded = on_cpu(saved(tiny, tmp_path / "model", "whitening"))
    ((setting, _),) = similarity.evaluations(loaded, LABELLED, Sweep())
    assert setting == {"pooling": "last-avg", "whitened": "model"}


def test_predictions_of_any_system_can_be_scored() -> None:
    predictions = [{"cosine": str(row.score)} for row in LABELLED]
    assert similarity.score_predictions(predictions, LABELLED) == pytest.approx({"spearman": 1, "pearson": 1})


def test_predictions_must_fit_the_records() -> None:
    with pytest.raises(InputError, match="1 predictions for 30 records; expected one for each, in order"):
        similarity.score_predictions([{"cosine": 1}], LABELLED)


@pytest.mark.parametrize("prediction", [{}, {"cosine": "x"}, {"cosine": None}, None, 3])
def test_a_prediction_needs_a_cosine(prediction: Any) -> None:  # noqa: ANN401
    with pytest.raises(InputError, match="a prediction without a cosine; expected lines with "):
        similarity.score_predictions([prediction] * 30, LABELLED)


def test_a_supervised_loss_without_targets_is_a_mistake_of_the_caller(tiny: Backbone) -> None:
    simcse, cosent = task_of(tiny, "simcse"), task_of(tiny, "cosent")
    with pytest.raises(ValueError, match="supervised methods need targets"):
        cosent.loss(cosent.model(tiny), simcse.batch([{"text": "今天"}]))


def test_what_is_nearest_to_a_sentence_is_shown_first() -> None:
    loaded = similarity.load(None, Options())
    rows = similarity.examples(loaded)
    told = list(similarity.shown(rows, answers(rows, similarity.worker(loaded), loaded.budget)))
    assert [one.title for one in told] == ["怎么更换绑定的手机号"]
    assert told[0].lines[0][0] == "想把注册时的手机换成新号码"
    values = [float(line[1]) for line in told[0].lines]
    assert values == sorted(values, reverse=True)


def test_what_a_model_was_trained_with_survives(tiny: Backbone, tmp_path: Path) -> None:
    found = saved(tiny, tmp_path / "model", temperature=0.07)
    assert found.settings["temperature"] == 0.07
    assert json.loads((tmp_path / "model/config.json").read_text())["hidden_dropout_prob"] == 0.1
