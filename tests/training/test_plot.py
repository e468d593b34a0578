import json
import shutil
import sys
import warnings
from pathlib import Path

import pytest

from nlptasks.errors import InputError, UsageError
from nlptasks.training.plot import curves, draw, read

REPORTS = [
    {"step": 2, "loss": 3.0, "losses": {"mlm": 4.0, "lm": 2.0}},
    {"step": 1, "loss": 5.0, "scores": {"spearman": 0.5}},
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(report) + "\n" for report in REPORTS))
    return tmp_path


def test_curves_are_in_the_order_of_the_updates(run: Path) -> None:
    reports = read(run)
    assert curves(reports, "losses") == {"loss": ([1], [5.0]), "mlm": ([2], [4.0]), "lm": ([2], [2.0])}
    assert curves(reports, "scores") == {"spearman": ([1], [0.5])}


def test_a_line_that_a_crash_left_unfinished_is_left_out(run: Path) -> None:
    with (run / "log.jsonl").open("a") as log:
        log.write('{"step": 3, "lo')
    assert [report["step"] for report in read(run)] == [1, 2]


@pytest.mark.parametrize("form", ["png", "svg"])
def test_a_picture_is_written(run: Path, form: str) -> None:
    pytest.importorskip("matplotlib")
    out = run / f"loss.{form}"
    draw(run, out)
    for name in ("运行", "a$^$"):  # what fonts lack, and what would be a formula
        shutil.copytree(run, run.with_name(f"{run.name}-{name}"))
        with warnings.catch_warnings(action="error"):
            draw(run.with_name(f"{run.name}-{name}"), out)
    assert {"png": b"PNG", "svg": b"<svg"}[form] in out.read_bytes()


def test_a_form_that_is_no_picture_is_refused(run: Path) -> None:
    for folder in (run, run / "no such folder"):  # before anything is read
        with pytest.raises(UsageError, match=r"a picture cannot be gif; name it \.png"):
            draw(folder, run / "loss.gif")


def test_without_matplotlib_it_is_said_what_to_do(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match=r"matplotlib, which draws, is not installed; pip install matplotlib$"):
        draw(run, run / "loss.png")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no log.jsonl; expected the folder"),
        ("", "empty; the run has not"),
        ("{\n", "damaged"),
        ("{}\n", "damaged"),
    ],
)
def test_a_log_that_cannot_be_read_is_named(run: Path, content: str | None, said: str) -> None:
    (run / "log.jsonl").unlink()
    if content is not None:
        (run / "log.jsonl").write_text(content)
    with pytest.raises(InputError, match=said):
        read(run)
