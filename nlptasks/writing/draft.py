"""A model that writes, and the texts that it is at: prompts read once, then tokens for all branches of all prompts."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlptasks.backbone import masks
from nlptasks.backbone.aligning import Aligner
from nlptasks.backbone.batch import Batch, by_length, restored, split
from nlptasks.backbone.bert import Bert
from nlptasks.backbone.copying import Copier, Source, grown, runs_behind
from nlptasks.backbone.heads import TokenHead
from nlptasks.backbone.language import LanguageModel
from nlptasks.backbone.linear import Linear
from nlptasks.backbone.matching import Matcher
from nlptasks.writing.shelf import Shelf


@dataclass(frozen=True)
class Writer:
    """An encoder with the head that names tokens, and how the two read and write."""

    bert: Bert
    head: TokenHead
    decoder: Linear
    segment: int = 1
    """Segment of what is written: 1 behind a source (UniLM), 0 where there is only one text."""
    causal: bool = False
    """Read prompts from left to right, as a language model does, instead of both ways."""
    copier: Copier | None = None
    """What copies from prompts, if anything does."""
    matcher: Matcher | None = None
    """What tells what the texts of a prompt have in common, if anything does."""
    aligner: Aligner | None = None
    """What masks that copy know of each other, if anything."""

    @classmethod
    def of(
        cls,
        model: LanguageModel,
        *,
        segment: int = 1,
        causal: bool = False,
        freeze: bool = False,
    ) -> Writer:
        """Make a writer; the decoder shares the embeddings' weights.

        Args:
            model: what reads and names tokens, and copies them where it can.
            segment: of what is written.
            causal: read prompts from left to right.
            freeze: lay the decoder's weights out for the processor.
        """
        weight = model.bert.tokens.weight.detach()
        with torch.device("meta"):
            decoder = Linear(weight.shape[1], weight.shape[0])
        decoder.weight = nn.Parameter(weight, requires_grad=False)
        decoder.bias = nn.Parameter(model.head.bias.detach().to(weight.dtype), requires_grad=False)
        if freeze:
            decoder.freeze()
        return cls(model.bert, model.head, decoder, segment, causal, model.copier, model.matcher, model.aligner)

    @property
    def device(self) -> torch.device:
        """Tell where the model is."""
        return self.bert.tokens.weight.device

    @torch.inference_mode()
    def begin(
        self,
        prompts: Sequence[Sequence[int]],
        condition: Tensor | None = None,
        begun: Sequence[int] | None = None,
        beside: Sequence[Tensor] | None = None,
    ) -> Draft:
        """Read prompts, in one pass.

        Args:
            prompts: the tokens of each, at least one.
            condition: (P, C), or none.
            begun: for each prompt, how many of its last tokens are written already: the beginning of a text; none.
            beside: for each prompt (T, K) int, what stands beside its tokens, or none.

        Raises:
            ValueError: there is no prompt, or one without a token.
        """
        if not prompts or not all(prompts):
            raise ValueError("a prompt needs at least one token, such as the start")
        device = self.device
        groups, order = by_length(prompts, beside)
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
        ends = torch.tensor([len(group.ids) for group in groups]).cumsum(0).tolist()
        places = [order[end - len(group.ids) : end] for group, end in zip(groups, ends, strict=True)]
        shelf = Shelf(places, max(map(len, prompts)))
        ordered = None if condition is None else condition[torch.tensor(order, device=device)]
        behind = [[begun[place] if begun else 0 for place in some] for some in places]
        masked = [self.masked(group, some).to(device) for group, some in zip(groups, behind, strict=True)]
        last, source = self.read(masked, order, slice(-1, None), shelf, ordered)
        shelf.advance(shelf.longest)
        written = [prompt[len(prompt) - (begun[row] if begun else 0) :] for row, prompt in enumerate(prompts)]
        runs = None if source is None else runs_behind(source.ids, written)
        return Draft(self, shelf, lengths, self.next(last, source, runs), condition, source, runs)

    def read(
        self,
        groups: Sequence[Batch],
        order: Sequence[int],
        columns: slice,
        memory: Shelf | None = None,
        condition: Tensor | None = None,
    ) -> tuple[Tensor, Source | None]:
        """Read prompts, in one pass.

        Args:
            groups: each of one length.
            order: for each row of the groups laid end to end its place among the prompts.
            columns: the tokens of each prompt that are wanted, as many of each.
            memory: keeps what was read, or none.
            condition: (P, C), rows as in the groups, or none.

        Returns:
            The last layer's (P, W, H), and what can be copied from, or none.
        """
        below, last = deque(self.bert.states(groups, memory, condition, columns, self.matcher), maxlen=2)
        hidden = restored(torch.cat(split(last, groups, columns)), order)
        if self.copier is None:
            return hidden, None
        source = self.copier.source(below, groups).rows(torch.tensor(order, device=last.device).argsort())
        return hidden, source if self.aligner is None else self.aligner.closed(source)

    def masked(self, group: Batch, begun: Sequence[int] = ()) -> Batch:
        """Let prompts, or what is written of them, be read from left to right."""
        if self.causal:
            return replace(group, mask=masks.left_to_right(torch.ones_like(group.ids[:1], dtype=torch.bool)))
        if not any(begun):
            return group
        places = torch.arange(group.ids.shape[1]) - group.ids.shape[1]
        written = (places >= -torch.tensor(begun).unsqueeze(1)).long()
        segments = written * self.segment if self.segment else None
        return replace(group, segments=segments, mask=masks.prefix(written, torch.ones_like(written).bool()))

    def logits(self, hidden: Tensor, source: Source | None = None, bias: Tensor | None = None) -> Tensor:
        """Score every token of the vocabulary: (P, W, H) to (P, W, V) float32; with a source it may be copied, too.

        Args:
            hidden: of the tokens that name the next ones.
            source: what can be copied from, or none.
            bias: (P, W, S) float32, what places of the source score higher, or none.
        """
        scores: Tensor = self.decoder(self.head(hidden)).float()
        if self.copier is None or source is None:
            return scores
        return self.copier.mixed(scores, hidden, source, bias)

    def next(self, hidden: Tensor, source: Source | None, runs: Tensor | None) -> Tensor:
        """Score what comes behind tokens (P, W, H); runs (P, W, S) int of the source's tokens were written last."""
        bias = None if self.copier is None or runs is None else self.copier.bias(runs)
        return self.logits(hidden, source, bias)

    def first(self, hidden: Tensor, source: Source | None) -> Tensor | None:
        """Tell where the first of masks (P, W, H) that are filled at once points, (P, S), if the others are to know."""
        if self.copier is None or self.aligner is None or source is None:
            return None
        return self.copier.places(hidden[:, :1], source)[:, 0]


class Growing(Protocol):
    """Texts that grow token by token, as a draft's do."""

    @property
    def logits(self) -> Tensor:
        """Score what comes next: (P, W, V) float32."""
        ...

    @property
    def room(self) -> int:
        """Count the tokens that can be written before the positions end."""
        ...

    def write(self, tokens: Tensor, parents: Tensor | None = None) -> None:
        """Write one token more on each branch, (P, W) int, which goes on with one of the branches before."""
        ...

    def keep(self, rows: Tensor) -> None:
        """Keep, repeat or reorder prompts, (P',) int."""
        ...


class Draft:
    """What is written for prompts so far, one branch or several for each."""

    def __init__(
        self,
        writer: Writer,
        shelf: Shelf,
        lengths: Tensor,
        logits: Tensor,
        condition: Tensor | None = None,
        source: Source | None = None,
        runs: Tensor | None = None,
    ) -> None:
        """Start behind the prompts.

        Args:
            writer: what reads and writes.
            shelf: the prompts' memory.
            lengths: (P,) int, tokens of the prompts.
            logits: (P, 1, V) of the first token.
            condition: (P, C), or none.
            source: what can be copied from, or none.
            runs: (P, 1, S) int, how many tokens before a place of it were written last, or none.
        """
        self.writer, self.shelf, self.lengths, self.condition = writer, shelf, lengths, condition
        self.source, self.runs = source, runs
        self.logits = logits
        self.steps = 0
        columns = torch.arange(shelf.longest, device=lengths.device)
        self.prompt = columns < lengths.unsqueeze(1)  # (P, S) bool, which columns are a prompt's own
        self.seen = self.prompt.new_zeros(len(lengths), 1, 0)  # (P, W, written) bool, which of them a branch is made of

    @classmethod
    def joined(cls, drafts: Sequence[Draft]) -> Draft:
        """Put the prompts of several of one writer together, behind which nothing is written yet; they are used up."""
        if len(drafts) == 1:
            return drafts[0]
        condition = source = runs = None
        if drafts[0].condition is not None:
            condition = torch.cat([draft.condition for draft in drafts if draft.condition is not None])
        if drafts[0].source is not None:
            source = Source.joined([draft.source for draft in drafts if draft.source is not None])
            room = source.ids.shape[1]
            known = [draft.runs for draft in drafts if draft.runs is not None]
            runs = torch.cat([F.pad(part, (0, room - part.shape[2])) for part in known])
        lengths, logits = (torch.cat([getattr(draft, name) for draft in drafts]) for name in ("lengths", "logits"))
        shelf = Shelf.joined([draft.shelf for draft in drafts])
        return cls(drafts[0].writer, shelf, lengths, logits, condition, source, runs)

    @property
    def room(self) -> int:
        """Count the tokens that can be written before the positions end."""
        return self.writer.bert.config.max_position_embeddings - int(self.lengths.max()) - self.steps

    @torch.inference_mode()
    def write(self, tokens: Tensor, parents: Tensor | None = None, beside: Tensor | None = None) -> None:
        """Write one token more on each branch.

        Args:
            tokens: (P, W) int.
            parents: (P, W) int, the branch that each goes on with; the one at its own place by default.
            beside: (P, W, K) int, what stands beside the tokens, or none.
        """
        rows, width = tokens.shape
        own = torch.eye(width, dtype=torch.bool, device=tokens.device).expand(rows, -1, -1)
        self.seen = torch.cat([inherited(self.seen, parents), own], 2)
        positions = (self.lengths + self.steps).unsqueeze(1).expand(rows, width)
        segments = torch.full_like(tokens, self.writer.segment) if self.writer.segment else None
        batch = Batch(tokens, segments, self.mask(), positions, beside)
        hidden = self.writer.bert(batch, self.shelf, self.condition)
        self.shelf.advance(width)
        self.steps += 1
        if self.source is not None and self.runs is not None:
            self.runs = grown(inherited(self.runs, parents), self.source.ids, tokens)
        self.logits = self.writer.next(hidden, self.source, self.runs)

    def mask(self) -> Tensor | None:
        """Make the mask (P, 1, W, S) of the branches' next tokens; none where each sees all there is."""
        if self.seen.shape[1] == 1 and self.shelf.longest == int(self.lengths.min()):
            return None
        rows, width, _ = self.seen.shape
        return masks.additive(torch.cat([self.prompt.unsqueeze(1).expand(rows, width, -1), self.seen], 2))

    def keep(self, rows: Tensor) -> None:
        """Keep, repeat or reorder prompts, (P',) int: finished ones leave."""
        self.shelf.keep(rows)
        self.lengths, self.prompt, self.seen, self.logits = (
            part[rows] for part in (self.lengths, self.prompt, self.seen, self.logits)
        )
        if self.condition is not None:
            self.condition = self.condition[rows]
        if self.source is not None and self.runs is not None:
            self.source, self.runs = self.source.rows(rows), self.runs[rows]


def inherited(branches: Tensor, parents: Tensor | None) -> Tensor:
    """Give each branch what its parent has: (P, W, …) for parents (P, W') int; without parents as it is."""
    if parents is None:
        return branches
    return branches.gather(1, parents.unsqueeze(2).expand(-1, -1, branches.shape[2]))
