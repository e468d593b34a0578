"""The sample games are what their generator makes."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from nlptasks.xiangqi.games import read_game

FOLDER = Path(__file__).resolve().parents[2] / "data" / "xiangqi"
FEW = 3


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("xiangqi_make", FOLDER / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_rebuilding_gives_the_same_games(make: ModuleType) -> None:
    for name, text in make.build(dict.fromkeys(make.FILES, FEW)).items():
        lines = (FOLDER / name).read_text(encoding="utf-8").splitlines(keepends=True)
        assert text == "".join(lines[: FEW + 1]), name
        assert len(lines) == make.FILES[name] + 1


def test_games_are_distinct_and_not_in_both_files(make: ModuleType) -> None:
    games = [
        line.rsplit("\t", 1)[1]
        for name in make.FILES
        for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()[1:]
    ]
    assert len(set(games)) == len(games) == sum(make.FILES.values())


def test_openings_can_be_played() -> None:
    for line in (FOLDER / "openings.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            assert len(read_game(line).moves) >= 6
