"""Check the models in the package: recipes, cards, sums, size, and that nothing tells of the machine that made them."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import pytest

import nlptasks
from nlptasks import form
from nlptasks.backbone import sums, weights
from nlptasks.training import checkpoint, models

RECIPES = {
    path.stem: tomllib.loads(path.read_text(encoding="utf-8"))
    for path in sorted(Path(str(resources("nlptasks.samples").joinpath("models"))).glob("*-*.toml"))
}
FOLDERS = [folder for task in nlptasks.names() for folder in models.embedded(task)]
#: Of the package with all its models, in bytes.
MOST = 60_000_000

every_model = pytest.mark.parametrize("folder", FOLDERS, ids=[f"{one.parts[-3]}-{one.name}" for one in FOLDERS])


def test_every_task_has_a_model() -> None:
    assert {folder.parts[-3] for folder in FOLDERS} == set(nlptasks.names())


def test_the_package_stays_small() -> None:
    package = Path(nlptasks.__file__).parent
    found = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in found) < MOST


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_what_makes_its_model(name: str) -> None:
    recipe = RECIPES[name]
    assert name == f"{recipe['task']}-{recipe['method']}"
    assert recipe["method"] in form(recipe["task"]).METHODS
    assert f"nlpk train {recipe['task']}" in recipe["train"]
    assert '--out "$RUN"' in recipe["train"]
    for one in recipe["scores"]:
        assert f"nlpk eval {recipe['task']} --json" in one["command"]
        assert "$MODEL" in one["command"]
        assert one["shown"]
    assert all({"name", "rows", "source", "licence"} <= one.keys() for one in recipe["data"])


@every_model
def test_a_model_is_whole_and_made_by_its_recipe(folder: Path) -> None:
    sums.check_sums(folder)
    found = checkpoint.open_folder(folder)
    recipe = RECIPES[f"{found.task}-{found.method}"]
    assert (found.task, found.method) == (folder.parts[-3], folder.name)
    assert found.about["training"]["command"] == " ".join(recipe["train"].split())
    base: dict[str, Any] | None = found.about.get("base")
    assert base is None or base["name"] == "embedded"
    assert len((folder / "SHA256SUMS").read_text().splitlines()) >= 3
    assert weights.load(folder).bert.config.hidden_size


@every_model
def test_a_card_tells_what_a_user_must_know(folder: Path) -> None:
    card = (folder / "README.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", card, re.M)
    assert headings == ["Data", "How it was made", "Scores", "What it gets wrong"]
    assert "licence" in card.lower() or "CC BY" in card
    assert len(card.split("## What it gets wrong")[1].strip()) > 100
    recipe = RECIPES[f"{folder.parts[-3]}-{folder.name}"]
    for one in recipe["scores"]:
        assert one["name"] in card
    assert all(" ".join(recipe[part].split()) in " ".join(card.split()) for part in ("about", "failures"))


@every_model
def test_nothing_tells_of_the_machine_that_made_it(folder: Path) -> None:
    about = json.loads((folder / checkpoint.ABOUT).read_text(encoding="utf-8"))
    for text in (json.dumps(about), (folder / "README.md").read_text(encoding="utf-8")):
        assert not re.search(r'(^|["\s=])/(tmp|root|home|work|usr)/', text)
