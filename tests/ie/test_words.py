from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
import torch

from nlptasks.errors import InputError, UsageError
from nlptasks.ie import words

TEXTS = ["天气，很好", "公园，很好", "天气，公园"]


def test_words_that_stand_often_enough_have_a_vector_by_the_rule() -> None:
    made = words.made(TEXTS, "learned", None)
    assert made is not None
    assert made.vectors is None
    assert made.size == math.ceil(8.33 * math.log(max(2, len(made.words))))
    assert "天气" in made.words
    numbers = made.numbers("天气，一")
    assert numbers[0] == numbers[1] == made.by_word["天气"]
    assert words.made(TEXTS, "learned", 5).size == 5  # type: ignore[union-attr]
    assert words.made(TEXTS, "none", None) is None
    assert words.made(["一"], "learned", None) is None


def test_vectors_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text("2 3\n天气 1 2 3\n今天 4 5 6\n", encoding="utf-8")
    made = words.made(TEXTS, str(path), None)
    assert made is not None
    assert made.words == ["天气", "今天"]
    assert made.vectors is not None
    assert torch.equal(made.vectors, torch.tensor([[1.0, 2, 3], [4, 5, 6]]))


@pytest.mark.parametrize(
    ("text", "problem"), [("", "no vectors"), ("天气 1 x\n", "expected a word"), ("a 1 2\nb 1\n", "txt:2")]
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=problem):
        words.read(str(path))


def test_training_vectors_needs_gensim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gensim.models", None)
    with pytest.raises(UsageError, match="pip install 'nlpk\\[words\\]'"):
        words.made(TEXTS, "train", None)


def test_gensim_makes_a_vector_for_each_word() -> None:
    pytest.importorskip("gensim")
    made = words.made(TEXTS * 5, "train", 7)
    assert made is not None
    assert made.vectors is not None
    assert made.vectors.shape == (len(made.words), 7)
