import io
import logging
import sys
import time

import pytest

from nlpk import app, console
from nlptasks.training.trainer import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Put a terminal in the place of both streams; not a fixture, because pytest replaces them after those."""
    made = Terminal()
    monkeypatch.setattr(sys, "stdout", made)
    monkeypatch.setattr(sys, "stderr", made)
    monkeypatch.setenv("COLUMNS", "100")
    return made


def progress(step: int, score: float | None = None) -> Progress:
    scores = None if score is None else {"spearman": score}
    return Progress(step, 4, step / 4, 0.5, 1e-5, 1234.5, 1.0, scores, score is not None)


def test_a_table_is_drawn_on_a_terminal_as_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    console.table("[title]", ("file", "score"), [("[red]name", "0.5"), ("other", "")])
    shown = terminal.getvalue()
    assert "[red]name" in shown
    assert "[title]" in shown
    assert "│" in shown


def test_a_piped_table_is_separated_by_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    console.table("title", ("file", "score"), [("name", "0.5")])
    assert capsys.readouterr().out == "file\tscore\nname\t0.5\n"


def test_a_counter_shows_on_a_terminal_and_clears_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    clock = iter(range(9))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    with console.counter("records") as counter:
        counter.add(1500)
    assert terminal.getvalue() == "\r1,500 records, 1,500/s \r\x1b[K"


def test_a_counter_is_silent_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    with console.counter("records") as counter:
        counter.add(1500)
    assert capsys.readouterr() == ("", "")


def test_training_shows_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    last = console.show_training(iter([progress(1), progress(2, 0.75), progress(4)]), "spearman")
    assert last == progress(4)
    assert "best spearman 0.7500" in terminal.getvalue()
    assert "4/4" in terminal.getvalue()


def test_training_gives_a_line_for_each_score_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_training(iter([progress(1), progress(2, 0.75), progress(4)]), "spearman")
    expected = "nlpk: step 2/4  loss 0.5000  1,234 tokens/s  spearman 0.7500 (best)\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("arguments", [["tasks"], ["no-such-command"]])
def test_a_command_leaves_the_logger_of_the_library_as_it_was(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("nlptasks")
    before = logger.handlers[:], logger.level, logger.propagate
    app.run(arguments)
    assert (logger.handlers, logger.level, logger.propagate) == before


def test_the_library_speaks_while_a_command_runs(capsys: pytest.CaptureFixture[str]) -> None:
    with console.library_notes():
        logging.getLogger("nlptasks.part").info("%d done", 3)
    logging.getLogger("nlptasks.part").info("not seen")
    assert capsys.readouterr().err == "nlpk: 3 done\n"
