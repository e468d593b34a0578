"""Tokens per second of nlpk's pre-training and of transformers' Trainer: same model, text, number format and rows.

    nlpk pretrain corpus.txt --prepare corpus
    python tests/benchmarks/pretrain.py corpus [--layers 4 --width 256] [--dtype bf16] [--updates 20] [--pairs 3]

transformers is run as its documentation shows it: BertForMaskedLM, Trainer, DataCollatorForLanguageModeling with whole
words masked where it can; its rows are cut and made into a data set before the clock starts. Both train in turn, with
mlm alone; then the ratio of each pair counts, so that a machine that is slower for a while slows both.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nlptasks.backbone import hardware
from nlptasks.pretraining import corpus as corpora
from nlptasks.pretraining.corpus import Corpus
from nlptasks.pretraining.documents import Source
from nlptasks.pretraining.plan import Plan
from nlptasks.pretraining.run import Pretraining
from nlptasks.pretraining.sequences import Packed
from nlptasks.pretraining.settings import Settings, Shape
from nlptasks.training.settings import as_plain

LENGTH, RATE = 128, 1e-4


def ours(corpus: Corpus, chosen: argparse.Namespace, updates: int, objectives: str) -> float:
    """Train with nlpk; give tokens a second, without the start and the end of a run."""
    settings = Settings(
        batch_tokens=chosen.rows * LENGTH,
        length=LENGTH,
        long_share=0.0,
        steps=updates,
        learning_rate=RATE,
        dtype=chosen.dtype,
        objectives=objectives,
        dropout=chosen.dropout,
    )
    shape = Shape(layers=chosen.layers, width=chosen.width)
    plan = Plan(as_plain(settings), (Source(str(corpus.folder)),), shape, None, "benchmark", "0")
    with tempfile.TemporaryDirectory() as folder:
        training: Any = iter(Pretraining(plan, Path(folder, "out"), device=chosen.device))
        first = next(training)
        started = time.perf_counter()
        last = first
        for last in training:
            if last.step == updates:
                seconds = time.perf_counter() - started
        return float((last.tokens - first.tokens) / seconds)


def theirs(corpus: Corpus, chosen: argparse.Namespace, updates: int) -> float:
    """Train with transformers; give tokens a second, without the first update."""
    from datasets import Dataset
    from transformers import (
        BertConfig,
        BertForMaskedLM,
        DataCollatorForLanguageModeling,
        PreTrainedTokenizerFast,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    names = {
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    file = str(corpus.folder / "tokenizer.json")
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=file, **names)  # type: ignore[no-untyped-call]
    packed = Packed(corpus, LENGTH - 2, 1)
    places, _ = packed.places(0, min(packed.per_epoch, chosen.rows * (updates + 1)))
    start, end = corpus.text.special["start"], corpus.text.special["end"]
    rows = [[start, *row, end] for row in corpus.ids[places].tolist()]
    config = BertConfig(
        vocab_size=len(corpus.text),
        hidden_size=chosen.width,
        num_hidden_layers=chosen.layers,
        num_attention_heads=max(1, chosen.width // 64),
        intermediate_size=4 * chosen.width,
        hidden_dropout_prob=chosen.dropout,
        attention_probs_dropout_prob=chosen.dropout,
    )
    clock: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *given: Any, **options: Any) -> None:  # noqa: ANN401
            clock.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder,
            max_steps=updates,
            per_device_train_batch_size=chosen.rows,
            learning_rate=RATE,
            bf16=hardware.dtype(chosen.dtype, hardware.device(chosen.device))[0] == torch.bfloat16,
            use_cpu=hardware.device(chosen.device).type == "cpu",
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            remove_unused_columns=False,
        )
        collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15, whole_word_mask=True)
        # The collator takes a token for the start of a word where there is a gap before its offset.
        begins = np.pad(corpus.starts[places], ((0, 0), (1, 1)), constant_values=1)
        place = 2 * np.arange(LENGTH)
        offsets = np.stack([place + begins, np.broadcast_to(place + 2, begins.shape)], -1)
        data = Dataset.from_dict({"input_ids": rows, "offset_mapping": offsets.tolist()})
        Trainer(BertForMaskedLM(config), arguments, collator, data, callbacks=[Clock()]).train()
    return float((len(clock) - 1) * chosen.rows * LENGTH / (clock[-1] - clock[0]))


def main() -> None:
    """Train in turn and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="folder made with nlpk pretrain --prepare")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--dtype", default="auto", choices=["auto", "float32", "bf16"])
    parser.add_argument("--device", default="auto")
    chosen = parser.parse_args()
    corpus = corpora.open_folder(chosen.corpus)
    ratios = []
    for number in range(1, chosen.pairs + 1):
        one, other = ours(corpus, chosen, chosen.updates, "mlm=1"), theirs(corpus, chosen, chosen.updates)
        ratios.append(one / other)
        print(f"pair {number}: nlpk {one:,.0f}, transformers {other:,.0f} tokens/s, ratio {ratios[-1]:.2f}", flush=True)
    mix = ours(corpus, chosen, chosen.updates, Settings().objectives)
    print(
        f"median ratio {statistics.median(ratios):.2f}, {torch.get_num_threads()} threads; nlpk with its usual mix of "
        f"objectives {mix:,.0f} tokens/s"
    )


if __name__ == "__main__":
    main()
