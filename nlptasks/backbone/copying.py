"""Copying from what was read: a pointer into the prompt beside the head that names tokens.

Source: See et al. 2017, arXiv 1704.04368 (pointer-generator). That a text which copies tends to go on with what follows
is told to the pointer here, in place of being learnt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlptasks.backbone.batch import Batch, split
from nlptasks.backbone.config import Config
from nlptasks.backbone.text import Text

#: Of a chance.
SMALLEST = torch.finfo(torch.float32).tiny
#: Runs of copied tokens are told apart up to this length.
LONGEST = 4
#: No token.
NOTHING = -1


@dataclass(frozen=True)
class Source:
    """What can be copied from.

    Attributes:
        keys: (P, S, H), what a pointer compares itself with.
        ids: (P, S) int, the tokens.
        kept: (P, S) bool, False for padding and for tokens that are not copied.
        over: (P, S) float32, the share of a place's chances that the end has in the place of its token, or none.
        end: the token that ends a text, where there is `over`.
    """

    keys: Tensor
    ids: Tensor
    kept: Tensor
    over: Tensor | None = None
    end: int = NOTHING

    @classmethod
    def joined(cls, parts: Sequence[Source]) -> Source:
        """Put the prompts of several together, padded to the longest."""
        longest = max(part.ids.shape[1] for part in parts)

        def padded(tensors: Sequence[Tensor]) -> Tensor:
            return torch.cat([F.pad(one, (0, 0) * (one.ndim - 2) + (0, longest - one.shape[1])) for one in tensors])

        over = [part.over for part in parts if part.over is not None]
        return cls(
            padded([part.keys for part in parts]),
            padded([part.ids for part in parts]),
            padded([part.kept for part in parts]),
            padded(over) if over else None,
            parts[0].end,
        )

    def rows(self, rows: Tensor) -> Source:
        """Keep, repeat or reorder prompts, (P',) int."""
        over = None if self.over is None else self.over[rows]
        return Source(self.keys[rows], self.ids[rows], self.kept[rows], over, self.end)

    def offered(self, chances: Tensor) -> tuple[Tensor, Tensor]:
        """Turn chances of places, (P, W, S), into those of tokens, which may repeat: (P, W, T), and (P, T) int."""
        if self.over is None:
            return chances, self.ids
        over = self.over.unsqueeze(1)
        ids = torch.cat([self.ids, torch.full_like(self.ids, self.end)], 1)
        return torch.cat([chances * (1 - over), chances * over], 2), ids


class Copier(nn.Module):
    """Points at tokens of the prompt: p(token) = (1 - g) p_head(token) + g Σ aᵢ over the places i that hold it.

    The pointer's weights a and its share g come from the state that names the token; keys come from the states below
    the last layer, which is computed for few tokens of a prompt only. Special tokens, and what is not in segment 0,
    are never copied. Where a text is written from left to right, a place scores higher by a bias that is learnt,
    according to how many tokens before it are those that were written last.
    """

    #: In front of the names of the weights.
    FRONT = "copier."

    special: Tensor

    def __init__(self, width: int, special: Sequence[int]) -> None:
        """Make a pointer with random weights, for states of a width; its share is a half at the start."""
        super().__init__()
        self.query, self.key, self.gate = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, 1)
        self.follow = nn.Parameter(torch.arange(1.0, LONGEST + 1))
        for linear in (self.query, self.key):
            nn.init.normal_(linear.weight, std=1 / math.sqrt(width))
            nn.init.zeros_(linear.bias)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)
        self.register_buffer("special", torch.tensor(sorted(special)), persistent=False)

    @classmethod
    def of(cls, config: Config, text: Text) -> Copier:
        """Make one for an encoder and its tokenizer."""
        return cls(config.hidden_size, list(text.special.values()))

    def source(self, states: Tensor, groups: Sequence[Batch]) -> Source:
        """Lay out what the rows of groups offer.

        Args:
            states: (N, H) below the last layer, of all tokens of the groups laid end to end.
            groups: each of one length.
        """
        longest = max(group.ids.shape[1] for group in groups)
        keys, ids, kept = [], [], []
        for group, part in zip(groups, split(self.key(states), groups), strict=True):
            room = longest - group.ids.shape[1]
            own = ~torch.isin(group.ids, self.special)
            if group.segments is not None:
                own &= group.segments == 0
            keys.append(F.pad(part, (0, 0, 0, room)))
            ids.append(F.pad(group.ids, (0, room)))
            kept.append(F.pad(own, (0, room)))
        return Source(torch.cat(keys), torch.cat(ids), torch.cat(kept))

    def bias(self, runs: Tensor) -> Tensor:
        """Tell by how much places score higher, (P, W, S) float32: `runs` (P, W, S) int of them were written last."""
        return F.pad(self.follow.float(), (1, 0))[runs.clamp_max(LONGEST)]

    def places(self, hidden: Tensor, source: Source, bias: Tensor | None = None) -> Tensor:
        """Point at places.

        Args:
            hidden: (P, W, H).
            source: of P prompts.
            bias: (P, W, S) float32, added to the scores, or none.

        Returns:
            (P, W, S) float32 chances; all are 0 where nothing is offered.
        """
        scores = (self.query(hidden) @ source.keys.transpose(1, 2) / math.sqrt(hidden.shape[-1])).float()
        if bias is not None:
            scores = scores + bias
        kept = source.kept.unsqueeze(1)
        chances: Tensor = scores.masked_fill(~kept, torch.finfo(torch.float32).min).softmax(-1)
        return chances * kept

    def mixed(self, logits: Tensor, hidden: Tensor, source: Source, bias: Tensor | None = None) -> Tensor:
        """Let the pointer have its share: from scores (P, W, V) and states (P, W, H) to log-probabilities (P, W, V)."""
        share = self.gate(hidden).float().sigmoid()
        copied, ids = source.offered(self.places(hidden, source, bias) * share)
        ids = ids.unsqueeze(1).expand_as(copied)
        chances: Tensor = (logits.softmax(-1) * (1 - share)).scatter_add(2, ids, copied)
        never = logits.isneginf() & (chances == 0)  # what must not be written stays so at any temperature
        return chances.clamp_min(SMALLEST).log().masked_fill(never, -torch.inf)

    def losses(
        self,
        named: Tensor,
        hidden: Tensor,
        tokens: Tensor,
        rows: Tensor,
        source: Source,
        *,
        follows: bool = False,
        align: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Compute the cross entropy of tokens that are named or copied.

        Args:
            named: (M,) float32, their cross entropy by the head alone.
            hidden: (M, H), the states that name them.
            tokens: (M,) int.
            rows: (M,) int, the row that each belongs to, rising.
            source: of all rows.
            follows: whether the tokens of a row were written one behind the other.
            align: `Aligner.bias` of masks that stand one behind the other, or none.

        Returns:
            (M,) float32.
        """
        counts = torch.bincount(rows, minlength=len(source.ids))
        turn = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[rows]
        laid = hidden.new_zeros(len(counts), int(counts.max()), hidden.shape[1]).index_put((rows, turn), hidden)
        written = tokens.new_full(laid.shape[:2], NOTHING).index_put((rows, turn), tokens)
        runs = runs_of(source.ids, written) if follows or align is not None else None
        bias = self.bias(runs) if runs is not None and follows else None
        if align is not None and runs is not None:
            bias = align(self.places(laid[:, :1], source)[:, 0], runs)
        chances, ids = source.offered(self.places(laid, source, bias))
        hits = chances[rows, turn] * (ids[rows] == tokens.unsqueeze(1))
        gate = self.gate(hidden).float().squeeze(1)
        copied = hits.sum(1).clamp_min(SMALLEST).log()
        return -torch.logaddexp(F.logsigmoid(-gate) - named, F.logsigmoid(gate) + copied)


def runs_of(ids: Tensor, written: Tensor) -> Tensor:
    """Count for each token that is written, and each place, the tokens before it that were written last.

    Args:
        ids: (P, S) int, what can be copied.
        written: (P, W) int, a text from left to right.

    Returns:
        (P, W, S) int: before the token in column w is written.
    """
    found = [torch.zeros_like(ids).unsqueeze(1)]
    for column in written[:, :-1].unbind(1):
        found.append(grown(found[-1], ids, column.unsqueeze(1)))
    return torch.cat(found, 1)


def runs_behind(ids: Tensor, written: Sequence[Sequence[int]]) -> Tensor:
    """Count for each place the tokens before it that were written last, (P, 1, S) int, by texts of any length."""
    longest = max(map(len, written))
    padded = [[NOTHING] * (longest - len(text)) + [*text, NOTHING] for text in written]
    return runs_of(ids, torch.tensor(padded, device=ids.device))[:, -1:]


def grown(runs: Tensor, ids: Tensor, tokens: Tensor) -> Tensor:
    """Count again, (P, W, S) int, once tokens (P, W) int were written, of what can be copied, (P, S) int."""
    longer = (runs + 1) * (ids.unsqueeze(1) == tokens.unsqueeze(2))
    return F.pad(longer[..., :-1], (1, 0))
