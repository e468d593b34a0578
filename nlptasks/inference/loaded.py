"""What every model that is ready to answer has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlptasks.backbone import sums
from nlptasks.backbone.batch import Budget


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A model ready to answer, and what it is called; each task adds what answers."""

    options: Any
    """The task's, which say how to answer."""
    budget: Budget
    """Bounds the tokens of one pass."""
    name: str
    method: str
    folder: Path | None = None
    """Where it lies; none for what is in no folder, such as a model that is still being trained."""

    @property
    def fingerprint(self) -> str:
        """Hash what decides the answers; what is in no folder is known by its name."""
        return self.name if self.folder is None else sums.fingerprint(self.folder)
