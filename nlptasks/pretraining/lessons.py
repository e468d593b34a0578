"""The passes of every update: which rows, with which objective, as tensors for the model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from nlptasks.errors import InputError, UsageError
from nlptasks.pretraining.corpus import Corpus
from nlptasks.pretraining.objectives import Rules, Taught, assigned, draw
from nlptasks.pretraining.sequences import Ints, Packed
from nlptasks.pretraining.settings import OBJECTIVES, Settings, shares

#: Tokens that a row has around those of the corpus: a start and an end.
SPECIAL = 2


@dataclass(frozen=True)
class Lesson:
    """One pass: rows of one length, those of one objective together.

    Attributes:
        names: the objectives that have rows, in the order of OBJECTIVES.
        ids: (B, T) int32 for each of them.
        segments: (B, T) int32 for unilm, else none.
        places: (M,) int64, the tokens with a target, all rows laid end to end.
        targets: (M,) int64.
        weights: (M,) float32, of the losses; over all passes of an update their expected sum is the number of passes.
        counts: targets of each objective.
        seed: for what the model draws, dropout.
    """

    names: tuple[str, ...]
    ids: tuple[Tensor, ...]
    segments: Tensor | None
    places: Tensor
    targets: Tensor
    weights: Tensor
    counts: tuple[int, ...]
    seed: int = 0

    @property
    def tokens(self) -> int:
        """Count the tokens."""
        return sum(part.numel() for part in self.ids)

    def to(self, device: torch.device) -> Lesson:
        """Move the tensors to a device."""
        segments = None if self.segments is None else self.segments.to(device)
        places, targets, weights = (part.to(device) for part in (self.places, self.targets, self.weights))
        ids = tuple(part.to(device) for part in self.ids)
        return replace(self, ids=ids, segments=segments, places=places, targets=targets, weights=weights)


@dataclass(frozen=True)
class Phase:
    """Updates with rows of one length."""

    packed: Packed
    length: int
    rows: int
    """Rows of an update."""
    first: int
    """The phase's first update."""
    end: int
    """The first update behind it."""
    before: int
    """Rows of the phases before it."""


class Lessons:
    """What a run learns from: the passes of each update, by its number alone."""

    def __init__(self, corpus: Corpus, settings: Settings, process: int = 0, processes: int = 1) -> None:
        """Plan the run.

        Args:
            corpus: prepared.
            settings: how long, how much at once, which objectives.
            process: number of this process, which computes its part of each update.
            processes: how many there are.

        Raises:
            InputError: the corpus is smaller than an update.
            UsageError: an update has fewer rows than passes.
        """
        self.settings, self.process, self.processes = settings, process, processes
        self.rules, self.shares = Rules(corpus.text, settings.mask_rate), shares(settings.objectives)
        #: Tokens that a mean update reads, and what of them is the corpus's own.
        whole, content = (self.mean_update(settings, special) for special in (0, SPECIAL))
        self.per_epoch = corpus.tokens / content
        updates = settings.tokens / whole if settings.tokens else settings.epochs * self.per_epoch
        self.steps = max(math.ceil(round(updates, 6)), int(updates > 0)) if settings.steps is None else settings.steps
        turn = round((1 - settings.long_share) * self.steps)
        self.phases: list[Phase] = []
        for length, first, end in ((settings.length, 0, turn), (settings.long_length, turn, self.steps)):
            if end > first:
                before = sum(phase.rows * (turn - phase.first) for phase in self.phases)
                packed = Packed(corpus, length - SPECIAL, settings.seed)
                self.phases.append(Phase(packed, length, settings.batch_tokens // length, first, end, before))
        for phase in self.phases:
            self.check(phase, corpus)
        size = math.ceil(settings.batch_tokens / (settings.accumulation * processes))
        self.too_large = f"a pass of {size:,} tokens does not fit into memory; raise --accumulation"

    @staticmethod
    def mean_update(settings: Settings, special: int) -> float:
        """Count the tokens of an update, `special` of each row left out, on average over a run: rows are whole."""
        shares = ((settings.length, 1 - settings.long_share), (settings.long_length, settings.long_share))
        return sum(share * (settings.batch_tokens // length) * (length - special) for length, share in shares)

    def tokens(self, updates: int) -> int:
        """Count the tokens that the first updates read."""
        return sum(
            phase.rows * phase.length * (min(updates, phase.end) - phase.first)
            for phase in self.phases
            if updates > phase.first
        )

    def check(self, phase: Phase, corpus: Corpus) -> None:
        """Refuse what would give passes without rows, or rows twice in an update."""
        if phase.packed.per_epoch < phase.rows:
            found = f"{corpus.tokens} tokens are less than an update of {phase.rows} rows of {phase.length}"
            raise InputError(
                f"{corpus.name}: {found}; lower --batch-tokens or --length and --long-length, or give more text"
            )
        passes = self.settings.accumulation * self.processes
        if phase.rows < passes:
            found = f"{phase.rows} rows of {phase.length} for {passes} passes"
            raise UsageError(
                f"--batch-tokens {self.settings.batch_tokens}: {found}; expected a row for each; raise it, or lower "
                "--accumulation"
            )

    def phase(self, update: int) -> Phase:
        """Find the phase of an update."""
        return max((phase for phase in self.phases if phase.first <= update), key=lambda phase: phase.first)

    def work(self, start: int) -> Iterator[list[Lesson]]:
        """Make this process's passes of each update from `start` on."""
        for update in range(start, self.steps):
            yield self.update(update)

    def update(self, number: int) -> list[Lesson]:
        """Make this process's passes of an update."""
        passes = self.settings.accumulation
        phase = self.phase(number)
        cuts = np.linspace(0, phase.rows, passes * self.processes + 1).astype(int)[self.process * passes :]
        return [self.lesson(phase, number, int(begin), int(end)) for begin, end in pairwise(cuts[: passes + 1])]

    def lesson(self, phase: Phase, number: int, begin: int, end: int) -> Lesson:
        """Make one pass from the rows of an update from `begin` to `end`."""
        first = (number - phase.first) * phase.rows + begin
        places, epochs = phase.packed.places(first, end - begin)
        kinds = assigned(np.arange(first, first + end - begin) + phase.before, self.shares)
        keys = epochs if self.settings.masks == "dynamic" else np.zeros_like(epochs)
        taught = taught_by(self.rules, phase.packed.corpus, places, keys, kinds, self.settings.seed)
        each = self.settings.accumulation / phase.rows
        weights = {name: each / expected for name, expected in self.rules.expected(phase.length).items()}
        seed = int(mixed_seed(self.settings.seed, number, begin))
        return together(taught, weights, seed)


def mixed_seed(seed: int, update: int, begin: int) -> int:
    """Give a seed for what the model draws in a pass."""
    return int(np.random.SeedSequence((seed, update, begin)).generate_state(1)[0])


def taught_by(
    rules: Rules, corpus: Corpus, places: Ints, keys: Ints, kinds: Ints, seed: int
) -> list[tuple[str, Taught]]:
    """Make rows of each objective that has any.

    Args:
        rules: how.
        corpus: prepared.
        places: (B, C), the rows' tokens in the corpus.
        keys: (B,), what the draws of each row depend on.
        kinds: (B,), the objective of each row.
        seed: of the draws.
    """
    made = []
    for kind, name in enumerate(OBJECTIVES):
        chosen = places[kinds == kind]
        if len(chosen):
            tokens, starts = corpus.ids[chosen].astype(np.int64), corpus.starts[chosen]
            made.append((name, rules.teach(name, tokens, starts, draw(chosen, keys[kinds == kind], seed))))
    return made


def together(taught: Sequence[tuple[str, Taught]], weights: dict[str, float], seed: int = 0) -> Lesson:
    """Lay the rows of several objectives end to end.

    Args:
        taught: rows by objective.
        weights: of a target of each objective.
        seed: for what the model draws.
    """
    before = np.cumsum([0, *(rows.ids.size for _, rows in taught)])
    counts = tuple(len(rows.targets) for _, rows in taught)
    segments = [torch.from_numpy(rows.segments) for _, rows in taught if rows.segments is not None]
    return Lesson(
        tuple(name for name, _ in taught),
        tuple(torch.from_numpy(rows.ids) for _, rows in taught),
        segments[0] if segments else None,
        torch.from_numpy(np.concatenate([rows.places + at for (_, rows), at in zip(taught, before[:-1], strict=True)])),
        torch.from_numpy(np.concatenate([rows.targets for _, rows in taught])),
        torch.from_numpy(np.repeat(np.array([weights[name] for name, _ in taught], np.float32), counts)),
        counts,
        seed,
    )
