"""Beam search for many questions at once; greedy writing is a beam of one.

Scores are sums of log-probabilities without regard to length. A question is finished as soon as its best text is;
texts that end before that leave the beam, which becomes narrower by them (bert4keras, `AutoRegressiveDecoder`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from nlptasks.writing.draft import Growing

#: Finished questions leave the batch once no more than this share of it is still open.
OPEN_SHARE = 0.75


@dataclass(frozen=True)
class Rule:
    """How texts are searched and when they end."""

    width: int = 1
    """Texts of a question that are followed at once."""
    limit: int = 64
    """Tokens of a text at most, its end included."""
    shortest: int = 0
    """Tokens of a text at least, its end not included."""
    ends: int = 1
    """Ends that a text consists of, such as 2 for an answer and its question."""


@dataclass(frozen=True)
class Written:
    """A text that was written."""

    ids: list[int]
    """Its tokens, the last end not included."""
    logprob: float
    """Sum of the logarithms by which its tokens, and its end, were chosen."""
    finished: bool
    """Whether it ended by itself."""
    note: Any = None
    """What the judge knows of it."""


class Judge(Protocol):
    """What decides by the model's scores which token comes next: a task can put prompts together here.

    Questions are Q, prompts are P; each prompt belongs to a question, or all are the same where none vote.
    """

    owner: Tensor
    """(P,) int, the question of each prompt."""
    end: int
    """The column of the end among the tokens that may be chosen from."""
    stale: bool
    """Whether prompts fell out that the questions still open can do without."""

    def scores(self, logits: Tensor) -> Tensor:
        """Score what may come next.

        Args:
            logits: (P, W, V) float32.

        Returns:
            (Q, W, U) logarithms, -inf for what may not come.
        """
        ...

    def follow(self, parents: Tensor, columns: Tensor) -> Tensor:
        """Go on with the branches and columns that were chosen, (Q, W) int each, and name their tokens, (Q, W) int."""
        ...

    def note(self, question: int, branch: int, length: int) -> Any:  # noqa: ANN401 - the judge's own
        """Tell about a text of `length` tokens that just ended, right after it was followed."""
        ...

    def keep(self, questions: Tensor) -> Tensor:
        """Go on with some questions alone, (Q',) int, and say which prompts are still needed, (P',) int."""
        ...


def search(draft: Growing, judge: Judge, questions: int, rule: Rule) -> list[list[Written]]:
    """Write until the best text of every question is finished.

    Args:
        draft: the prompts read.
        judge: chooses.
        questions: how many there are.
        rule: how wide to search and when to stop.

    Returns:
        For each question the texts found, the best first, then the others by falling score.

    Raises:
        ValueError: the limit leaves the model's positions.
    """
    if rule.limit - 1 > draft.room:
        raise ValueError(f"{rule.limit} tokens do not fit behind the prompts, where there is room for {draft.room + 1}")
    beams = Beams(questions, rule, draft.logits.device)
    while True:
        parents, columns = beams.branch(judge.scores(draft.logits), judge.end)
        tokens = judge.follow(parents, columns)
        beams.take(tokens, parents, columns == judge.end, judge)
        kept = beams.close(always=judge.stale)
        if not beams.rows:
            return beams.found()
        if kept is not None:
            draft.keep(judge.keep(kept))
            tokens, parents = tokens[kept], parents[kept]
        draft.write(tokens[judge.owner], parents[judge.owner])


class Beams:
    """The texts that are followed for each question."""

    def __init__(self, questions: int, rule: Rule, device: torch.device) -> None:
        """Start with one empty text for each question."""
        self.rule = rule
        self.rows = list(range(questions))  # the number of the question in each row
        self.open = torch.ones(questions, dtype=torch.bool, device=device)
        self.totals = torch.zeros(questions, 1, device=device)
        self.ids = torch.zeros(questions, 1, 0, dtype=torch.long, device=device)
        self.ends = torch.zeros(questions, 1, dtype=torch.long, device=device)
        self.room = torch.full((questions,), rule.width, device=device)
        self.best: dict[int, Written] = {}
        self.others: dict[int, list[Written]] = {number: [] for number in self.rows}

    def branch(self, scores: Tensor, end: int) -> tuple[Tensor, Tensor]:
        """Choose the best ways to go on, from (Q, W, U): the branches and the columns, (Q, W') int each."""
        if self.ids.shape[2] < self.rule.shortest:
            scores = scores.index_fill(2, torch.tensor([end], device=scores.device), -torch.inf)
        width = scores.shape[2]
        totals = (self.totals.unsqueeze(2) + scores).flatten(1)
        totals, chosen = totals.topk(min(self.rule.width, totals.shape[1]))
        beyond = torch.arange(totals.shape[1], device=totals.device) >= self.room.unsqueeze(1)
        self.totals = totals.masked_fill(beyond, -torch.inf)
        return chosen // width, chosen % width

    def take(self, tokens: Tensor, parents: Tensor, is_end: Tensor, judge: Judge) -> None:
        """Add the chosen tokens, and put finished texts away."""
        before = self.ids.gather(1, parents.unsqueeze(2).expand(-1, -1, self.ids.shape[2]))
        self.ids = torch.cat([before, tokens.unsqueeze(2)], 2)
        self.ends = self.ends.gather(1, parents) + is_end
        alive = self.totals.isfinite()
        ended = (self.ends >= self.rule.ends) & is_end & alive
        stopped = ended[:, 0] | ~alive[:, 0] | (self.ids.shape[2] >= self.rule.limit)
        told = ended.clone()
        told[:, 0] |= stopped & alive[:, 0]  # at the limit the best text is told as it is
        for row, branch in told.nonzero().tolist():
            text = self.written(row, branch, bool(ended[row, branch]), judge)
            if branch == 0:
                self.best[self.rows[row]] = text
            else:
                self.others[self.rows[row]].append(text)
        self.settle(stopped, ended)

    def settle(self, stopped: Tensor, ended: Tensor) -> None:
        """Close questions whose best text is finished; texts that ended before leave the beams of the others."""
        self.open &= ~stopped
        self.room = self.room - ended.sum(1)
        self.totals = self.totals.masked_fill(ended | stopped.unsqueeze(1), -torch.inf)

    def written(self, row: int, branch: int, finished: bool, judge: Judge) -> Written:
        """Describe a text."""
        ids = self.ids[row, branch].tolist()[: -1 if finished else None]
        return Written(ids, float(self.totals[row, branch]), finished, judge.note(row, branch, len(ids)))

    def close(self, *, always: bool) -> Tensor | None:
        """Leave out the closed questions once they are many, or always: (Q',) int of those kept, or none for all."""
        kept = self.open.nonzero().flatten()
        if len(kept) > OPEN_SHARE * len(self.rows) and not always:
            return None
        self.rows = [self.rows[row] for row in kept.tolist()]
        self.open, self.totals, self.ids, self.ends, self.room = (
            part[kept] for part in (self.open, self.totals, self.ids, self.ends, self.room)
        )
        return kept

    def found(self) -> list[list[Written]]:
        """Give what was found for each question: the best, where there is one, then the others by falling score."""
        return [
            [*([self.best[number]] if number in self.best else []), *sorted(others, key=lambda text: -text.logprob)]
            for number, others in self.others.items()
        ]
