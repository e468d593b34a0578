"""The sample data are what their generator makes."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "data" / "generation"


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generation_make", FOLDER / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table(name: str) -> list[list[str]]:
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    assert lines[0] == "text\tsource\t类别\tlabel"
    return [line.split("\t") for line in lines[1:]]


def test_rebuilding_gives_the_same_bytes(make: ModuleType, tmp_path: Path) -> None:
    make.write(tmp_path)
    for name in ("train.tsv", "dev.tsv"):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), name


def test_every_category_and_sentiment_has_as_many_reviews() -> None:
    for name, count in (("train.tsv", 100), ("dev.tsv", 10)):
        found = Counter((category, label) for _, _, category, label in table(name))
        assert len(found) == 12
        assert set(found.values()) == {count}


def test_no_review_stands_twice() -> None:
    texts = [text for name in ("train.tsv", "dev.tsv") for text, *_ in table(name)]
    assert len(set(texts)) == len(texts)
    assert all(10 <= len(text) <= 120 for text in texts)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("+ 大 | 大的\n", "stands above the first heading"),
        ("# 酒店\n", "nothing stands below '酒店'"),
        ("# 酒店\n+ 大 | 很大\n", "needs something in short and 2 wordings or more"),
        ("# 酒店\n+ 大 | 很大 | 真大\n+ 好 | 很好 | 真好\n", "different reviews, expected 110: write more wordings"),
    ],
)
def test_a_bad_source_is_refused(make: ModuleType, tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "reviews.txt").write_text(text, encoding="utf-8")
    (tmp_path / "words.txt").write_text("# 开头\n来，\n# 正面\n好。\n# 负面\n坏。\n", encoding="utf-8")
    with pytest.raises(ValueError, match=complaint):
        make.build(tmp_path)
