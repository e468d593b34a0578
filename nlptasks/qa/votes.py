"""What the windows and passages of a question say of its answers, counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from nlptasks.qa.examples import Example
from nlptasks.writing.passages import Vote, tally

#: Tokens of an answer and its votes.
Text = tuple[list[int], list[Vote]]


def shifted(vote: Vote, first: int) -> Vote:
    """Count a vote's prompt from the first one of its question."""
    return Vote(vote.prompt - first, vote.p, vote.first)


def surest(votes: Sequence[Vote], example: Example) -> dict[int, float]:
    """Give what each passage says, by its number: of its windows that say the same the surest counts."""
    found: dict[int, float] = {}
    for vote in votes:
        number = example.windows[vote.prompt][0]
        found[number] = max(vote.p, found.get(number, 0.0))
    return dict(sorted(found.items()))


def result(by_passage: Mapping[int, float]) -> float:
    """Give the result of a vote."""
    return float(tally(torch.tensor(list(by_passage.values())), 0))


def elected(votes: Sequence[tuple[list[int], Vote]], first: int, example: Example) -> list[Text]:
    """Put equal answers together, the one with the most votes first; windows without one do not vote."""
    together: dict[tuple[int, ...], list[Vote]] = {}
    for ids, vote in votes:
        if ids:
            together.setdefault(tuple(ids), []).append(shifted(vote, first))
    ranked = sorted(together.items(), key=lambda item: -result(surest(item[1], example)))
    return [(list(ids), said) for ids, said in ranked]
