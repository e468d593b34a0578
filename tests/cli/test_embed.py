import gzip
import json
import lzma
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard

from nlpk.outputs import Output
from nlptasks.inference.predictor import stream

Nlpk = Callable[..., Any]
WIDTH = 256


def vectors(result: Any) -> np.ndarray:  # noqa: ANN401
    return np.array([line["vector"] for line in result.lines])


def test_a_line_gives_a_vector_of_length_1_before_its_own_keys(nlpk: Nlpk) -> None:
    result = nlpk("embed", stdin="我想改手机号\n")
    assert (result.status, result.err) == (0, "")
    assert list(result.lines[0]) == ["vector", "text"]
    assert np.linalg.norm(vectors(result)) == pytest.approx(1, abs=1e-4)
    assert vectors(result).shape == (1, WIDTH)


def test_blank_and_bad_lines_keep_their_place(nlpk: Nlpk) -> None:
    given = [
        '{"text": "甲", "id": 1}',
        "",
        "{broken",
        '{"text": 5, "id": 2}',
        '{"text": "x \\ud800", "id": 3}',
        '{"text": "乙"}',
    ]
    result = nlpk("embed", "--format", "jsonl", stdin="\n".join(given))
    assert result.status == 1
    assert ["vector" in line for line in result.lines] == [True, False, False, False, False, True]
    assert [line.get("id", line.get("line")) for line in result.lines] == [1, 2, 3, 2, 3, None]
    assert "lone surrogate" in result.lines[4]["error"]
    assert result.lines[4]["text"] == "x \ud800"
    assert "nlpk: stdin:3: invalid JSON" in result.err
    assert result.err.endswith("nlpk: 4 records failed\n")


def test_only_the_first_bad_records_are_named(nlpk: Nlpk) -> None:
    assert nlpk("embed", stdin="\n" * 9).err.splitlines()[4:] == ["nlpk: stdin:5: blank line", "nlpk: 9 records failed"]


def test_an_empty_file_gives_nothing_and_says_so(nlpk: Nlpk, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    result = nlpk("embed", tmp_path / "empty.txt")
    assert (result.status, result.out) == (0, b"")
    assert result.complaint == f"{tmp_path}/empty.txt: no records in it"
    assert nlpk("embed").complaint == "no records on stdin; name a FILE, or pipe some in"
    assert nlpk("embed", tmp_path / "empty.txt", "--out", tmp_path / "x.npy").status == 0
    assert np.load(tmp_path / "x.npy").shape == (0, WIDTH)


def test_npy_has_a_row_of_nan_for_a_bad_record(nlpk: Nlpk, tmp_path: Path) -> None:
    result = nlpk("embed", "--out", tmp_path / "x.npy", stdin="甲\n\n乙\n")
    rows = np.load(tmp_path / "x.npy")
    assert result.status == 1
    assert rows.shape == (3, WIDTH)
    assert rows.dtype == np.float32
    assert np.isnan(rows).all(1).tolist() == [False, True, False]
    assert np.allclose(rows[[0, 2]], vectors(nlpk("embed", stdin="甲\n乙\n")), atol=1e-2)
    assert os.listdir(tmp_path) == ["x.npy"]


def test_parquet_keeps_text_error_and_other_keys(nlpk: Nlpk, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    given = '{"text": "甲", "id": 1}\n\n{"text": "乙 \\ud800"}\n'
    assert nlpk("embed", "--format", "jsonl", "--out", tmp_path / "x.parquet", stdin=given).status == 1
    rows = parquet.read_table(tmp_path / "x.parquet").to_pylist()
    assert [row["text"] for row in rows] == ["甲", None, "乙 ?"]
    assert [np.isnan(row["vector"]).all() for row in rows] == [False, True, True]
    assert [row["error"] is None for row in rows] == [True, False, False]
    assert json.loads(rows[0]["fields"]) == {"id": 1}


def test_skip_leaves_rows_out_of_parquet(nlpk: Nlpk, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    assert nlpk("embed", "--on-error", "skip", "--out", tmp_path / "x.parquet", stdin="甲\n\n乙\n").status == 1
    assert parquet.read_table(tmp_path / "x.parquet").num_rows == 2


def test_store_dims_and_no_normalize(nlpk: Nlpk, tmp_path: Path) -> None:
    nlpk("embed", "--out", tmp_path / "x.npy", "--store", "float16", "--dims", 8, stdin="甲\n乙\n")
    rows = np.load(tmp_path / "x.npy")
    assert (rows.dtype, rows.shape) == (np.float16, (2, 8))
    assert np.linalg.norm(rows.astype(float), axis=1) == pytest.approx(1, abs=1e-2)
    raw = vectors(nlpk("embed", "--no-normalize", stdin="甲\n"))
    assert abs(np.linalg.norm(raw) - 1) > 0.1
    assert np.allclose(raw / np.linalg.norm(raw), vectors(nlpk("embed", stdin="甲\n")), atol=1e-2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("id,title\n1,你好\n", "t.csv:1: found the columns id, title, expected titel; name one of them with --field"),
        ("a,b,score\n你好,您好,3\n", "t.csv:1: found the columns a, b, score, expected titel"),
    ],
)
def test_a_field_that_a_table_lacks_is_refused(
    nlpk: Nlpk, given: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text(given, encoding="utf-8")
    result = nlpk("embed", "t.csv", "--field", "titel")
    assert (result.status, result.out) == (2, b"")
    assert said in result.complaint
    default = nlpk("embed", "t.csv")
    assert default.status == 2
    assert "expected text; name the text's with --field" in default.complaint


def test_other_names_of_the_text_are_understood(nlpk: Nlpk, tmp_path: Path) -> None:
    assert nlpk("embed", "--format", "csv", stdin="id,sentence\n1,你好\n").lines[0]["sentence"] == "你好"
    given = '{"sentence": "你好", "id": 1}\n'
    assert list(nlpk("embed", stdin=given).lines[0]) == ["vector", "sentence", "id"]
    parquet = pytest.importorskip("pyarrow.parquet")
    assert nlpk("embed", "--out", tmp_path / "x.parquet", stdin=given).status == 0
    row = parquet.read_table(tmp_path / "x.parquet").to_pylist()[0]
    assert (row["text"], json.loads(row["fields"])) == ("你好", {"id": 1})
    other = nlpk("embed", stdin='{"sentence1": "你好"}\n')
    assert "found sentence1; name the field with --field" in other.lines[0]["error"]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, zstandard.compress])
def test_compressed_input_is_read(nlpk: Nlpk, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "packed"
    path.write_bytes(pack("甲\n乙\n".encode()))
    assert [line["text"] for line in nlpk("embed", path).lines] == ["甲", "乙"]


@pytest.mark.parametrize(
    ("raw", "said"), [("甲乙\r\n丙丁\r\n".encode("utf-8-sig"), ""), ("甲乙\n丙丁\n".encode("gbk"), "read as GB18030")]
)
def test_marks_line_ends_and_gbk_are_understood(nlpk: Nlpk, raw: bytes, said: str) -> None:
    result = nlpk("embed", stdin=raw)
    assert [line["text"] for line in result.lines] == ["甲乙", "丙丁"]
    assert said in result.err
    assert result.status == 0


@pytest.mark.parametrize(
    ("options", "given"),
    [
        (("--field", "b"), "a\tb\n1\t甲\n"),
        (("--columns", "a,b", "--field", "b"), "1\t甲\n"),
        (("--field", "b", "--format", "tsv", "--columns", "a,b"), "1\t甲\n"),
        (("--field", "b"), '{"b": "甲"}\n'),
        (("--field", "b"), "甲\n"),
        (("--field", "b", "--format", "csv"), 'a,b\n1,"甲"\n'),
    ],
)
def test_the_field_is_found_in_every_format(nlpk: Nlpk, options: tuple[str, ...], given: str, tmp_path: Path) -> None:
    kind = "tsv" if "\t" in given else "x"
    path = tmp_path / f"in.{kind}"
    path.write_text(given, encoding="utf-8")
    result = nlpk("embed", path, *options)
    assert [line["b"] for line in result.lines] == ["甲"]
    assert result.status == 0


def test_a_line_of_10_mb_is_cut_and_said(nlpk: Nlpk) -> None:
    result = nlpk("embed", stdin="长" * 3_500_000 + "\n短\n")
    assert result.status == 0
    assert len(result.lines[0]["text"]) == 3_500_000
    assert "1 text was longer than" in result.err


# Output


def test_stdout_by_other_names_is_stdout(nlpk: Nlpk) -> None:
    for name in ("-", "/dev/stdout"):
        result = nlpk("embed", "--out", name, stdin="甲\n")
        assert (result.status, len(result.lines)) == (0, 1)


def test_a_device_is_written_directly(nlpk: Nlpk) -> None:
    before = set(os.listdir("/dev"))
    assert nlpk("embed", "--out", "/dev/null", stdin="甲\n").status == 0
    assert set(os.listdir("/dev")) == before


def test_a_file_is_replaced_only_when_the_new_one_is_complete(nlpk: Nlpk, tmp_path: Path) -> None:
    out = tmp_path / "x.jsonl"
    out.write_text("old")
    assert nlpk("embed", "--out", out, "--on-error", "fail", stdin="甲\n\n").status == 2
    assert out.read_text() == "old"
    assert nlpk("embed", "--out", out, stdin="甲\n").status == 0
    assert json.loads(out.read_text("utf-8"))["text"] == "甲"
    assert os.listdir(tmp_path) == ["x.jsonl"]


def test_a_pipe_named_as_file_is_read_once(nlpk: Nlpk, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("甲\n乙\n", "utf-8"))
    writer.start()
    assert nlpk("embed", pipe, "--out", tmp_path / "x.npy").status == 0
    writer.join()
    assert len(np.load(tmp_path / "x.npy")) == 2


@pytest.mark.parametrize("kind", ["npy", "jsonl"])
def test_resume_goes_on_behind_the_whole_records(nlpk: Nlpk, kind: str, sentences: Path, tmp_path: Path) -> None:
    text = sentences.read_text("utf-8").replace("\n", "\n\n", 1)
    sentences.write_text(text, encoding="utf-8")
    out, whole = tmp_path / f"x.{kind}", tmp_path / f"whole.{kind}"
    assert nlpk("embed", sentences, "--out", whole).status == 1
    assert nlpk("embed", sentences, "--out", out, "--on-error", "fail").status == 2  # leaves one record and its part
    part = out.with_name(out.name + ".part")
    part.write_bytes(whole.read_bytes()[: len(whole.read_bytes()) // 2 + 5])
    result = nlpk("embed", sentences, "--out", out, "--resume")
    assert result.status == 1
    assert "1 record failed" in result.err  # the earlier run's
    assert sorted(path.name for path in tmp_path.glob("x.*")) == [out.name]
    if kind == "npy":
        assert np.allclose(np.load(out), np.load(whole), atol=1e-2, equal_nan=True)
        return
    pairs = zip(out.read_bytes().splitlines(), whole.read_bytes().splitlines(), strict=True)
    for made, expected in ((json.loads(a), json.loads(b)) for a, b in pairs):
        assert np.allclose(made.pop("vector", 0), expected.pop("vector", 0), atol=1e-2)
        assert made == expected


@pytest.mark.parametrize("kind", ["npy", "jsonl"])
def test_an_interrupted_file_is_completed_by_resume(
    nlpk: Nlpk, kind: str, sentences: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole = tmp_path / f"x.{kind}", tmp_path / f"whole.{kind}"
    write = Output.write

    def write_and_interrupt(self: Output, window: Any) -> None:  # noqa: ANN401
        write(self, window)
        signal.raise_signal(signal.SIGINT)

    assert stream.__kwdefaults__
    monkeypatch.setitem(stream.__kwdefaults__, "window", 100)
    monkeypatch.setattr(Output, "write", write_and_interrupt)
    interrupted = nlpk("embed", sentences, "--out", out)
    assert (interrupted.status, interrupted.complaint) == (130, "interrupted")
    assert sorted(path.name for path in tmp_path.glob("x*")) == [f"x.{kind}.part", f"x.{kind}.part.json"]
    assert out.with_name(out.name + ".part").stat().st_size > 0
    monkeypatch.setattr(Output, "write", write)
    assert nlpk("embed", sentences, "--out", out, "--resume").status == 0
    assert nlpk("embed", sentences, "--out", whole).status == 0
    assert out.stat().st_size == pytest.approx(whole.stat().st_size, rel=1e-2)  # digits may differ by rounding
    if kind == "npy":
        assert np.allclose(np.load(out), np.load(whole), atol=1e-2)
    else:
        texts = [json.loads(line)["text"] for line in out.read_text("utf-8").splitlines()]
        assert texts == sentences.read_text("utf-8").splitlines()


def test_resume_refuses_the_partial_file_of_another_run(nlpk: Nlpk, tmp_path: Path) -> None:
    given, out = tmp_path / "in.txt", tmp_path / "x.npy"
    given.write_text("甲\n\n", encoding="utf-8")
    assert nlpk("embed", given, "--out", out, "--on-error", "fail").status == 2
    for change in (["--dims", 3], ["--pooling", "cls"], ["--format", "csv"]):
        result = nlpk("embed", given, "--out", out, "--resume", *change)
        assert result.status == 2
        assert "made from other input, model or options; delete it" in result.complaint
    given.write_text("乙\n\n", encoding="utf-8")
    assert "made from other input" in nlpk("embed", given, "--out", out, "--resume").complaint


def test_resume_with_nothing_to_resume_starts_anew(nlpk: Nlpk, sentences: Path, tmp_path: Path) -> None:
    assert nlpk("embed", sentences, "--out", tmp_path / "x.npy", "--resume").status == 0
    assert len(np.load(tmp_path / "x.npy")) == 300


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--resume",), "--resume needs an input FILE and --out FILE"),
        (("--resume", "--out", "x.jsonl"), "--resume needs an input FILE"),
        (("--resume", "--out", "x.parquet"), "--resume does not go with --whiten or .parquet"),
        (("--resume", "--whiten", "--out", "x.npy"), "--resume does not go with --whiten"),
        (("--on-error", "skip", "--out", "x.npy"), "whose rows are the input's lines"),
        (("--whiten", "--whitening", "w"), "give one of them"),
        (("--save-whitening", "w"), "needs --whiten"),
        (("--whitening", "no-such"), "no-such: this is no whitening that can be read"),
        (("--dims", "0"), "--dims 0: expected 1 or more"),
        (("--whiten-beta", "nan"), "--whiten-beta nan: expected a finite number"),
        (("--whiten-gamma", "inf"), "--whiten-gamma inf: expected a finite number"),
        (("--limit", "999"), "--limit 999: expected 3 to 512, the positions of this model"),
        (("--dims", "999"), "--dims 999: the vectors have 256 dimensions"),
        (("--as", "text"), "--as text: a field with a meaning"),
        (("--as", "fields", "--out", "x.parquet"), "--as fields: a field with a meaning"),
        (("--out", "x.jsonl.gz"), "output is not compressed"),
        (("--out", "no-such-folder/x.npy"), "no-such-folder/x.npy: this file cannot be written"),
        (("--out", "."), ".: this is a folder"),
        (("--limit", "1"), "--limit 1: expected 3 or more"),
        (("--batch-tokens", "0"), "--batch-tokens 0: expected at least 1"),
        (("--device", "abacus"), "--device abacus: not on this machine"),
        (("--dtype", "float7"), "--dtype float7: no such number format"),
        (("--encoding", "klingon"), "unknown encoding 'klingon'"),
        (("--model", "a", "--backbone", "b"), "give one of them"),
    ],
)
def test_options_that_cannot_be_are_refused_in_one_line(
    nlpk: Nlpk, options: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = nlpk("embed", *options, stdin="甲\n")
    assert result.status == 2
    assert said in result.complaint
    assert not result.out
    assert not os.listdir(tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_a_file_is_one_line(nlpk: Nlpk) -> None:
    result = nlpk("embed", "--out", "/dev/full", stdin="甲\n")
    assert result.status == 2
    assert result.complaint == "/dev/full: cannot be written (No space left on device); make room"
