"""Ctrl-C and termination, in this process."""

import importlib
import os
import signal
import sys
from pathlib import Path

import pytest

from nlpk import signals


def test_a_signal_is_an_exception_unless_something_is_being_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def leave(status: int) -> None:
        raise SystemExit(status)

    monkeypatch.setattr(os, "_exit", leave)
    with pytest.raises(KeyboardInterrupt):
        signals.come(signal.SIGINT, sys._getframe())
    with pytest.raises(signals.Terminated):
        signals.come(signal.SIGTERM, sys._getframe())
    assert capsys.readouterr().err == ""
    (tmp_path / "interrupted_import.py").write_text(
        "import sys\nfrom nlpk import signals\nsignals.come(15, sys._getframe())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SystemExit, match="143"):
        importlib.import_module("interrupted_import")
    assert capsys.readouterr().err == "nlpk: terminated\n"


def test_signals_that_are_ignored_stay_so(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    monkeypatch.setattr(signal, "getsignal", {signal.SIGINT: signal.SIG_IGN, signal.SIGTERM: signal.SIG_DFL}.get)
    monkeypatch.setattr(signal, "signal", lambda number, handler: taken.append(number))
    signals.mind()
    assert taken == [signal.SIGTERM]
