"""The labels that a model knows, by their numbers, and how its vectors are scaled."""

from __future__ import annotations

import difflib
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any

import torch
from torch import Tensor

from nlptasks.errors import InputError, RecordError
from nlptasks.generation.naming import pair

#: More different labels than this, and than half of the rows, are no labels.
MOST = 100
#: Labels in a complaint.
LISTED = 16
#: The least deviation that numbers of a vector are divided by.
LEAST = 1e-6

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Labels:
    """What conditions may be."""

    known: dict[str, list[str]] = field(default_factory=dict)
    """For each condition its labels, by their numbers."""
    mean: list[float] = field(default_factory=list)
    """Of each number of the vectors; nothing where there are none."""
    deviation: list[float] = field(default_factory=list)
    """Of each number of the vectors."""

    @classmethod
    def fit(cls, rows: Iterable[Mapping[str, Any]]) -> Labels:
        """Collect the labels of training rows, and how their vectors are spread.

        Raises:
            InputError: there are as many labels as rows, or vectors of several sizes.
        """
        counts: dict[str, Counter[str]] = {}
        moments = Moments()
        total = 0
        for row in rows:
            total += 1
            for name, label in map(pair, row["sets"] or ()):
                counts.setdefault(name, Counter())[label] += 1
            if row["vector"] is not None:
                moments.add(row["vector"])
        for name, found in counts.items():
            refuse_texts(name, found, total)
            tell_rare(name, found)
        mean, deviation = moments.found()
        return cls({name: sorted(found) for name, found in counts.items()}, mean, deviation)

    @classmethod
    def load(cls, state: Mapping[str, Any] | None) -> Labels:
        """Read what `state` gave; nothing where there is none."""
        return cls(**state) if state else cls()

    def state(self) -> dict[str, Any]:
        """Give what JSON can hold."""
        return asdict(self)

    @property
    def sizes(self) -> list[int]:
        """Count the labels of each condition."""
        return [len(labels) for labels in self.known.values()]

    @property
    def vector(self) -> int:
        """Count the numbers of a vector; 0 where there is none."""
        return len(self.mean)

    def numbers(self, sets: Sequence[str]) -> list[int]:
        """Number the labels of a row, which names all conditions.

        Raises:
            RecordError: a label is not known.
        """
        said = dict(map(pair, sets))
        return [self.number(name, said[name]) for name in self.known]

    def given(self, sets: Sequence[str], label: str | None) -> list[str]:
        """Give the conditions that a row names, with that of a label which stands alone.

        Raises:
            RecordError: no condition has a label, or several have the one that stands alone.
        """
        said = dict(map(pair, sets))
        if label is not None and len(self.known) > 1:
            having = [name for name, labels in self.known.items() if label in labels]
            if len(having) > 1:
                raise RecordError(f"label {label!r} is one of {' and of '.join(having)}; say --set {having[0]}={label}")
            if not having:
                everything = [one for labels in self.known.values() for one in labels]
                raise RecordError(f"unknown label {label!r}; {hint(label, everything)}")
            said.setdefault(having[0], label)
        for name, one in said.items():
            self.number(name, one)
        return [f"{name}={said[name]}" for name in self.known if name in said]

    def check(self, sets: Sequence[str], vector: Sequence[float] | None) -> None:
        """Refuse what a row to score says.

        Raises:
            RecordError: a label is not known, or the vector is of another size.
        """
        self.given(sets, None)
        self.vectors([vector])

    def completed(self, sets: Sequence[str], random: Random) -> list[str]:
        """Draw the conditions that a row does not name."""
        said = dict(map(pair, sets))
        drawn = {name: random.choice(labels) for name, labels in self.known.items()}
        return [f"{name}={said.get(name, drawn[name])}" for name in self.known]

    def number(self, name: str, label: str) -> int:
        """Number a label.

        Raises:
            RecordError: it is not known.
        """
        labels = self.known[name]
        if label in labels:
            return labels.index(label)
        raise RecordError(f"unknown label {label!r} of {name}; {hint(label, labels)}")

    def scaled(self, vector: Sequence[float] | None) -> list[float]:
        """Bring a vector to mean 0 and deviation 1.

        Raises:
            RecordError: it is of another size, or missing.
        """
        if vector is None or len(vector) != self.vector:
            found = "no vector" if vector is None else f"a vector of {len(vector)} numbers"
            raise RecordError(f"{found}; expected {self.vector} numbers")
        return [(x - m) / d for x, m, d in zip(vector, self.mean, self.deviation, strict=True)]

    def tensors(
        self, sets: Sequence[Sequence[str]], vectors: Sequence[Sequence[float] | None]
    ) -> tuple[Tensor | None, Tensor | None]:
        """Put the labels of rows, (B, C) int, and their vectors, (B, D), into tensors; none where there are none."""
        labels = torch.tensor([self.numbers(one) for one in sets]) if self.known else None
        return labels, self.vectors(vectors)

    def vectors(self, vectors: Sequence[Sequence[float] | None]) -> Tensor | None:
        """Put the vectors of rows into a tensor, (B, D); none where the model has none.

        Raises:
            RecordError: one is of another size, or missing.
        """
        return torch.tensor([self.scaled(one) for one in vectors]) if self.vector else None


def hint(label: str, labels: Sequence[str]) -> str:
    """Say which labels there are, those alone that are like another one where there are any."""
    if near := difflib.get_close_matches(label, labels, 3, 0.3):
        return f"did you mean {' or '.join(near)}?"
    return f"known are {', '.join(labels[:LISTED])}" + (f" and {len(labels) - LISTED} more" * (len(labels) > LISTED))


class Moments:
    """Mean and deviation of vectors that come one by one."""

    def __init__(self) -> None:
        """Start with none."""
        self.count = 0
        self.sums, self.squares = torch.zeros(0).double(), torch.zeros(0).double()

    def add(self, vector: Sequence[float]) -> None:
        """Take in one more.

        Raises:
            InputError: it is of another size than the first.
        """
        found = torch.tensor(vector, dtype=torch.float64)
        if not self.count:
            self.sums, self.squares = torch.zeros_like(found), torch.zeros_like(found)
        if found.shape != self.sums.shape or not len(found):
            found_here = f"training row {self.count + 1}: a vector of {len(found)} numbers"
            raise InputError(f"{found_here}; expected {len(self.sums) or 'some'}, the same in all rows")
        self.count += 1
        self.sums += found
        self.squares += found.square()

    def found(self) -> tuple[list[float], list[float]]:
        """Give mean and deviation of each number."""
        mean = self.sums / max(self.count, 1)
        spread = (self.squares / max(self.count, 1) - mean.square()).clamp_min(0).sqrt()
        return mean.tolist(), spread.clamp_min(LEAST).tolist()


def refuse_texts(name: str, found: Counter[str], total: int) -> None:
    """Refuse a field that holds anything but labels.

    Raises:
        InputError: nearly every row has one of its own.
    """
    if len(found) > MOST and len(found) > total / 2:
        many = f"condition {name}: {len(found):,} different labels in {total:,} rows"
        raise InputError(f"{many}; name a field of labels in --conditions")


def tell_rare(name: str, found: Counter[str]) -> None:
    """Name the labels of one row, which nothing can be learnt of."""
    if rare := [label for label, count in sorted(found.items()) if count == 1]:
        more = "" if len(rare) <= LISTED else f" and {len(rare) - LISTED} more"
        logger.info("%s: too few rows to learn from, only one, of %s%s", name, ", ".join(rare[:LISTED]), more)
