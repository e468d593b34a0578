"""Questions from the command line: passages by options, files and stdin, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlptasks.training import models

Nlpk = Callable[..., Any]
QUESTION = "我们去公园吗"
FIRST, SECOND = "今天天气很好，我们去公园玩吧。", "北京的公园很大，上海也有。"


@pytest.fixture(autouse=True)
def _chosen(qa_models: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the tiny models answer, seq2seq where no method is named."""
    monkeypatch.setenv("NLPK_HOME", str(tmp_path / "home"))
    for method in ("mlm", "seq2seq"):
        models.use("qa", qa_models[method])


def ask(nlpk: Nlpk, *options: object, **rest: Any) -> Any:  # noqa: ANN401
    result = nlpk("predict", "qa", "--question", QUESTION, *options, **rest)
    assert (result.status, result.err) == (0, "")
    return result.lines[0]


def test_one_passage_comes_out_as_it_went_in(nlpk: Nlpk) -> None:
    line = ask(nlpk, "--passage", FIRST)
    assert list(line) == ["question", "passage", "prediction"]
    assert (line["question"], line["passage"]) == (QUESTION, FIRST)


def test_several_passages_become_a_list(nlpk: Nlpk, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text(SECOND + "\n", encoding="utf-8")
    for options, given in (
        (("--passage", FIRST, "--passage", SECOND), ""),
        (("--passage", FIRST, "--passage", f"@{tmp_path / 'p.txt'}"), ""),
        (("--passage", "-", "--passage", SECOND), FIRST + "\n"),
    ):
        line = ask(nlpk, *options, stdin=given)
        assert list(line) == ["question", "passages", "prediction"]
        assert line["passages"] == [FIRST, SECOND]


@pytest.mark.parametrize("method", ["seq2seq", "mlm"])
@pytest.mark.parametrize("mode", ["extractive", "free"])
def test_a_prediction_has_the_keys_of_the_contract(nlpk: Nlpk, method: str, mode: str) -> None:
    options = ("--method", method, "--mode", mode, "--top-k", 2, *(("--beam", 3) if method == "seq2seq" else ()))
    found = ask(nlpk, "--passage", FIRST, "--passage", SECOND, *options)["prediction"]
    assert list(found) == ["answer", "score", "passage", "start", "end", "no_answer", "candidates"]
    assert 1 <= len(found["candidates"]) <= 2
    for one in found["candidates"]:
        assert list(one) == ["answer", "score", "passage", "start", "end", "votes"]
        assert all(set(vote) == {"passage", "p"} and 0 <= vote["p"] <= 1 for vote in one["votes"])
        assert 0 <= one["score"] <= 1
        if one["start"] is not None:
            assert (FIRST, SECOND)[one["passage"]][one["start"] : one["end"]] == one["answer"]
        assert (mode == "free") == (one["start"] is None)


def test_the_passage_of_a_record_stands_before_the_options(nlpk: Nlpk) -> None:
    given = [{"question": QUESTION, "passages": [SECOND]}, {"question": QUESTION, "context": SECOND}]
    given.append({"question": QUESTION})
    lines = "\n".join(json.dumps(one) for one in given)
    result = nlpk("predict", "qa", "--passage", FIRST, "--passage", "好", stdin=lines)
    alone = nlpk("predict", "qa", stdin=json.dumps(given[0])).lines[0]["prediction"]
    of_options = ask(nlpk, "--passage", FIRST, "--passage", "好")["prediction"]
    assert (result.status, result.err) == (0, "")
    assert [line["prediction"]["answer"] for line in result.lines] == [alone["answer"]] * 2 + [of_options["answer"]]
    assert list(result.lines[2]) == ["question", "prediction"]


def test_options_that_no_record_needs_are_mentioned_by_their_name(nlpk: Nlpk) -> None:
    given = json.dumps({"question": QUESTION, "passage": SECOND})
    result = nlpk("predict", "qa", "--passage", FIRST, "--passage", "好", stdin=given)
    assert result.complaint == "--passage: not used, every record has a value of its own there"


def test_a_line_of_text_is_a_question_or_with_one_given_a_passage(nlpk: Nlpk, tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text(f"{FIRST}\n{SECOND}\n", encoding="utf-8")
    assert [list(line) for line in nlpk("predict", "qa", path, "--passage", "好").lines] == [
        ["question", "prediction"]
    ] * 2
    assert [list(line) for line in nlpk("predict", "qa", path, "--question", "好").lines] == [
        ["passage", "prediction"]
    ] * 2


SQUAD = {
    "version": "1",
    "data": [{"title": "T", "paragraphs": [{"context": FIRST, "qas": [{"id": "1", "question": QUESTION}]}]}],
}
WEBQA = [{"id": "1", "question": QUESTION, "passages": [{"passage": FIRST, "answer": "公园"}]}]


@pytest.mark.parametrize("document", [SQUAD, WEBQA], ids=["squad", "webqa"])
def test_documents_are_answered_as_they_are(nlpk: Nlpk, tmp_path: Path, document: Any) -> None:  # noqa: ANN401
    path = tmp_path / "d.json"
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    result = nlpk("predict", "qa", path)
    assert (result.status, result.err) == (0, "")
    assert result.lines[0]["id"] == "1"
    assert result.lines[0]["prediction"] == ask(nlpk, "--passage", FIRST)["prediction"]


def test_long_passages_are_counted(nlpk: Nlpk) -> None:
    result = nlpk("predict", "qa", "--question", QUESTION, "--passage", FIRST * 4, "--passage", SECOND)
    assert (result.status, result.complaint) == (0, "passages read in overlapping windows: 1 of 2")


def test_questions_that_are_cut_are_counted(nlpk: Nlpk) -> None:
    result = nlpk("predict", "qa", "--question", QUESTION * 3, "--passage", SECOND)
    assert result.complaint == "questions longer than 10 tokens, of which only the start was read: 1"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--question", "", "--passage", FIRST), "field 'question': found \"\", expected text that is not empty"),
        (("--question", " \n", "--passage", FIRST), "field 'question': found only blanks, expected a question"),
        (("--question", QUESTION, "--passage", ""), "no text to answer from: expected a passage that is not blank"),
        (("--question", QUESTION), "no text to answer from: expected a passage that is not blank"),
        (("--question", QUESTION, "--passage", "@no-such-file"), "no-such-file: cannot be read (No such file"),
        (("--question", QUESTION, "--passage", "-", "--passage", "-"), "- stands twice"),
        (("--question", "-", "--passage", FIRST, "--passage", "-"), "- stands twice"),
        (("--question", QUESTION, "--passage", FIRST, "--beam", 0), "--beam 0: expected 1 or more"),
        (("--question", QUESTION, "--passage", FIRST, "--passage-limit", 60), "lower --passage-limit"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(nlpk: Nlpk, options: tuple[object, ...], said: str) -> None:
    result = nlpk("predict", "qa", *options)
    assert (result.status, result.out) == (2, b"")
    assert said in result.complaint


def test_questions_are_written_for_passages(nlpk: Nlpk, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text(f"{FIRST}\n\n{SECOND}\n", encoding="utf-8")
    result = nlpk("predict", "qa", "--generate", tmp_path / "p.txt", "-n", 2)
    assert result.status == 1
    assert [line.get("passage") for line in result.lines] == [FIRST, None, SECOND]
    for line in (result.lines[0], result.lines[2]):
        for pair in line["prediction"]["pairs"]:
            assert list(pair) == ["question", "answer", "start", "end", "logprob"]
            assert line["passage"][pair["start"] : pair["end"]] == pair["answer"]
    one = nlpk("predict", "qa", "--generate", "--passage", FIRST, "-n", 2)
    assert one.lines[0] == result.lines[0]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--generate", "--passage", FIRST, "--question", QUESTION), "--question: not used with --generate"),
        (("--generate", "--passage", FIRST, "--top-k", 2), "--top-k: not used with --generate"),
        (("--passage", FIRST, "--question", QUESTION, "-n", 2), "--n: needs --generate"),
        (("--generate", "--passage", FIRST, "--passage", SECOND), "--passage: found 2 of them, expected one"),
    ],
)
def test_the_options_of_the_other_way_to_ask_are_refused(nlpk: Nlpk, options: tuple[object, ...], problem: str) -> None:
    result = nlpk("predict", "qa", *options)
    assert (result.status, result.complaint) == (2, problem)
