"""Copying from what was read: a pointer into the prompt beside the head that names tokens.

Source: See et al. 2017, arXiv 1704.04368 (pointer-generator).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlptasks.backbone.batch import Batch, split

#: In front of the names of the weights.
FRONT = "copier."
#: Of a chance.
SMALLEST = torch.finfo(torch.float32).tiny


@dataclass(frozen=True)
class Source:
    """What can be copied from.

    Attributes:
        keys: (P, S, H), what a pointer compares itself with.
        ids: (P, S) int, the tokens.
        kept: (P, S) bool, False for padding and for tokens that are not copied.
    """

    keys: Tensor
    ids: Tensor
    kept: Tensor

    def rows(self, rows: Tensor) -> Source:
        """Keep, repeat or reorder prompts, (P',) int."""
        return Source(self.keys[rows], self.ids[rows], self.kept[rows])


class Copier(nn.Module):
    """Points at tokens of the prompt: p(token) = (1 - g) p_head(token) + g Σ aᵢ over the places i that hold it.

    The pointer's weights a and its share g come from the state that names the token; keys come from the states below
    the last layer, which is computed for few tokens of a prompt only. Special tokens, and what is not in segment 0,
    are never copied.
    """

    special: Tensor

    def __init__(self, width: int, special: Sequence[int]) -> None:
        """Make a pointer with random weights, for states of a width; its share is a half at the start."""
        super().__init__()
        self.query, self.key, self.gate = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, 1)
        for linear in (self.query, self.key):
            nn.init.normal_(linear.weight, std=1 / math.sqrt(width))
            nn.init.zeros_(linear.bias)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)
        self.register_buffer("special", torch.tensor(sorted(special)), persistent=False)

    @classmethod
    def load(cls, rest: Mapping[str, Tensor], width: int, special: Sequence[int]) -> Copier | None:
        """Take the pointer from a checkpoint's weights that are not the encoder's; none where it has none."""
        found = {name.removeprefix(FRONT): part for name, part in rest.items() if name.startswith(FRONT)}
        if not found:
            return None
        copier = cls(width, special)
        copier.load_state_dict(found)
        return copier

    def named(self) -> dict[str, Tensor]:
        """Name the weights as they are stored."""
        return {FRONT + name: part.detach() for name, part in self.state_dict().items()}

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

    def places(self, hidden: Tensor, source: Source) -> Tensor:
        """Point at places, (P, W, H) to chances (P, W, S) float32; all are 0 where nothing is offered."""
        scores: Tensor = self.query(hidden) @ source.keys.transpose(1, 2) / math.sqrt(hidden.shape[-1])
        kept = source.kept.unsqueeze(1)
        masked = scores.float().masked_fill(~kept, torch.finfo(torch.float32).min)
        return masked.softmax(-1) * kept

    def mixed(self, logits: Tensor, hidden: Tensor, source: Source) -> Tensor:
        """Let the pointer have its share: from scores (P, W, V) and states (P, W, H) to log-probabilities (P, W, V)."""
        share = self.gate(hidden).float().sigmoid()
        copied = self.places(hidden, source) * share
        ids = source.ids.unsqueeze(1).expand_as(copied)
        chances: Tensor = (logits.softmax(-1) * (1 - share)).scatter_add(2, ids, copied)
        return chances.clamp_min(SMALLEST).log()

    def losses(self, named: Tensor, hidden: Tensor, tokens: Tensor, rows: Tensor, source: Source) -> Tensor:
        """Compute the cross entropy of tokens that are named or copied.

        Args:
            named: (M,) float32, their cross entropy by the head alone.
            hidden: (M, H), the states that name them.
            tokens: (M,) int.
            rows: (M,) int, the row that each belongs to, rising.
            source: of all rows.

        Returns:
            (M,) float32.
        """
        counts = torch.bincount(rows, minlength=len(source.ids))
        turn = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[rows]
        laid = hidden.new_zeros(len(counts), int(counts.max()), hidden.shape[1]).index_put((rows, turn), hidden)
        hits = self.places(laid, source)[rows, turn] * (source.ids[rows] == tokens.unsqueeze(1))
        gate = self.gate(hidden).float().squeeze(1)
        copied = hits.sum(1).clamp_min(SMALLEST).log()
        return -torch.logaddexp(F.logsigmoid(-gate) - named, F.logsigmoid(gate) + copied)
