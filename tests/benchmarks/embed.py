"""Embedding by nlpk and by sentence-transformers: same weights, sentences and threads, in turn.

    python tests/benchmarks/embed.py $NLPK_DATA/similarity/{lcqmc,bq}_valid.tsv                     # embedded backbone
    python tests/benchmarks/embed.py $NLPK_DATA/similarity/stsb_en_*.tsv --model MINILM_FOLDER      # all-MiniLM-L6-v2

Three contests of `--pairs` pairs of runs: float32, bf16 (sentence-transformers with the best of several batch sizes in
both), and as they come: nlpk's own choice of number format against `SentenceTransformer(folder).encode(sentences)`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from nlptasks.backbone import hardware, weights
from nlptasks.backbone.batch import Budget
from nlptasks.similarity.encoder import Embedder, SentenceEncoder
from nlptasks.similarity.model import TOKENS

LIMIT = 128
BATCHES = (16, 32, 64, 128, 256, 512)
SQUARE = 2048
Vectors = np.ndarray


def ours(folder: Path, dtype: torch.dtype) -> Embedder:
    """Load nlpk's encoder, mean pooling."""
    backbone = weights.load(folder)
    model = SentenceEncoder(backbone.bert.to(dtype).freeze(), "last-avg").eval()
    return Embedder(model, backbone.text, Budget(TOKENS["cpu"]), limit=LIMIT)


def theirs(folder: Path, dtype: torch.dtype | None) -> Callable[..., Vectors]:
    """Load sentence-transformers' encoder, mean pooling."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer

    options = {} if dtype is None else {"model_args": {"dtype": dtype}}
    encoder = Transformer(str(folder), max_seq_length=LIMIT, **options)
    if dtype is None:
        encoder.float()  # what every published checkpoint is stored in; the embedded one is float16 to be small
    model = SentenceTransformer(modules=[encoder, Pooling(encoder.get_word_embedding_dimension())], device="cpu")
    return lambda sentences, **rest: np.asarray(model.encode(sentences, **rest), np.float32)


def timed(run: Callable[[], Vectors]) -> tuple[Vectors, float]:
    """Run, and give the vectors and the seconds."""
    started = time.perf_counter()
    vectors = run()
    return vectors, time.perf_counter() - started


def matrix_rate(dtype: torch.dtype) -> float:
    """Measure the best rate of a square product, in operations a second."""
    left, right = (torch.randn(SQUARE, SQUARE).to(dtype) for _ in range(2))
    best = min(timed(lambda: left @ right)[1] for _ in range(20))  # type: ignore[arg-type,return-value]
    return 2 * SQUARE**3 / best


def work_of(embedder: Embedder) -> int:
    """Count the operations that linear layers need for one token."""
    config = embedder.model.bert.config
    width = config.hidden_size
    return config.num_hidden_layers * (8 * width**2 + 4 * width * config.intermediate_size)


def contest(
    name: str, left: Callable[[], Vectors], right: Callable[[], Vectors], pairs: int, report: Callable[[float], str]
) -> None:
    """Time two ways in turn and print the median of the ratios."""
    ratios, times = [], []
    for _ in range(pairs):
        (a, fast), (b, slow) = timed(left), timed(right)
        ratios.append(slow / fast)
        times.append(fast)
    cosines = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    print(
        f"{name}: ratio {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f}), "
        f"nlpk {report(statistics.median(times))}; "
        f"largest difference {np.abs(a - b).max():.1e}, smallest cosine {cosines.min():.6f}",
        flush=True,
    )


def best_batch(encode: Callable[..., Vectors], sentences: Sequence[str]) -> int:
    """Find the batch size at which the peer is fastest, on a quarter of the sentences."""
    part = sentences[::4]
    return min(BATCHES, key=lambda size: min(timed(lambda: encode(part, batch_size=size))[1] for _ in range(2)))


def read(paths: Sequence[Path], count: int) -> list[str]:
    """Read distinct sentences from files of pairs."""
    lines = (line for path in paths for line in path.read_text("utf-8").splitlines())
    found = list(dict.fromkeys(text for line in lines for text in line.split("\t")[:2]))[:count]
    if len(found) < count:
        raise SystemExit(f"only {len(found)} distinct sentences; name more files")
    return found


def main() -> None:
    """Run the contests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", help="a TAB b TAB score, no header")
    parser.add_argument("--model", type=Path, default=weights.DEFAULT)
    parser.add_argument("--sentences", type=int, default=12_000)
    parser.add_argument("--pairs", type=int, default=5)
    chosen = parser.parse_args()
    sentences = read(chosen.files, chosen.sentences)
    auto, _ = hardware.dtype("auto", torch.device("cpu"))
    print(f"{len(sentences)} sentences, {torch.get_num_threads()} threads, nlpk's own format here: {auto}")
    for dtype in (torch.float32, torch.bfloat16):
        run(chosen, sentences, dtype)
    left, right = ours(chosen.model, auto), theirs(chosen.model, None)
    contest(
        "as they come",
        lambda: np.concatenate(list(left.embed(sentences))),
        lambda: right(sentences),
        chosen.pairs,
        lambda seconds: f"{seconds:.2f} s",
    )


def run(chosen: argparse.Namespace, sentences: list[str], dtype: torch.dtype) -> None:
    """Run the contest of one number format."""
    embedder, encode = ours(chosen.model, dtype), theirs(chosen.model, dtype)
    size = best_batch(encode, sentences)
    tokens = sum(map(len, embedder.text.encode(sentences, LIMIT)))
    rate, work = matrix_rate(dtype), work_of(embedder)

    def report(seconds: float) -> str:
        share = tokens * work / seconds / rate
        return f"{tokens / seconds:,.0f} tokens/s, {share:.0%} of {rate / 1e9:,.0f} GFLOP/s"

    contest(
        f"{dtype}, their best batch of {size}",
        lambda: np.concatenate(list(embedder.embed(sentences))),
        lambda: encode(sentences, batch_size=size),
        chosen.pairs,
        report,
    )


if __name__ == "__main__":
    main()
