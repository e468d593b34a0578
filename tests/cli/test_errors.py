"""What goes wrong is said in one line that starts with nlpk:, and the exit status tells who has to act."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nlpk import app, signals
from nlptasks.errors import InputError

Nlpk = Callable[..., Any]
Spawn = Callable[..., subprocess.Popen[bytes]]


@contextmanager
def without_rights() -> Iterator[None]:
    """Take root's rights away for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("foo", "no such command 'foo'; see nlpk --help"),
        ("embd", "no such command 'embd'; did you mean 'embed'?; see nlpk --help"),
        ("predict similarty", "did you mean 'similarity'?; see nlpk predict --help"),
        ("embed --ot x", "no such option: --ot; did you mean --out?; see nlpk embed --help"),
        ("embed --zzz", "no such option: --zzz; see nlpk embed --help"),
        ("embed --dims abc", "invalid value for '--dims': expected a whole number; see nlpk embed --help"),
        ("embed --whiten-beta abc", "invalid value for '--whiten-beta': expected a number"),
        ("embed --store float7", "'float7' is not one of 'float32', 'float16'"),
        ("embed --out", "option '--out' requires an argument"),
        ("embed a b", "got unexpected extra argument(s) (b); see nlpk embed --help"),
        ("search query", "missing argument 'INDEX'; see nlpk search query --help"),
        ("data check similarty x", "no task 'similarty'; did you mean similarity?"),
        ("data check zzz x", "no task 'zzz'; tasks are"),
        ("models use zzz .", "no task 'zzz'; tasks are"),
    ],
)
def test_a_wrong_command_line_is_one_line(nlpk: Nlpk, line: str, said: str) -> None:
    result = nlpk(*line.split())
    assert (result.status, result.out) == (2, b"")
    assert said in result.complaint


@pytest.mark.parametrize("line", ["", "predict", "train", "eval", "search", "models", "data"])
def test_a_command_with_nothing_behind_it_shows_its_help(nlpk: Nlpk, line: str) -> None:
    result = nlpk(*line.split())
    assert (result.status, result.out) == (2, b"")
    assert result.err.startswith("Usage: nlpk")
    assert "Commands:" in result.err


@pytest.mark.parametrize("line", ["--help", "-h", "embed -h", "train similarity --help", "search query --help"])
def test_help_is_plain_and_names_its_values(nlpk: Nlpk, line: str) -> None:
    result = nlpk(*line.split())
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith(b"Usage: nlpk")
    for ugly in (b"<str>", b"<int>", b"<float>", b"<path>", b"<list", b"[[", b"\x1b", "│".encode()):
        assert ugly not in result.out


def test_help_tells_the_defaults_of_each_method(nlpk: Nlpk) -> None:
    said = " ".join(nlpk("train", "ie", "--help").out.decode().split())
    assert "[default: 10.0, dgcnn 20.0]" in said
    assert "[default: none, casrel subjects:3,objects:3]" in said
    assert "through. [default: none]" not in said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x7fELF\x00\x01\x02\x00" * 99, "this is a binary file, expected text"),
        (b"\x1f\x8b\x08\x00damaged", "data is"),
        (b"\x81\xff\xfa\xfb\x81\xff\n" * 9, "neither UTF-8 nor GB18030; name its encoding with --encoding"),
        (None, "this is a folder; name a file in it"),
    ],
)
def test_input_that_cannot_be_read_is_named(nlpk: Nlpk, content: bytes | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "in"
    path.mkdir() if content is None else path.write_bytes(content)
    for command in (["embed"], ["predict", "similarity"], ["eval", "similarity"], ["data", "check", "similarity"]):
        result = nlpk(*command, path)
        assert result.status == 2
        assert result.complaint.startswith(str(path))
        assert said in result.complaint


def test_a_missing_file_is_named_with_the_nearest(nlpk: Nlpk, tmp_path: Path) -> None:
    (tmp_path / "sentences.txt").touch()
    result = nlpk("embed", tmp_path / "sentence.txt")
    assert result.status == 2
    assert f"did you mean {tmp_path / 'sentences.txt'}?" in result.complaint


def test_no_permission_to_read_or_write(nlpk: Nlpk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)  # the folders above it may be closed to others
    monkeypatch.setenv("NLPK_HOME", "home")
    Path("secret.txt").touch(0)
    Path("shut").mkdir(0o555)
    with without_rights():
        read = nlpk("embed", "secret.txt")
        written = nlpk("embed", "--out", "shut/x.npy", stdin="甲\n")
    assert (read.status, written.status) == (2, 2)
    assert "permission" in read.complaint.lower()
    assert "shut/x.npy: this file cannot be written (Permission denied)" in written.complaint


def test_a_terminal_without_input_is_a_usage_error(nlpk: Nlpk, tmp_path: Path) -> None:
    for command in (["embed"], ["search", "build", "--out", tmp_path / "i"]):
        result = nlpk(*command, terminal=True)
        assert result.status == 2
        assert "no input: name a FILE, or pipe something in" in result.complaint


def test_an_error_of_ours_asks_for_a_report(nlpk: Nlpk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nlptasks.names", lambda: 1 / 0)
    result = nlpk("tasks")
    assert result.status == 1
    assert "internal error: ZeroDivisionError" in result.complaint
    assert "--debug" in result.complaint


def test_an_error_of_the_system_is_the_users(nlpk: Nlpk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> list[str]:
        raise PermissionError(13, "Permission denied", "some-file")

    monkeypatch.setattr("nlptasks.names", refuse)
    assert nlpk("tasks").complaint == "some-file: Permission denied"


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        (KeyboardInterrupt(), 130, "nlpk: interrupted\n"),
        (signals.Terminated(), 143, "nlpk: terminated\n"),
        (InputError("what was found"), 2, "nlpk: what was found\n"),
        (BrokenPipeError(), 0, ""),
    ],
)
def test_every_end_has_its_status(
    raised: BaseException, status: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> list[str]:
        raise raised

    monkeypatch.setattr("nlptasks.names", fail)
    monkeypatch.setattr(app, "close_stdout", lambda: None)
    assert app.run(["tasks"]) == status
    assert capsys.readouterr().err == said


def test_debug_shows_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["embed", "no-such-file"], debug=True) == 2
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith("nlpk: no-such-file: there is no such file")


# In a process of its own


def test_debug_may_stand_anywhere(spawn: Spawn) -> None:
    with spawn("--debug", "data", "check", "zzz", "x") as process:
        said = process.communicate()[1].decode()
        assert process.returncode == 2
    assert "Traceback" in said


def test_the_version_and_a_closed_stdout(spawn: Spawn) -> None:
    with spawn("--version") as process:
        assert process.communicate()[0].decode().count(".") == 2
    closed = subprocess.run(["bash", "-c", f"{sys.executable} -m nlpk --version >&-"], capture_output=True, check=False)
    assert closed.returncode == 2
    assert closed.stderr.decode() == "nlpk: stdout is closed; give it somewhere to go, such as > FILE\n"


def test_the_shell_completes_commands_and_options(spawn: Spawn) -> None:
    for words, expected in (("nlpk em", "embed"), ("nlpk embed --white", "--whitening")):
        environment = {"_NLPK_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        with spawn(env={**os.environ, **environment}) as process:
            out = process.communicate()[0].decode()
            assert process.returncode == 0
        assert expected in out.split()
    with spawn("--show-completion", "bash") as process:
        assert b"_NLPK_COMPLETE" in process.communicate()[0]
