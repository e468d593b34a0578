"""Answers from passages: both methods, their votes, and what is told of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import Any

import torch

from nlptasks.backbone.batch import chunks
from nlptasks.qa.examples import AROUND, Encoder, Example
from nlptasks.qa.layouts import Layout
from nlptasks.qa.masks import Masks, Picked, Picker
from nlptasks.qa.model import Loaded
from nlptasks.qa.row import Options, Row
from nlptasks.qa.votes import Text, elected, result, surest
from nlptasks.writing import beam
from nlptasks.writing.draft import Draft
from nlptasks.writing.passages import Council, Table, Vote, abstained, voters

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """What was found for one question.

    Attributes:
        texts: tokens of each answer and its votes, the best first; no tokens where the passages hold none.
        none: for each window the probability of no answer.
    """

    texts: list[Text]
    none: list[float]


class Answerer:
    """Turns rows into answers: the task's worker."""

    #: Rows that are encoded together: each may have passages of thousands of tokens.
    window = 128

    def __init__(self, loaded: Loaded) -> None:
        """Answer with a model.

        Raises:
            TypeError: it was loaded to do something else.
        """
        if not isinstance(loaded.options, Options):
            raise TypeError("answering needs the options of answering")
        self.loaded, self.options = loaded, loaded.options
        self.encoder = Encoder(loaded.text, loaded.limits)
        self.layout = Layout(loaded.method, loaded.text, loaded.limits.answer)
        self.end = loaded.text.special["end"]

    def read(self, rows: Sequence[Row]) -> list[Example]:
        """Encode rows."""
        return self.encoder.read(rows)

    def size(self, example: Example) -> int:
        """Count the tokens of a question with all its passages."""
        around = AROUND + len(example.question) + self.loaded.limits.answer
        return sum(around + len(window.ids) for _, window in example.windows)

    @torch.inference_mode()
    def answer(self, examples: Sequence[Example]) -> list[dict[str, Any]]:
        """Answer questions, all in one pass."""
        asked = [example for example in examples if example.windows]
        for one in asked:
            if self.size(one) > self.loaded.budget.held:
                logger.info("reading a long text in %s windows", f"{len(one.windows):,}")
        find = self.write if self.layout.writes else self.fill
        found = iter(find(asked) if asked else [])
        return [self.prediction(one, next(found) if one.windows else Found([], [1.0])) for one in examples]

    def report(self) -> None:
        """Tell how many passages were read in windows, and how many questions were cut."""
        counts, cut = self.encoder.counts, self.loaded.text.cut_texts
        if counts["windowed"]:
            logger.info("passages read in overlapping windows: %(windowed)d of %(passages)d", counts)
        if cut:
            limit = self.loaded.limits.question
            logger.info("questions longer than %d tokens, of which only the start was read: %d", limit, cut)

    def prompts(self, examples: Sequence[Example]) -> list[list[int]]:
        """Lay out every window with its question."""
        return [self.layout.prompt(one.question, window.ids) for one in examples for _, window in one.windows]

    def table(self, examples: Sequence[Example]) -> Table:
        """List the tokens that the windows offer."""
        passages = [[window.ids for _, window in one.windows] for one in examples]
        return Table.of(passages, self.end, self.loaded.writer.device)

    # seq2seq

    def write(self, examples: Sequence[Example]) -> list[Found]:
        """Write answers token by token, the passages voting on each."""
        if len(examples) == 1 and self.size(examples[0]) > self.loaded.budget.held:
            return [self.write_of_many(examples[0])]
        return self.written(examples)

    def written(self, examples: Sequence[Example]) -> list[Found]:
        """Write answers from all windows that may vote, together."""
        options = self.options
        places = [(number, window) for number, one in enumerate(examples) for window in range(len(one.windows))]
        draft, kept, none = self.heard(examples, [number for number, _ in places])
        found = [Found([], []) for _ in examples]
        for (number, _), empty in zip(places, none, strict=True):
            found[number].none.append(empty)
        if draft is None:
            return found
        voting = [places[row] for row in kept]
        asked = [(number, list(some)) for number, some in groupby(voting, key=itemgetter(0))]
        passages = [[examples[number].windows[window][1].ids for _, window in some] for number, some in asked]
        table = Table.of(passages, self.end, self.loaded.writer.device)
        council = Council(table, self.end, extractive=options.mode == "extractive", abstain=options.abstain)
        rule = beam.Rule(width=options.beam, limit=self.loaded.limits.answer)
        for (number, _), written in zip(asked, beam.search(draft, council, len(asked), rule), strict=True):
            for text in written:
                votes = [replace(vote, prompt=voting[vote.prompt][1]) for vote in text.note]
                found[number].texts.append((text.ids, votes))
        return found

    def heard(self, examples: Sequence[Example], owner: Sequence[int]) -> tuple[Draft | None, list[int], list[float]]:
        """Read windows in passes, and forget those that will not vote, which are most of them.

        Args:
            examples: the questions.
            owner: for each of their windows the number of its question.

        Returns:
            What is written for those that may vote, or nothing where there are none; their numbers; and for each of
            all windows the probability of no answer.
        """
        prompts, writer, drafts = self.prompts(examples), self.loaded.writer, []
        kept: list[int] = []
        none: list[float] = []
        for places in chunks([len(prompt) for prompt in prompts], self.loaded.budget.tokens):
            draft = writer.begin([prompts[place] for place in places])
            asking = torch.tensor([owner[place] for place in places], device=writer.device)
            empty, voting = abstained(draft.logits[:, 0], asking, len(examples), self.end, self.options.abstain)
            none += empty.tolist()
            rows = voting.nonzero().flatten()
            if len(rows):
                draft.keep(rows)
                drafts.append(draft)
                kept += [places[row] for row in rows.tolist()]
        return Draft.joined(drafts) if drafts else None, kept, none

    def write_of_many(self, example: Example) -> Found:
        """Write an answer from more windows than are held at once: those surest to have one come first."""
        prompts = self.prompts([example])
        none: list[float] = []
        for places in chunks([len(prompt) for prompt in prompts], self.loaded.budget.tokens):
            draft = self.loaded.writer.begin([prompts[place] for place in places])
            none += draft.logits[:, 0].softmax(-1)[:, self.end].tolist()
        held: list[int] = []
        room = self.loaded.budget.held - self.loaded.limits.answer - AROUND
        for place in sorted(range(len(prompts)), key=none.__getitem__):
            room -= len(prompts[place]) + self.loaded.limits.answer
            if held and room < 0:
                break
            held.append(place)
        logger.info("%d of %d windows of a long text vote, those surest to have an answer", len(held), len(prompts))
        held.sort()
        found = self.written([Example(example.question, [example.windows[place] for place in held], example.texts)])[0]
        texts = [(ids, [Vote(held[vote.prompt], vote.p, vote.first) for vote in votes]) for ids, votes in found.texts]
        return Found(texts, none)

    # mlm

    def fill(self, examples: Sequence[Example]) -> list[Found]:
        """Fill masks at once, each window by itself, and let the windows vote on whole answers."""
        table, prompts = self.table(examples), self.prompts(examples)
        votes: list[tuple[list[int], Vote]] = []
        none: list[float] = []
        for places in chunks([len(prompt) for prompt in prompts], self.loaded.budget.held):
            some = torch.arange(places.start, places.stop, device=table.owner.device)
            picked, empty = self.picked(prompts[places.start : places.stop], table.rows(some), len(examples))
            votes += [(one.ids, Vote(place, one.p, one.first)) for place, one in zip(places, picked, strict=True)]
            none += empty
        if self.options.abstain is not None:
            voting = voters(torch.tensor(none), table.owner.cpu(), len(examples), self.options.abstain).tolist()
            votes = [
                (text if votes_too else [], replace(vote, p=1 - empty))
                for (text, vote), empty, votes_too in zip(votes, none, voting, strict=True)
            ]
        found, first = [], 0
        for example in examples:
            last = first + len(example.windows)
            found.append(Found(elected(votes[first:last], first, example), none[first:last]))
            first = last
        return found

    def picked(self, prompts: Sequence[list[int]], table: Table, questions: int) -> tuple[list[Picked], list[float]]:
        """Read windows in passes, and pick the answers of all that may vote together.

        Args:
            prompts: of some windows.
            table: of the same windows.
            questions: how many there are, those of other windows counted.

        Returns:
            What was picked for each window, nothing where it does not vote, and its probability of no answer.
        """
        parts, kept, abstain = [], [], self.options.abstain
        none: list[float] = []
        for places in chunks([len(prompt) for prompt in prompts], self.loaded.budget.tokens):
            masks = Masks.read(self.loaded.writer, prompts[places.start : places.stop], self.layout.answer)
            empty = masks.chances(0)[:, self.end]
            none += empty.tolist()
            rows = torch.arange(len(places), device=empty.device)
            if abstain is not None:
                rows = rows[voters(empty, table.owner[places.start : places.stop], questions, abstain)]
                masks.keep(rows)
            parts.append(masks)
            kept.append(rows + places.start)
        rows = torch.cat(kept)
        picker = Picker(Masks.joined(parts), table.rows(rows), self.end, extractive=self.options.mode == "extractive")
        for place in range(self.layout.answer):
            # Who votes is said by the probability of no answer, where that decides, and not by an empty text.
            going = picker.pick(place, may_end=place > 0 or abstain is None)
            if not picker.go_on(place + 1, going):
                break
        found = [Picked([], 0.0, None)] * len(prompts)
        for row, one in zip(rows.tolist(), picker.found(), strict=True):
            found[row] = one
        return found, none

    # What is told

    def prediction(self, example: Example, found: Found) -> dict[str, Any]:
        """Tell the best answer, and the candidates with their votes."""
        no_answer = min(found.none)
        told = [self.candidate(example, ids, votes) for ids, votes in found.texts if ids]
        is_none = not found.texts or not found.texts[0][0]
        top = {"answer": "", "score": no_answer, "passage": None, "start": None, "end": None} if is_none else told[0]
        first = {name: top[name] for name in ("answer", "score", "passage", "start", "end")}
        ranked = told[: not is_none] + sorted(told[not is_none :], key=lambda one: -one["score"])
        return {**first, "no_answer": no_answer, "candidates": ranked[: self.options.top_k]}

    def candidate(self, example: Example, ids: list[int], votes: Sequence[Vote]) -> dict[str, Any]:
        """Tell an answer: as the surest of the passages that hold it writes it."""
        by_passage = surest(votes, example)
        standing = [vote for vote in votes if vote.first is not None]
        best = max(standing or votes, key=lambda vote: vote.p)
        passage, window = example.windows[best.prompt]
        start = end = None
        if best.first is None:
            answer = self.loaded.text.decode(ids)
        else:
            start, end = window.characters(best.first, best.first + len(ids))
            answer = example.texts[passage][start:end]
        listed = [{"passage": number, "p": p} for number, p in by_passage.items()]
        return {
            "answer": answer,
            "score": result(by_passage),
            "passage": passage,
            "start": start,
            "end": end,
            "votes": listed,
        }
