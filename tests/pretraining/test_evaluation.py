import math
from typing import Any

import pytest
import torch

from nlptasks.backbone import weights
from nlptasks.errors import ModelError, UsageError
from nlptasks.pretraining import evaluation
from nlptasks.pretraining.corpus import Corpus
from nlptasks.pretraining.evaluation import Examined, examine
from nlptasks.pretraining.model import Model
from nlptasks.pretraining.plan import head_of, new
from nlptasks.pretraining.settings import Examination, Settings, Shape

CPU = torch.device("cpu")


@pytest.fixture
def model(corpus: Corpus) -> Model:
    torch.manual_seed(0)
    backbone = new(Shape(layers=1, width=16, heads=2), Settings(), corpus)
    return Model(backbone.bert, head_of(backbone))


def examined(model: Model, corpus: Corpus, **options: Any) -> Examined:  # noqa: ANN401
    return examine(model, corpus, Examination(**options), device=CPU, dtype=torch.float32)


def test_a_model_that_knows_nothing_guesses_evenly(model: Model, corpus: Corpus) -> None:
    scores = examined(model, corpus, length=32).scores
    even = math.log(len(corpus.text))
    for name in ("mlm_loss", "lm_loss", "unilm_loss"):
        assert scores[name] == pytest.approx(even, abs=0.1)
    assert scores["lm_perplexity"] == pytest.approx(math.exp(scores["lm_loss"]))
    assert scores["mlm_accuracy"] < 0.1


def test_a_model_that_knows_one_token_is_right_where_it_comes(model: Model, corpus: Corpus) -> None:
    token = int(corpus.ids[corpus.ids != corpus.text.special["end"]][0])
    with torch.no_grad():
        model.head.bias[token] = 50
    found = examined(model, corpus, length=32, mask_rate=0.9)
    share = float((corpus.ids == token).sum()) / float((corpus.ids != corpus.text.special["end"]).sum())
    assert found.scores["mlm_accuracy"] == pytest.approx(share, abs=0.03)


def test_passes_do_not_matter_and_the_seed_does(model: Model, corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    one = examined(model, corpus, length=16)
    monkeypatch.setattr(evaluation, "PASS", 33)
    monkeypatch.setattr(evaluation, "SCORES_AT_ONCE", 999)
    other = examined(model, corpus, length=16)
    assert other.scores == pytest.approx(one.scores, rel=1e-5)
    assert other.tokens == one.tokens == corpus.tokens // 14 * 16
    assert examined(model, corpus, length=16, seed=2).scores != pytest.approx(one.scores, rel=1e-5)


def test_tokens_bound_what_is_read(model: Model, corpus: Corpus) -> None:
    assert examined(model, corpus, length=16, tokens=40).tokens == 48
    assert examined(model, corpus, length=16, tokens=1e9).tokens == examined(model, corpus, length=16).tokens


def test_a_length_without_positions_is_refused(model: Model, corpus: Corpus) -> None:
    with pytest.raises(UsageError, match="--length 513: expected 8 to 512"):
        examined(model, corpus, length=513)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("length", 7, "8 or more"),
        ("tokens", math.nan, "more than 0"),
        ("tokens", math.inf, "more than 0"),
        ("mask_rate", 1.0, "more than 0, below 1"),
        ("seed", -1, "0 or more, below"),
    ],
)
def test_numbers_that_nothing_can_be_scored_with_are_refused(name: str, value: float, said: str) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} {value:g}: expected {said}"):
        Examination(**options)


def test_a_model_without_a_head_is_refused(tiny_folder: str) -> None:
    with pytest.raises(ModelError, match="no head for masked words; expected a BertForMaskedLM"):
        evaluation.load(tiny_folder)
    backbone, model = evaluation.load(weights.DEFAULT)
    assert len(model.head.bias) == len(backbone.text)
