"""Tests of the texts that are written: what they depend on, and what is told of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from nlptasks.errors import RecordError
from nlptasks.generation.answers import Answerer, Example, generator
from nlptasks.generation.layouts import Lesson
from nlptasks.generation.row import Row

Made = Callable[..., Answerer]
CLOSE = 1e-4
ROWS = [
    Row(sets=["label=好"]),
    Row(sets=["label=不好"], id="7"),
    Row("今天天气", sets=["label=好"]),
    Row("我", sets=["label=好"]),
]


def write(answerer: Answerer, rows: list[Row]) -> list[list[dict[str, Any]]]:
    examples = [one for one in answerer.read(rows) if isinstance(one, Example)]
    assert len(examples) == len(rows)
    return [answer["samples"] for answer in answerer.answer(examples)]


def complaint(answerer: Answerer, row: Row) -> str:
    error = answerer.read([row])[0]
    assert isinstance(error, RecordError)
    return str(error)


def same(left: list[dict[str, Any]], right: list[dict[str, Any]]) -> bool:
    texts = [one["text"] for one in left] == [one["text"] for one in right]
    logprobs = [one["logprob"] for one in left]
    return texts and logprobs == pytest.approx([one["logprob"] for one in right], abs=CLOSE)


def test_texts_do_not_depend_on_their_neighbours(answerer: Made) -> None:
    rows = [*ROWS, Row(id="what its label is, is drawn")]
    together = write(answerer("cln", n=3), rows)
    alone = [write(answerer("cln", n=3), [row])[0] for row in rows]
    assert all(map(same, together, alone))
    assert len({sample["text"] for samples in together for sample in samples}) > 8


def test_a_row_of_many_texts_is_written_in_parts(answerer: Made) -> None:
    whole = write(answerer("cln", n=11), [ROWS[2]])[0]
    parts = write(answerer("cln", n=11, tokens=50), [ROWS[2]])[0]
    assert len(whole) == 11
    assert same(whole, parts)
    assert same(write(answerer("cln", n=4), [ROWS[2]])[0], whole[:4])


def test_texts_depend_on_seed_record_and_number(answerer: Made) -> None:
    first = write(answerer("cln", n=2), ROWS[:1])[0]
    assert first[0]["text"] != first[1]["text"]
    assert not same(first, write(answerer("cln", n=2, seed=2), ROWS[:1])[0])
    assert not same(first, write(answerer("cln", n=2), [replace(ROWS[0], id="2")])[0])
    assert same(first, write(answerer("cln", n=2), [replace(ROWS[0], text="reference")])[0])


def test_the_random_numbers_of_later_texts_are_those_behind_the_first() -> None:
    key = bytes(range(32))
    assert torch.equal(torch.rand(3, 5, generator=generator(key, 0))[2], torch.rand(5, generator=generator(key, 10)))


def test_a_prompt_is_kept_as_it_is(answerer: Made) -> None:
    samples = write(answerer("plain", n=3), [Row("The 今天")])[0]
    assert all(sample["text"].startswith("The 今天") for sample in samples)


def test_logprob_is_that_of_the_model(answerer: Made) -> None:
    made = answerer("cln", n=1, temperature=0.5, top_k=3)
    row = Row("今", sets=["label=好"])
    example = made.read([row])[0]
    assert isinstance(example, Example)
    written = made.drawn([example], 0, 1)[0][0]
    loaded = made.loaded
    ids = [*example.prompt, *written.ids, *([made.layout.end] if written.finished else [])]
    total = 0.0
    condition = loaded.condition(*loaded.labels.tensors([row.sets or []], [None]))
    for place in range(len(example.prompt), len(ids)):
        total += float(loaded.writer.begin([ids[:place]], condition).logits[0, 0].log_softmax(0)[ids[place]])
    assert written.logprob == pytest.approx(total, abs=CLOSE)


def test_what_is_written_is_as_likely_as_what_is_learnt(answerer: Made) -> None:
    made = answerer("seq2seq", beam=2)
    row = Row(source="今天天气很好我们去公园玩")
    example = made.read([row])[0]
    assert isinstance(example, Example)
    loaded, written = made.loaded, write(made, [row])[0][0]
    assert loaded.model.copier is not None
    ids = loaded.layout.tokens([written["text"]])[0]
    work = loaded.layout.work([Lesson(loaded.layout.tokens([row.source or ""])[0], ids, whole=True)], None, None)
    with torch.inference_mode():
        found = -float(loaded.model.surprises(work).sum())
    loaded.writer.decoder.bias = loaded.model.head.bias  # while writing, special tokens are silenced
    total, draft = 0.0, loaded.writer.begin([example.prompt])
    for token in [*ids, loaded.layout.end]:
        total += float(draft.logits[0, 0].log_softmax(0)[token])
        draft.write(torch.tensor([[token]]))
    assert total == pytest.approx(found, rel=1e-5)


def test_limits_are_kept(answerer: Made) -> None:
    made = answerer("plain", limit=6, shortest=5)
    examples = [one for one in made.read([Row()]) if isinstance(one, Example)]
    texts = made.drawn(examples, 0, 200)[0]
    assert {len(text.ids) for text in texts} == {5, 6}
    assert all(text.finished == (len(text.ids) == 5) for text in texts)


def test_a_search_gives_its_best_texts(answerer: Made) -> None:
    found = write(answerer("seq2seq", beam=3, n=3), [Row(source="今天天气很好")])[0]
    assert 1 <= len(found) <= 3
    best = write(answerer("seq2seq", beam=3), [Row(source="今天天气很好")])[0]
    assert same(best, found[:1])
    assert same(
        write(answerer("seq2seq", beam=4), [Row(source="今天")])[0], write(answerer("seq2seq"), [Row(source="今天")])[0]
    )
    assert len(write(answerer("seq2seq", n=2), [Row(source="今天")])[0]) == 2
    assert write(answerer("cln", beam=1), ROWS[:1])[0]


def test_memorised_texts_are_told(answerer: Made) -> None:
    made = answerer("plain", n=1)
    learnt = "今天天气很好，我们去公园玩吧。我们来北京和上海"
    assert made.loaded.seen is not None
    assert made.loaded.seen.is_memorised(learnt)
    example = made.read([Row("今")])[0]
    assert isinstance(example, Example)
    ids = made.layout.tokens([learnt[1:]])[0]
    written = made.drawn([example], 0, 1)[0][0]
    assert made.sample(example, replace(written, ids=ids)) == {
        "text": learnt,
        "logprob": written.logprob,
        "memorised": True,
    }
    assert not made.sample(example, written)["memorised"]
    copied = made.read([Row(learnt)])[0]
    assert isinstance(copied, Example)
    assert not made.sample(copied, replace(written, ids=[]))["memorised"]


def test_texts_are_shown_as_they_grow(answerer: Made) -> None:
    made, pieces = answerer("cln", n=2), list[str]()
    made.write = pieces.append
    examples = [one for one in made.read(ROWS[2:]) if isinstance(one, Example)]
    shown = made.answer(examples)
    assert all(answer["shown"] for answer in shown)
    texts = [sample["text"] for answer in shown for sample in answer["samples"]]
    assert "".join(pieces) == "".join(f"{text}\n" for text in texts)
    assert len(pieces) > 8
    assert all(
        same(one["samples"], other) for one, other in zip(shown, write(answerer("cln", n=2), ROWS[2:]), strict=True)
    )


def test_vectors_are_conditions_too(answerer: Made) -> None:
    made = answerer("vector", n=2)
    left, right = write(made, [Row(vector=[0.0, 1.0]), Row(vector=[5.0, -3.0])])
    assert not same(left, right)
    assert complaint(made, Row(vector=[1.0])) == "a vector of 1 numbers; expected 2 numbers"


def test_guidance_sets_texts_apart_by_their_label(answerer: Made) -> None:
    assert same(write(answerer("cln", n=5), ROWS[:1])[0], write(answerer("cln", n=5, guidance=1.0), ROWS[:1])[0])
    assert not same(write(answerer("cln", n=5), ROWS[:1])[0], write(answerer("cln", n=5, guidance=3.0), ROWS[:1])[0])
    one, other = Row(sets=["label=好"], id="1"), Row(sets=["label=不好"], id="1")
    made = answerer("cln", guidance=0.0)
    examples = [one for one in made.read([one, other]) if isinstance(one, Example)]
    left, right = made.begun([(one, 0) for one in examples]).logits
    assert torch.allclose(left, right, atol=CLOSE)


def test_rows_that_cannot_be_written_to_are_refused(answerer: Made) -> None:
    assert "unknown label '很好' of label; did you mean" in complaint(answerer("cln"), Row(sets=["label=很好"]))
    assert "field 'source' is missing or blank" in complaint(answerer("seq2seq"), Row())
    long = complaint(answerer("plain"), Row("今天" * 30))
    assert long == "a prompt of 60 tokens, 8 too many beside texts of 12; shorten it, or lower --limit"


def test_what_is_not_used_is_told(answerer: Made, caplog: pytest.LogCaptureFixture) -> None:
    made = answerer("seq2seq")
    with caplog.at_level("INFO", "nlptasks"):
        made.report()
        assert not caplog.text
        made.read([Row(source="今天" * 20, label="好")])
        made.report()
    assert "labels not used, since the model has no conditions: 1" in caplog.text
    assert "sources longer than 20 tokens, of which only the start was read: 1" in caplog.text


def test_answers_come_out_after_so_many_texts(answerer: Made) -> None:
    assert [answerer("cln", n=count).window for count in (1, 8, 10_000)] == [256, 32, 1]
