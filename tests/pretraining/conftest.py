"""A corpus of a few hundred words, cut into words of two characters instead of by jieba, which takes a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlptasks.pretraining import preparing, words
from nlptasks.pretraining.corpus import Corpus
from nlptasks.pretraining.documents import Source
from nlptasks.pretraining.plan import Plan
from nlptasks.pretraining.settings import Settings, Shape
from nlptasks.training.settings import as_plain, resolve

CLAUSES = (
    "今天天气很好",
    "我们去公园玩吧",
    "北京是首都",
    "上海在中国",
    "the play",
    "你好abc",
    "时间不在了",
    "要有3天气",
)
SIZE = 300


def pairs(text: str) -> list[str]:
    """Cut a text into words of two characters."""
    return [text[start : start + 2] for start in range(0, len(text), 2)]


@pytest.fixture
def by_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let two characters be a word."""
    monkeypatch.setattr(words, "jieba_words", lambda: pairs)


@pytest.fixture(scope="session")
def text_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write 60 documents of 1 to 7 lines."""
    path = tmp_path_factory.mktemp("text") / "corpus.txt"
    documents = [
        "\n".join(f"{CLAUSES[(n * k) % 8]}，{CLAUSES[(n + k) % 8]}。" for k in range(1 + n % 7)) for n in range(60)
    ]
    path.write_text("\n\n".join(documents) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def corpus(text_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Prepare the corpus."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "jieba_words", lambda: pairs)
        return preparing.prepare(
            [Source(str(text_file))], SIZE, out=tmp_path_factory.mktemp("made") / "corpus", workers=1
        )


@pytest.fixture
def plan(corpus: Corpus) -> Callable[..., Plan]:
    """Plan a run of a tiny model on the corpus, in float32."""

    def make(*, backbone: Path | None = None, shape: Shape | None = None, **flags: Any) -> Plan:  # noqa: ANN401
        small = {"length": 16, "long_length": 32, "batch_tokens": 96, "dtype": "float32", "steps": 6, "long_share": 0.5}
        shape = None if backbone else shape or Shape(layers=1, width=16, heads=2, vocab_size=SIZE)
        settings = as_plain(resolve(Settings, {}, flags={**small, **flags}))
        sources = (Source(str(corpus.folder)),)
        return Plan(settings, sources, shape, str(backbone) if backbone else None, "nlpk pretrain", "0")

    return make


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spend no time on measuring the machine."""
    monkeypatch.setattr("nlptasks.backbone.hardware.matrix_rate", lambda *_: 1e12)
