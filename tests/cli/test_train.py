import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nlpk import train

Nlpk = Callable[..., Any]
Spawn = Callable[..., subprocess.Popen[bytes]]
SMALL = ("--batch-size", 4, "--limit", 8)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"我有{n}元\t他有{n * 3}元\t{n % 3}\n" for n in range(40)), encoding="utf-8")
    return path


def test_a_model_is_made_and_the_current_one_stays(nlpk: Nlpk, pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "a model"
    data = ("--train", pairs, "--dev", pairs)
    result = nlpk(
        "train", "similarity", "--method", "cosent", *data, "--out", out, "--steps", 2, "--evaluate-every", 2, *SMALL
    )
    assert (result.status, result.out) == (0, b"")
    lines = result.err.splitlines()
    assert all(line.startswith("nlpk: ") for line in lines)
    assert lines[0].startswith("nlpk: 40 rows, 2 updates, ")
    assert lines[-2].startswith(f"nlpk: model in {out} (spearman ")
    assert lines[-1] == f"nlpk: to let it answer from now on: nlpk models use similarity '{out}'"
    about = json.loads((out / "nlpk.json").read_text("utf-8"))
    assert (about["task"], about["method"], about["training"]["updates"]) == ("similarity", "cosent", 2)
    assert nlpk("predict", "similarity", "--model", out, "--method", "simcse", stdin="a\tb\n").status == 2
    assert nlpk("predict", "similarity", "--model", out, stdin="a\tb\n甲\t乙\n").status == 0
    again = nlpk("train", "similarity", "--out", out)
    assert again.status == 2
    assert "choose another --out" in again.complaint


def test_bad_rows_are_counted_and_named_before_the_first_step(nlpk: Nlpk, pairs: Path, tmp_path: Path) -> None:
    pairs.write_text("甲\n" + pairs.read_text("utf-8") + "\n丁\t戊\tviel\n", encoding="utf-8")
    options = ("--train", pairs, "--out", tmp_path / "m", "--steps", 1, *SMALL)
    result = nlpk("train", "similarity", "--method", "cosent", *options)
    lines = result.err.splitlines()
    assert result.status == 0
    rows = next(number for number, line in enumerate(lines) if "40 rows, 1 update," in line)
    before = "\n".join(lines[:rows])
    assert "3 records" in before
    assert all(f"pairs.tsv:{number}" in before for number in (1, 42, 43))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--train", "no-such.tsv"), "no-such.tsv: there is no such file"),
        (("--train", "empty.tsv"), "empty.tsv: the file is empty"),
        (("--train", "one.tsv", "--method", "cosent"), "one.tsv: none of 1 records can be used"),
        (("--config", "no-such.toml"), "no-such.toml: cannot be read"),
        (("--config", "bad.toml"), "bad.toml: unknown setting 'learning_rat'; did you mean 'learning_rate'?"),
        (
            ("--config", "flags.toml"),
            "flags.toml: unknown setting 'method'; a file holds settings only, so give --method on",
        ),
        (("--train", "scored.tsv", "--method", "supervised-simcse"), "every negative is a number, such as 1, which"),
        (("--train", "scored.tsv", "--method", "cosent"), "all scores are equal; cosent learns from their order"),
        (("--backbone", "runs/typo"), "runs/typo: no such folder"),
        (("--resume", "no-such"), "no-such: no such folder; --resume takes that of a run which was stopped"),
        (("--resume", "no-such", "--steps", "3"), "--resume goes on with the run's own settings; leave out --steps"),
        (("--backbone", "./no-such"), "./no-such: no such folder"),
        (
            ("--batch-size", "1"),
            "--batch-size 1: simcse compares the rows of a pass with one another; expected 2 or more",
        ),
        (("--temperature", "0"), "--temperature 0: expected more than 0"),
        (("--whiten-beta", "nan"), "setting whiten_beta: found NaN, expected a finite number"),
        (("--method", "magic"), "invalid value for '--method'"),
        (("--device", "abacus"), "--device abacus: not on this machine"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    nlpk: Nlpk, options: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.tsv").touch()
    Path("one.tsv").write_text("甲\n", encoding="utf-8")
    Path("bad.toml").write_text("learning_rat = 1e-5\n")
    Path("flags.toml").write_text('method = "cosent"\n')
    Path("scored.tsv").write_text("甲\t乙\t1\n丙\t丁\t1\n", encoding="utf-8")
    Path("runs").mkdir()
    result = nlpk("train", "similarity", *options)
    assert (result.status, result.out) == (2, b"")
    assert said in result.err.splitlines()[-1]
    assert "Traceback" not in result.err


def test_an_interrupted_run_says_how_to_go_on_and_does(nlpk: Nlpk, spawn: Spawn, pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    data = ("--train", pairs, "--dev", pairs, "--evaluate-every", 5)
    with spawn("train", "similarity", "--method", "cosent", *data, "--out", out, "--steps", 100_000, *SMALL) as process:
        assert process.stderr
        while b"step " not in (line := process.stderr.readline()):
            assert line
        process.send_signal(signal.SIGINT)
        said = process.stderr.read().decode().splitlines()
        assert process.wait() == 130
    assert said[-1] == "nlpk: interrupted"
    assert f"; go on with: nlpk train similarity --resume {out}" in said[-2]
    plan = json.loads((out / "last" / "run.json").read_text("utf-8"))
    plan["plan"]["settings"]["steps"] = plan["run"]["step"] + 3
    (out / "last" / "run.json").write_text(json.dumps(plan))
    result = nlpk("train", "similarity", "--resume", out)
    assert result.status == 0
    assert f"model in {out}" in result.err
    assert "last" not in os.listdir(out)


def test_of_many_scores_the_last_line_shows_the_one_that_counts_and_two_more() -> None:
    training: Any = SimpleNamespace(task=SimpleNamespace(best="f1"), scores={"a": 1, "b": 0.5, "f1": 0.25})
    assert train.scored(training) == " (f1 0.2500, a 1.0000, b 0.5000)"
    training.scores["c"] = 0
    assert train.scored(training) == " (f1 0.2500, a 1.0000, b 0.5000, …)"
    training.scores = {}
    assert train.scored(training) == ""
