"""Check the questions and answers that are written for passages, on a tiny model that knows nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nlptasks.backbone.hardware import Machine
from nlptasks.errors import ModelError, RecordError, UsageError
from nlptasks.qa import pairs_row
from nlptasks.qa.answers import Answerer
from nlptasks.qa.model import load
from nlptasks.qa.pairs import Asker
from nlptasks.qa.pairs_row import Options, Row
from nlptasks.qa.row import Options as Answering
from nlptasks.qa.row import Settings
from nlptasks.qa.task import Task, worker
from nlptasks.training import checkpoint

FIRST, SECOND = "今天天气很好，我们去公园玩吧。", "北京的公园很大，上海也有。"
PASSAGES = [Row(FIRST), Row(SECOND * 4), Row("玩")]


@pytest.fixture
def asker(qa_models: dict[str, Path]) -> Callable[..., Asker]:
    """Load the tiny model with any options."""

    def made(tokens: int = 4096, **options: float) -> Asker:
        found = checkpoint.open_folder(qa_models["seq2seq"])
        loaded = load(found, Options(**options), machine=Machine(device="cpu", dtype="float32", tokens=tokens))  # type: ignore[arg-type]
        made = worker(loaded)
        assert isinstance(made, Asker)
        return made

    return made


def test_answers_stand_in_their_passages(asker: Callable[..., Asker]) -> None:
    made = asker(n=8)
    found = made.answer(made.read(PASSAGES))
    assert max(len(one["pairs"]) for one in found) > 3
    for row, one in zip(PASSAGES, found, strict=True):
        assert one["pairs"]
        for pair in one["pairs"]:
            assert pair["answer"] == row.passage[pair["start"] : pair["end"]] != ""
            assert pair["logprob"] < 0
        told = [(pair["question"], pair["start"], pair["end"]) for pair in one["pairs"]]
        assert len(set(told)) == len(told)


def test_a_long_passage_is_asked_about_in_all_its_windows(
    asker: Callable[..., Asker], caplog: pytest.LogCaptureFixture
) -> None:
    made = asker(n=12)
    (read,) = made.read([Row(SECOND * 4)])
    assert len(read.windows) > 2
    (found,) = made.answer([read])
    assert max(pair["start"] for pair in found["pairs"]) >= read.windows[-1].places[0][0]
    with caplog.at_level("INFO"):
        made.report()
    assert "passages read in overlapping windows: 1 of 1" in caplog.text


@pytest.mark.parametrize("options", [{"tokens": 64}, {"beam": 3}], ids=["in passes", "beam"])
def test_neither_neighbours_nor_passes_change_what_is_written(
    asker: Callable[..., Asker], options: dict[str, int]
) -> None:
    made = asker(n=5, beam=options.get("beam", 1))
    small = asker(n=5, **options)
    together = made.answer(made.read(PASSAGES))
    alone = [small.answer(small.read([row]))[0] for row in reversed(PASSAGES)]
    for left, right in zip(together, reversed(alone), strict=True):
        assert [{**pair, "logprob": 0} for pair in left["pairs"]] == [{**pair, "logprob": 0} for pair in right["pairs"]]
        scores = [pair["logprob"] for pair in right["pairs"]]
        assert [pair["logprob"] for pair in left["pairs"]] == pytest.approx(scores, abs=1e-3)


def test_the_seed_decides(asker: Callable[..., Asker]) -> None:
    made = [asker(n=6, seed=seed) for seed in (1, 1, 2)]
    first, same, other = (one.answer(one.read(PASSAGES)) for one in made)
    assert first == same != other


def test_the_likeliest_answer_alone_is_left_of_a_small_share(asker: Callable[..., Asker]) -> None:
    made = asker(n=4, top_p=1e-6)
    (read,) = made.read([Row(FIRST)])
    (found,) = made.answer([read])
    (pair,) = found["pairs"]
    ids = read.windows[0].ids
    scores = made.loaded.writer.begin([[3, *ids, 4]]).logits[0, 0]
    first = max(ids, key=lambda token: float(scores[token]))
    assert read.windows[0].places[ids.index(first)][0] == pair["start"]


def test_a_passage_without_a_token_is_not_asked_about(asker: Callable[..., Asker]) -> None:
    made = asker()
    assert made.answer(made.read([Row("\u200b")])) == [{"pairs": []}]


def test_a_model_that_has_not_learnt_it_is_refused(qa_models: dict[str, Path]) -> None:
    with pytest.raises(
        ModelError, match="not learnt to write questions; train one with nlpk train qa --method seq2seq --g"
    ):
        load(checkpoint.open_folder(qa_models["mlm"]), Options(), machine=Machine(device="cpu"))


def test_the_options_say_what_a_model_is_for(qa_models: dict[str, Path]) -> None:
    found = checkpoint.open_folder(qa_models["seq2seq"])
    with pytest.raises(TypeError, match="asking needs"):
        Asker(load(found, Answering(), machine=Machine(device="cpu")))
    with pytest.raises(TypeError, match="answering needs"):
        Answerer(load(found, Options(), machine=Machine(device="cpu")))


def test_only_what_writes_learns_to_write_questions(asker: Callable[..., Asker]) -> None:
    with pytest.raises(UsageError, match="--generate: mlm cannot write questions; use --method seq2seq"):
        Task("mlm", Settings(generate=True), asker().loaded.text)


def test_a_blank_passage_is_refused() -> None:
    with pytest.raises(RecordError, match="field 'passage': found only blanks"):
        Row(" \u3000")


@pytest.mark.parametrize(("name", "value"), [("n", 0), ("top_p", 0.0), ("top_p", 1.5), ("beam", 0)])
def test_numbers_out_of_their_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=name.replace("_", "-")):
        Options(**{name: value})  # type: ignore[arg-type]


def test_a_paragraph_is_asked_about_once_however_many_questions_it_has() -> None:
    article = {"title": "t", "paragraphs": [{"context": FIRST, "qas": [{}, {}]}, {"qas": []}, 1]}
    assert pairs_row.parts(article) == [{"title": "t", "passage": FIRST}, {}, {}]
    assert pairs_row.parts({"passage": FIRST}) == [{"passage": FIRST}]
