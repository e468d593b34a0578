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
    assert nlpk("data", "check", "similarity", "-").status == 1


def test_check_names_no_more_than_asked(nlpk: Nlpk, pairs: Path) -> None:
    result = nlpk("data", "check", "similarity", pairs, "--method", "cosent", "--shown", 1)
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("to", "expected"),
    [("jsonl", '{"a": "甲", "b": "乙", "score": 1.0}'), ("sentences", "甲\n乙"), ("tsv", "甲\t乙\t1")],
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
