"""Texts as tokens: how they are cut, laid out in a sequence, and put together for a pass of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from torch import Tensor

from nlptasks.backbone import masks
from nlptasks.backbone.batch import Batch
from nlptasks.backbone.text import Text
from nlptasks.errors import UsageError

#: Special tokens of a sequence that do not belong to its text: the start, and behind a source its end.
AROUND = 2
#: Where a text that is too long is cut: behind a sentence, else behind a part of one.
STOPS = ("。！？!?；;…~", "，,、")


@dataclass(frozen=True)
class Lesson:
    """A text to learn, in tokens without special ones."""

    source: list[int] | None
    text: list[int]
    whole: bool
    """Whether the text ends by itself, and was not cut within a sentence."""


@dataclass(frozen=True)
class Pass:
    """One forward pass of training or scoring.

    Attributes:
        groups: the rows, each group of one length.
        order: for each row of the groups laid end to end, its place among the lessons.
        targets: (2, M) int, places in the groups laid end to end, and the tokens to be named there.
        labels: (B, C) int, for each row of the groups its labels, or none.
        vectors: (B, D) float, for each row of the groups its vector, or none.
        tokens: how many go through the model.
    """

    groups: Sequence[Batch]
    order: Tensor
    targets: Tensor
    tokens: int
    labels: Tensor | None = None
    vectors: Tensor | None = None

    def to(self, device: torch.device) -> Pass:
        """Move the tensors to a device."""
        labels, vectors = (None if part is None else part.to(device) for part in (self.labels, self.vectors))
        groups = [group.to(device) for group in self.groups]
        return Pass(groups, self.order.to(device), self.targets.to(device), self.tokens, labels, vectors)


class Layout:
    """How a method puts source and text into a sequence: `[CLS] text [SEP]`, or `[CLS] source [SEP] text [SEP]`."""

    def __init__(self, method: str, text: Text, *, limit: int, source: int) -> None:
        """Prepare.

        Args:
            method: cln or seq2seq.
            text: the tokenizer.
            limit: tokens of a text at most, its end included.
            source: tokens of a source that are read.
        """
        self.reads, self.text, self.limit, self.source = method == "seq2seq", text, limit, source
        self.start, self.end, self.unknown = (text.special[name] for name in ("start", "end", "unknown"))
        self.stops = [
            {number for mark in marks if (number := text.tokenizer.token_to_id(mark)) is not None} for marks in STOPS
        ]
        self.counts = {"texts": 0, "cut": 0, "sources": 0, "tokens": 0, "unknown": 0}

    def check(self, positions: int, limit: int | None = None) -> None:
        """Refuse more than a model can read.

        Args:
            positions: of the model.
            limit: tokens of a text at most, where it is another than in training.

        Raises:
            UsageError: source and text together are longer than its positions.
        """
        total = (limit or self.limit) + (self.source + AROUND if self.reads else 1)
        if total > positions:
            lower = "--limit or --source-limit" if self.reads else "--limit"
            raise UsageError(f"texts need {total} positions, the model has {positions}; lower {lower}")

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Turn texts into tokens, without special ones."""
        return [one.ids for one in self.text.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def sources(self, texts: Sequence[str]) -> list[list[int]]:
        """Turn sources into tokens; what is too long loses its end, and is counted."""
        found = self.tokens(texts)
        self.counts["sources"] += sum(len(ids) > self.source for ids in found)
        return [ids[: self.source] for ids in found]

    def lessons(self, texts: Sequence[str], sources: Sequence[str] | None) -> list[Lesson]:
        """Encode what is learnt."""
        read = self.sources(sources) if sources is not None else [None] * len(texts)
        found = self.tokens(texts)
        self.counts["texts"] += len(found)
        self.counts["tokens"] += sum(map(len, found))
        self.counts["unknown"] += sum(ids.count(self.unknown) for ids in found)
        return [self.lesson(ids, source) for ids, source in zip(found, read, strict=True)]

    def lesson(self, ids: list[int], source: list[int] | None) -> Lesson:
        """Cut a text that is too long, where a sentence ends in its second half, or else anywhere."""
        if len(ids) < self.limit:
            return Lesson(source, ids, whole=True)
        self.counts["cut"] += 1
        for marks in self.stops:
            for place in range(self.limit - 2, self.limit // 2 - 1, -1):
                if ids[place] in marks:
                    return Lesson(source, ids[: place + 1], whole=True)
        return Lesson(source, ids[: self.limit], whole=False)

    def prompt(self, source: Sequence[int] | None, beginning: Sequence[int] = ()) -> list[int]:
        """Lay out what is there before a text is written, the beginning of it included."""
        read = [*source, self.end] if source is not None else []
        return [self.start, *read, *beginning]

    def work(self, lessons: Sequence[Lesson], labels: Tensor | None, vectors: Tensor | None) -> Pass:
        """Lay out lessons for one pass; labels are (B, C) and vectors (B, D), in the order of the lessons."""
        rows = [self.row(lesson) for lesson in lessons]
        order = sorted(range(len(rows)), key=lambda place: len(rows[place][0]))
        groups: list[Batch] = []
        places: list[int] = []
        targets: list[int] = []
        laid = 0
        for _, some in groupby(order, key=lambda place: len(rows[place][0])):
            chosen = [rows[place] for place in some]
            groups.append(self.group([(ids, first) for ids, first, _ in chosen]))
            for ids, first, wanted in chosen:
                places += range(laid + first, laid + first + len(wanted))
                targets += wanted
                laid += len(ids)
        ordered = torch.tensor(order)
        made = [None if part is None else part[ordered] for part in (labels, vectors)]
        return Pass(groups, ordered, torch.tensor([places, targets]), laid, *made)

    def row(self, lesson: Lesson) -> tuple[list[int], int, list[int]]:
        """Lay out a lesson: its tokens, the place from which tokens are named, and those tokens."""
        prompt = self.prompt(lesson.source)
        wanted = [*lesson.text, *([self.end] if lesson.whole else [])]
        return [*prompt, *wanted[:-1]], len(prompt) - 1, wanted

    def group(self, rows: Sequence[tuple[list[int], int]]) -> Batch:
        """Put rows of one length together; what is written is read from left to right."""
        batch = Batch(torch.tensor([ids for ids, _ in rows]))
        if not self.reads:
            return replace(batch, mask=masks.left_to_right(torch.ones_like(batch.ids[:1], dtype=torch.bool)))
        firsts = torch.tensor([first for _, first in rows])
        segments = (torch.arange(batch.ids.shape[1]) > firsts.unsqueeze(1)).long()
        return replace(batch, segments=segments, mask=masks.prefix(segments, torch.ones_like(segments).bool()))
