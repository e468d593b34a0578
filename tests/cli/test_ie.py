"""Information extraction from the command line: every form in, lines and a page out, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlptasks.training import models

Nlpk = Callable[..., Any]
TEXT = "我们去北京公园玩"
BIO = "我\tO\n们\tO\n去\tO\n北\tB-地\n京\tI-地\n公\tB-园\n园\tI-园\n玩\tO\n\n今\tO\n天\tO\n"


@pytest.fixture(autouse=True)
def _chosen(ie_models: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the tiny models answer, gplinker where no method is named."""
    monkeypatch.setenv("NLPK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for method in ("globalpointer", "casrel", "gplinker"):
        models.use("ie", ie_models[method])


def test_a_text_gives_triples_and_a_page(nlpk: Nlpk, tmp_path: Path) -> None:
    result = nlpk("predict", "ie", "--text", TEXT, "--html", "report.html")
    assert result.status == 0
    (line,) = result.lines
    assert list(line) == ["text", "prediction"]
    (first, second) = line["prediction"]["triples"]
    assert first["subject"] == {"text": "北京公园", "start": 3, "end": 7, "type": None}
    assert {first["predicate"], second["predicate"]} == {"在", "是"}
    assert "page in report.html" in result.err
    assert "北京" in Path("report.html").read_text(encoding="utf-8")


def test_lines_in_are_lines_out_whatever_form_they_have(nlpk: Nlpk, tmp_path: Path) -> None:
    Path("ner.txt").write_text(BIO, encoding="utf-8")
    result = nlpk("predict", "ie", "ner.txt", "--html", "r.html")
    assert [one["tokens"][0] for one in result.lines] == ["我", "今"]
    assert len(result.lines[0]["prediction"]["triples"]) == 2
    lines = f'{{"text": "{TEXT}", "spo_list": []}}\n{{"text": ""}}\n{{"a": 1}}\n'
    result = nlpk("predict", "ie", "-", stdin=lines)
    assert result.status == 1
    assert ["prediction" in one for one in result.lines] == [True, False, False]
    assert "field 'text' is missing" in result.lines[2]["error"]


def test_a_page_needs_a_folder_and_all_records(nlpk: Nlpk, tmp_path: Path) -> None:
    Path("in.jsonl").write_text(f'{{"text": "{TEXT}"}}\nbad\n{{"text": "{TEXT}"}}\n', encoding="utf-8")
    result = nlpk("predict", "ie", "in.jsonl", "--html", "none/r.html")
    assert result.status == 2
    assert "there is no folder" in result.complaint
    options = ("predict", "ie", "in.jsonl", "--out", "out.jsonl", "--html", "r.html")
    assert nlpk(*options, "--on-error", "fail").status == 2
    assert Path("out.jsonl.part").is_file()
    result = nlpk(*options, "--resume")
    assert result.status == 2
    assert "a page shows all records of a run" in result.complaint


def test_eval_scores_and_lists_errors(nlpk: Nlpk, tmp_path: Path, ie_records: Any) -> None:  # noqa: ANN401
    wrong = {"text": "北京的公园很大", "triples": [["公园", "在", "北京"]]}
    lines = [json.dumps(one, ensure_ascii=False) for one in (*ie_records, wrong, {"text": TEXT})]
    Path("dev.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    result = nlpk("eval", "ie", "dev.jsonl", "--json", "--errors", "wrong.jsonl")
    assert result.status == 1
    assert "no triples and no entities; scoring needs the reference" in result.err
    assert [one["settings"]["match"] for one in result.lines[:2]] == ["exact", "normalised"]
    assert set(result.lines[0]["scores"]) == {"precision", "recall", "f1"}
    assert result.lines[0]["scores"]["f1"] < 1
    assert "北京的公园很大" in Path("wrong.jsonl").read_text(encoding="utf-8")


def test_entities_are_scored_from_bio(nlpk: Nlpk, tmp_path: Path) -> None:
    Path("ner.bio").write_text(BIO, encoding="utf-8")
    result = nlpk("eval", "ie", "ner.bio", "--method", "globalpointer", "--json", "--no-per-predicate")
    assert result.status == 0
    assert len(result.lines) == 2


def test_data_are_checked_converted_and_labelled(nlpk: Nlpk, tmp_path: Path) -> None:
    Path("ner.txt").write_text(BIO, encoding="utf-8")
    result = nlpk("data", "check", "ie", "ner.txt")
    assert result.lines[0]["fit_for"] == {"globalpointer": 2, "eval": 2}
    Path("bad.bio").write_text("我\tO\n们\tX\n", encoding="utf-8")
    result = nlpk("data", "check", "ie", "bad.bio")
    assert result.status == 1
    assert "bad.bio:2: found '们\\tX', expected a token" in result.err
    result = nlpk("data", "convert", "ie", "ner.txt", "--to", "doccano")
    assert result.lines[0] == {"text": TEXT, "label": [[3, 5, "地"], [5, 7, "园"]]}
    result = nlpk("data", "convert", "ie", "-", "--to", "bio", stdin=result.out)
    assert result.out.decode() == BIO + "\n"
    Path("known.tsv").write_text("公园\t在\t北京\n", encoding="utf-8")
    result = nlpk("data", "label", "ie", "-", "--knowledge", "known.tsv", stdin=f"{TEXT}\n今天\n")
    assert result.status == 0
    (line,) = result.lines
    assert [one["predicate"] for one in line["triples"]] == ["在"]
    assert line["triples"][0]["subject"] == {"text": "公园", "start": 5, "end": 7}
    result = nlpk("data", "label", "ie", "-", "--knowledge", "known.tsv", stdin="今天\n")
    assert (result.status, result.out, result.complaint) == (0, b"", "no text of the input was given a label")
    result = nlpk("data", "label", "ie", "ner.txt")
    assert "nothing to label with" in result.complaint


@pytest.mark.parametrize("options", [("--html", "in.jsonl"), ("--html", "out.jsonl", "--out", "out.jsonl")])
def test_a_page_replaces_neither_input_nor_answers(
    nlpk: Nlpk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("in.jsonl", "out.jsonl"):
        (tmp_path / name).write_text('{"text": "甲"}\n', encoding="utf-8")
    result = nlpk("predict", "ie", "in.jsonl", *options)
    assert result.status == 2
    assert "choose another name" in result.complaint
    assert (tmp_path / "in.jsonl").read_text(encoding="utf-8") == '{"text": "甲"}\n'


def test_errors_replace_no_file_that_is_scored_and_are_of_one_file(nlpk: Nlpk, tmp_path: Path) -> None:
    gold = tmp_path / "gold.jsonl"
    gold.write_text('{"text": "甲在乙", "triples": [["甲", "在", "乙"]]}\n', encoding="utf-8")
    before = gold.read_text(encoding="utf-8")
    assert "this is the input" in nlpk("eval", "ie", gold, "--errors", gold).complaint
    assert gold.read_text(encoding="utf-8") == before
    several = nlpk("eval", "ie", gold, gold, "--errors", tmp_path / "e.jsonl")
    assert (several.status, several.out) == (2, b"")
    assert "--errors goes with one FILE" in several.complaint
    assert nlpk("eval", "ie", gold, "--html", tmp_path / "p.html").status == 2


def test_a_bad_record_is_left_out_of_labelling_and_named(nlpk: Nlpk, tmp_path: Path) -> None:
    (tmp_path / "k.tsv").write_text("甲\t在\t乙\n", encoding="utf-8")
    (tmp_path / "t.jsonl").write_text('{"x": 1}\n{"text": "甲在乙"}\n', encoding="utf-8")
    result = nlpk("data", "label", "ie", tmp_path / "t.jsonl", "--knowledge", tmp_path / "k.tsv")
    assert result.status == 1
    assert [line["text"] for line in result.lines] == ["甲在乙"]
    assert "t.jsonl:1: field 'text' is missing" in result.err
