"""Texts for rows: drawn, each by a random number generator of its own, or searched for."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import torch
from torch import Tensor

from nlptasks.backbone.text import Text
from nlptasks.errors import RecordError
from nlptasks.generation.model import Loaded
from nlptasks.generation.row import Row
from nlptasks.writing import beam, sampling
from nlptasks.writing.beam import Written
from nlptasks.writing.draft import Growing
from nlptasks.writing.guided import Guided
from nlptasks.writing.judges import Anything

#: What draws where nothing else is said.
TOP_P = 0.95
#: Texts that are written between two looks at what comes in, so that answers come out every few seconds.
WINDOW = 256
#: Texts that seq2seq follows at once where nothing else is said.
BEAM = 4

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Example:
    """A row as tokens."""

    row: Row
    prompt: list[int]
    """What is read, with the special tokens."""
    beginning: list[int]
    """The part of it that the text begins with."""
    key: bytes
    """What its texts are drawn by."""
    is_open: bool = False
    """Whether it leaves conditions to chance."""


class Answerer:
    """Turns rows into texts: the task's worker."""

    def __init__(self, loaded: Loaded) -> None:
        """Write with a model."""
        self.loaded, self.layout, self.options = loaded, loaded.layout, loaded.options
        self.draws = self.options.draws(loaded.method)
        self.limit = self.options.limit or self.layout.limit
        self.ignored = self.left_open = 0
        self.window = max(1, WINDOW // self.options.n)
        self.write: Callable[[str], None] | None = None
        """Where texts are shown as they grow; they are then written one by one."""

    def read(self, rows: Sequence[Row]) -> list[Example | RecordError]:
        """Encode rows; one that asks for what the model cannot write gives its error instead."""
        if not self.loaded.labels.known:
            self.ignored += sum(row.label is not None for row in rows)
        beginnings = self.layout.tokens([row.prompt for row in rows])
        sources = self.layout.sources([row.source or "" for row in rows])
        return [self.example(*one) for one in zip(rows, beginnings, sources, strict=True)]

    def example(self, row: Row, beginning: list[int], source: list[int]) -> Example | RecordError:
        """Encode one row."""
        if self.layout.reads and not source:
            return RecordError("field 'source' is missing or blank; expected the text to write from")
        prompt = self.layout.prompt(source if self.layout.reads else None, beginning)
        room = self.loaded.model.bert.config.max_position_embeddings - len(prompt) + 1 - self.limit
        if room < 0:
            found = f"a prompt of {len(beginning)} tokens, {-room} too many beside texts of {self.limit}"
            return RecordError(f"{found}; shorten it, or lower --limit")
        labels = self.loaded.labels
        try:
            row = replace(row, sets=labels.given(row.sets or [], row.label))
            labels.vectors([row.vector])
        except RecordError as error:
            return error
        is_open = len(row.sets or []) < len(labels.known)
        self.left_open += is_open
        return Example(row, prompt, beginning, key_of(self.options.seed, row), is_open)

    def sets(self, example: Example, number: int) -> list[str]:
        """Give the conditions of one text of a row; each text draws its own where they are left to chance."""
        given = example.row.sets or []
        return self.loaded.labels.completed(given, Random(example.key + number.to_bytes(8)))

    def size(self, example: Example) -> int:
        """Count the tokens of a row's texts."""
        return self.options.n * self.width(example)

    def width(self, example: Example) -> int:
        """Count the tokens of one text."""
        return (len(example.prompt) + self.limit) * (1 if self.draws else self.beam)

    @property
    def beam(self) -> int:
        """Count the texts that a search follows at once."""
        return self.options.beam or BEAM

    @torch.inference_mode()
    def answer(self, examples: Sequence[Example]) -> list[dict[str, Any]]:
        """Write the texts of rows, all in one pass, or in several where one row has many texts."""
        if self.draws and self.write:
            return [
                {**self.prediction(example, self.shown(example, self.write)), "shown": True} for example in examples
            ]
        if not self.draws:
            found = self.searched(examples)
        elif len(examples) > 1 or self.size(examples[0]) <= self.loaded.budget.tokens:
            found = self.drawn(examples, 0, self.options.n)
        else:
            step = max(1, self.loaded.budget.tokens // self.width(examples[0]))
            starts = range(0, self.options.n, step)
            parts = [self.drawn(examples, start, min(step, self.options.n - start)) for start in starts]
            found = [[text for part in parts for text in part[0]]]
        return [self.prediction(example, texts) for example, texts in zip(examples, found, strict=True)]

    def begun(self, asked: Sequence[tuple[Example, int]]) -> Growing:
        """Read the prompts of rows, and listen to the conditions of the text of a number."""
        sets, vectors = [self.sets(*one) for one in asked], [one.row.vector for one, _ in asked]
        condition = self.loaded.condition(*self.loaded.labels.tensors(sets, vectors))
        prompts, begin = [one.prompt for one, _ in asked], self.loaded.writer.begin
        heard, strength = begin(prompts, condition), self.options.guidance
        return heard if strength == 1 else Guided(heard, begin(prompts), strength)

    def shown(self, example: Example, write: Callable[[str], None]) -> list[Written]:
        """Draw the texts of a row one after another, and show each as it grows."""
        found = []
        for number in range(self.options.n):
            growing = Echo(self.loaded.text, example, self.layout.end, write)
            found += self.drawn([example], number, 1, growing)[0]
            write("\n")
        return found

    def drawn(
        self, examples: Sequence[Example], first: int, count: int, watch: Echo | None = None
    ) -> list[list[Written]]:
        """Draw texts of rows, from number `first` on."""
        if not any(one.is_open for one in examples):
            return self.sampled([(one, first) for one in examples], count, watch)
        asked = [(one, number) for one in examples for number in range(first, first + count)]
        texts = iter(self.sampled(asked, 1, watch))
        return [[next(texts)[0] for _ in range(count)] for _ in examples]

    def sampled(self, asked: Sequence[tuple[Example, int]], count: int, watch: Echo | None) -> list[list[Written]]:
        """Draw so many texts of rows, each from a number on."""
        return sampling.sample(
            self.begun(asked),
            self.layout.end,
            self.drawing(count),
            [generator(one.key, number * self.limit * sampling.DRAWS) for one, number in asked],
            watch,
        )

    def drawing(self, count: int) -> sampling.Drawing:
        """Say how texts are drawn."""
        options = self.options
        is_plain = options.top_p is None and options.top_k is None
        return sampling.Drawing(
            count=count,
            limit=self.limit,
            shortest=options.shortest,
            top_k=options.top_k,
            top_p=TOP_P if is_plain and not self.layout.reads else None if options.top_p == 1 else options.top_p,
            temperature=options.temperature,
            no_repeat=options.no_repeat,
        )

    def searched(self, examples: Sequence[Example]) -> list[list[Written]]:
        """Search for likely texts of rows."""
        draft = self.begun([(one, 0) for one in examples])
        judge = Anything(len(examples), self.layout.end, no_repeat=self.options.no_repeat, device=draft.logits.device)
        rule = beam.Rule(width=self.beam, limit=self.limit, shortest=self.options.shortest)
        return [texts[: self.options.n] for texts in beam.search(draft, judge, len(examples), rule)]

    def prediction(self, example: Example, texts: Sequence[Written]) -> dict[str, Any]:
        """Tell the texts of a row."""
        samples = [self.sample(example, text) for text in texts]
        if example.is_open:
            for number, one in enumerate(samples):
                one["sets"] = self.sets(example, number if self.draws else 0)
        return {"samples": samples}

    def sample(self, example: Example, written: Written) -> dict[str, Any]:
        """Tell one text; the prompt stands before it as it came."""
        text = example.row.prompt + behind(self.loaded.text, example, written.ids)
        given = example.row.source if self.layout.reads else example.row.prompt
        seen = self.loaded.seen
        memorised = seen.is_memorised(text, given or "") if seen else None
        return {"text": text, "logprob": written.logprob, "memorised": memorised}

    def report(self) -> None:
        """Tell what was not used of what came."""
        if self.ignored:
            logger.info("labels not used, since the model has no conditions: %d", self.ignored)
        if self.left_open:
            logger.info("records that left conditions to chance: %d", self.left_open)
        if cut := self.layout.counts["sources"]:
            logger.info("sources longer than %d tokens, of which only the start was read: %d", self.layout.source, cut)


class Echo:
    """Shows a text as it grows."""

    def __init__(self, text: Text, example: Example, end: int, write: Callable[[str], None]) -> None:
        """Begin with the prompt."""
        self.text, self.example, self.end, self.write = text, example, end, write
        self.ids: list[int] = []
        self.told = 0
        write(example.row.prompt)

    def __call__(self, rows: Tensor, tokens: Tensor) -> None:
        """Show what a token adds."""
        self.ids += [token for token in tokens.tolist() if token != self.end]
        said = behind(self.text, self.example, self.ids)
        self.write(said[self.told :])
        self.told = len(said)


def behind(text: Text, example: Example, ids: Sequence[int]) -> str:
    """Write tokens as the text that goes on behind a prompt."""
    return text.decode([*example.beginning, *ids])[len(text.decode(example.beginning)) :]


def key_of(seed: int, row: Row) -> bytes:
    """Give what decides the random numbers of a row's texts."""
    said = [seed, row.id, row.prompt, row.source, row.sets, row.vector]
    return hashlib.sha256(repr(said).encode()).digest()


def generator(key: bytes, skipped: int) -> torch.Generator:
    """Make the random numbers of a row, behind those that others of its texts have used."""
    made = torch.Generator().manual_seed(int.from_bytes(key[:7], "big"))
    if skipped:
        torch.rand(skipped, generator=made)
    return made
