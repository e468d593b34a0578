"""Answers from passages: both methods, their votes, and what is told of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from nlptasks.backbone.batch import by_length
from nlptasks.backbone.copying import Source, grown
from nlptasks.qa.examples import AROUND, Encoder, Example
from nlptasks.qa.layouts import Layout
from nlptasks.qa.model import Loaded
from nlptasks.qa.row import Options, Row
from nlptasks.qa.votes import Text, elected, result, shifted, surest
from nlptasks.writing import beam
from nlptasks.writing.draft import Writer
from nlptasks.writing.passages import Council, Runs, Table, Vote, voters

#: Passages of one question whose memory is held at once, in budgets of a pass.
HELD = 4

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


class Masks:
    """Masks that were read at once, and what was picked for them so far, from left to right."""

    def __init__(self, writer: Writer, hidden: Tensor, source: Source | None) -> None:
        """Start with the first one: of states (P, W, H), and what can be copied from, or nothing."""
        self.writer, self.hidden, self.source = writer, hidden, source
        self.first = writer.first(hidden, source)
        self.runs = None if self.first is None else torch.zeros_like(self.first, dtype=torch.long).unsqueeze(1)

    def chances(self, place: int) -> Tensor:
        """Tell the chances of every token for a mask, (P, V)."""
        aligner, bias = self.writer.aligner, None
        if aligner is not None and self.first is not None and self.runs is not None:
            bias = aligner.bias(self.first, self.runs, place)
        return self.writer.logits(self.hidden[:, place : place + 1], self.source, bias)[:, 0].softmax(1)

    def pick(self, tokens: Tensor) -> None:
        """Fill the mask with tokens, (P,) int."""
        if self.source is not None and self.runs is not None:
            self.runs = grown(self.runs, self.source.ids, tokens.unsqueeze(1))


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
        options, writer = self.options, self.loaded.writer
        if len(examples) == 1 and self.size(examples[0]) > HELD * self.loaded.budget.tokens:
            return [self.write_of_many(examples[0])]
        draft = writer.begin(self.prompts(examples))
        extractive = options.mode == "extractive"
        council = Council(self.table(examples), self.end, extractive=extractive, abstain=options.abstain)
        rule = beam.Rule(width=options.beam, limit=self.loaded.limits.answer)
        texts = beam.search(draft, council, len(examples), rule)
        none, found, first = council.none.tolist(), [], 0
        for example, written in zip(examples, texts, strict=True):
            last = first + len(example.windows)
            local = [(text.ids, [shifted(vote, first) for vote in text.note]) for text in written]
            found.append(Found(local, none[first:last]))
            first = last
        return found

    def write_of_many(self, example: Example) -> Found:
        """Write an answer from more windows than are held at once: those surest to have one come first."""
        prompts = self.prompts([example])
        none: list[float] = []
        for places in chunks([len(prompt) for prompt in prompts], self.loaded.budget.tokens):
            draft = self.loaded.writer.begin([prompts[place] for place in places])
            none += draft.logits[:, 0].softmax(-1)[:, self.end].tolist()
        held: list[int] = []
        room = HELD * self.loaded.budget.tokens - self.loaded.limits.answer - AROUND
        for place in sorted(range(len(prompts)), key=none.__getitem__):
            room -= len(prompts[place]) + self.loaded.limits.answer
            if held and room < 0:
                break
            held.append(place)
        logger.info("%d of %d windows of a long text vote, those surest to have an answer", len(held), len(prompts))
        held.sort()
        found = self.write([Example(example.question, [example.windows[place] for place in held], example.texts)])[0]
        texts = [(ids, [Vote(held[vote.prompt], vote.p, vote.first) for vote in votes]) for ids, votes in found.texts]
        return Found(texts, none)

    # mlm

    def fill(self, examples: Sequence[Example]) -> list[Found]:
        """Fill masks at once, each window by itself, and let the windows vote on whole answers."""
        table, prompts = self.table(examples), self.prompts(examples)
        votes: list[tuple[list[int], Vote]] = []
        none: list[float] = []
        for places in chunks([len(prompt) for prompt in prompts], self.loaded.budget.tokens):
            read = self.masks([prompts[place] for place in places])
            ids, means, firsts, empty = self.picked(*read, table.rows(places[0], places[-1] + 1))
            none += empty
            votes += [
                (text, Vote(place, p, first)) for place, text, p, first in zip(places, ids, means, firsts, strict=True)
            ]
        if self.options.abstain is not None:
            voting = voters(
                torch.tensor(none, dtype=torch.float64), table.owner.cpu(), len(examples), self.options.abstain
            ).tolist()
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

    def masks(self, prompts: Sequence[list[int]]) -> tuple[Tensor, Source | None]:
        """Read prompts in one pass: the hidden states of their masks, (P, answer, H), and what can be copied from."""
        groups, order = by_length(prompts)
        moved = [group.to(self.loaded.writer.device) for group in groups]
        return self.loaded.writer.read(moved, order, slice(1, 1 + self.layout.answer))

    def picked(
        self, hidden: Tensor, source: Source | None, table: Table
    ) -> tuple[list[list[int]], list[float], list[int | None], list[float]]:
        """Pick each window's answer from left to right.

        Args:
            hidden: (P, answer, H).
            source: what can be copied from, or none.
            table: of the same windows.

        Returns:
            For each window the tokens, the mean of their probabilities and that of the end, the first token's place
            in the window, and the probability of no answer.
        """
        runs, rows, extractive = Runs(table), len(hidden), self.options.mode == "extractive"
        offered, end = table.tokens[table.owner], 0 if extractive else self.end
        is_open = torch.ones(rows, dtype=torch.bool, device=hidden.device)
        sums, lengths = torch.zeros(rows, device=hidden.device), torch.full_like(table.owner, hidden.shape[1])
        parents = torch.zeros(rows, 1, dtype=torch.long, device=hidden.device)
        masks = Masks(self.loaded.writer, hidden, source)
        ids, none = [], sums
        for place in range(hidden.shape[1]):
            here = masks.chances(place)
            none = here[:, self.end] if place == 0 else none
            if extractive:
                here = here.gather(1, offered)
                allowed = runs.allowed(here.shape[1])[:, 0]
                allowed[:, 0] = True
                here = here.masked_fill(~allowed, 0)
            if place == 0 and self.options.abstain is not None:
                here = here.clone()
                here[:, end] = 0  # who votes is decided afterwards, among all windows of a question
            p, columns = here.max(1)
            columns = columns.where(is_open, end)
            sums += p * is_open
            if extractive:
                runs.follow(parents, columns.unsqueeze(1))
            ids.append(offered.gather(1, columns.unsqueeze(1)).squeeze(1) if extractive else columns)
            masks.pick(ids[-1])
            lengths = lengths.where(~(is_open & (columns == end)), place)
            is_open &= columns != end
            if not bool(is_open.any()):
                break
        counted = (lengths + 1).clamp_max(hidden.shape[1])
        texts = [row[:length] for row, length in zip(torch.stack(ids, 1).tolist(), lengths.tolist(), strict=True)]
        firsts = [runs.first(row, 0, len(text)) if extractive else None for row, text in enumerate(texts)]
        return texts, (sums / counted).tolist(), firsts, none.tolist()

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


def chunks(sizes: Sequence[int], most: int) -> Iterator[list[int]]:
    """Cut places, in their order, into runs of at most `most` tokens, each of one place at least."""
    run: list[int] = []
    total = 0
    for place, size in enumerate(sizes):
        if run and total + size > most:
            yield run
            run, total = [], 0
        run.append(place)
        total += size
    if run:
        yield run
