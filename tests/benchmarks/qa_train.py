"""QA's training rate: nlpk's trainer and transformers' Trainer, same model, rows, batches and number format, in turn.

    python tests/benchmarks/qa_train.py $NLPK_DATA/qa/cmrc2018_train.json --method seq2seq --dtype bf16

transformers trains BertForMaskedLM on padded batches with the same targets, for seq2seq under the same mask.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from nlptasks.backbone import hardware, masks, weights
from nlptasks.qa.row import METHODS, Settings
from nlptasks.qa.task import Task
from nlptasks.training.data import Source, load
from nlptasks.training.recipes import to_learn
from nlptasks.training.trainer import Run, fit

BATCH, ACCUMULATION, RATE = 8, 4, 1e-5
IGNORED = -100


def ours(method: str, rows: Sequence[Any], seed: int, dtype: torch.dtype, folder: Path) -> float:
    """Train one epoch with nlpk, and give the seconds."""
    backbone = weights.load(folder)
    settings = Settings(seed=seed, batch_size=BATCH, accumulation=ACCUMULATION, learning_rate=RATE)
    task = Task(method, settings, backbone.text)
    torch.manual_seed(seed)
    run = Run(task, task.model(backbone), rows, settings, torch.device("cpu"))
    started = clock()
    for _ in fit(run, None, dtype=dtype):
        pass
    return clock() - started


def clock() -> float:
    """Tell the time; with one thread that of the CPU, which other work on the machine does not lengthen."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def laid_out(method: str, rows: Sequence[Any], folder: Path) -> list[dict[str, Tensor]]:
    """Lay out every row as nlpk does: tokens, segments and labels."""
    task = Task(method, Settings(), weights.load(folder).text)
    found = []
    for row in rows:
        for lesson in task.encoder.lessons([row]):
            work = task.layout.work([lesson])
            if work.targets is None:
                raise SystemExit("no targets")
            ids = work.groups[0].ids[0]
            segments = work.groups[0].segments
            labels = torch.full_like(ids, IGNORED)
            labels[work.targets[0]] = work.targets[1]
            found.append({"ids": ids, "segments": torch.zeros_like(ids) if segments is None else segments[0]})
            found[-1]["labels"] = labels
    return found


def padded(method: str, rows: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Put rows into one batch of transformers'."""
    ids, segments = (pad_sequence([row[name] for row in rows], True) for name in ("ids", "segments"))
    kept = pad_sequence([torch.ones_like(row["ids"]) for row in rows], True).bool()
    seen = masks.prefix(segments, kept) if method == "seq2seq" else kept.long()
    labels = pad_sequence([row["labels"] for row in rows], True, IGNORED)
    return {"input_ids": ids, "token_type_ids": segments, "attention_mask": seen, "labels": labels}


def theirs(
    method: str, rows: list[dict[str, Tensor]], batch: int, seed: int, dtype: torch.dtype, folder: Path
) -> float:
    """Train one epoch with transformers, and give the seconds."""
    from transformers import BertForMaskedLM, Trainer, TrainingArguments

    torch.manual_seed(seed)
    model = BertForMaskedLM.from_pretrained(str(folder), dtype=torch.float32)
    with tempfile.TemporaryDirectory() as named:
        arguments = TrainingArguments(
            named,
            num_train_epochs=1,
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=ACCUMULATION,
            learning_rate=RATE,
            warmup_steps=0.1,
            weight_decay=0.01,
            seed=seed,
            bf16=dtype == torch.bfloat16,
            use_cpu=True,
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            remove_unused_columns=False,
        )
        trainer = Trainer(model, arguments, train_dataset=rows, data_collator=lambda some: padded(method, some))
        started = clock()
        trainer.train()
        return clock() - started


def main() -> None:
    """Run both in turn and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="any file that nlpk train qa takes")
    parser.add_argument("--method", default="seq2seq", choices=list(METHODS))
    parser.add_argument("--model", type=Path, default=weights.DEFAULT)
    parser.add_argument("--rows", type=int, default=960)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", default="float32", choices=list(hardware.DTYPES))
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    from nlptasks import form

    table = load(Source(chosen.train), to_learn(form("qa"), chosen.method)).rows
    rows = list(table.select(range(min(chosen.rows, len(table)))))
    examples = laid_out(chosen.method, rows, chosen.model)
    tokens = sum(len(one["ids"]) for one in examples)
    batch = round(BATCH * len(examples) / len(rows))  # a row of a long passage is two sequences
    dtype, ratios = hardware.DTYPES[chosen.dtype], []
    for seed in range(1, chosen.pairs + 1):
        fast = ours(chosen.method, rows, seed, dtype, chosen.model)
        slow = theirs(chosen.method, examples, batch, seed, dtype, chosen.model)
        ratios.append(slow / fast)
        rates = f"nlpk {tokens / fast:,.0f} tokens/s, transformers {tokens / slow:,.0f} tokens/s"
        print(f"seed {seed}: {rates}, ratio {ratios[-1]:.2f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.2f} ({chosen.method}, {chosen.dtype}, {chosen.threads} threads)")


if __name__ == "__main__":
    main()
