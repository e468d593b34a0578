"""The output shared by all commands, where no model is needed to look at it."""

import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nlpk.options import Writing
from nlpk.outputs import Failures, Output, complaints, each, opened
from nlpk.sinks import JsonLines, encoded
from nlptasks.errors import InputError, RecordError, UsageError
from nlptasks.files import Record

Nlpk = Callable[..., Any]
GOOD, BAD = Record("in.txt", 1, {"text": "甲"}), Record("in.txt", 2, {}, "blank line")
SINK = partial(JsonLines, key="answer")


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "in.txt"
    path.write_text("甲\n\n", encoding="utf-8")
    return str(path)


@contextmanager
def output(tmp_path: Path, source: str, **options: Any) -> Iterator[Output]:  # noqa: ANN401
    writing = Writing(out=str(tmp_path / "out.jsonl"), **options)
    with opened(writing, source, {}, SINK) as made:
        yield made


class Full(io.BytesIO):
    """A disk with no room left."""

    def write(self, data: object) -> int:
        raise OSError(28, "No space left on device")


def fill(made: Output) -> None:
    """Write one line, and another when the disk is full."""
    made.write([(GOOD, 1)])
    vars(made.sink)["handle"] = Full()
    made.write([(GOOD, 2)])


def test_a_full_disk_keeps_what_was_written_and_names_the_remedy(tmp_path: Path, source: str) -> None:
    said = r"out\.jsonl: cannot be written \(No space left on device\); make room and go on with --resume"
    with pytest.raises(InputError, match=said), output(tmp_path, source) as made:
        fill(made)
    assert json.loads((tmp_path / "out.jsonl.part").read_text("utf-8")) == {"text": "甲", "answer": 1}
    with output(tmp_path, source, resume=True) as made:
        assert made.done == 1


def test_a_full_disk_under_a_rust_library_is_one_line() -> None:
    said = r"model: cannot be written \(No space left on device\); make room"
    with pytest.raises(InputError, match=said), complaints("model"):
        raise Exception("No space left on device (os error 28)")


@pytest.mark.parametrize("error", [BrokenPipeError(32, "x"), OSError(2, "x", "other file"), ValueError("x")])
def test_what_is_no_refusal_to_write_goes_on_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)), complaints("out"):
        raise error


def test_an_input_that_cannot_be_read_again_leaves_no_partial_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"in\.txt:2: blank line"), output(tmp_path, "-", on_error="fail") as made:
        made.write([(BAD, RecordError("blank line"))])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [{"on_error": "skip"}, {"out": None}])
def test_resume_needs_something_to_count(source: str, options: dict[str, Any]) -> None:
    writing = Writing(**{"out": "x.jsonl", "resume": True, **options})
    with (
        pytest.raises(UsageError, match="--resume needs an input FILE and --out FILE"),
        opened(writing, source, {}, SINK),
    ):
        pass


def test_resume_counts_earlier_failures(tmp_path: Path, source: str, capsys: pytest.CaptureFixture[str]) -> None:
    failed = [(Record("x", 1, {"error": "own"}), 1), (BAD, RecordError("blank line"))]
    made = output(tmp_path, source)
    made.__enter__().write(failed)
    made.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    with output(tmp_path, source, resume=True) as resumed:
        assert resumed.done == 2
    capsys.readouterr()
    with pytest.raises(SystemExit):
        resumed.end()
    assert capsys.readouterr().err == "nlpk: 1 record failed\n"


def test_a_damaged_description_is_not_taken_for_the_same_run(tmp_path: Path, source: str) -> None:
    with pytest.raises(KeyboardInterrupt), output(tmp_path, source):
        raise KeyboardInterrupt
    (tmp_path / "out.jsonl.part.json").write_text("{")
    with (
        pytest.raises(InputError, match="made from other input, model or options"),
        output(tmp_path, source, resume=True),
    ):
        pass


def test_each_names_what_it_leaves_out(capsys: pytest.CaptureFixture[str]) -> None:
    failures = Failures(ending="; left out")
    assert list(each([GOOD, BAD, GOOD], lambda record: record.fields["text"], failures)) == [(0, "甲"), (2, "甲")]
    assert capsys.readouterr().err == "nlpk: in.txt:2: blank line; left out\n"


def test_whatever_came_in_goes_out(tmp_path: Path) -> None:
    for value in ("half \ud800", 2**80, {"deep": ["\udfff"]}):
        assert json.loads(encoded({"own": value, "vector": np.ones(2, np.float32)})) == {"own": value, "vector": [1, 1]}


def test_a_sink_may_be_any_stream() -> None:
    handle = io.BytesIO()
    JsonLines(handle, False, key="vector", first=True).write([(GOOD, [1]), (BAD, RecordError("blank line"))])
    lines = [json.loads(line) for line in handle.getvalue().splitlines()]
    assert lines == [{"vector": [1], "text": "甲"}, {"line": 2, "error": "blank line"}]
    assert list(lines[0]) == ["vector", "text"]


@pytest.mark.parametrize(
    "command",
    [
        ["embed", "in.jsonl", "--out", "in.jsonl"],
        ["embed", "in.jsonl", "--out", "link.jsonl"],
        ["embed", "link.jsonl", "--out", "hard.jsonl"],
        ["embed", "in.jsonl", "--whiten", "--save-whitening", "in.jsonl"],
        ["predict", "similarity", "in.jsonl", "--out", "./in.jsonl"],
        ["data", "convert", "similarity", "in.jsonl", "--to", "sentences", "--out", "link.jsonl"],
        ["search", "query", "index", "--file", "in.jsonl", "--out", "in.jsonl"],
    ],
)
def test_an_output_that_is_the_input_is_refused(
    nlpk: Nlpk, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.jsonl").write_text("")
    Path("link.jsonl").symlink_to("in.jsonl")
    Path("hard.jsonl").hardlink_to("in.jsonl")
    result = nlpk(*command)
    assert (result.status, result.out) == (2, b"")
    assert result.complaint.endswith(f" {Path(command[-1])}: this is the input; choose another name")
    assert result.complaint.startswith("--")


def test_an_output_that_stdin_comes_from_is_refused(spawn: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text("甲\n", encoding="utf-8")
    with path.open() as given, spawn("embed", "--out", path, stdin=given) as process:
        assert b"this is the input" in process.communicate()[1]
        assert process.returncode == 2
    assert path.read_text("utf-8") == "甲\n"


@pytest.mark.parametrize("name", ["s.npz", "s.csv", "s.tsv", "S.TXT"])
def test_an_ending_that_promises_another_format_is_refused(nlpk: Nlpk, name: str) -> None:
    result = nlpk("embed", "--out", name, stdin="甲\n")
    assert result.status == 2
    ending = "." + name.lower().split(".")[1]
    known = ".jsonl, .ndjson, .json, .npy or .parquet, or no ending"
    assert result.complaint == f"--out {name}: {ending} is no format of the output; expected {known}"


def test_a_whitening_that_could_not_be_written_is_known_before_the_input_is_read(nlpk: Nlpk, tmp_path: Path) -> None:
    result = nlpk("embed", "no-such-file", "--whiten", "--save-whitening", tmp_path / "no" / "w.st")
    assert result.status == 2
    assert "w.st: there is no folder" in result.complaint


def test_every_file_gets_the_usual_permissions(nlpk: Nlpk, sentences: Path, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        for name in ("x.npy", "x.parquet", "x.jsonl"):
            assert nlpk("embed", sentences, "--out", tmp_path / name).status == 0
        kept = ("--save-whitening", tmp_path / "whitening", "--dims", 4, "--out", tmp_path / "y.npy")
        assert nlpk("embed", sentences, "--whiten", *kept).status == 0
        assert nlpk("search", "build", sentences, "--out", tmp_path / "index").status == 0
        converted = ("--to", "sentences", "--out", tmp_path / "x.txt")
        assert nlpk("data", "convert", "similarity", sentences, *converted).status == 0
        small = ("--steps", 1, "--batch-size", 2, "--limit", 8, "--train", sentences, "--save-every", 0)
        assert nlpk("train", "similarity", *small, "--out", tmp_path / "run").status == 0
    finally:
        os.umask(before)
    modes = {path: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()}
    assert len(modes) > 15
    assert {path for path, mode in modes.items() if mode != 0o644} == set()
