"""Signals, pipes and full disks, with nlpk in a process of its own."""

import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from nlpk import signals

Spawn = Callable[..., subprocess.Popen[bytes]]


def test_a_coprocess_gets_its_answer_line_by_line_and_whole_lines_on_sigterm(spawn: Spawn) -> None:
    with spawn("embed") as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        for text in ("你好", "再见"):
            process.stdin.write(f"{text}\n".encode())
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["text"] == text
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == b""
        assert process.stderr.read() == b"nlpk: terminated\n"
        assert process.wait() == 143


def test_an_interrupt_leaves_whole_lines_in_the_pipe(spawn: Spawn, tmp_path: Path) -> None:
    many = tmp_path / "many.txt"
    many.write_text("".join(f"第{number}句\n" for number in range(1_500)), encoding="utf-8")
    with spawn("embed", many) as process:
        assert process.stdout
        assert process.stderr
        lines = [process.stdout.readline()]  # now the pipe is full, and the next write waits
        process.send_signal(signal.SIGINT)
        lines += process.stdout.readlines()
        assert process.stderr.read() == b"nlpk: interrupted\n"
        assert process.wait() == 130
    assert 1 < len(lines) < 1_500
    assert [json.loads(line)["text"] for line in lines] == [f"第{number}句" for number in range(len(lines))]


def test_an_interrupt_while_everything_is_being_imported_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted:
        """A module that Ctrl-C reaches while it is imported."""

        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    def leave(status: int) -> None:
        raise SystemExit(status)

    entry = importlib.import_module("nlpk.__main__")
    monkeypatch.setitem(sys.modules, "nlpk.app", Interrupted())
    monkeypatch.setattr(os, "_exit", leave)
    monkeypatch.setattr(signals, "mind", lambda: None)  # pytest minds them itself
    with pytest.raises(SystemExit, match="130"):
        entry.main()
    assert capsys.readouterr().err == "nlpk: interrupted\n"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["typer", "torch._C", "torch.nn.modules", "torch", "tokenizers", "datasets"])
def test_a_signal_while_a_library_is_being_imported_is_one_line(module: str, number: signal.Signals) -> None:
    status = {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    command = [sys.executable, "-X", "importtime", "-m", "nlpk", "train", "similarity", "--steps", "100000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stderr
        for line in process.stderr:
            if line.rpartition("|")[2].strip() == module:  # just imported, by what is still being imported
                process.send_signal(number)
                break
        said = [line for line in process.stderr if not line.startswith("import time:")]
        assert process.wait() == status
    assert said == [f"nlpk: {'terminated' if status == 143 else 'interrupted'}\n"]


def test_the_command_starts_where_interrupts_are_minded() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["scripts"] == {"nlpk": "nlpk.__main__:main"}


@pytest.mark.parametrize("options", [(), ("--whiten",)])
def test_a_closed_pipe_ends_quietly(spawn: Spawn, sentences: Path, options: tuple[str, ...]) -> None:
    with spawn("embed", sentences, *options) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        said = process.stderr.read().decode()
        assert process.wait() == 0
    assert "Traceback" not in said
    assert "Error" not in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_one_line(spawn: Spawn) -> None:
    with Path("/dev/full").open("wb") as full, spawn("embed", stdout=full) as process:
        _, said = process.communicate("甲\n".encode())
        assert said.decode() == "nlpk: stdout: cannot be written (No space left on device); make room\n"
        assert process.returncode == 2


@pytest.mark.parametrize("name", ["out.jsonl", "out.npy", "out.parquet"])
def test_a_disk_that_fills_up_behind_a_file_is_one_line(
    spawn: Spawn, sentences: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / name

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    with spawn("embed", sentences, "--out", out, preexec_fn=little_room) as process:
        _, said = process.communicate()
        assert process.returncode == 2
    remedy = "make room" if name == "out.parquet" else "make room and go on with --resume"
    assert said.decode() == f"nlpk: {out}: cannot be written (File too large); {remedy}\n"
    kept = [] if name == "out.parquet" else [f"{name}.part", f"{name}.part.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [*kept, sentences.name]
