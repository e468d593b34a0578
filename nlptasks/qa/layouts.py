"""How the two methods lay out question, passage and answer in a sequence.

Sources: kexue.fm/archives/7115 (seq2seq), 7148 (mlm), 7630 (questions with their answers).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import torch

from nlptasks.backbone import masks
from nlptasks.backbone.batch import Batch
from nlptasks.backbone.text import Text
from nlptasks.qa.examples import Lesson
from nlptasks.task import Work


class Layout:
    """The layout of a method, with the special tokens of a vocabulary."""

    def __init__(self, method: str, text: Text, answer: int) -> None:
        """Prepare.

        Args:
            method: seq2seq or mlm.
            text: the tokenizer.
            answer: tokens of an answer at most, its end included.
        """
        self.writes, self.answer = method == "seq2seq", answer
        self.start, self.end, self.mask = (text.special[name] for name in ("start", "end", "mask"))

    def prompt(self, question: Sequence[int] | None, passage: Sequence[int]) -> list[int]:
        """Lay out what is asked, or the passage alone where a question is to be written.

        `[CLS] passage [SEP] question [SEP]` for seq2seq; `[CLS] [MASK]… [SEP] question [SEP] passage [SEP]` for mlm.
        """
        if question is None:
            return [self.start, *passage, self.end]
        if self.writes:
            return [self.start, *passage, self.end, *question, self.end]
        return [self.start, *[self.mask] * self.answer, self.end, *question, self.end, *passage, self.end]

    def target(self, answer: Sequence[int]) -> list[int]:
        """Give the tokens to learn: the answer and its end, which an answer beyond the limit does not have."""
        return [*answer, self.end][: self.answer]

    def laid(self, lesson: Lesson) -> tuple[list[int], list[int]]:
        """Give what is read and what is learnt of a lesson: an answer, or an answer and its question, each with an end.

        `[CLS] passage [SEP] | answer [SEP] question [SEP]` is kexue.fm/archives/7630's.
        """
        if lesson.is_asked:
            return self.prompt(lesson.question, lesson.passage), self.target(lesson.answer)
        answer = [*lesson.answer[: self.answer - 1], self.end]
        return self.prompt(None, lesson.passage), [*answer, *lesson.question, self.end]

    def work(self, lessons: Sequence[Lesson]) -> Work:
        """Lay out lessons for one forward pass; the targets are (2, M): places in the groups end to end, and tokens."""
        rows = []
        for lesson in lessons:
            prompt, target = self.laid(lesson)
            ids = [*prompt, *target[:-1]] if self.writes else prompt
            rows.append((ids, len(prompt) if self.writes else len(ids), target))
        order = sorted(range(len(rows)), key=lambda place: len(rows[place][0]))
        groups: list[Batch] = []
        places: list[int] = []
        targets: list[int] = []
        laid = 0
        for _, some in groupby(order, key=lambda place: len(rows[place][0])):
            chosen = [rows[place] for place in some]
            groups.append(self.group([(ids, prompt) for ids, prompt, _ in chosen]))
            for ids, length, target in chosen:
                first = laid + (length - 1 if self.writes else 1)
                places += range(first, first + len(target))
                targets += target
                laid += len(ids)
        return Work(groups, torch.tensor(order), torch.tensor([places, targets]), laid)

    def group(self, rows: Sequence[tuple[list[int], int]]) -> Batch:
        """Put rows of one length together; an answer, behind the prompt's tokens, is read from left to right."""
        batch = Batch(torch.tensor([ids for ids, _ in rows]))
        if not self.writes:
            return batch
        prompts = torch.tensor([prompt for _, prompt in rows])
        segments = (torch.arange(batch.ids.shape[1]) >= prompts.unsqueeze(1)).long()
        return replace(batch, segments=segments, mask=masks.prefix(segments, torch.ones_like(segments).bool()))
