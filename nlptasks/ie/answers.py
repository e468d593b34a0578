"""What texts say, found window by window and stitched."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from nlptasks.errors import RecordError
from nlptasks.ie import formats
from nlptasks.ie.examples import AROUND, Example
from nlptasks.ie.model import Loaded
from nlptasks.ie.page import Page
from nlptasks.ie.row import ENTITIES_ONLY, Row

logger = logging.getLogger(__name__)
#: Row of the text, label, characters of the subject (or entity) and of the object, score.
Found = tuple[int, int, tuple[int, int], tuple[int, int], float]


class Finder:
    """Turns rows into answers: the task's worker."""

    def __init__(self, loaded: Loaded) -> None:
        """Answer with a model."""
        self.loaded = loaded
        self.page = Page(Path(loaded.options.html)) if loaded.options.html else None
        #: What is to see every answered record, if anything is.
        self.watch = self.show if self.page else None

    def read(self, rows: Sequence[Row]) -> list[Example | RecordError]:
        """Encode rows."""
        return self.loaded.encoder.read(rows)

    def size(self, example: Example) -> int:
        """Count the tokens of a text in its windows."""
        return sum(AROUND + len(window.ids) for window in example.windows)

    @torch.inference_mode()
    def answer(self, examples: Sequence[Example]) -> list[dict[str, Any]]:
        """Find what texts say, all in one pass; a text longer than a pass in several."""
        found: list[list[Found]] = [[] for _ in examples]
        for part in self.passes(examples):
            for one in self.find(examples, part):
                found[one[0]].append(one)
        tell = self.entities if self.loaded.method in ENTITIES_ONLY else self.triples
        return [tell(example.text, said) for example, said in zip(examples, found, strict=True)]

    def passes(self, examples: Sequence[Example]) -> Iterator[list[tuple[int, int]]]:
        """Cut the windows of examples, as numbers of both, into passes."""
        part: list[tuple[int, int]] = []
        tokens = 0
        for number, example in enumerate(examples):
            for place, window in enumerate(example.windows):
                length = AROUND + len(window.ids)
                if part and tokens + length > self.loaded.budget.tokens:
                    yield part
                    part, tokens = [], 0
                part.append((number, place))
                tokens += length
        if part:
            yield part

    def find(self, examples: Sequence[Example], part: Sequence[tuple[int, int]]) -> Iterator[Found]:
        """Find what some windows say."""
        encoder = self.loaded.encoder
        chosen = [(examples[number], place) for number, place in part]
        windows = [example.windows[place] for example, place in chosen]
        known = [example.found[place] for example, place in chosen]
        words = [example.words[place] for example, place in chosen]
        work = encoder.work([encoder.sequence(window) for window in windows], known, words).to(self.loaded.device)
        if work.targets is None:
            raise ValueError("a pass without a table of targets")
        numbers, scores = self.loaded.model.find(work.groups, work.targets)
        order = work.order.tolist()
        for (row, label, *tokens), score in zip(numbers.tolist(), scores.tolist(), strict=True):
            place = order[row]
            window = windows[place]
            first, last, *object = tokens
            subject = window.characters(first - 1, last)
            yield (
                part[place][0],
                label,
                subject,
                window.characters(object[0] - 1, object[1]) if object else subject,
                score,
            )

    def triples(self, text: str, found: Sequence[Found]) -> dict[str, Any]:
        """Tell triples, in the order of the text, and the entities that stand in them."""
        names = list(self.loaded.labels.predicates.items())
        best: dict[Any, dict[str, Any]] = {}
        for _, label, subject, object, score in found:
            predicate, types = names[label]
            ends = [mention(text, place, kind) for place, kind in zip((subject, object), types, strict=True)]
            key: tuple[Any, ...] = (label, ends[0]["text"], ends[1]["text"])
            if self.loaded.options.all_mentions:
                key = (label, subject, object)
            if key not in best or score > best[key]["score"]:
                best[key] = {"subject": ends[0], "predicate": predicate, "object": ends[1], "score": score}
        told = sorted(
            best.values(), key=lambda one: (one["subject"]["start"], one["object"]["start"], one["predicate"])
        )
        return {"triples": told, "entities": ends_of(told)}

    def entities(self, text: str, found: Sequence[Found]) -> dict[str, Any]:
        """Tell entities, in the order of the text."""
        names = self.loaded.labels.types
        best: dict[Any, dict[str, Any]] = {}
        for _, label, place, _, score in found:
            if (label, place) not in best or score > best[label, place]["score"]:
                best[label, place] = {**mention(text, place, names[label]), "score": score}
        return {"triples": [], "entities": sorted(best.values(), key=lambda one: (one["start"], one["end"]))}

    def show(self, window: Sequence[tuple[Any, Any]]) -> None:
        """Put answered records on the page."""
        for record, answer in window:
            if self.page is not None and not isinstance(answer, RecordError):
                self.page.add(formats.read(record.fields).text, answer)

    def report(self) -> None:
        """Tell what was longer than is read at once, and write the page."""
        counts = self.loaded.encoder.counts
        if counts["windowed"]:
            logger.info("texts read in overlapping windows: %(windowed)d of %(texts)d", counts)
        if counts["cut"]:
            logger.info("texts of which only the start was read: %(cut)d of %(texts)d", counts)
        if self.page is not None:
            self.page.write()
            logger.info("page in %s", self.page.path)


def mention(text: str, place: tuple[int, int], kind: str) -> dict[str, Any]:
    """Tell where something is mentioned."""
    return {"text": text[slice(*place)], "start": place[0], "end": place[1], "type": kind or None}


def order_of(triple: dict[str, Any]) -> tuple[int, int, str]:
    """Order triples as they stand in the text."""
    return triple["subject"]["start"], triple["object"]["start"], triple["predicate"]


def ends_of(triples: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """List the mentions that triples join, each once, as sure as the surest of its triples."""
    best: dict[Any, dict[str, Any]] = {}
    for triple in triples:
        for end in (triple["subject"], triple["object"]):
            key = (end["start"], end["end"], end["type"] or "")
            best[key] = {**end, "score": max(triple["score"], best.get(key, triple)["score"])}
    return [best[key] for key in sorted(best)]
