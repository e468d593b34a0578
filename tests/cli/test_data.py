import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Nlpk = Callable[..., Any]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.tsv"
    path.write_text("甲\t乙\t1\n丙\n丁\t戊\t0\n\n", encoding="utf-8")
    return path


def test_check_counts_and_names(nlpk: Nlpk, pairs: Path) -> None:
    result = nlpk("data", "check", "similarity", pairs, "--method", "cosent")
    assert result.status == 1
    assert result.lines == [
        {"file": str(pairs), "task": "similarity", "records": 2, "bad": 2, "fit_for": {"cosent": 2}}
    ]
    assert [line.split(": ")[1] for line in result.err.splitlines()] == [f"{pairs}:2", f"{pairs}:4"]


def test_check_says_what_a_file_is_good_for(nlpk: Nlpk) -> None:
    result = nlpk("data", "check", "similarity", "-", stdin="甲\t乙\t1\n")
    assert result.status == 0
    assert {"simcse", "cosent", "eval"} <= set(result.lines[0]["fit_for"])


def test_check_of_nothing_is_not_well(nlpk: Nlpk) -> None:
    assert nlpk("data", "check", "similarity", "-").complaint == "stdin: no records in it; expected some to check"


def test_check_names_no_more_than_asked(nlpk: Nlpk, pairs: Path) -> None:
    result = nlpk("data", "check", "similarity", pairs, "--method", "cosent", "--shown", 1)
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("to", "expected"),
    [("jsonl", '{"a": "甲", "b": "乙", "score": 1.0}'), ("sentences", "甲\n乙"), ("tsv", "a\tb\tscore\n甲\t乙\t1")],
)
def test_convert(nlpk: Nlpk, to: str, expected: str, tmp_path: Path) -> None:
    given = "a\tb\tscore\n甲\t乙\t1\n"
    assert nlpk("data", "convert", "similarity", "-", "--to", to, "--out", tmp_path / "x", stdin=given).status == 0
    made = (tmp_path / "x").read_text("utf-8").rstrip("\n")
    if to == "jsonl":
        assert json.loads(made) == json.loads(expected)
    else:
        assert made == expected
    assert nlpk("data", "convert", "similarity", "-", "--to", to, stdin=given).out.decode().rstrip("\n") == made


def test_an_empty_file_is_told_in_every_command(nlpk: Nlpk, tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    converted = nlpk("data", "convert", "similarity", empty, "--to", "jsonl")  # nothing in, nothing out
    assert (converted.status, converted.out, converted.complaint) == (0, b"", "nothing in the input becomes jsonl")
    checked, scored = nlpk("data", "check", "similarity", empty), nlpk("eval", "similarity", empty)
    assert (checked.status, scored.status) == (2, 2)
    assert checked.complaint == f"{empty}: no records in it; expected some to check"
    assert "no labelled record" in scored.complaint


def test_convert_knows_stdout_by_its_other_name(nlpk: Nlpk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = nlpk("data", "convert", "similarity", "-", "--to", "sentences", "--out", "-", stdin="甲\t乙\n")
    assert result.out.decode() == "甲\n乙\n"
    assert not list(tmp_path.iterdir())


def test_convert_leaves_bad_records_out(nlpk: Nlpk) -> None:
    given = '{"a": "甲", "b": "乙", "x": "\\ud800"}\n{"a": "甲"}\n{"a": "丙", "b": "丁"}\n'
    result = nlpk("data", "convert", "similarity", "-", "--to", "jsonl", stdin=given)
    assert result.status == 1
    assert [line["a"] for line in result.lines] == ["丙"]
    assert "nlpk: stdin:1: a lone surrogate, half of a character; it is no valid Unicode; left out" in result.err
    assert "2 records failed" in result.err


QUESTIONS = [
    {"id": "1", "question": "几年", "passage": "建于1958年。", "answers": ["1958年"]},
    {"id": "2", "question": "多深", "passage": "建于1958年。", "answers": []},
    {"id": "3", "question": "坏的", "passage": " ", "answers": []},
    {"id": "2", "question": "灯塔建于何时，谁守", "passages": ["老何守灯塔", "建于1987年"], "answers": ["老何"]},
]


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in QUESTIONS), encoding="utf-8")
    return path


def test_check_counts_what_the_task_finds_worth_knowing(nlpk: Nlpk, questions: Path) -> None:
    result = nlpk("data", "check", "qa", questions)
    assert result.status == 1
    (counted,) = result.lines
    assert (counted["records"], counted["bad"], counted["fit_for"]) == (3, 1, {"seq2seq": 3, "mlm": 3, "eval": 3})
    assert (counted["passages"], counted["several_passages"], counted["no_answer"]) == (4, 1, 1)
    assert counted["repeated_ids"] == 1
    first, second = result.err.splitlines()
    assert first.startswith(f"nlpk: {questions}:3: no text to answer from")
    assert second == (
        f"nlpk: {questions}: 1 record repeats the id of an earlier one, first '2'; only their order tells them apart"
    )


@pytest.mark.parametrize("to", ["webqa", "squad"])
def test_convert_writes_one_document_that_can_be_read_again(
    nlpk: Nlpk, questions: Path, to: str, tmp_path: Path
) -> None:
    out = tmp_path / "made.json"
    result = nlpk("data", "convert", "qa", questions, "--to", to, "--out", out)
    assert result.status == 1
    assert "left out" in result.err
    document = json.loads(out.read_text("utf-8"))
    assert len(document if to == "webqa" else document["data"]) == 3
    (counted,) = nlpk("data", "check", "qa", out).lines
    assert (counted["records"], counted["bad"]) == (3 if to == "webqa" else 4, 0)


@pytest.mark.parametrize(
    ("to", "expected"), [("webqa", []), ("squad", {"version": "2.0", "data": []}), ("jsonl", None)]
)
def test_a_document_of_nothing_is_one(nlpk: Nlpk, to: str, expected: object) -> None:
    result = nlpk("data", "convert", "qa", "-", "--to", to)
    assert result.status == 0
    assert (json.loads(result.out) if result.out else None) == expected


def test_convert_mixes(nlpk: Nlpk, questions: Path) -> None:
    options = ["--to", "jsonl", "--distractors", 1, "--seed", 7]
    result = nlpk("data", "convert", "qa", questions, *options)
    assert result.status == 1
    assert [line["id"] for line in result.lines] == ["1", "2", "2"]
    assert [line.get("passage") for line in result.lines] == ["建于1958年。", "建于1958年。", None]
    assert sorted(result.lines[2]["passages"]) == ["建于1958年。", "建于1987年", "老何守灯塔"]
    assert nlpk("data", "convert", "qa", questions, *options).out == result.out


def test_convert_refuses_options_that_do_not_fit(nlpk: Nlpk, questions: Path) -> None:
    result = nlpk("data", "convert", "qa", questions, "--to", "jsonl", "--no-answer", 0.5)
    assert (result.status, result.complaint) == (
        2,
        "--no-answer 0.5: needs --distractors, passages to read in their place",
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            '[{"question": "问", "passage": "甲", "answers": []}]\n{"question": "问"}\n',
            "stdin:2: more text behind the end",
        ),
        ('{"data": [1]}', "stdin:1 (record 1): expected a JSON object in the list"),
        ('{"question": "问", "passage": "甲", "answers": []}\n甲\t乙\n', "stdin:2: invalid JSON at character 1"),
        (
            '{"title": "x", "paragraphs": []}',
            "stdin:1: found a SQuAD article (field 'paragraphs'), expected a question",
        ),
    ],
)
def test_formats_that_are_mixed_are_told_in_a_line(nlpk: Nlpk, given: str, said: str) -> None:
    result = nlpk("data", "check", "qa", "-", stdin=given)
    assert result.status != 0
    assert result.complaint.startswith(said)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_convert_names_the_file_that_has_no_room(nlpk: Nlpk) -> None:
    result = nlpk("data", "convert", "similarity", "-", "--to", "sentences", "--out", "/dev/full", stdin="甲\t乙\n")
    assert result.status == 2
    assert result.complaint == "/dev/full: cannot be written (No space left on device); make room"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("data check similarity - --method magic", "no method 'magic'; methods are simcse"),
        ("data convert similarity - --to magic", "no format 'magic' for similarity; formats are jsonl"),
        ("data convert similarity -", "missing option '--to'"),
        ("data convert similarities - --to jsonl", "no such command 'similarities'"),
        ("data check similarities -", "no task 'similarities'; did you mean similarity?"),
    ],
)
def test_unknown_names_are_refused(nlpk: Nlpk, line: str, said: str) -> None:
    result = nlpk(*line.split())
    assert result.status == 2
    assert said in result.complaint


@pytest.mark.parametrize(
    ("method", "given", "said"),
    [
        ("cosent", "甲\t乙\t1\n丙\t丁\t1\n", "stdin: all scores are equal"),
        ("supervised-simcse", "甲\t乙\t1\n丙\t丁\t0\n", "stdin: every negative is a number, such as 1"),
    ],
)
def test_check_tells_what_all_records_lack_together(nlpk: Nlpk, method: str, given: str, said: str) -> None:
    result = nlpk("data", "check", "similarity", "-", "--method", method, stdin=given)
    assert result.status == 1
    assert said in result.complaint
    assert (result.lines[0]["records"], result.lines[0]["bad"]) == (2, 0)


def test_check_counts_beyond_what_it_must_compare(nlpk: Nlpk) -> None:
    given = "甲\t乙\t1\n丙\t丁\t0\n戊\n己\t庚\t1\n"
    result = nlpk("data", "check", "similarity", "-", "--method", "cosent", stdin=given)
    assert (result.lines[0]["records"], result.lines[0]["bad"]) == (3, 1)


def test_check_tells_records_without_a_condition_and_counts_the_labels(nlpk: Nlpk) -> None:
    given = "房间很好\t酒店\t1\n房间不好\t酒店\n\n味道不错\t水果\t1\n"
    check = ("data", "check", "generation", "-", "--format", "tsv", "--conditions", "类别,情感")
    result = nlpk(*check, stdin=given)
    assert result.status == 1
    assert "stdin:2: field '情感' is missing; expected the conditions 类别, 情感" in result.err
    found = result.lines[0]
    assert (found["records"], found["bad"]) == (2, 2)
    assert (found["类别=酒店"], found["类别=水果"], found["情感=1"]) == (1, 1, 2)
    assert nlpk(*check, "--method", "cln", stdin=given).lines[0]["fit_for"] == {"cln": 2}
    result = nlpk("data", "check", "similarity", "-", "--conditions", "a", stdin=given)
    assert result.status == 2
    assert "--conditions a: records of similarity have none; leave it out" in result.complaint
