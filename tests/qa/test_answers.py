"""Check the answers of both methods: places, votes, windows, and that neighbours change nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch

from nlptasks.backbone.batch import Batch
from nlptasks.backbone.copying import runs_of
from nlptasks.qa.answers import Answerer
from nlptasks.qa.row import Row
from nlptasks.qa.votes import result

Make = Callable[..., Answerer]
METHODS = pytest.mark.parametrize("method", ["seq2seq", "mlm"])


def ask(answerer: Answerer, rows: list[Row]) -> list[dict[str, Any]]:
    return answerer.answer(answerer.read(rows))


def plain(answer: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(answer[name] for name in ("answer", "passage", "start", "end"))


def numbers(answer: dict[str, Any]) -> list[float]:
    votes = [vote["p"] for one in answer["candidates"] for vote in one["votes"]]
    return [answer["score"], answer["no_answer"], *(one["score"] for one in answer["candidates"]), *votes]


@METHODS
@pytest.mark.parametrize("options", [{}, {"mode": "free"}, {"beam": 3, "top_k": 3}], ids=["plain", "free", "beam"])
def test_together_and_alone_are_the_same(answerer: Make, rows: list[Row], method: str, options: dict[str, Any]) -> None:
    asking = answerer(method, **options)
    together = ask(asking, rows)
    for row, found in zip(rows, together, strict=True):
        alone = ask(asking, [row])[0]
        assert plain(alone) == plain(found)
        assert numbers(alone) == pytest.approx(numbers(found), abs=1e-4)
    assert [plain(one) for one in ask(asking, rows[::-1])][::-1] == [plain(one) for one in together]


@METHODS
@pytest.mark.parametrize("options", [{}, {"abstain": 0.6}, {"abstain": 1.0, "beam": 2}], ids=["plain", "some", "all"])
def test_several_passes_answer_as_one_does(
    answerer: Make, rows: list[Row], method: str, options: dict[str, Any]
) -> None:
    whole, cut = answerer(method, **options), answerer(method, tokens=40, **options)
    assert cut.loaded.budget.held > 40 * 100
    for left, right in zip(ask(whole, rows), ask(cut, rows), strict=True):
        assert plain(left) == plain(right)
        assert numbers(left) == pytest.approx(numbers(right), abs=1e-4)


@METHODS
def test_places_are_those_of_the_text_as_it_came(answerer: Make, method: str) -> None:
    texts = ["  今天\u3000天气 很好😀，ＰＬＡＹ the é\u0301 公园", "e\u0301今\u200b天<b>玩</b>"]
    for row in [Row("公园", text) for text in texts] + [Row("公园", passages=texts)]:
        found = ask(answerer(method, top_k=3, beam=3), [row])[0]
        assert found["candidates"]
        for one in found["candidates"]:
            assert row.texts[one["passage"]][one["start"] : one["end"]] == one["answer"]
            assert one["answer"].strip()


@METHODS
def test_a_place_in_a_window_is_one_of_the_whole_passage(answerer: Make, method: str) -> None:
    text = "我们去公园玩吧" * 8 + "the play"
    found = ask(answerer(method, beam=4, top_k=4), [Row("他", text)])[0]
    assert found["candidates"]
    for one in found["candidates"]:
        assert text[one["start"] : one["end"]] == one["answer"]
        assert [vote["passage"] for vote in one["votes"]] == [0]


@METHODS
def test_a_blank_passage_keeps_its_number_and_does_not_vote(answerer: Make, method: str) -> None:
    found = ask(answerer(method), [Row("公园", passages=["  ", "我们去公园玩"])])[0]
    assert all(vote["passage"] == 1 for one in found["candidates"] for vote in one["votes"])


@METHODS
def test_passages_without_a_token_hold_no_answer(answerer: Make, method: str) -> None:
    row = Row("公园", "\u200b")
    found = ask(answerer(method), [row, Row("公园", "我们去公园")])
    assert found[0] == {
        "answer": "",
        "score": 1.0,
        "passage": None,
        "start": None,
        "end": None,
        "no_answer": 1.0,
        "candidates": [],
    }
    assert found[1]["candidates"] or found[1]["answer"] == ""


@METHODS
def test_where_every_window_abstains_the_answer_is_empty(answerer: Make, rows: list[Row], method: str) -> None:
    asking = answerer(method)
    writer = asking.loaded.writer
    assert writer.copier is not None
    writer.decoder.bias.data[asking.end] += 100
    writer.copier.gate.bias.data.fill_(-100)
    for found in ask(asking, rows):
        assert plain(found) == ("", None, None, None)
        assert found["score"] == found["no_answer"] == pytest.approx(1)


@METHODS
@pytest.mark.parametrize("mode", ["extractive", "free"])
def test_how_likely_no_answer_has_to_be_can_be_said(answerer: Make, rows: list[Row], method: str, mode: str) -> None:
    assert all(found["candidates"] for found in ask(answerer(method, mode=mode, abstain=1.0), rows))
    for found in ask(answerer(method, mode=mode, abstain=0.0), rows):
        assert (found["answer"], found["candidates"]) == ("", [])
        assert found["score"] == found["no_answer"] < 1
    usual = ask(answerer(method, mode=mode), rows)
    always = ask(answerer(method, mode=mode, abstain=1.0), rows)
    assert [one["no_answer"] for one in always] == pytest.approx([one["no_answer"] for one in usual])
    least = min(found["no_answer"] for found in usual)
    for found in ask(answerer(method, mode=mode, abstain=least + 1e-4), rows):
        assert bool(found["candidates"]) == (found["no_answer"] < least + 1e-4)


def test_seq2seq_tells_the_first_tokens_chance_of_the_end(answerer: Make, rows: list[Row], naive: ModuleType) -> None:
    asking = answerer("seq2seq")
    examples = asking.read(rows)
    for example, found in zip(examples, asking.answer(examples), strict=True):
        chances = [naive.logits(asking.loaded.writer, ids, []).softmax(-1) for ids in asking.prompts([example])]
        none = min(float(one[asking.end]) for one in chances)
        assert found["no_answer"] == pytest.approx(none, abs=1e-5)


def test_seq2seq_writes_what_the_plainest_writer_does(answerer: Make, rows: list[Row], naive: ModuleType) -> None:
    asking = answerer("seq2seq", abstain=1.0)
    limit = asking.loaded.limits.answer
    for example in asking.read(rows):
        passages = [window.ids for _, window in example.windows]
        prompts = asking.prompts([example])
        expected = naive.council(asking.loaded.writer, prompts, passages, asking.end, 1, limit, 1.0)
        assert asking.write([example])[0].texts[0][0] == expected


@METHODS
def test_the_pointer_decides_as_well(answerer: Make, rows: list[Row], method: str) -> None:
    asking = answerer(method)
    assert asking.loaded.writer.copier is not None
    with_it = ask(asking, rows)
    asking.loaded.writer.copier.gate.bias.data.fill_(-100)
    for copied, named in zip(with_it, ask(asking, rows), strict=True):
        assert copied["no_answer"] != pytest.approx(named["no_answer"], abs=1e-4)


def test_mlm_picks_as_the_source_says(answerer: Make, rows: list[Row]) -> None:
    """Compare with a plain loop over one passage: the likeliest token that goes on with an n-gram, up to the end."""
    asking = answerer("mlm", top_k=9)
    writer = asking.loaded.writer
    assert writer.copier is not None
    assert writer.aligner is not None
    for row in rows:
        example = asking.read([row])[0]
        said: dict[tuple[int, ...], dict[int, float]] = {}
        for (number, window), prompt in zip(example.windows, asking.prompts([example]), strict=True):
            batch = Batch(torch.tensor([prompt]))
            with torch.inference_mode():
                *_, below, last = writer.bert.states([batch], matcher=writer.matcher)
                masks = last[None, 1 : 1 + asking.layout.answer]
                source = writer.copier.source(below, [batch])
                first = writer.copier.places(masks[:, :1], source)[:, 0]
                named, closed = writer.decoder(writer.head(masks)).float(), writer.aligner.closed(source)
            ids: list[int] = []
            picked: list[float] = []
            for _ in range(asking.layout.answer):
                behind = runs_of(source.ids, torch.tensor([[*ids, asking.end]]))
                bias = writer.aligner.bias(first, behind)
                here = writer.copier.mixed(named[:, : len(ids) + 1], masks[:, : len(ids) + 1], closed, bias)[
                    0, -1
                ].exp()
                runs = [window.ids[at : at + len(ids) + 1] for at in range(len(window.ids) - len(ids))]
                allowed = {run[-1] for run in runs if run[:-1] == ids} | {asking.end}
                best = max(allowed, key=lambda token: float(here[token]))
                picked.append(float(here[best]))
                if best == asking.end:
                    break
                ids.append(best)
            if ids:
                votes = said.setdefault(tuple(ids), {})
                votes[number] = max(votes.get(number, 0.0), sum(picked) / len(picked))
        found = asking.answer([example])[0]
        scores = sorted((result(votes) for votes in said.values()), reverse=True)
        assert [one["score"] for one in found["candidates"]] == pytest.approx(scores, abs=1e-5)
        assert {frozenset((v["passage"], round(v["p"], 4)) for v in one["votes"]) for one in found["candidates"]} == {
            frozenset((number, round(p, 4)) for number, p in votes.items()) for votes in said.values()
        }


def test_where_mlm_abstains_by_a_limit_windows_vote_by_having_an_answer(answerer: Make) -> None:
    found = ask(answerer("mlm", abstain=1.0), [Row("公园", "今天天气很好。")])[0]
    assert [one["p"] for one in found["candidates"][0]["votes"]] == [pytest.approx(1 - found["no_answer"])]


def test_of_very_many_windows_the_surest_vote(answerer: Make, caplog: pytest.LogCaptureFixture) -> None:
    text = "".join("今天气很好我们去公园玩吧北京上海"[n * 7 % 16] for n in range(400))
    asking = answerer("seq2seq", tokens=64)
    asking.loaded.budget.passes = 4
    with caplog.at_level(logging.INFO):
        found = ask(asking, [Row("公园", text)])[0]
    assert "windows of a long text vote" in caplog.text
    assert text[found["start"] : found["end"]] == found["answer"]
    asking.loaded.budget.passes = 1000
    whole = ask(asking, [Row("公园", text)])[0]
    assert found["no_answer"] == pytest.approx(whole["no_answer"], abs=1e-5)


@METHODS
def test_a_question_larger_than_what_is_left_to_hold_is_answered(answerer: Make, rows: list[Row], method: str) -> None:
    asking = answerer(method)
    whole = ask(asking, rows[:1])
    asking.loaded.budget.tokens = asking.loaded.budget.passes = 1
    assert plain(ask(asking, rows[:1])[0]) == plain(whole[0])
    assert [plain(one) for one in ask(asking, rows)] == [plain(one) for one in ask(answerer(method), rows)]


@METHODS
def test_a_long_text_is_answered_and_counted(answerer: Make, method: str, caplog: pytest.LogCaptureFixture) -> None:
    asking = answerer(method, tokens=512)
    text = "我们去公园玩吧。" * 500
    found = ask(asking, [Row("公园" * 20, text), Row("公园", "很好")])
    assert text[found[0]["start"] : found[0]["end"]] == found[0]["answer"]
    with caplog.at_level(logging.INFO):
        asking.report()
    assert "passages read in overlapping windows: 1 of 2" in caplog.text
    assert "of which only the start was read: 1" in caplog.text
