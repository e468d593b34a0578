"""Where records come from."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlpk import streams

Nlpk = Callable[..., Any]


def test_the_null_device_feeds_nothing_but_a_file_or_a_pipe_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").touch()
    for source, is_unfed in ((os.devnull, True), (tmp_path / "empty", False)):
        with open(source) as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            assert streams.is_unfed() == is_unfed
    for other in (io.StringIO("text"), None):
        monkeypatch.setattr(sys, "stdin", other)
        assert not streams.is_unfed()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("predict similarity", "no input: give --a and --b, name a FILE, or pipe records in"),
        ("predict qa", "no input: give --question, name a FILE, or pipe records in"),
        ("predict xiangqi", "no input: give --moves, name a FILE, or pipe records in"),
        ("embed", "no input: name a FILE, or pipe something in; --help shows how"),
    ],
)
def test_a_command_without_input_says_what_it_takes(nlpk: Nlpk, command: str, said: str) -> None:
    result = nlpk(*command.split(), terminal=True)
    assert (result.status, result.out, result.complaint) == (2, b"", said)
