"""Make a model from a recipe, as those in the package are made."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from nlptasks.backbone import sums
from nlptasks.training import checkpoint

SCRIPT = Path(__file__).parents[1] / "data" / "models" / "make.py"
RECIPE = """
task = "similarity"
method = "cosent"
about = "Tells how alike sentences are."
prepare = ["head -20 $DATA/pairs.tsv > $WORK/train.tsv"]
train = '''
nlpk train similarity --method cosent --backbone "$DATA/backbone" --train "$WORK/train.tsv" --dev "$DATA/pairs.tsv"
--steps 2 --device cpu --out "$RUN"
'''
failures = "- Everything."

[[data]]
name = "pairs"
rows = "20 pairs"
source = "made up"
licence = "Apache-2.0"

[[scores]]
name = "pairs"
command = 'nlpk eval similarity --json --model "$MODEL" "$DATA/pairs.tsv"'
shown = ["spearman"]
"""


@pytest.fixture
def make(tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - a module
    """Load the script, with the package's models in a folder of the test."""
    spec = importlib.util.spec_from_file_location("make_models", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setattr(module, "folder_of", lambda told: tmp_path / "package" / told["task"] / told["method"])
    return module


@pytest.fixture
def data(tmp_path: Path, tiny_folder: Path) -> Path:
    """Give a folder of data with a backbone in it."""
    folder = tmp_path / "data"
    shutil.copytree(tiny_folder, folder / "backbone")
    others = [f"我们去{one}{two}玩" for one in "北京上海的" for two in "公园玩吧有人"]
    pairs = [f"今天天气很好\t{other}\t{score}" for score, other in enumerate(others)]
    (folder / "pairs.tsv").write_text("\n".join(pairs) + "\n", encoding="utf-8")
    return folder


def test_a_recipe_makes_a_model_once(
    make: Any,  # noqa: ANN401
    data: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    recipe, model = tmp_path / "similarity-cosent.toml", tmp_path / "package" / "similarity" / "cosent"
    recipe.write_text(RECIPE, encoding="utf-8")

    def ran(*, again: bool = False, anew: bool = False) -> list[str]:
        make.make(recipe, data, tmp_path / "work", again, anew)
        return [" ".join(line.split()[1:3]) for line in capfd.readouterr().err.splitlines() if line.startswith("$ ")]

    assert ran() == ["head -20", "nlpk train", "nlpk models", "nlpk eval"]
    sums.check_sums(model)
    found = checkpoint.open_folder(model)
    assert (found.task, found.method, found.about["base"]["name"]) == ("similarity", "cosent", "embedded")
    assert str(tmp_path) not in (model / checkpoint.ABOUT).read_text("utf-8")
    card = (model / "README.md").read_text("utf-8")
    spearman = json.loads((tmp_path / "work" / recipe.stem / "scores.json").read_text("utf-8"))[0]["spearman"]
    assert f"- pairs (30 records): spearman {spearman:.3f}" in card
    assert "head -20 $DATA/pairs.tsv > $WORK/train.tsv\nnlpk train similarity" in card
    assert "- Everything." in card

    assert ran() == []
    assert ran(anew=True) == ["nlpk eval"]
    shutil.rmtree(model)
    assert ran() == ["nlpk models", "nlpk eval"]
    assert ran(again=True) == ["head -20", "nlpk train", "nlpk models", "nlpk eval"]
    assert (model / "README.md").read_text("utf-8") == card


def test_a_command_that_fails_ends_it_and_leaves_no_model(make: Any, data: Path, tmp_path: Path) -> None:  # noqa: ANN401
    recipe = tmp_path / "similarity-cosent.toml"
    recipe.write_text(RECIPE.replace("head -20", "false; head -20"), encoding="utf-8")
    with pytest.raises(SystemExit, match=r"^status 1: false; head"):
        make.make(recipe, data, tmp_path / "work", False, False)
    assert not (tmp_path / "package").exists()
