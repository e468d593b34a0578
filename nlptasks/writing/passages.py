"""Writing what stands in passages, several of which vote on every token.

Source: kexue.fm/archives/7115 (joint decoding, abstention at the first token, n-grams, the vote).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

#: Added to a vote before its logarithm is taken.
LEAST = 1e-12
#: A probability of no answer from which a passage votes only where no other of its question is surer of one.
UNSURE = 0.5


@dataclass(frozen=True)
class Vote:
    """What one passage says of an answer."""

    prompt: int
    """Its number among the prompts."""
    p: float
    """Mean of the probabilities of the answer's tokens and its end."""
    first: int | None
    """Number of the token in the passage at which the answer stands first; none where it does not."""


def tally(chances: Tensor, dim: int) -> Tensor:
    """Put the probabilities of voters together: sum p² / (sum p + 1), not normalised, as in the source."""
    return chances.square().sum(dim) / (chances.sum(dim) + 1)


def voters(none: Tensor, owner: Tensor, questions: int, abstain: float) -> Tensor:
    """Tell which passages vote: those that likelier have an answer than not, else the surest one of a question.

    Args:
        none: (P,), the probability that each gives to having no answer.
        owner: (P,) int, the question of each.
        questions: how many there are.
        abstain: the probability of no answer from which none votes; from 1 on one always does.

    Returns:
        (P,) bool.
    """
    least = none.new_ones(questions).scatter_reduce(0, owner, none, "amin")
    return ((none < abstain) | (abstain >= 1)) & ((none < UNSURE) | (none == least[owner]))


def abstained(logits: Tensor, owner: Tensor, questions: int, end: int, abstain: float | None) -> tuple[Tensor, Tensor]:
    """Tell from the scores of the first token, (P, V), which passages vote.

    Args:
        logits: (P, V).
        owner: (P,) int, the question of each.
        questions: how many there are.
        end: the token that ends a text.
        abstain: see `voters`; or none: those vote whose likeliest first token is not the end.

    Returns:
        (P,), the probability that each gives to having no answer, and (P,) bool.
    """
    none = logits.softmax(-1)[:, end]
    return none, logits.argmax(-1) != end if abstain is None else voters(none, owner, questions, abstain)


@dataclass(frozen=True)
class Table:
    """The tokens that passages offer to their question.

    Attributes:
        tokens: (Q, U) int, the end in column 0, then each token of the question's passages once.
        columns: (P, T + 1) int, for each token of a passage its column in `tokens`; 0 where padded.
        kept: (P, T + 1) bool, False where padded, which the last place always is.
        owner: (P,) int, the question of each passage.
    """

    tokens: Tensor
    columns: Tensor
    kept: Tensor
    owner: Tensor

    @classmethod
    def of(cls, passages: Sequence[Sequence[Sequence[int]]], end: int, device: torch.device | None = None) -> Table:
        """List the tokens of the passages of each question."""
        tokens, columns, owner = [], [], []
        for number, texts in enumerate(passages):
            known = {end: 0}
            for text in texts:
                columns.append(torch.tensor([*(known.setdefault(token, len(known)) for token in text), 0]))
                owner.append(number)
            tokens.append(torch.tensor(list(known)))
        lengths = torch.tensor([len(row) for row in columns])
        kept = torch.arange(int(lengths.max())) < lengths.unsqueeze(1) - 1
        laid = (pad_sequence(tokens, True, end), pad_sequence(columns, True), kept, torch.tensor(owner))
        return cls(*(part.to(device) for part in laid))

    def rows(self, rows: Tensor) -> Table:
        """Take some passages, (P',) int; their questions keep their tokens."""
        return replace(self, columns=self.columns[rows], kept=self.kept[rows], owner=self.owner[rows])


class Runs:
    """Where in passages the texts written so far stand.

    Attributes:
        open: (P, W, T + 1) bool, the places right behind a run equal to the text so far.
    """

    def __init__(self, table: Table) -> None:
        """Start with nothing written, which stands before every token."""
        self.columns, self.kept = table.columns, table.kept
        self.open = table.kept.unsqueeze(1)

    def allowed(self, count: int) -> Tensor:
        """Tell which of `count` columns each passage lets follow: (P, W, count) bool."""
        rows, width, _ = self.open.shape
        hits = torch.zeros(rows, width, count, device=self.columns.device)
        going_on = (self.open & self.kept.unsqueeze(1)).float()
        return hits.scatter_add_(2, self.columns.unsqueeze(1).expand(-1, width, -1), going_on) > 0

    def follow(self, parents: Tensor, columns: Tensor) -> None:
        """Go on with chosen branches and columns, (P, W) int each; the end leaves the places as they are."""
        before = self.open.gather(1, parents.unsqueeze(2).expand(-1, -1, self.open.shape[2]))
        here = before & self.kept.unsqueeze(1) & (self.columns.unsqueeze(1) == columns.unsqueeze(2))
        self.open = torch.where((columns == 0).unsqueeze(2), before, here.roll(1, 2))

    def first(self, row: int, branch: int, length: int) -> int | None:
        """Find the token where a text of `length` tokens stands first in a passage; none where it does not."""
        places = self.open[row, branch].nonzero()
        return int(places[0]) - length if len(places) else None

    def keep(self, rows: Tensor) -> None:
        """Go on with some passages alone."""
        self.columns, self.kept, self.open = self.columns[rows], self.kept[rows], self.open[rows]


class Council:
    """Lets the passages of a question vote on every token: a judge of `beam.search`.

    A passage whose likeliest first token is the end says that it has no answer, and no longer votes.
    """

    def __init__(self, table: Table, end: int, *, extractive: bool = True, abstain: float | None = None) -> None:
        """Start with every passage voting.

        Args:
            table: of the passages.
            end: the token that ends a text.
            extractive: allow only what stands in one of the question's voting passages.
            abstain: let the end's probability alone decide which passages vote, see `voters`; they write one token at
                least.
        """
        self.table, self.runs, self.extractive, self.abstain = table, Runs(table), extractive, abstain
        self.token, self.end = end, 0 if extractive else end
        self.owner = table.owner
        self.numbers = torch.arange(len(self.owner), device=self.owner.device)
        self.voting = torch.ones_like(self.owner, dtype=torch.bool)
        self.questions, self.stale, self.steps = len(table.tokens), False, 0
        self.sums = torch.zeros(len(self.owner), 1, device=self.owner.device)

    def scores(self, logits: Tensor) -> Tensor:
        """Let the passages vote: (P, W, V) to logarithms (Q, W, U)."""
        if not self.steps:
            _, self.voting = abstained(logits[:, 0], self.owner, self.questions, self.token, self.abstain)
            self.stale = not bool(self.voting.all())
        self.chances = self.chances_of(logits)
        heard = self.chances * self.voting[:, None, None]
        votes = self.together(heard.square()) / (self.together(heard) + 1)
        return (votes + LEAST).log().masked_fill(~self.allowed(votes), -torch.inf)

    def chances_of(self, logits: Tensor) -> Tensor:
        """Give the probabilities of what may be chosen from: (P, W, V) to (P, W, U)."""
        if not self.extractive:
            return logits.softmax(-1)
        tokens = self.table.tokens[self.owner].unsqueeze(1).expand(-1, logits.shape[1], -1)
        return (logits.gather(2, tokens) - logits.logsumexp(2, keepdim=True)).exp()

    def allowed(self, votes: Tensor) -> Tensor:
        """Tell what may follow: (Q, W, U) bool."""
        if self.extractive:
            found = self.runs.allowed(votes.shape[2]) & self.voting[:, None, None]
            may = self.together(found.float()) > 0
        else:
            heard = self.together(self.voting[:, None, None].float().expand(-1, votes.shape[1], -1))
            may = (heard > 0).expand_as(votes).clone()
        may[:, :, self.end] = True if self.steps or self.abstain is None else ~may.any(-1)
        return may

    def together(self, values: Tensor) -> Tensor:
        """Add up what the passages of each question say: (P, …) to (Q, …)."""
        return values.new_zeros(self.questions, *values.shape[1:]).index_add_(0, self.owner, values)

    def follow(self, parents: Tensor, columns: Tensor) -> Tensor:
        """Go on with what was chosen, and name the tokens: (Q, W) int."""
        theirs, said = parents[self.owner], columns[self.owner]
        each = self.chances.gather(1, theirs.unsqueeze(2).expand(-1, -1, self.chances.shape[2]))
        self.sums = self.sums.gather(1, theirs) + each.gather(2, said.unsqueeze(2)).squeeze(2)
        self.steps += 1
        if not self.extractive:
            return columns
        self.runs.follow(theirs, said)
        return self.table.tokens.gather(1, columns)

    def note(self, question: int, branch: int, length: int) -> list[Vote]:
        """Tell what the voting passages say of a text of `length` tokens, its end not counted."""
        rows = ((self.owner == question) & self.voting).nonzero().flatten().tolist()
        return [
            Vote(
                int(self.numbers[row]),
                float(self.sums[row, branch]) / self.steps,
                self.runs.first(row, branch, length) if self.extractive else None,
            )
            for row in rows
        ]

    def keep(self, questions: Tensor) -> Tensor:
        """Go on with some questions alone, and of their passages with those that vote."""
        new = torch.full((self.questions,), -1, device=questions.device)
        new[questions] = torch.arange(len(questions), device=questions.device)
        rows = ((new[self.owner] >= 0) & self.voting).nonzero().flatten()
        self.owner, self.numbers, self.voting, self.sums = (
            part[rows] for part in (new[self.owner], self.numbers, self.voting, self.sums)
        )
        self.runs.keep(rows)
        self.table = replace(self.table, tokens=self.table.tokens[questions])
        self.questions, self.stale = len(questions), False
        return rows
