"""Texts that heed their condition more than the model does by itself: classifier-free guidance.

Sources: Ho and Salimans 2022, arXiv 2207.12598; for texts, Sanchez et al. 2023, arXiv 2306.17806.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nlptasks.writing.draft import Draft


class Guided:
    """Two drafts of the same texts, one with the condition and one without; where they differ, the first is followed.

    It stands wherever a draft does; each step costs as much as one of two drafts.
    """

    def __init__(self, heard: Draft, plain: Draft, strength: float) -> None:
        """Start behind the prompts, which both drafts have read; 1 is the first draft alone, 0 the second."""
        self.heard, self.plain, self.strength = heard, plain, strength

    @property
    def logits(self) -> Tensor:
        """Score what comes next: (P, W, V) float32."""
        heard, plain = self.heard.logits, self.plain.logits
        # What must never be written is at minus infinity in both, of which there is no difference.
        return torch.lerp(plain, heard, self.strength).where(heard.isfinite(), heard)

    @property
    def room(self) -> int:
        """Count the tokens that can be written before the positions end."""
        return self.heard.room

    def write(self, tokens: Tensor, parents: Tensor | None = None) -> None:
        """Write one token more on each branch, (P, W) int, which goes on with one of the branches before."""
        self.heard.write(tokens, parents)
        self.plain.write(tokens, parents)

    def keep(self, rows: Tensor) -> None:
        """Keep, repeat or reorder prompts, (P',) int."""
        self.heard.keep(rows)
        self.plain.keep(rows)
