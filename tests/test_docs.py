"""Hold the documentation to the program: every command is explained and shown, and what the README shows runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nlpk.app import commands

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
BLOCK = re.compile(r"^```sh(?P<words>.*)\n(?P<script>(?:.*\n)*?)```$", re.MULTILINE)
WORDS = {"install", "slow", "data"}
# A command such as "train similarity" makes "train" one, too.
COMMANDS = sorted({" ".join(path.split()[:depth]) for path in commands() for depth in (1, 2, 3)})


def explanation(*arguments: str) -> str:
    """Return the sentences that `--help` shows between the usage line and the first list."""
    shell = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "nlpk", *arguments, "--help"]
    done = subprocess.run(command, env=shell, capture_output=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, done.stderr
    usage, _, rest = done.stdout.strip().partition("\n")
    assert usage.strip().startswith("Usage:")
    return re.split(r"^(?:╭|Arguments:|Options:|Commands:)", rest, flags=re.MULTILINE)[0].strip()


def test_nlpk_explains_itself() -> None:
    assert explanation()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    assert explanation(*command.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_stands_in_the_readme(command: str) -> None:
    assert re.search(rf"\bnlpk {re.escape(command)}(?![\w-])", README)


def blocks(*, slow: bool) -> list[str]:
    """List the README's shell blocks for a tier, in order; those that need real data only where it is."""
    run = ({"data"} if "NLPK_DATA" in os.environ else set()) | ({"slow"} if slow else set())
    return [block["script"] for block in BLOCK.finditer(README) if set(block["words"].split()) <= run]


def run_in_order(scripts: list[str], folder: Path) -> None:
    """Run the blocks as a reader would: one after the other, in one folder, with the nlpk of this Python."""
    here = folder / "work"
    here.mkdir()
    (here / "data").symlink_to(ROOT / "data")  # the README's reader is in the repository's folder
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shell = {**os.environ, "PATH": programs, "NLPK_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1"}
    for script in scripts:
        command = ["bash", "-euo", "pipefail", "-c", script]
        done = subprocess.run(
            command, cwd=here, env=shell, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8"
        )
        assert done.returncode == 0, f"status {done.returncode} from\n{script}\n{done.stderr}"


def test_the_readme_uses_known_words() -> None:
    used = {word for block in BLOCK.finditer(README) for word in block["words"].split()}
    assert not used - WORDS


def test_the_readme_runs(tmp_path: Path) -> None:
    scripts = blocks(slow=False)
    assert scripts
    run_in_order(scripts, tmp_path)


@pytest.mark.slow
def test_the_whole_readme_runs(tmp_path: Path) -> None:
    run_in_order(blocks(slow=True), tmp_path)


def test_the_readme_marks_the_test_command() -> None:
    marked = README.partition("<!-- test -->")[2].partition("<!-- /test -->")[0]
    assert re.search(r" && pip install -e '\.\[dev\]' && pytest$", marked, re.MULTILINE)
