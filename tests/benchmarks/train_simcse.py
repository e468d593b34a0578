"""SimCSE trained by nlpk and by sentence-transformers: same backbone, sentences, batches and seeds, in turn.

    python tests/benchmarks/train_simcse.py $NLPK_DATA/similarity/lcqmc_valid.tsv [--dtype bf16] [--seeds 3]

sentence-transformers is run as its documentation shows it: MultipleNegativesRankingLoss on pairs of a sentence with
itself. Both train one epoch of the first --rows distinct sentences, and are scored on the pairs of the same file.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from nlptasks.backbone import hardware, weights
from nlptasks.backbone.batch import Budget
from nlptasks.similarity.row import Row, Settings
from nlptasks.similarity.task import Task, correlations
from nlptasks.training.trainer import Run, fit

BATCH, LIMIT, RATE = 64, 64, 1e-5


def ours(sentences: list[str], pairs: list[Row], seed: int, dtype: torch.dtype, dropout: float) -> tuple[float, float]:
    """Train with nlpk; give Spearman and seconds."""
    backbone = weights.load()
    settings = Settings(hidden_dropout=dropout, seed=seed, batch_size=BATCH, limit=LIMIT, learning_rate=RATE)
    task = Task("simcse", settings, backbone.text)
    torch.manual_seed(seed)
    model = task.model(backbone)
    run = Run(task, model, [{"text": text} for text in sentences], settings, torch.device("cpu"))
    started = time.perf_counter()
    for _ in fit(run, None, dtype=dtype):
        pass
    seconds = time.perf_counter() - started
    model.eval()
    return task.score(model, pairs, Budget(4096))["spearman"], seconds


def theirs(
    sentences: list[str], pairs: list[Row], seed: int, dtype: torch.dtype, dropout: float
) -> tuple[float, float]:
    """Train with sentence-transformers; give Spearman and seconds."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.losses import MultipleNegativesRankingLoss
    from sentence_transformers.models import Pooling, Transformer

    torch.manual_seed(seed)
    options = {"hidden_dropout_prob": dropout}
    encoder = Transformer(
        str(weights.DEFAULT), max_seq_length=LIMIT, config_args=options, model_args={"dtype": torch.float32}
    )
    model = SentenceTransformer(modules=[encoder, Pooling(encoder.get_word_embedding_dimension())], device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        arguments = SentenceTransformerTrainingArguments(
            folder,
            num_train_epochs=1,
            per_device_train_batch_size=BATCH,
            learning_rate=RATE,
            warmup_ratio=0.1,
            weight_decay=0.01,
            seed=seed,
            bf16=dtype == torch.bfloat16,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            dataloader_drop_last=True,
        )
        rows = Dataset.from_dict({"anchor": sentences, "positive": sentences})
        trainer = SentenceTransformerTrainer(
            model, arguments, train_dataset=rows, loss=MultipleNegativesRankingLoss(model)
        )
        started = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - started
    model.eval()
    left, right = (model.encode([getattr(row, side) for row in pairs], normalize_embeddings=True) for side in "ab")
    return correlations(np.sum(left * right, 1), [row.score for row in pairs])["spearman"], seconds


def main() -> None:
    """Run both in turn and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path, help="a TAB b TAB score, no header")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--dtype", default="float32", choices=list(hardware.DTYPES))
    parser.add_argument("--dropout", type=float, default=0.3)
    chosen = parser.parse_args()
    cells = [line.split("\t") for line in chosen.pairs.read_text("utf-8").splitlines()]
    pairs = [Row(a, b, float(score)) for a, b, score in cells]
    sentences = list(dict.fromkeys(text for row in pairs for text in (row.a, row.b)))[: chosen.rows]
    dtype = hardware.DTYPES[chosen.dtype]
    ratios = []
    for seed in range(1, chosen.seeds + 1):
        our_score, our_seconds = ours(sentences, pairs, seed, dtype, chosen.dropout)
        their_score, their_seconds = theirs(sentences, pairs, seed, dtype, chosen.dropout)
        ratios.append(their_seconds / our_seconds)
        print(
            f"seed {seed}: nlpk {our_score:.4f} in {our_seconds:.1f} s, "
            f"sentence-transformers {their_score:.4f} in {their_seconds:.1f} s, ratio {ratios[-1]:.2f}",
            flush=True,
        )
    print(f"median ratio {statistics.median(ratios):.2f} ({chosen.dtype}, {torch.get_num_threads()} threads)")


if __name__ == "__main__":
    main()
