"""Signals, pipes and full disks, with nlpk in a process of its own."""

import json
import resource
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

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
