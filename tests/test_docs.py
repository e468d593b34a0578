"""Hold the documentation to the program: every command is explained and shown, and what the README shows runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nlpk import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
BLOCK = re.compile(r"^```sh(?P<words>.*)\n(?P<script>(?:.*\n)*?)```$", re.MULTILINE)
WORDS = {"install", "slow", "data"}
# A command such as "train similarity" makes "train" one, too.
COMMANDS = sorted({" ".join(path.split()[:depth]) for path in app.commands() for depth in (1, 2, 3)})


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_explains_itself(
    command: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are sentences between the usage line and the first list."""
    for name, value in (("COLUMNS", "200"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    assert app.run([*command.split(), "--help"]) == 0
    usage, _, rest = capfd.readouterr().out.strip().partition("\n")
    assert usage.strip().startswith("Usage:")
    assert re.split(r"^(?:╭|Arguments:|Options:|Commands:)", rest, flags=re.MULTILINE)[0].strip()


PLACES = ("*.md", "docs/*.md", "data/*.md", "data/models/*.toml", "nlptasks/*/README.md", "nlptasks/*/embedded/*/*.md")
PAGES = sorted(path for place in PLACES for path in ROOT.glob(place))
ALWAYS = {"-", "--help", "--version"}
CALL = re.compile(r"(?<![\w/.-])nlpk (?P<rest>[a-z][^`|;&#<>)\n]*)")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_pages_show_commands_with_options_that_they_have(page: Path) -> None:
    """A command may go on in the next line; what stands in quotes is no option, and TASK is any task."""
    text = re.sub(r"\\\n\s*|\n(?=--)", " ", page.read_text("utf-8"))
    wrong = []
    for found in CALL.finditer(re.sub(r"'[^'\n]*'", "'…'", text)):
        command, words = app.tree(), found["rest"].split()
        while words and (inner := getattr(command, "commands", {})) and words[0] in {*inner, "TASK"}:
            command = inner.get(words.pop(0), inner.get("similarity"))
        known = ALWAYS.union(*((*one.opts, *one.secondary_opts) for one in command.params))
        wrong += [f"{found[0]}: {word}" for word in words if word.startswith("-") and word.split("=")[0] not in known]
    assert not wrong


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_stands_in_the_readme(command: str) -> None:
    assert re.search(rf"\bnlpk {re.escape(command)}(?![\w-])", README)


def blocks(*, slow: bool) -> list[str]:
    """List the README's shell blocks for a tier, in order; those that need real data only where it is."""
    run = ({"data"} if "NLPK_DATA" in os.environ else set()) | ({"slow"} if slow else set())
    return [block["script"] for block in BLOCK.finditer(README) if set(block["words"].split()) <= run]


def run_in_order(scripts: list[str], folder: Path, programs: Path) -> None:
    """Run the blocks as a reader would: one after the other, in one folder, with the nlpk of this Python."""
    here = folder / "work"
    here.mkdir()
    (here / "data").symlink_to(ROOT / "data")  # the README's reader is in the repository's folder
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    shell = {**os.environ, "PATH": path, "NLPK_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1"}
    for script in scripts:
        command = ["bash", "-euo", "pipefail", "-c", script]
        done = subprocess.run(
            command, cwd=here, env=shell, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8"
        )
        assert done.returncode == 0, f"status {done.returncode} from\n{script}\n{done.stderr}"


def test_the_readme_uses_known_words() -> None:
    used = {word for block in BLOCK.finditer(README) for word in block["words"].split()}
    assert not used - WORDS


def test_the_readme_runs(tmp_path: Path, programs: Path) -> None:
    scripts = blocks(slow=False)
    assert scripts
    run_in_order(scripts, tmp_path, programs)


@pytest.mark.slow
def test_the_whole_readme_runs(tmp_path: Path, programs: Path) -> None:
    run_in_order(blocks(slow=True), tmp_path, programs)


def test_the_readme_marks_the_test_command() -> None:
    marked = README.partition("<!-- test -->")[2].partition("<!-- /test -->")[0]
    assert re.search(r" && pip install -e '\.\[dev\]' && pytest$", marked, re.MULTILINE)
