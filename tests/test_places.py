"""Where models and caches live, with and without NLPK_HOME."""

from pathlib import Path

import pytest

from nlptasks import places


def test_one_variable_moves_everything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NLPK_HOME", str(tmp_path))
    assert (places.home(), places.cache()) == (tmp_path, tmp_path / "cache")


def test_the_home_folder_may_be_written_short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NLPK_HOME", "~/models")
    assert (places.home(), places.cache()) == (tmp_path / "models", tmp_path / "models" / "cache")


@pytest.mark.parametrize("value", ["", None])
def test_the_systems_places_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str | None) -> None:
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    if value is None:
        monkeypatch.delenv("NLPK_HOME")
    else:
        monkeypatch.setenv("NLPK_HOME", value)
    assert places.home().name == places.cache().name == "nlpk"
    assert tmp_path in places.home().parents
    assert tmp_path in places.cache().parents
    assert places.home() != places.cache()
