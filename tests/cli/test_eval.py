import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Nlpk = Callable[..., Any]
KEYS = ["task", "method", "model", "file", "settings", "records", "failed", "scores", "seconds", "records_per_second"]


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    path = tmp_path / "labelled.tsv"
    rows = [
        ("我想改手机号", "怎么换绑手机", 5),
        ("今天天气好", "股票跌了", 0),
        ("你好", "您好", 4),
        ("买票", "睡觉", 1),
    ]
    path.write_text("".join(f"{a}\t{b}\t{score}\n" for a, b, score in rows), encoding="utf-8")
    return path


def test_json_has_what_scripts_read(nlpk: Nlpk, labelled: Path) -> None:
    result = nlpk("eval", "similarity", labelled, "--json")
    assert (result.status, result.err) == (0, "")
    assert list(result.lines[0]) == KEYS
    assert result.lines[0]["records"] == 4
    assert result.lines[0]["scores"]["spearman"] > 0
    assert set(result.lines[0]["scores"]) == {"spearman", "pearson"}


def test_the_table_has_a_line_for_each_file(nlpk: Nlpk, labelled: Path) -> None:
    lines = [line.split("\t") for line in nlpk("eval", "similarity", labelled, labelled).out.decode().splitlines()]
    assert lines[0][0] == "file"
    assert [line[0] for line in lines[1:]] == ["labelled.tsv"] * 2
    assert "spearman" in lines[0]


def test_records_without_a_reference_are_counted(nlpk: Nlpk, labelled: Path) -> None:
    given = labelled.read_text("utf-8") + "甲\t乙\n\n"
    result = nlpk("eval", "similarity", "-", "--json", stdin=given)
    assert result.status == 1
    assert (result.lines[0]["records"], result.lines[0]["failed"]) == (4, 2)
    assert "no score; scoring needs the reference" in result.err
    assert result.err.endswith("2 records failed\n")


def test_a_file_without_references_is_refused(nlpk: Nlpk) -> None:
    result = nlpk("eval", "similarity", "-", stdin="甲\t乙\n")
    assert result.status == 2
    assert "no labelled record; expected the fields a, b, score" in result.err


def test_a_score_that_is_not_defined_is_null_and_said_to_be(nlpk: Nlpk) -> None:
    for given in ("甲\t乙\t1\n", "甲\t乙\t1\n丙\t丁\t1\n"):
        result = nlpk("eval", "similarity", "-", "--json", stdin=given)
        assert (result.status, result.lines[0]["scores"]) == (0, {"spearman": None, "pearson": None})
        assert result.complaint == "-: no spearman and no pearson; needs two records with different scores and answers"
    table = nlpk("eval", "similarity", "-", stdin="甲\t乙\t1\n").out.decode()
    assert "nan" not in table


def test_predictions_of_nlpk_score_as_its_model_does(nlpk: Nlpk, labelled: Path, tmp_path: Path) -> None:
    labelled.write_text("甲\n" + labelled.read_text("utf-8"), encoding="utf-8")  # a bad record shifts nothing
    predicted = tmp_path / "predicted.jsonl"
    predicted.write_bytes(nlpk("predict", "similarity", labelled).out)
    scored = nlpk("eval", "similarity", labelled, "--predictions", predicted, "--json")
    assert scored.status == 1
    model = nlpk("eval", "similarity", labelled, "--json").lines[0]["scores"]
    assert scored.lines[0]["scores"] == pytest.approx(model, abs=1e-2)
    assert scored.lines[0]["method"] is scored.lines[0]["records_per_second"] is scored.lines[0]["seconds"] is None


@pytest.mark.parametrize(
    ("predictions", "files", "said"),
    [
        ('{"prediction": {"cosine": 1}}', 1, "1 predictions for more records; expected one for each, in order"),
        ("{}\n" * 4, 1, "a prediction without a cosine"),
        ("{}\n" * 4, 2, "--predictions goes with one FILE"),
    ],
)
def test_predictions_that_do_not_fit_are_refused(
    nlpk: Nlpk, labelled: Path, predictions: str, files: int, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "predicted.jsonl"
    path.write_text(predictions)
    result = nlpk("eval", "similarity", *[labelled] * files, "--predictions", path)
    assert result.status == 2
    assert said in result.complaint


def test_sweep_compares_poolings_raw_and_whitened(nlpk: Nlpk, tmp_path: Path) -> None:
    path = tmp_path / "many.jsonl"
    rows = [{"a": f"我有{n}元", "b": f"他在{n * 7}号{'路楼店'[n % 3]}", "score": n % 5} for n in range(200)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = nlpk("eval", "similarity", path, "--sweep", "--json")
    assert result.status == 0
    settings = [tuple(line["settings"].values()) for line in result.lines]
    assert {("cls", "no"), ("last-avg", "yes"), ("first-last-avg", "yes")} <= set(settings)
