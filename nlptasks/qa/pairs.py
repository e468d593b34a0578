"""Questions with their answers, written for passages: an answer is drawn from the passage, then its question is sought.

Source: kexue.fm/archives/7630.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from nlptasks.backbone import windows
from nlptasks.backbone.batch import chunks
from nlptasks.backbone.windows import Window
from nlptasks.qa.examples import AROUND, Encoder
from nlptasks.qa.layouts import Layout
from nlptasks.qa.model import Loaded
from nlptasks.qa.pairs_row import Options, Row
from nlptasks.writing import beam
from nlptasks.writing.draft import Draft
from nlptasks.writing.judges import Anything
from nlptasks.writing.passages import Runs, Table
from nlptasks.writing.sampling import DRAWS, Drawing, draw

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Passage:
    """A passage, and the windows that it is read in."""

    text: str
    windows: list[Window]


@dataclass(frozen=True)
class Drawn:
    """An answer that was drawn: its tokens, the place of the first in its window, and their log-probability."""

    ids: list[int]
    first: int
    logprob: float


class Asker:
    """Turns passages into questions with their answers: the worker of `--generate`."""

    #: Rows that are encoded together: each may be thousands of tokens long.
    window = 128

    def __init__(self, loaded: Loaded) -> None:
        """Ask with a model.

        Raises:
            TypeError: it was loaded to do something else.
        """
        if not isinstance(loaded.options, Options):
            raise TypeError("asking needs the options of asking")
        self.loaded, self.options, self.limits = loaded, loaded.options, loaded.limits
        self.encoder = Encoder(loaded.text, loaded.limits)
        self.layout = Layout(loaded.method, loaded.text, loaded.limits.answer)
        self.end = loaded.text.special["end"]

    def read(self, rows: Sequence[Row]) -> list[Passage]:
        """Encode passages."""
        passages = windows.read(self.loaded.text, [row.passage for row in rows])
        return [
            Passage(row.passage, [part for part in self.encoder.cut(passage) if part.ids])
            for row, passage in zip(rows, passages, strict=True)
        ]

    def size(self, passage: Passage) -> int:
        """Count the tokens of all pairs of a passage, with what they are read from."""
        return sum(len(window.ids) + self.around for window, _ in self.asked(passage))

    @property
    def around(self) -> int:
        """Count the tokens at most that a prompt has beside those of the window."""
        return AROUND + self.limits.answer + self.limits.question

    def asked(self, passage: Passage) -> list[tuple[Window, torch.Generator]]:
        """Choose for each pair of a passage its window, one after another, and its random numbers."""
        if not passage.windows:
            return []
        key = zlib.crc32(passage.text.encode("utf-8", "surrogatepass"))
        return [
            (
                passage.windows[number % len(passage.windows)],
                torch.Generator().manual_seed(zlib.crc32(f"{self.options.seed} {number} {key}".encode())),
            )
            for number in range(self.options.n)
        ]

    @torch.inference_mode()
    def answer(self, passages: Sequence[Passage]) -> list[dict[str, Any]]:
        """Write the pairs of passages."""
        asked = [(passage, *one) for passage in passages for one in self.asked(passage)]
        found: dict[int, dict[Any, dict[str, Any]]] = {id(passage): {} for passage in passages}
        sizes = [len(window.ids) + self.around for _, window, _ in asked]
        for places in chunks(sizes, self.loaded.budget.held):
            some = [asked[place] for place in places]
            drawn = self.drawn([window for _, window, _ in some], [generator for *_, generator in some])
            questions = self.questions([window for _, window, _ in some], drawn)
            for (passage, window, _), answer, question in zip(some, drawn, questions, strict=True):
                pair = self.pair(passage.text, window, answer, question)
                found[id(passage)].setdefault((pair["question"], pair["start"], pair["end"]), pair)
        return [{"pairs": list(found[id(passage)].values())} for passage in passages]

    def begun(self, prompts: Sequence[list[int]], written: Sequence[int] | None = None) -> Draft:
        """Read prompts in passes; of each, so many of the last tokens are written already."""
        passes = chunks([len(prompt) for prompt in prompts], self.loaded.budget.tokens)
        cut = [slice(places.start, places.stop) for places in passes]
        begin = self.loaded.writer.begin
        return Draft.joined([begin(prompts[part], begun=written and written[part]) for part in cut])

    def drawn(self, read: Sequence[Window], generators: Sequence[torch.Generator]) -> list[Drawn]:
        """Draw an answer from each window."""
        writer, limit = self.loaded.writer, self.limits.answer
        drawing = Drawing(limit=limit, shortest=1, top_p=self.options.top_p)
        draft = self.begun([self.layout.prompt(None, window.ids) for window in read])
        table = Table.of([[window.ids] for window in read], self.end, writer.device)
        runs = Runs(table)
        draws = torch.stack([torch.rand(limit, DRAWS, generator=one) for one in generators]).to(writer.device)
        columns = torch.zeros(len(read), 0, dtype=torch.long, device=writer.device)
        parents = torch.zeros(len(read), 1, dtype=torch.long, device=writer.device)
        logprobs = draws.new_zeros(len(read))
        is_open = torch.ones(len(read), dtype=torch.bool, device=writer.device)
        while columns.shape[1] < limit and bool(is_open.any()):
            allowed = runs.allowed(table.tokens.shape[1])[:, 0]
            allowed[:, 0] = True
            logits = draft.logits[:, 0].gather(1, table.tokens).masked_fill(~allowed, -torch.inf)
            chosen, gained = draw(logits, columns, draws[:, columns.shape[1]], drawing, 0)
            chosen = chosen.where(is_open, 0)
            logprobs += gained.where(is_open, 0.0)
            is_open &= chosen != 0
            runs.follow(parents, chosen.unsqueeze(1))
            columns = torch.cat([columns, chosen.unsqueeze(1)], 1)
            if columns.shape[1] < limit:
                draft.write(table.tokens.gather(1, chosen.unsqueeze(1)))
        ids = table.tokens.gather(1, columns)
        lengths = (columns != 0).sum(1).tolist()
        texts = [row[:length] for row, length in zip(ids.tolist(), lengths, strict=True)]
        return [
            Drawn(text, runs.first(row, 0, len(text)) or 0, logprob)
            for row, (text, logprob) in enumerate(zip(texts, logprobs.tolist(), strict=True))
        ]

    def questions(self, read: Sequence[Window], answers: Sequence[Drawn]) -> list[beam.Written]:
        """Write the question of each answer."""
        prompts = [
            [*self.layout.prompt(None, window.ids), *answer.ids, self.end]
            for window, answer in zip(read, answers, strict=True)
        ]
        draft = self.begun(prompts, [len(answer.ids) + 1 for answer in answers])
        rule = beam.Rule(width=self.options.beam, limit=self.limits.question, shortest=1)
        judge = Anything(len(prompts), self.end, device=self.loaded.writer.device)
        return [texts[0] for texts in beam.search(draft, judge, len(prompts), rule)]

    def pair(self, passage: str, window: Window, answer: Drawn, question: beam.Written) -> dict[str, Any]:
        """Tell a question and its answer."""
        start, end = window.characters(answer.first, answer.first + len(answer.ids))
        return {
            "question": self.loaded.text.decode(question.ids),
            "answer": passage[start:end],
            "start": start,
            "end": end,
            "logprob": answer.logprob + question.logprob,
        }

    def report(self) -> None:
        """Tell how many passages were read in windows."""
        if self.encoder.counts["windowed"]:
            logger.info("passages read in overlapping windows: %(windowed)d of %(passages)d", self.encoder.counts)
