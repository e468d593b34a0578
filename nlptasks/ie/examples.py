"""Texts as sequences of tokens, and what they say as numbers: what all methods read, to learn and to answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from nlptasks.backbone import windows
from nlptasks.backbone.batch import by_length
from nlptasks.backbone.text import Text
from nlptasks.backbone.windows import Window
from nlptasks.errors import RecordError, UsageError
from nlptasks.ie.knowledge import Known
from nlptasks.ie.labels import Labels
from nlptasks.ie.row import ENTITIES_ONLY, Row
from nlptasks.ie.words import Words
from nlptasks.task import Work

#: Special tokens around a window.
AROUND = 2
#: Columns of what is to be learnt: kind, row, label, first and last token of the subject (or entity), of the object.
COLUMNS = 7
GOLD, HINT, WORD = 0, 1, 2
#: The least chance of a known triple that is told; it needs less than others, for somebody else said it, too.
KNOWN_LEAST = 0.1
#: Windows of one text that are taught in a pass: those that say something go first.
TAUGHT = 8
#: Texts, those in windows or cut; windows not taught, and triples of which no place is whole in any window.
COUNTED = ("texts", "windowed", "cut", "lost", "apart")


#: Number of a label, and the characters of the subject (or entity) and of the object.
Said = tuple[int, Sequence[int], Sequence[int]]


@dataclass(frozen=True)
class Example:
    """A text in windows.

    Attributes:
        text: as it came.
        windows: those that are read.
        found: for each window what knowledge says of it, rows of `COLUMNS` but for the row's number.
        words: for each window the number of each token's word, if it has one.
    """

    text: str
    windows: list[Window]
    found: list[list[list[int]]]
    words: list[list[int]]


@dataclass(frozen=True)
class Reach:
    """How much is read at once, and what becomes of a longer text."""

    limit: int
    overlap: int
    long: str = "window"

    @classmethod
    def of(cls, settings: Mapping[str, Any], options: Mapping[str, Any]) -> Reach:
        """Take what asking says, else what training said.

        Raises:
            UsageError: windows would not move on.
        """
        limit = options["limit"] or settings["limit"]
        overlap = settings["overlap"] if options["overlap"] is None else options["overlap"]
        if 2 * overlap > limit:
            raise UsageError(f"--overlap {overlap}: expected at most half of the {limit} tokens read at once")
        return cls(limit, overlap, options["long"])

    def check(self, positions: int) -> None:
        """Refuse more than a model can read.

        Raises:
            UsageError: a window is longer than its positions.
        """
        if self.limit + AROUND > positions:
            raise UsageError(f"--limit {self.limit}: with {AROUND} around it more than the {positions} positions")


@dataclass
class Encoder:
    """Turns texts into windows of tokens, and counts what is longer than is read at once."""

    text: Text
    method: str
    reach: Reach
    labels: Labels
    known: Known | None = None
    words: Words | None = None
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))

    @property
    def by_character(self) -> bool:
        """Tell whether tokens are single characters."""
        return self.method == "dgcnn"

    def read(self, rows: Sequence[Row]) -> list[Example | RecordError]:
        """Encode rows; one that is too long gives an error where that is asked for."""
        examples: list[Example | RecordError] = []
        for row, whole in zip(rows, self.tokens([row.text for row in rows]), strict=True):
            length = len(whole.ids)
            if length > self.reach.limit and self.reach.long == "error":
                remedy = "shorten it, or use --long window"
                examples.append(
                    RecordError(f"a text of {length} tokens, expected {self.reach.limit} or less; {remedy}")
                )
                continue
            cut = self.cut(whole)
            found = [self.hints(row.text, part) for part in cut]
            examples.append(Example(row.text, cut, found, self.of_words(row.text, cut)))
        return examples

    def tokens(self, texts: Sequence[str]) -> list[Window]:
        """Turn whole texts into tokens, without special ones."""
        if not self.by_character:
            return windows.read(self.text, texts)
        lookup, unknown = self.text.tokenizer.token_to_id, self.text.special["unknown"]
        ids: dict[str, int] = {}
        for letter in set("".join(texts)):
            found = lookup(letter.lower())
            ids[letter] = unknown if found is None else found
        return [Window([ids[letter] for letter in text], [(at, at + 1) for at in range(len(text))]) for text in texts]

    def cut(self, whole: Window) -> list[Window]:
        """Cut a text into windows, and count it."""
        self.counts["texts"] += 1
        if len(whole.ids) <= self.reach.limit:
            return [whole] if whole.ids else []
        if self.reach.long == "truncate":
            self.counts["cut"] += 1
            return [Window(whole.ids[: self.reach.limit], whole.places[: self.reach.limit])]
        self.counts["windowed"] += 1
        return windows.cut(whole, self.reach.limit, self.reach.overlap)

    def spans(self, part: Window, triples: Sequence[Said]) -> list[list[int]]:
        """Give the triples that are whole in a window by their tokens, counted from the start before them."""
        if not part.ids:
            return []
        low, high = part.places[0][0], part.places[-1][1]
        found = []
        for label, *ends in triples:
            if min(start for start, _ in ends) < low or max(stop for _, stop in ends) > high:
                continue
            tokens = [part.tokens(*end) for end in ends]
            if None not in tokens:
                found.append([label, *(at for pair in tokens if pair for at in (pair[0] + 1, pair[1]))])
        return found

    def hints(self, text: str, part: Window, learnt: Mapping[str, Any] | None = None) -> list[list[int]]:
        """Give the known triples of which both ends stand in a window; of a training row those that others say, too."""
        if self.known is None or not part.ids:
            return []
        low, high = part.places[0][0], part.places[-1][1]
        found = self.known.triples(text[low:high], self.labels, without=learnt)
        placed = [(label, [low + at for at in a], [low + at for at in b]) for label, a, b in found]
        return [[HINT, *one] for one in self.spans(part, placed)]

    def apart(self, text: str, triples: Sequence[Said], cut: Sequence[Window]) -> int:
        """Count the triples of a text in windows whose ends stand together in none of them."""
        if len(cut) < 2:
            return 0
        named = [(one, (one[0], text[slice(*one[1])], text[slice(*one[2])])) for one in triples]
        held = {name for one, name in named if any(self.spans(part, [one]) for part in cut)}
        return len({name for _, name in named} - held)

    def of_words(self, text: str, cut: Sequence[Window]) -> list[list[int]]:
        """Give the words of the characters of each window."""
        if self.words is None:
            return [[] for _ in cut]
        numbers = self.words.numbers(text)
        return [numbers[part.first : part.first + len(part.ids)] for part in cut]

    def sequence(self, part: Window) -> list[int]:
        """Put the start and the end around a window."""
        return [self.text.special["start"], *part.ids, self.text.special["end"]]

    # Learning

    def lessons(self, rows: Sequence[Mapping[str, Any]]) -> Work:
        """Encode training rows for one forward pass; the targets are (M, COLUMNS)."""
        sequences: list[list[int]] = []
        found: list[list[list[int]]] = []
        words: list[list[int]] = []
        for row, whole in zip(rows, self.tokens([row["text"] for row in rows]), strict=True):
            triples, cut = self.said(row), self.cut(whole)
            gold = [self.spans(part, triples) for part in cut]
            taught = sorted(sorted(range(len(cut)), key=lambda place: not gold[place])[:TAUGHT])
            self.counts["lost"] += len(cut) - len(taught)
            self.counts["apart"] += self.apart(row["text"], triples, cut)
            for place in taught:
                sequences.append(self.sequence(cut[place]))
                found.append([*([GOLD, *one] for one in gold[place]), *self.hints(row["text"], cut[place], row)])
            words += self.of_words(row["text"], [cut[place] for place in taught])
        return self.work(sequences, found, words)

    def said(self, row: Mapping[str, Any]) -> list[Said]:
        """Give what a row says with numbers for its labels: triples, or entities as both ends of themselves."""
        if self.method in ENTITIES_ONLY:
            pairs = zip(row["types"], row["entities"], strict=True)
            return [(self.labels.type_numbers[kind], place, place) for kind, place in pairs]
        numbers = self.labels.numbers
        parts = zip(row["predicates"], row["subjects"], row["objects"], strict=True)
        return [(numbers[name], subject, object) for name, subject, object in parts if name in numbers]

    def work(
        self, sequences: Sequence[list[int]], found: Sequence[list[list[int]]], words: Sequence[list[int]]
    ) -> Work:
        """Put sequences together for one forward pass, with what is known of each."""
        groups, order = by_length(sequences)
        lines = [[kind, row, *rest] for row, place in enumerate(order) for kind, *rest in found[place]]
        for row, place in enumerate(order):
            lines += [[WORD, row, number, at, at, at, at] for at, number in enumerate(words[place], 1) if number >= 0]
        targets = torch.tensor(lines, dtype=torch.long).view(-1, COLUMNS)
        return Work(groups, torch.tensor(order), targets, sum(map(len, sequences)))


def of_kind(targets: Tensor, kind: int) -> Tensor:
    """Choose what is of one kind, without the column that says so: (M, COLUMNS - 1)."""
    return targets[targets[:, 0] == kind, 1:]
