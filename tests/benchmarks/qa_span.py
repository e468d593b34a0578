"""An extractive baseline: transformers' BertForQuestionAnswering on the rows, windows and tokens that nlpk learns from.

    python tests/benchmarks/qa_span.py TRAIN.json DEV.json… --model BACKBONE --epochs 3 --learning-rate 3e-5

It marks start and end of the answer, or the first token where a window holds none, as is usual for SQuAD 2. The best
span of all windows and passages answers, unless each has a better score for none, or always. Scored as nlpk eval qa
does.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from nlptasks import form, rows
from nlptasks.backbone import weights, windows
from nlptasks.backbone.text import Text
from nlptasks.qa.examples import Encoder, Example, Limits
from nlptasks.qa.row import Row, Settings
from nlptasks.qa.scores import scored
from nlptasks.training.data import Source, load
from nlptasks.training.recipes import to_learn, to_score


def examples_of(text: Text, limits: Limits, table: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Lay out `[CLS] question [SEP] passage [SEP]` for each lesson of each row, with the place of its answer."""
    encoder = Encoder(text, limits)
    for row in table:
        passage = windows.read(text, [row["passage"]])[0]
        start = row["start"]
        span = None if start is None else passage.tokens(start, start + len(row["answer"]))
        for lesson in encoder.lessons([row]):
            if lesson.answer and span is None:
                continue  # its parts stand apart
            made = laid_out(text, lesson.question, lesson.passage)
            first = last = 0
            if lesson.answer and span is not None:
                cut = windows.cut(passage, limits.passage, limits.overlap)
                at = next((one.first for one in cut if one.ids == lesson.passage), span[0])
                offset = len(lesson.question) + 2 - at
                first, last = span[0] + offset, min(span[1] - 1 + offset, len(made["input_ids"]) - 2)
            yield {**made, "start_positions": first, "end_positions": last}


def laid_out(text: Text, question: list[int], passage: list[int]) -> dict[str, list[int]]:
    """Put question and passage into one sequence."""
    end = text.special["end"]
    ids = [text.special["start"], *question, end, *passage, end]
    segments = [0] * (len(question) + 2) + [1] * (len(passage) + 1)
    return {"input_ids": ids, "token_type_ids": segments, "attention_mask": [1] * len(ids)}


def padded(found: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
    """Put sequences into one batch."""
    lists = ("input_ids", "token_type_ids", "attention_mask")
    batch = {name: pad_sequence([torch.tensor(one[name]) for one in found], True) for name in lists}
    places = [name for name in ("start_positions", "end_positions") if name in found[0]]
    return {**batch, **{name: torch.tensor([one[name] for one in found]) for name in places}}


def trained(folder: Path, examples: list[dict[str, Any]], chosen: argparse.Namespace) -> Any:  # noqa: ANN401
    """Train the baseline."""
    from transformers import BertForQuestionAnswering, Trainer, TrainingArguments

    torch.manual_seed(chosen.seed)
    model: Any = BertForQuestionAnswering.from_pretrained(str(folder), dtype=torch.float32)
    with tempfile.TemporaryDirectory() as named:
        arguments = TrainingArguments(
            named,
            num_train_epochs=chosen.epochs,
            per_device_train_batch_size=chosen.batch_size,
            learning_rate=chosen.learning_rate,
            warmup_steps=0.1,
            weight_decay=0.01,
            seed=chosen.seed,
            bf16=chosen.bf16,
            use_cpu=not torch.cuda.is_available(),
            report_to="none",
            save_strategy="no",
            logging_steps=50,
            remove_unused_columns=False,
        )
        Trainer(model, arguments, train_dataset=examples, data_collator=padded).train()
    return model.eval()


def answer(model: Any, text: Text, example: Example, limits: Limits) -> tuple[str, str]:  # noqa: ANN401
    """Choose the span of all windows that beats having none by most: empty where none does, and in any case."""
    best, found = -float("inf"), ""
    for number, window in example.windows:
        made = laid_out(text, example.question, window.ids)
        with torch.inference_mode():
            out = model(**{name: value.to(model.device) for name, value in padded([made]).items()})
        start, end = out.start_logits[0].float().cpu(), out.end_logits[0].float().cpu()
        first = len(example.question) + 2
        scores = start[first:-1, None] + end[None, first:-1]
        spans = torch.ones_like(scores).bool().triu() & ~torch.ones_like(scores).bool().triu(limits.answer)
        top, place = scores.masked_fill(~spans, -torch.inf).flatten().max(0)
        gain = float(top - start[0] - end[0])
        if gain > best:
            left, right = divmod(int(place), scores.shape[1])
            best, found = gain, example.texts[number][slice(*window.characters(left, right + 1))]
    return found if best > 0 else "", found


def main() -> None:
    """Train, answer, score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="any file that nlpk train qa takes")
    parser.add_argument("dev", nargs="+", help="any files that nlpk eval qa takes")
    parser.add_argument("--model", type=Path, default=weights.DEFAULT)
    parser.add_argument("--epochs", type=float, default=3.0)
    parser.add_argument("--learning-rate", type=float, default=3e-5)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-rows", type=int)
    parser.add_argument("--passage-limit", type=int, default=Settings.passage_limit, help="as of nlpk train qa")
    parser.add_argument("--overlap", type=int, default=Settings.overlap, help="as of nlpk train qa")
    parser.add_argument("--questions", type=int, help="of each dev file, from its start; all by default")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bf16", action="store_true", help="train in bf16")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    settings = Settings(passage_limit=chosen.passage_limit, overlap=chosen.overlap)
    text, limits = weights.load(chosen.model).text, Limits.of(asdict(settings))
    table = load(Source(chosen.train), to_learn(form("qa"), "mlm")).rows
    if chosen.max_rows and chosen.max_rows < len(table):  # those that nlpk train qa draws
        table = table.select(random.Random(chosen.seed).sample(range(len(table)), chosen.max_rows))
    examples = list(examples_of(text, limits, table))
    tokens = sum(len(one["input_ids"]) for one in examples)
    print(f"{len(examples)} sequences, {tokens:,} tokens an epoch", flush=True)
    model = trained(chosen.model, examples, chosen)
    for name in chosen.dev:
        labelled = [rows.parse(Row, row) for row in load(Source(name), to_score(form("qa"))).rows][: chosen.questions]
        read = Encoder(text, limits).read(labelled)
        usual, forced = zip(*(answer(model, text, one, limits) for one in read), strict=True)
        for rule, answers in (("beats none", usual), ("always", forced)):
            scores = scored(list(answers), [row.answers or [] for row in labelled])
            print(json.dumps({"file": name, "records": len(labelled), "answers": rule, "scores": scores}), flush=True)


if __name__ == "__main__":
    main()
