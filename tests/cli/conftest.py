"""Run nlpk in this process, which is faster than `spawn`; that is for signals, pipes and the end of a process."""

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nlpk import app


@dataclass
class Result:
    """What a command left behind."""

    status: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Parse stdout as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def complaint(self) -> str:
        """Take the only line of stderr, which must be one of ours."""
        assert self.err.startswith("nlpk: "), self.err
        assert self.err.count("\n") == 1, self.err
        return self.err.removeprefix("nlpk: ").rstrip("\n")


class Stdin:
    """A stdin of given bytes, or a terminal."""

    def __init__(self, content: bytes, terminal: bool) -> None:
        self.buffer = io.BytesIO(content)
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


Nlpk = Callable[..., Result]


@pytest.fixture
def nlpk(capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Nlpk:
    """Give what runs one command line in this process."""

    def run(*arguments: object, stdin: bytes | str = b"", terminal: bool = False) -> Result:
        content = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", Stdin(content, terminal))
        capsysbinary.readouterr()
        status = app.run([str(argument) for argument in arguments])
        out, err = capsysbinary.readouterr()
        return Result(status, out, err.decode())

    return run


@pytest.fixture
def sentences(tmp_path: Path) -> Path:
    """Write 300 sentences that differ: enough to whiten with."""
    path = tmp_path / "sentences.txt"
    places, deeds = "北京上海广州深圳杭州南京武汉成都西安重庆", ["买票", "看病", "上学", "开会", "搬家", "旅游"]
    made = [f"我{number}号去{places[number % 10 * 2 :][:2]}{deeds[number % 6]}" for number in range(300)]
    path.write_text("\n".join(made) + "\n", encoding="utf-8")
    return path
