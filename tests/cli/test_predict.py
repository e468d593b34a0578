import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Nlpk = Callable[..., Any]
PAIRS = [("我想改手机号", "怎么换绑手机"), ("今天天气好", "股票跌了")]


def cosines(result: Any) -> list[float]:  # noqa: ANN401
    return [line["prediction"]["cosine"] for line in result.lines]


def test_a_pair_by_its_options(nlpk: Nlpk) -> None:
    result = nlpk("predict", "similarity", "--a", "我想改手机号", "--b", "怎么换绑手机")
    assert (result.status, result.err) == (0, "")
    assert list(result.lines[0]) == ["a", "b", "prediction"]
    assert -1 <= cosines(result)[0] <= 1


@pytest.mark.parametrize(
    ("options", "given"),
    [
        ((), "\n".join("\t".join(pair) for pair in PAIRS)),
        ((), "b\ta\n" + "\n".join("\t".join(reversed(pair)) for pair in PAIRS)),
        (("--columns", "b,a"), "\n".join("\t".join(reversed(pair)) for pair in PAIRS)),
        ((), "\n".join(json.dumps({"a": a, "b": b}) for a, b in PAIRS)),
        ((), "\n".join(json.dumps({"sentence1": a, "sentence2": b}) for a, b in PAIRS)),
        (("--format", "csv"), "a,b\r\n" + "\r\n".join(f'"{a}","{b}"' for a, b in PAIRS)),
    ],
)
def test_every_format_gives_the_same_answers(nlpk: Nlpk, options: tuple[str, ...], given: str) -> None:
    result = nlpk("predict", "similarity", *options, stdin=given)
    alone = [cosines(nlpk("predict", "similarity", "--a", a, "--b", b))[0] for a, b in PAIRS]
    assert result.status == 0
    assert cosines(result) == pytest.approx(alone, abs=1e-2)


def test_an_option_fills_the_field_that_records_lack(nlpk: Nlpk) -> None:
    given = '{"a": "甲"}\n{"a": "甲", "b": "乙"}\n'
    result = nlpk("predict", "similarity", "--b", "甲", stdin=given)
    assert cosines(result)[0] == pytest.approx(1, abs=1e-2)
    assert cosines(result)[1] < 0.999
    assert "b" not in result.lines[0]


def test_values_come_from_files_and_stdin(nlpk: Nlpk, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("﻿甲\n", encoding="utf-8")
    result = nlpk("predict", "similarity", "--a", f"@{tmp_path / 'a.txt'}", "--b", "-", stdin="乙\n")
    assert result.lines[0] | {"prediction": 0} == {"a": "甲", "b": "乙", "prediction": 0}


def test_a_value_from_a_file_may_be_gb18030(nlpk: Nlpk, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("怎么退款㐂".encode("gb18030"))
    assert nlpk("predict", "similarity", "--a", f"@{tmp_path / 'a.txt'}", "--b", "乙").lines[0]["a"] == "怎么退款㐂"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "big5", "UTF-8-SIG"])
def test_a_value_from_a_file_may_be_in_any_encoding_named(nlpk: Nlpk, tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.txt").write_bytes("怎麼退款\n".encode(encoding))
    asked = ("predict", "similarity", "--a", f"@{tmp_path / 'a.txt'}", "--b", "乙")
    assert nlpk(*asked, "--encoding", encoding).lines[0]["a"] == "怎麼退款"
    wrong = nlpk(*asked, "--encoding", "ascii")
    assert (wrong.status, wrong.complaint) == (
        2,
        f"{tmp_path / 'a.txt'}: give the right --encoding: this is not ASCII text",
    )


def test_one_column_in_a_file_of_pairs_fails_line_by_line(nlpk: Nlpk, tmp_path: Path) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("甲\t乙\n丙\n", encoding="utf-8")
    result = nlpk("predict", "similarity", path)
    assert result.status == 1
    assert "field 'b'" in result.lines[1]["error"]
    assert f"{path}:2" in result.err


def test_a_missing_column_is_named(nlpk: Nlpk) -> None:
    result = nlpk("predict", "similarity", stdin="a\tc\n甲\t乙\n")
    assert result.status == 1
    assert "field 'b' is missing; found a, c" in result.lines[0]["error"]


def test_a_record_by_its_options_that_is_bad_is_the_users_mistake(nlpk: Nlpk) -> None:
    result = nlpk("predict", "similarity", "--a", "", "--b", "乙")
    assert (result.status, result.out) == (2, b"")
    assert result.complaint.startswith("field 'a': ")
    assert "expected text that is not" in result.complaint


def test_a_part_of_a_record_and_an_empty_stream_are_a_usage_error(nlpk: Nlpk) -> None:
    result = nlpk("predict", "similarity", "--a", "我", stdin="")
    assert (result.status, result.complaint) == (
        2,
        "no --b; give it too, or name a FILE whose records have the field",
    )


def test_a_line_of_text_is_the_field_that_no_option_gives(nlpk: Nlpk, tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_text("甲\n乙\n", encoding="utf-8")
    result = nlpk("predict", "similarity", path, "--a", "甲")
    assert (result.status, result.err) == (0, "")
    assert [list(line) for line in result.lines] == [["b", "prediction"]] * 2
    assert cosines(result)[0] == pytest.approx(1, abs=1e-2)


def test_an_option_that_no_record_needs_is_mentioned(nlpk: Nlpk, tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_text("甲\n乙\n", encoding="utf-8")
    result = nlpk("predict", "similarity", path, "--a", "丙", "--b", "丁")
    assert (result.status, list(result.lines[0])) == (0, ["a", "prediction"])
    assert result.complaint == "--a: not used, every record has a value of its own there"


def test_a_reference_that_cannot_be_read_is_not_needed_to_predict(nlpk: Nlpk) -> None:
    result = nlpk("predict", "similarity", stdin="怎么退款\t如何退货\t售后\n甲\t乙\t物流\n")
    assert result.status == 0
    assert result.lines[0] | {"prediction": 0} == {"a": "怎么退款", "b": "如何退货", "score": "售后", "prediction": 0}
    assert "stdin:1: field 'score': found \"售后\", expected" in result.complaint
    assert "--columns" in result.complaint


def test_columns_beyond_the_known_ones_want_names(nlpk: Nlpk) -> None:
    result = nlpk("predict", "similarity", stdin="7\t甲\t乙\t1\n")
    assert result.status == 1
    assert "name the columns with --columns" in result.lines[0]["error"]
    assert nlpk("predict", "similarity", "--columns", "id,a,b,label", stdin="7\t甲\t乙\t1\n").status == 0


def test_a_header_of_other_fields_is_refused(nlpk: Nlpk, tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_text("question,answer\n怎么退款,如何退货\n", encoding="utf-8")
    result = nlpk("predict", "similarity", path)
    assert (result.status, result.out) == (2, b"")
    assert result.complaint.startswith(f"{path}:1: found the columns question, answer, expected a, b, score; rename")


def test_a_header_of_other_names_for_the_fields_is_one(nlpk: Nlpk) -> None:
    result = nlpk("predict", "similarity", stdin="sentence1\tsentence2\n甲\t乙\n")
    assert [list(line) for line in result.lines] == [["sentence1", "sentence2", "prediction"]]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--a", "@no-such-file", "--b", "x"), "no-such-file: cannot be read (No such file or directory); @FILE takes"),
        (("--a", "@bytes.txt", "--b", "x"), "bytes.txt: neither UTF-8 nor GB18030 text; name its encoding with"),
        (("--a", "@blank.txt", "--b", "x", "--encoding", "utf-9"), "unknown encoding 'utf-9'; did you mean utf"),
        (("--a", "@blank.txt", "--b", "x", "--encoding", "hex"), "unknown encoding 'hex'"),
        (("--a", "@blank.txt", "--b", "x"), "blank.txt: found only blanks, expected a text"),
        (("--a", "@empty.txt", "--b", "x"), "empty.txt: found nothing, expected a text"),
        (
            ("--a", "\udcd6\udcd0", "--b", "x"),
            "--a: found '\\xd6\\xd0', which is not UTF-8; put it into a file: --a @FILE",
        ),
        (("--a", "-", "--b", "-"), "- stands twice"),
        (("-", "--a", "-"), "- stands twice"),
        (("--out", "x.npy"), "--out x.npy: .npy is no format of the output; expected .jsonl, .ndjson or .json, or no"),
        (("--out", "x.txt"), "--out x.txt: .txt is no format of the output"),
        (("--as", ""), "--as : a field with a meaning"),
        (("--method", "simcse"), "no model of method simcse; make one: nlpk train similarity --method simcse"),
        (("--method", "magic"), "invalid value for '--method': 'magic' is not one of 'simcse'"),
    ],
)
def test_options_that_cannot_be_are_refused_in_one_line(
    nlpk: Nlpk, options: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, raw in (("bytes.txt", b"\xff\xfe"), ("blank.txt", b" \r\n \n"), ("empty.txt", b"\n")):
        Path(name).write_bytes(raw)
    result = nlpk("predict", "similarity", *options)
    assert result.status == 2
    assert said in result.complaint


def test_without_input_a_terminal_is_told_what_is_missing(nlpk: Nlpk) -> None:
    assert "no input: give --a and --b, name a FILE" in nlpk("predict", "similarity", terminal=True).complaint
    result = nlpk("predict", "similarity", "--a", "甲", terminal=True)
    assert result.status == 2
    assert "no --b; give it too" in result.complaint


def test_a_line_of_integers_too_long_for_64_bits_comes_out_as_it_was(nlpk: Nlpk) -> None:
    given = {"a": "甲", "b": "乙", "big": 2**80, "lone": "\ud800"}
    result = nlpk("predict", "similarity", stdin=io.BytesIO(json.dumps(given).encode()).getvalue())
    assert {**result.lines[0], **given} == result.lines[0]


def test_resume_goes_on_with_a_partial_file(nlpk: Nlpk, tmp_path: Path) -> None:
    given, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    given.write_text("".join(json.dumps({"a": a, "b": b}) + "\n" for a, b in PAIRS) + "\n" + '{"a": "x", "b": "y"}\n')
    assert nlpk("predict", "similarity", given, "--out", out, "--on-error", "fail").status == 2
    part = tmp_path / "out.jsonl.part"
    assert len(part.read_bytes().splitlines()) == 2
    with part.open("ab") as handle:
        handle.write(b'{"a": "half a li')
    assert nlpk("predict", "similarity", given, "--out", out, "--resume").status == 1
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [("prediction" in line) for line in lines] == [True, True, False, True]
