"""Passages of other documents beside a question's own, as a search engine would find them, and questions left without.

They come from the records given and nowhere else: a training file and a dev file that share no document share none
afterwards, if each is mixed by itself.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from random import Random
from typing import Any, Protocol

import bm25s
import numpy as np
from numpy.typing import NDArray

from nlptasks.backbone.width import folded
from nlptasks.errors import RecordError
from nlptasks.files import Record
from nlptasks.qa import spans
from nlptasks.qa.formats import named, starts_of
from nlptasks.qa.settings import Mixing

#: What is one word in a search: a run of letters and digits; Chinese has no spaces, so there it is cut further.
WORD = re.compile(r"[^\W_]+")
HAN = re.compile(r"([\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+)")
#: What mixing makes new.
REPLACED = ("passage", "passages", "answers", "starts", "is_impossible")
#: Passages that are looked at first in the order of their scores, and how many times more each time they do not do.
FIRST, FURTHER = 64, 8

logger = logging.getLogger(__name__)


class Labelled(Protocol):
    """A question, its passages and what counts as a right answer."""

    @property
    def question(self) -> str:
        """Give the question."""

    @property
    def texts(self) -> list[str]:
        """Give the passages."""

    @property
    def answers(self) -> list[str]:
        """Give the answers, none where the passages hold none."""


Read = Callable[[Mapping[str, Any]], Labelled]


def mixed(records: Iterable[Record], mixing: Mixing, read: Read) -> Iterator[Record]:
    """Add passages of other documents to records and shuffle; some records lose their own passages with the answer.

    A document is what has one title, and a passage without a title is one of its own. A record without an answer
    left is given as many passages more as it has lost, so that the number tells nothing; where no other passage shares
    a word with its question, it keeps its own.

    Args:
        records: all of a file; they are held in memory. One that cannot be used comes back with its problem.
        mixing: how many, how often, and the seed.
        read: makes a row of a record's fields, or raises RecordError.
    """
    found = [(record, readable(record, read)) for record in records]
    shelf = Shelf((row, title(record)) for record, row in found if not isinstance(row, RecordError))
    read_well = added = emptied = 0
    for number, (record, row) in enumerate(found):
        if isinstance(row, RecordError):
            yield replace(record, problem=str(row))
            continue
        known = named(record.fields)
        passages, answers = shelf.around(row, title(record), Random(f"{mixing.seed} {number}"), mixing)
        read_well, emptied = read_well + 1, emptied + (bool(row.answers) and not answers)
        added += len([text for text in passages if text not in row.texts])
        told = starts_of(known)
        starts = {"starts": [told.get(answer) for answer in answers]} if told else {}
        others = {name: value for name, value in known.items() if name not in REPLACED}
        yield replace(record, fields={**others, "passages": passages, "answers": answers, **starts})
    if mixing.distractors:
        logger.info("%d passages came to %d records, of which %d lost their answer", added, read_well, emptied)


def readable(record: Record, read: Read) -> Labelled | RecordError:
    """Read a record, or say why it cannot be."""
    try:
        return RecordError(record.problem) if record.problem else read(record.fields)
    except RecordError as error:
        return error


def title(record: Record) -> str:
    """Name the document of a record's passages, if it has a title."""
    return str(record.fields.get("title") or "")


class Shelf:
    """All passages of a file, each once, to be searched."""

    def __init__(self, rows: Iterable[tuple[Labelled, str]]) -> None:
        """Index the passages of rows, each row with the title of its document."""
        self.titles: dict[str, set[str]] = {}
        for row, name in rows:
            for text in filter(str.strip, row.texts):
                self.titles.setdefault(text, set()).add(name)
        self.passages = list(self.titles)
        self.vocabulary: dict[str, int] = {}
        ids = [[self.vocabulary.setdefault(word, len(self.vocabulary)) for word in words(text)] for text in self.titles]
        self.search = bm25s.BM25(backend="numpy")
        if self.vocabulary:
            self.search.index((ids, self.vocabulary), show_progress=False)

    def around(self, row: Labelled, own_title: str, draw: Random, mixing: Mixing) -> tuple[list[str], list[str]]:
        """Choose the passages of a row.

        Args:
            row: of the file.
            own_title: of its document; none where it is empty.
            draw: makes its random choices.
            mixing: how many, and how often.

        Returns:
            Passages and answers.
        """
        kept = [text for text in row.texts if spans.held(row.answers, text) is None]
        others = self.others(row, own_title)
        if row.answers and draw.random() < mixing.no_answer:
            instead = list(islice(others, mixing.distractors + len(row.texts) - len(kept)))
            if kept or instead:
                return shuffled([*kept, *instead], draw), []
        return shuffled([*row.texts, *islice(others, mixing.distractors)], draw), row.answers

    def others(self, row: Labelled, own_title: str) -> Iterator[str]:
        """Give the passages of other documents that hold no answer, those most like the question first."""
        own = set(row.texts)
        for at in self.ranked(row.question):
            text = self.passages[at]
            same = text in own or (own_title and own_title in self.titles[text])
            if not same and spans.held(row.answers, text) is None:
                yield text

    def ranked(self, question: str) -> Iterator[int]:
        """Give the passages that share a word with a question, best first; of equal ones the first of the file."""
        asked = [self.vocabulary[word] for word in words(question) if word in self.vocabulary]
        if not asked:
            return
        scores = self.search.get_scores_from_ids(asked)
        reach, seen, order = FIRST, 0, best(scores, FIRST)
        while seen < len(order):
            yield from order[seen:]
            seen, reach = len(order), reach * FURTHER
            order = best(scores, reach)


def best(scores: NDArray[np.float32], count: int) -> list[int]:
    """Order the best scores above 0: as many as asked for, and all that equal the last of them."""
    least = np.partition(scores, -count)[-count] if count < len(scores) else 0.0
    found = np.flatnonzero((scores >= least) & (scores > 0))
    return [int(at) for at in found[np.argsort(-scores[found], kind="stable")]]


def shuffled(passages: Sequence[str], draw: Random) -> list[str]:
    """Put passages into a random order."""
    return draw.sample(passages, len(passages))


def words(text: str) -> list[str]:
    """Cut a text into words as a search engine does: Chinese into pairs of neighbours, the rest by what is no letter.

    A Chinese character that stands alone is a word.
    """
    found = []
    for run in WORD.findall(folded(text)):
        for piece in filter(None, HAN.split(run)):
            if len(piece) > 1 and HAN.fullmatch(piece):
                found += [one + other for one, other in pairwise(piece)]
            else:
                found.append(piece)
    return found
