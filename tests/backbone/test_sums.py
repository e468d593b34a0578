"""What a folder's files add up to, and what is said where they no longer do."""

import json
import shutil
from pathlib import Path

import pytest

from nlptasks.backbone import sums, weights
from nlptasks.errors import ModelError


@pytest.fixture
def copied(tiny_folder: Path, tmp_path: Path) -> Path:
    """Copy the tiny BERT, to damage it."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "copied"))


def test_sums_tell_damage(copied: Path) -> None:
    sums.check_sums(copied)  # a folder without sums is taken as it is
    sums.write_sums(copied)
    sums.check_sums(copied)
    (copied / "README.md").write_text("a card that someone has edited")
    weights.load(copied)
    (copied / "config.json").write_text((copied / "config.json").read_text() + " ")
    with pytest.raises(ModelError, match=r"config\.json: damaged \(found sha256 \w{12}, expected \w{12}\); install"):
        weights.load(copied)
    (copied / "config.json").unlink()
    with pytest.raises(ModelError, match="found sha256 nothing"):
        sums.check_sums(copied)


def test_a_base_counts_for_what_is_answered(copied: Path) -> None:
    before = sums.fingerprint(copied)
    prints = {before}
    for sha256 in ("1", "2"):
        (copied / sums.ABOUT).write_text(json.dumps({"base": {"name": "embedded", "sha256": sha256}}))
        assert sums.base_of(copied) == ("embedded", sha256)
        prints.add(sums.fingerprint(copied))
    assert len(prints) == 3
    (copied / sums.ABOUT).write_text("{}")
    assert sums.base_of(copied) is None
    assert sums.fingerprint(copied) == before


@pytest.mark.parametrize("content", ['{"base": {"name": "x"}}', '{"base": 1}', "[]", "{"])
def test_a_base_that_is_not_named_is_damage(copied: Path, content: str) -> None:
    (copied / sums.ABOUT).write_text(content)
    with pytest.raises(ModelError, match=r"nlpk\.json: damaged"):
        sums.base_of(copied)


def test_another_base_is_refused(copied: Path) -> None:
    with pytest.raises(ModelError, match=r"not the base that the model was made on .*expected 0000"):
        sums.check_base(copied, "0" * 64)
    with pytest.raises(ModelError, match="found sha256 nothing"):
        sums.check_base(copied.parent, "0" * 64)
