import dataclasses
import io
import logging
import sys
import time
from types import SimpleNamespace

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
    assert capsys.readouterr().err == expected + "nlpk: step 4/4  loss 0.5000  1,234 tokens/s\n"


def test_training_without_scores_gives_a_line_now_and_then_and_one_at_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0, 10, 31, 32, 40, 50])  # at the start, at each report, and when a line was shown
    monkeypatch.setattr(console, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert console.show_training(map(progress, (1, 2, 3, 4)), "spearman") == progress(4)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[2] for line in lines] == ["2/4", "4/4"]


def test_a_run_without_anything_to_say_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.show_training(iter([]), "spearman") is None
    assert capsys.readouterr().err == ""


def test_a_speed_is_shown_only_where_something_was_done() -> None:
    resumed = dataclasses.replace(progress(2, 0.75), tokens_per_second=0.0)
    assert console.training_line(resumed, "spearman") == "step 2/4  loss 0.5000  spearman 0.7500 (best)"


@pytest.mark.parametrize(("number", "said"), [(0, "0 texts"), (1, "1 text"), (1234, "1,234 texts")])
def test_a_number_has_its_noun(number: int, said: str) -> None:
    assert console.counted(number, "text") == said


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


def test_a_reader_that_leaves_is_told_as_of_any_output() -> None:
    with pytest.raises(BrokenPipeError):
        console.console(True).on_broken_pipe()
