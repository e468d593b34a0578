"""Texts from the command line: conditions, prompts, texts alone, and what is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlptasks.training import models

Nlpk = Callable[..., Any]


@pytest.fixture(autouse=True)
def _chosen(generation_models: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the tiny models write: to two conditions where no method is named."""
    monkeypatch.setenv("NLPK_HOME", str(tmp_path / "home"))
    for name in ("seq2seq", "two"):
        models.use("generation", generation_models[name])


def texts(nlpk: Nlpk, *options: object, **rest: Any) -> list[str]:  # noqa: ANN401
    result = nlpk("predict", "generation", "--dtype", "float32", "--text-only", *options, **rest)
    assert (result.status, result.err) == (0, "")
    lines: list[str] = result.out.decode().splitlines()
    return lines


BOTH = ("--set", "地=北京", "--set", "label=好")


def test_several_conditions_and_a_prompt(nlpk: Nlpk) -> None:
    result = nlpk("predict", "generation", *BOTH, "--prompt", "今天", "-n", 3, "--top-p", 0.95)
    assert (result.status, result.err) == (0, "")
    assert list(result.lines[0]) == ["sets", "prompt", "prediction"] or set(result.lines[0]) == {
        "sets",
        "prompt",
        "prediction",
    }
    samples = result.lines[0]["prediction"]["samples"]
    assert len(samples) == 3
    assert all(list(sample) == ["text", "logprob", "memorised"] for sample in samples)
    assert all(sample["text"].startswith("今天") for sample in samples)


def test_one_label_needs_no_name(nlpk: Nlpk, generation_models: dict[str, Path]) -> None:
    model = ("--model", generation_models["cln"], "-n", 5)
    assert texts(nlpk, *model, "--label", "好") == texts(nlpk, *model, "--set", "label=好")
    assert texts(nlpk, *model, "--label", "好", "--seed", 2) != texts(nlpk, *model, "--label", "好")


def test_an_empty_prompt_asks_a_plain_model(nlpk: Nlpk, generation_models: dict[str, Path]) -> None:
    assert len(texts(nlpk, "--model", generation_models["plain"], "--prompt", "", "-n", 4)) == 4


def test_text_to_text(nlpk: Nlpk, tmp_path: Path) -> None:
    (one,) = texts(nlpk, "--method", "seq2seq", "--source", "今天天气很好", "--beam", 4)
    lines = tmp_path / "sources.txt"
    lines.write_text("今天天气很好\n我们去公园\n", encoding="utf-8")
    assert texts(nlpk, "--method", "seq2seq", "--beam", 4, lines)[0] == one


def test_a_file_is_written_to_line_by_line_whatever_the_batch(nlpk: Nlpk, tmp_path: Path) -> None:
    file = tmp_path / "asked.jsonl"
    asked = [{"地": place, "label": label} for place in ("北京", "上海") for label in ("好", "不好")] * 3
    file.write_text("".join(json.dumps(one) + "\n" for one in asked), encoding="utf-8")
    whole = texts(nlpk, file, "-n", 2)
    assert len(whole) == len(asked) * 2
    assert len(set(whole)) > len(asked)
    assert texts(nlpk, file, "-n", 2, "--batch-tokens", 1) == whole


def test_a_bad_record_leaves_an_empty_line(nlpk: Nlpk) -> None:
    good, bad = {"地": "北京", "label": "好"}, {"地": "南京", "label": "好"}
    stdin = "".join(json.dumps(one) + "\n" for one in (good, bad, good))
    result = nlpk("predict", "generation", "--text-only", stdin=stdin)
    lines = result.out.decode().splitlines()
    assert result.status == 1
    assert [bool(line) for line in lines] == [True, False, True]
    assert "stdin:2: unknown label '南京' of 地; did you mean 北京?" in result.err


def test_texts_grow_on_a_terminal(nlpk: Nlpk, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = texts(nlpk, *BOTH, "-n", 2)
    shown: list[str] = []
    counts: list[int] = []
    monkeypatch.setattr("nlpk.console.Counter.add", lambda _, number: counts.append(number))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr("nlpk.predict.show", shown.append)
    result = nlpk("predict", "generation", "--dtype", "float32", "--stream", *BOTH, "-n", 2)
    assert (result.status, result.out) == (0, b"")
    assert "".join(shown).splitlines() == plain
    assert len(shown) > len(plain)
    assert not counts


def test_conditions_that_nothing_is_said_of_are_drawn_for_each_text(nlpk: Nlpk) -> None:
    result = nlpk("predict", "generation", "--label", "好", "-n", 12, "--dtype", "float32")
    assert result.status == 0
    assert "records that left conditions to chance: 1" in result.err
    samples = result.lines[0]["prediction"]["samples"]
    drawn = [sample.pop("sets") for sample in samples]
    assert {said[1] for said in drawn} == {"label=好"}
    assert len({said[0] for said in drawn}) > 1
    again = nlpk("predict", "generation", "--label", "好", "-n", 5, "--dtype", "float32").lines[0]["prediction"]
    assert [one["text"] for one in again["samples"]] == [one["text"] for one in samples[:5]]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ((*BOTH, "-n", 0), "--n 0: expected 1 or more"),
        ((*BOTH, "--temperature", 0), "--temperature 0: expected more than 0; for the likeliest text: --beam 1"),
        ((*BOTH, "--top-p", 0), "--top-p 0: expected more than 0, at most 1; 1 draws from all tokens"),
        ((*BOTH, "--shortest", 30), "--shortest 30: expected less than the 12 tokens"),
        (("--set", "地方=北京"), "no condition '地方' in this model; did you mean '地'?"),
        ((*BOTH, "--prompt", "今天" * 40), "a prompt of 80 tokens"),
    ],
)
def test_what_cannot_be_written_is_refused(nlpk: Nlpk, options: tuple[object, ...], complaint: str) -> None:
    result = nlpk("predict", "generation", *options)
    assert result.status == 2
    assert complaint in result.complaint


def test_training_names_its_conditions_and_eval_knows_them(nlpk: Nlpk, tiny_folder: Path, tmp_path: Path) -> None:
    rows = tmp_path / "reviews.tsv"
    lines = [f"今天天气很好我们去{place}\t{place}\t{number % 2}" for number in range(10) for place in ("公园", "北京")]
    rows.write_text("\n".join([*lines, "没有情感\t公园\t"]) + "\n", encoding="utf-8")
    out = tmp_path / "out"
    fields = ("--columns", "text,类别,情感", "--conditions", "类别,情感", "--label-names", "情感:1=正面,0=负面")
    run = ("--backbone", tiny_folder, "--limit", 16, "--steps", 2, "--dtype", "float32", "--dev", rows)
    trained = nlpk("train", "generation", "--method", "cln", "--train", rows, *fields, *run, "--out", out)
    assert trained.status == 0, trained.err
    assert "reviews.tsv:21: field '情感' is missing; expected the conditions 类别, 情感" in trained.err
    about = json.loads((out / "nlpk.json").read_text(encoding="utf-8"))
    assert about["labels"]["known"] == {"类别": ["公园", "北京"], "情感": ["正面", "负面"]}
    scored = nlpk("eval", "generation", "--model", out, "--json", "--samples", 0, rows)
    assert scored.status == 1  # the record without a sentiment
    assert [line["settings"]["of"] for line in scored.lines] == [
        "all",
        "情感=正面",
        "情感=负面",
        "类别=公园",
        "类别=北京",
    ]
    assert len(texts(nlpk, "--model", out, "--set", "类别=北京", "--set", "情感=0", "-n", 3)) == 3


def test_dev_rows_of_labels_that_were_not_learnt_are_told_before_the_first_update(
    nlpk: Nlpk, tiny_folder: Path, tmp_path: Path
) -> None:
    train, dev, strange = (tmp_path / name for name in ("train.tsv", "dev.tsv", "strange.tsv"))
    train.write_text("今天很好\t好\n今天很坏\t坏\n" * 8, encoding="utf-8")
    dev.write_text("天气很好\t好\n天气一般\t中\n", encoding="utf-8")
    strange.write_text("天气一般\t中\n", encoding="utf-8")
    run = ("--train", train, "--backbone", tiny_folder, "--limit", 16, "--steps", 1)
    result = nlpk("train", "generation", *run, "--dev", dev, "--out", tmp_path / "a")
    assert result.status == 0, result.err
    assert "1 of 2 dev rows are not scored, for example: unknown label '中' of label; known are" in result.err
    result = nlpk("train", "generation", *run, "--dev", strange, "--out", tmp_path / "b")
    assert result.status == 2
    assert "nlpk: --dev: no row can be scored, for example: unknown label '中'" in result.err
    assert not (tmp_path / "b").exists()


def test_training_refuses_what_are_no_labels(nlpk: Nlpk, tiny_folder: Path, tmp_path: Path) -> None:
    rows = tmp_path / "texts.tsv"
    rows.write_text("".join(f"今天\t{number}号\n" for number in range(200)), encoding="utf-8")
    result = nlpk(
        "train", "generation", "--train", rows, "--backbone", tiny_folder, "--limit", 16, "--out", tmp_path / "o"
    )
    assert result.status == 2
    assert "condition label: 200 different labels in 200 rows; name a field of labels in --conditions" in result.err


def test_fields_of_text_to_text_have_any_names(nlpk: Nlpk, tiny_folder: Path, tmp_path: Path) -> None:
    pairs = tmp_path / "titles.jsonl"
    pair = json.dumps({"text": "今天天气很好我们去公园玩", "title": "去公园"})
    pairs.write_text(f"{pair}\n" * 8, encoding="utf-8")
    named = ("--source-field", "text", "--text-field", "title", "--limit", 8, "--source-limit", 20)
    run = ("--backbone", tiny_folder, "--steps", 1, "--dtype", "float32", "--out", tmp_path / "out")
    trained = nlpk("train", "generation", "--method", "seq2seq", "--train", pairs, *named, *run)
    assert trained.status == 0, trained.err
    asked = nlpk("predict", "generation", "--model", tmp_path / "out", "--format", "jsonl", stdin=pair)
    assert asked.status == 0
    assert list(asked.lines[0]) == ["text", "title", "prediction"]
    scored = nlpk("eval", "generation", "--model", tmp_path / "out", "--json", pairs)
    assert {"bleu", "rouge_l", "chrf"} <= scored.lines[-1]["scores"].keys()


def test_a_record_of_another_kind_spoils_itself_alone(nlpk: Nlpk) -> None:
    given = [{"prompt": "今"}, {"sets": 5}, {"sets": "地=北京"}, {"set": "地=北京", "label": "好"}]
    result = nlpk("predict", "generation", stdin="\n".join(map(json.dumps, given)))
    assert result.status == 1
    assert ["error" in line for line in result.lines] == [False, True, True, False]
    assert "field 'sets': found '5', expected a list" in result.lines[1]["error"]


def test_a_row_of_an_unknown_label_is_named_and_the_others_are_scored(nlpk: Nlpk, tmp_path: Path) -> None:
    file = tmp_path / "dev.jsonl"
    good = {"text": "今天天气很好", "地": "北京", "label": "好"}
    file.write_text("\n".join(map(json.dumps, [good, {**good, "地": "广州"}, good])), encoding="utf-8")
    result = nlpk("eval", "generation", "--samples", "1", "--json", file)
    assert result.status == 1
    assert "dev.jsonl:2: unknown label '广州' of 地" in result.err
    assert (result.lines[0]["records"], result.lines[0]["failed"]) == (2, 1)
