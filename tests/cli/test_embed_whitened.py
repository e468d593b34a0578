import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Nlpk = Callable[..., Any]


def vectors(result: Any) -> np.ndarray:  # noqa: ANN401
    return np.array([line["vector"] for line in result.lines])


def test_whitening_is_kept_and_gives_the_same_vectors_again(nlpk: Nlpk, sentences: Path, tmp_path: Path) -> None:
    kept = tmp_path / "w.safetensors"
    result = nlpk("embed", sentences, "--whiten", "--dims", 16, "--save-whitening", kept)
    assert result.status == 0
    assert "whitening from 300 texts, 16 dimensions" in result.err
    fitted = vectors(result)
    assert fitted.shape == (300, 16)
    assert abs(fitted.mean(0)).max() < 0.1
    assert nlpk("embed", sentences, "--whitening", kept, "--out", tmp_path / "x.npy").status == 0
    assert np.allclose(np.load(tmp_path / "x.npy"), fitted, atol=1e-4)


def test_whitening_keeps_bad_records_in_place(nlpk: Nlpk, sentences: Path, tmp_path: Path) -> None:
    given = sentences.read_text("utf-8").replace("\n", "\n\n", 1)
    result = nlpk("embed", "--whiten", stdin=given)
    assert result.status == 1
    assert len(result.lines) == 301
    assert result.lines[1] == {"line": 2, "error": "blank line"}
    assert nlpk("embed", "--whiten", "--out", tmp_path / "x.npy", stdin=given).status == 1
    assert np.isnan(np.load(tmp_path / "x.npy")).all(1).nonzero()[0].tolist() == [1]


def test_too_few_lines_to_whiten_are_refused_with_the_remedy(nlpk: Nlpk, tmp_path: Path) -> None:
    result = nlpk("embed", "--whiten", "--out", tmp_path / "x.npy", stdin="甲\n乙\n丙\n")
    assert result.status == 2
    assert "needs at least 257 sentences" in result.complaint
    assert "give more" in result.complaint
    assert not os.listdir(tmp_path)


def test_a_whitening_of_another_pooling_is_refused(nlpk: Nlpk, sentences: Path, tmp_path: Path) -> None:
    kept = tmp_path / "w.safetensors"
    nlpk("embed", sentences, "--pooling", "last-avg", "--whiten", "--save-whitening", kept)
    result = nlpk("embed", sentences, "--whitening", kept, "--pooling", "cls")
    assert result.status == 2
    assert "was fitted for pooling last-avg" in result.complaint
