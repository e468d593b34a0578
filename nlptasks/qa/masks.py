"""Answers of `mlm`: masks that were read at once are filled from left to right, those of each window by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nlptasks.backbone.batch import by_length
from nlptasks.backbone.copying import Source, grown
from nlptasks.writing.draft import Writer
from nlptasks.writing.passages import Runs, Table


@dataclass(frozen=True)
class Picked:
    """What was picked for one window."""

    ids: list[int]
    """The tokens, without the end."""
    p: float
    """Mean of the probabilities of its tokens and of the end."""
    first: int | None
    """Number of the token in the window at which it stands first; none where that is not known."""


class Masks:
    """Masks that were read at once, and what was picked for them so far, from left to right."""

    def __init__(self, writer: Writer, hidden: Tensor, source: Source | None) -> None:
        """Start with the first one: of states (P, W, H), and what can be copied from, or nothing."""
        self.writer, self.hidden, self.source = writer, hidden, source
        self.first = writer.first(hidden, source)
        self.runs = None if self.first is None else torch.zeros_like(self.first, dtype=torch.long).unsqueeze(1)

    @classmethod
    def read(cls, writer: Writer, prompts: Sequence[list[int]], count: int) -> Masks:
        """Read prompts in one pass, each with `count` masks behind its first token."""
        groups, order = by_length(prompts)
        return cls(writer, *writer.read([group.to(writer.device) for group in groups], order, slice(1, 1 + count)))

    @classmethod
    def joined(cls, parts: Sequence[Masks]) -> Masks:
        """Put the prompts of several of one writer together, of which nothing is picked yet."""
        sources = [part.source for part in parts if part.source is not None]
        return cls(
            parts[0].writer, torch.cat([part.hidden for part in parts]), Source.joined(sources) if sources else None
        )

    def chances(self, place: int) -> Tensor:
        """Tell the chances of every token for a mask, (P, V)."""
        aligner, bias = self.writer.aligner, None
        if aligner is not None and self.first is not None and self.runs is not None:
            bias = aligner.bias(self.first, self.runs, place)
        return self.writer.logits(self.hidden[:, place : place + 1], self.source, bias)[:, 0].softmax(1)

    def pick(self, tokens: Tensor) -> None:
        """Fill the mask with tokens, (P,) int."""
        if self.source is not None and self.runs is not None:
            self.runs = grown(self.runs, self.source.ids, tokens.unsqueeze(1))

    def keep(self, rows: Tensor) -> None:
        """Go on with some prompts alone."""
        self.hidden = self.hidden[rows]
        if self.source is not None:
            self.source = self.source.rows(rows)
        if self.first is not None and self.runs is not None:
            self.first, self.runs = self.first[rows], self.runs[rows]


class Picker:
    """Picks the likeliest tokens of windows; windows whose answers are over leave."""

    def __init__(self, masks: Masks, table: Table, end: int, *, extractive: bool) -> None:
        """Start with nothing picked.

        Args:
            masks: of some windows.
            table: of the same windows.
            end: the token that ends an answer.
            extractive: allow only what stands in the window.
        """
        self.masks, self.runs, self.extractive = masks, Runs(table), extractive
        self.offered, self.end = table.tokens[table.owner], 0 if extractive else end
        self.rows = torch.arange(len(table.owner), device=table.owner.device)  # whose answers are not over
        self.ids = self.rows.new_zeros(len(self.rows), masks.hidden.shape[1])
        self.sums = torch.zeros(len(self.rows), device=self.rows.device)
        self.lengths, self.firsts = torch.zeros_like(self.rows), torch.zeros_like(self.rows)

    def pick(self, place: int, *, may_end: bool) -> Tensor:
        """Fill the next mask of the open windows, and tell which of them go on: (P,) bool."""
        chances = self.masks.chances(place)
        if self.extractive:
            chances = chances.gather(1, self.offered)
            allowed = self.runs.allowed(chances.shape[1])[:, 0]
            allowed[:, 0] = True
            chances = chances.masked_fill(~allowed, 0)
        if not may_end:
            chances = chances.index_fill(1, self.rows.new_tensor([self.end]), 0)
        p, columns = chances.max(1)
        tokens = columns
        if self.extractive:
            tokens = self.offered.gather(1, columns.unsqueeze(1)).squeeze(1)
            self.runs.follow(torch.zeros_like(columns).unsqueeze(1), columns.unsqueeze(1))
        self.masks.pick(tokens)
        self.ids[self.rows, place] = tokens
        self.sums[self.rows] += p
        return columns != self.end

    def go_on(self, length: int, going: Tensor) -> bool:
        """Go on with some of the open windows, (P,) bool, for which so many tokens are picked; tell whether any are."""
        kept = going.nonzero().flatten()
        if len(kept) < len(self.rows):
            self.rows, self.offered = self.rows[kept], self.offered[kept]
            self.masks.keep(kept)
            self.runs.keep(kept)
        self.lengths[self.rows] = length
        if self.extractive:
            self.firsts[self.rows] = self.runs.open[:, 0].int().argmax(1) - length
        return bool(len(kept))

    def found(self) -> list[Picked]:
        """Tell what was picked for each window."""
        counted = (self.lengths + 1).clamp_max(self.ids.shape[1])
        told = zip(
            self.ids.tolist(), self.lengths.tolist(), (self.sums / counted).tolist(), self.firsts.tolist(), strict=True
        )
        return [Picked(ids[:length], p, first if self.extractive else None) for ids, length, p, first in told]
