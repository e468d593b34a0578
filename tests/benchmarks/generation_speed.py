"""Texts a second that a language model draws: nlpk's engine, the naive one that reads everything again, transformers.

    python tests/benchmarks/generation_speed.py [--model DIR] [--texts 256] [--tokens 64] [--dtype bf16]

The same weights, threads, number format and settings of drawing on both sides, and texts of exactly `--tokens` tokens;
each pair runs in turn. transformers reads the weights as `BertLMHeadModel` with `is_decoder=True` and writes all texts
in one call of `generate`, with its cache; the naive engine writes `--naive` texts one by one. DIR is any folder with an
encoder and its head for masked words, by default the embedded backbone; it is asked without conditions, which
transformers does not know. Greedy texts of both are compared first: they show that the weights are the same. One thread
is timed by the CPU time that the process takes, which other work on the machine disturbs less; several by the clock.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from nlptasks.backbone import hardware, weights
from nlptasks.backbone.hardware import Machine
from nlptasks.generation.answers import Answerer, generator
from nlptasks.generation.model import Loaded, load
from nlptasks.generation.row import Options, Row
from nlptasks.writing import sampling

NAIVE = Path(__file__).parents[1] / "writing" / "naive.py"
Texts = list[list[int]]
Run = tuple[Callable[[], Texts], int]  # and how many texts it writes
PROMPTS = ["这家酒店", "手机", "这本书", "衣服的"]


def naive_engine() -> ModuleType:
    """Load the naive engine of the tests."""
    spec = importlib.util.spec_from_file_location("naive_writer", NAIVE)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{NAIVE} is gone")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Ours:
    """Texts by nlpk's engine."""

    def __init__(self, folder: str, dtype: str, tokens: int) -> None:
        """Load the model."""
        self.folder, self.dtype, self.tokens = folder, dtype, tokens

    def answerer(self, **options: Any) -> Answerer:  # noqa: ANN401
        """Make what writes texts of one length."""
        told = Options(limit=self.tokens, shortest=self.tokens - 1, **options)
        return Answerer(
            load(None, told, backbone=self.folder, machine=Machine(device="cpu", dtype=self.dtype, tokens=1 << 30))
        )

    def drawn(self, count: int, top_p: float) -> Callable[[], Texts]:
        """Prepare to draw texts, all in one batch."""
        made = self.answerer(n=count, top_p=top_p)
        examples = made.read([Row()])
        return lambda: [text.ids for text in made.drawn(examples, 0, count)[0]]  # type: ignore[arg-type]

    def greedy(self, prompts: list[str]) -> Texts:
        """Write the likeliest texts."""
        made = self.answerer(beam=1)
        return [texts[0].ids for texts in made.searched(made.read([Row(one) for one in prompts]))]  # type: ignore[arg-type]


class Transformers:
    """Texts by transformers, from the same weights."""

    def __init__(self, folder: str, dtype: str, tokens: int) -> None:
        """Load them as a causal language model."""
        from transformers import BertConfig, BertLMHeadModel

        place = weights.locate(folder)
        number_format = hardware.dtype(dtype, torch.device("cpu"))[0]
        config = BertConfig.from_pretrained(place, is_decoder=True)
        self.model: Any = BertLMHeadModel.from_pretrained(place, config=config, dtype=number_format)
        self.text = weights.load(folder).text
        special = self.text.special
        self.model.train(False)
        self.usual = {
            "min_new_tokens": tokens,
            "max_new_tokens": tokens,
            "eos_token_id": special["end"],
            "pad_token_id": special["pad"],
        }
        self.start, self.never = special["start"], [special[name] for name in ("pad", "unknown", "start", "mask")]

    def drawn(self, count: int, top_p: float) -> Callable[[], Texts]:
        """Prepare to draw texts, all in one batch; from its own settings alone, which forbid no special token."""
        prompts = torch.full((count, 1), self.start)
        told = {**self.usual, "do_sample": True, "top_p": top_p, "top_k": 0}
        return lambda: self.written(prompts, told)

    def greedy(self, prompts: list[str]) -> Texts:
        """Write the likeliest texts."""
        found = []
        for prompt in prompts:
            ids = self.text.tokenizer.encode(prompt, add_special_tokens=False).ids
            told = {**self.usual, "do_sample": False, "suppress_tokens": self.never}
            found += self.written(torch.tensor([[self.start, *ids]]), told)
        return found

    @torch.inference_mode()
    def written(self, prompts: torch.Tensor, told: dict[str, Any]) -> Texts:
        """Write behind prompts of one length."""
        kept = torch.ones_like(prompts)
        found: Texts = self.model.generate(prompts, attention_mask=kept, **told)[:, prompts.shape[1] :].tolist()
        return found


def naive(loaded: Loaded, count: int, tokens: int, top_p: float) -> Texts:
    """Draw texts one by one, and read everything again for every token."""
    engine, found = naive_engine(), []
    drawing = sampling.Drawing(shortest=tokens, top_p=None if top_p == 1 else top_p)
    for number in range(count):
        draws = torch.rand(tokens, sampling.DRAWS, generator=generator(bytes(range(8)), number))
        ids: list[int] = []
        for draw in draws:
            logits = engine.logits(loaded.writer, [loaded.layout.start], ids).unsqueeze(0)
            written = torch.tensor([ids], dtype=torch.long)
            ids.append(int(sampling.draw(logits, written, draw.unsqueeze(0), drawing, loaded.layout.end)[0]))
        found.append(ids)
    return found


def timed(run: Callable[[], Texts], count: int, tokens: int) -> float:
    """Run, and give the texts a second."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    started = clock()
    texts = run()
    seconds = clock() - started
    if len(texts) != count or {len(ids) for ids in texts} - {tokens - 1, tokens}:
        raise SystemExit(f"{len(texts)} texts of {sorted({len(ids) for ids in texts})} tokens; expected {count}")
    return count / seconds


def contest(name: str, ours: Run, peer: Run, tokens: int, pairs: int) -> None:
    """Time both sides in turn, and print the rates and the median of the ratios."""
    found = [[timed(run, count, tokens) for run, count in (ours, peer)] for _ in range(pairs)]
    ratios = [fast / slow for fast, slow in found]
    left, right = (statistics.median(side) for side in zip(*found, strict=True))
    ends = f"from {min(ratios):.2f} to {max(ratios):.2f}"
    print(f"{name}: {left:.1f} against {right:.2f} texts/s, ratio {statistics.median(ratios):.2f} ({ends})", flush=True)


def compare(ours: Ours, peer: Transformers) -> None:
    """Print how many greedy texts of both are the same."""
    texts = zip(ours.greedy(PROMPTS), peer.greedy(PROMPTS), strict=True)
    same = sum(left == right[: len(left)] for left, right in texts)
    print(f"greedy: {same} of {len(PROMPTS)} texts the same")


def main() -> None:
    """Run the contests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder or hub name of the weights")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bf16"])
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--naive", type=int, default=4, help="texts of a round for the naive engine")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    folder, count, tokens = str(weights.locate(chosen.model)), chosen.texts, chosen.tokens
    ours, peer = Ours(folder, chosen.dtype, tokens), Transformers(folder, chosen.dtype, tokens)
    print(f"{count} texts of {tokens} tokens, {chosen.threads} threads, {chosen.dtype}")
    compare(ours, peer)
    for top_p in (0.95, 1.0):
        drawn = ours.drawn(count, top_p)
        plain = partial(naive, ours.answerer().loaded, chosen.naive, tokens, top_p)
        contest(f"top-p {top_p}, transformers", (drawn, count), (peer.drawn(count, top_p), count), tokens, chosen.pairs)
        contest(f"top-p {top_p}, naive", (drawn, count), (plain, chosen.naive), tokens, chosen.pairs)


if __name__ == "__main__":
    main()
