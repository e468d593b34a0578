"""Masks that are filled at once, yet copy a run: each looks one place on from where the one before it looks.

A pointer by itself gives every mask its own places, and what is likeliest for each need not stand together. Here the
first mask points, and the others are told where that leads them, given what was picked so far; and a place can say that
what was copied up to it is over. The encoder still reads once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlptasks.backbone.config import Config
from nlptasks.backbone.copying import Source
from nlptasks.backbone.text import Text

#: Of a chance; what is less likely to be the first place tells the others nothing.
LEAST = 1e-5
#: Of the chance at the start that what was copied is over, as a logarithm of odds.
RARELY = -3.0


class Aligner(nn.Module):
    """What a pointer's masks know of each other.

    Let q(i) be the chances a₀ of the first mask, moved on by j places, at those places i before which the j tokens
    stand that were picked so far, and in all 1. The score of place i for mask j > 0 is raised by pace · log q(i); and
    of what a mask has at place i, the share that the place's own sigmoid gives is that of the end, not of its token.
    """

    #: In front of the names of the weights.
    FRONT = "aligner."

    def __init__(self, width: int, end: int) -> None:
        """Make one for keys of a width, which ends texts with a token."""
        super().__init__()
        self.end = end
        self.pace = nn.Parameter(torch.tensor(1.0))
        self.over = nn.Linear(width, 1)
        nn.init.zeros_(self.over.weight)
        nn.init.constant_(self.over.bias, RARELY)

    @classmethod
    def of(cls, config: Config, text: Text) -> Self:
        """Make one for an encoder and its tokenizer."""
        return cls(config.hidden_size, text.special["end"])

    def closed(self, source: Source) -> Source:
        """Say of each place how likely it is that what was copied up to it is over."""
        return replace(source, over=self.over(source.keys).squeeze(2).float().sigmoid(), end=self.end)

    def bias(self, first: Tensor, runs: Tensor, mask: int = 0) -> Tensor:
        """Tell masks where the first one leads them.

        Args:
            first: (P, S) float32, the first mask's chances of places.
            runs: (P, W, S) int, for each mask how many tokens before a place were picked last.
            mask: the number of the first of the W masks, which stand one behind the other.

        Returns:
            (P, W, S) float32, to be added to their scores.
        """
        most = mask + runs.shape[1]
        moved = F.pad(first, (most - 1, 0)).unfold(1, first.shape[1], 1).flip(1)[:, mask:]  # row j: j places on
        picked = torch.arange(mask, most, device=runs.device).view(1, -1, 1)
        led = moved * (runs >= picked)
        led = led / led.sum(2, keepdim=True).clamp_min(LEAST)
        return self.pace.float() * led.clamp_min(LEAST).log() * (picked > 0)
