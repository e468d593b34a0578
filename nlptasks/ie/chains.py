"""Subject first, then its predicates and objects: what CasRel and dgcnn have in common.

A mention is told by its first and its last token, each with a chance of its own; a first token goes with the first last
token that does not stand before it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nlptasks.backbone.batch import chunks
from nlptasks.ie.examples import KNOWN_LEAST
from nlptasks.ie.grid import Rows

#: About how many tokens of a text begin (or end) a subject, and of tokens and predicates an object.
RARE_SUBJECT, RARE_OBJECT = 0.05, 0.001
#: Subjects of a window that are looked at, the surest; bounds what a model that has learnt nothing would find.
MOST = 64
#: Tokens of subjects' rows that are looked at together for objects.
TOKENS_AT_ONCE = 1 << 15
#: Chances of objects, (M, predicates, 2), for subjects (S, 3), and where the row of each subject lies.
Objects = Callable[[Tensor], tuple[Tensor, Rows]]


@dataclass(frozen=True)
class Subjects:
    """Subjects of rows, and what is to be said of them.

    Attributes:
        places: (S, 3) int, row, first and last token.
        objects: (M, 4) int, number of the subject, predicate, first and last token of the object.
    """

    places: Tensor
    objects: Tensor


def taught(targets: Tensor, *, mix: bool) -> Subjects:
    """Choose the subjects to teach: all that are right, and for each row one of a random first and last token.

    The mixed one may be right or not; in the sources it is the only one that a row teaches at a time.

    Args:
        targets: (M, 6) int, row, predicate, first and last token of subject and object.
        mix: add the mixed ones.
    """
    right = targets[:, [0, 2, 3]]
    every = right
    if mix and len(right):
        first, last = drawn(right), drawn(right)
        mixed = torch.stack([first[:, 0], first[:, 1], torch.maximum(first[:, 1], last[:, 2])], 1)
        every = torch.cat([right, mixed])
    places, numbers = every.unique(dim=0, return_inverse=True)  # type: ignore[no-untyped-call]
    objects = torch.cat([numbers[: len(right), None], targets[:, [1, 4, 5]]], 1)
    return Subjects(places, objects)


def drawn(right: Tensor) -> Tensor:
    """Draw one subject of each row that has any, (M, 3) to (R, 3), rows in order."""
    keys = right[:, 0] + torch.rand(len(right), device=right.device, dtype=torch.float64)
    ordered = right[keys.argsort()]
    is_first = torch.ones(len(ordered), dtype=torch.bool, device=right.device)
    is_first[1:] = ordered[1:, 0] != ordered[:-1, 0]
    return ordered[is_first]


def bias_of(chance: float, power: int = 1) -> float:
    """Give the bias at which a sigmoid to a power is a chance: heads start from how rare it is that they say yes.

    Thousands of tokens and predicates are no for one that is yes; a head that starts at 0 first learns this and nothing
    else. Source: Lin et al. 2017, arXiv 1708.02002, section 4.1.
    """
    root: float = chance ** (1 / power)
    return math.log(root / (1 - root))


def subject_labels(places: Tensor, rows: Rows, tokens: int) -> Tensor:
    """Mark first and last tokens of subjects: (tokens, 2) float32, rows laid end to end."""
    labels = torch.zeros(tokens, 2, device=places.device)
    for side in (0, 1):
        labels[rows.starts[places[:, 0]] + places[:, 1 + side], side] = 1
    return labels


def object_labels(objects: Tensor, rows: Rows, tokens: int, predicates: int) -> Tensor:
    """Mark first and last tokens of objects: (tokens, predicates, 2) float32, rows of subjects laid end to end."""
    labels = torch.zeros(tokens, predicates, 2, device=objects.device)
    for side in (0, 1):
        labels[rows.starts[objects[:, 0]] + objects[:, 2 + side], objects[:, 1], side] = 1
    return labels


def spans(chances: Tensor, rows: Rows, first: float, last: float) -> tuple[Tensor, Tensor]:
    """Find spans by the chances of their ends.

    Args:
        chances: (N, L, 2), rows laid end to end; those of tokens around texts are 0.
        rows: where they lie.
        first: the least chance of a first token.
        last: the least chance of a last token.

    Returns:
        (M, 4) int, row, label, first and last token in the row, and the lower of the two chances (M,).
    """
    count = len(chances)
    places = torch.arange(count, device=chances.device)
    ends = places.unsqueeze(1).where(chances[..., 1] > last, count)
    ends = ends.flip(0).cummin(0).values.flip(0)  # for each token the next that is a last one
    owners = rows.owners()
    row_ends = (rows.starts + rows.lengths)[owners].unsqueeze(1)
    place, label = ((chances[..., 0] > first) & (ends < row_ends)).nonzero().unbind(1)
    end, row = ends[place, label], owners[place]
    sure = torch.minimum(chances[place, label, 0], chances[end, label, 1])
    start = rows.starts[row]
    return torch.stack([row, label, place - start, end - start], 1), sure


def surest(found: Tensor, sure: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Keep the surest spans of each row, at most so many."""
    order = sure.argsort(descending=True, stable=True)
    order = order[found[order, 0].argsort(stable=True)]
    row = found[order, 0]
    counts = torch.bincount(row, minlength=1)
    rank = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]
    kept = order[rank < most].sort().values
    return found[kept], sure[kept]


def triples(
    chances: Tensor, rows: Rows, objects: Objects, hints: Tensor, least: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Find triples, subjects first; known ones are told where they are likely enough.

    Args:
        chances: (N, 2) of first and last tokens of subjects, rows laid end to end.
        rows: where they lie.
        objects: gives the chances of the objects of some subjects.
        hints: (M, 6) int, known triples.
        least: chances of a first and a last token.

    Returns:
        (M, 6) int, row, predicate, first and last token of subject and object, and scores (M,) from 0 to 1.
    """
    found, sure = spans((chances * rows.inner().unsqueeze(1)).unsqueeze(1), rows, *least)
    found, sure = surest(found, sure, MOST)
    made, told = [torch.zeros(0, 6, dtype=torch.long, device=chances.device)], [sure[:0]]
    for run in chunks(rows.lengths[found[:, 0]].tolist(), TOKENS_AT_ONCE):
        part = slice(run.start, run.stop)
        places = found[part][:, [0, 2, 3]]
        of_objects, its_rows = objects(places)
        ends, surely = spans(of_objects * its_rows.inner()[:, None, None], its_rows, *least)
        subject = places[ends[:, 0]]
        made.append(torch.cat([subject[:, :1], ends[:, 1:2], subject[:, 1:], ends[:, 2:]], 1))
        told.append(torch.minimum(surely, sure[part][ends[:, 0]]))
    likely, as_likely = known(chances, rows, objects, hints)
    return torch.cat([*made, likely]), torch.cat([*told, as_likely])


def known(chances: Tensor, rows: Rows, objects: Objects, hints: Tensor) -> tuple[Tensor, Tensor]:
    """Choose the known triples that are likely enough.

    Args:
        chances: (N, 2) of first and last tokens of subjects, rows laid end to end.
        rows: where they lie.
        objects: gives the chances of the objects of some subjects.
        hints: (M, 6) int, known triples.

    Returns:
        (K, 6) int, and their scores (K,) from 0 to 1.
    """
    places, numbers = hints[:, [0, 2, 3]].unique(dim=0, return_inverse=True)  # type: ignore[no-untyped-call]
    start = rows.starts[places[:, 0]]
    subjects = torch.minimum(chances[start + places[:, 1], 0], chances[start + places[:, 2], 1])
    made, told = [hints[:0]], [subjects[:0]]
    for part in chunks(rows.lengths[places[:, 0]].tolist(), TOKENS_AT_ONCE):
        of_objects, its_rows = objects(places[part.start : part.stop])
        own = hints[(numbers >= part.start) & (numbers < part.stop)]
        number = numbers[(numbers >= part.start) & (numbers < part.stop)]
        start, label = its_rows.starts[number - part.start], own[:, 1]
        ends = of_objects[start + own[:, 4], label, 0], of_objects[start + own[:, 5], label, 1]
        sure: Tensor = torch.stack([*ends, subjects[number]]).amin(0)
        made.append(own[sure >= KNOWN_LEAST])
        told.append(sure[sure >= KNOWN_LEAST])
    return torch.cat(made), torch.cat(told)
