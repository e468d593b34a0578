"""GlobalPointer for entities and GPLinker for triples: an encoder, and scores of pairs of its tokens.

Sources: kexue.fm/archives/8373 (entities), kexue.fm/archives/8888 (triples).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nlptasks.backbone.batch import Batch
from nlptasks.backbone.bert import Bert
from nlptasks.ie.examples import GOLD, HINT, KNOWN_LEAST, of_kind
from nlptasks.ie.grid import Rows, distinct
from nlptasks.ie.pairs import SCORES_AT_ONCE, Pairs, positive

#: Spans of a window and label that are looked at.
MOST = 64
#: Scores of pairs of ends that are in memory at once.
LINKS_AT_ONCE = 1 << 20


def last_states(bert: Bert, groups: Sequence[Batch]) -> Tensor:
    """Read groups in one pass: (N, H), rows laid end to end."""
    return deque(bert.states(groups), maxlen=1).pop()


class Pointer(nn.Module):
    """Entities of each type, by first and last token."""

    def __init__(self, bert: Bert, labels: int, *, efficient: bool) -> None:
        """Put the head on the encoder."""
        super().__init__()
        self.bert = bert
        self.entities = Pairs(bert.config.hidden_size, labels, efficient=efficient, spans=True)

    def forward(self, groups: Sequence[Batch], targets: Tensor) -> Tensor:
        """Compute the loss, a scalar, from (M, COLUMNS) int."""
        row, label, first, last, *_ = of_kind(targets, GOLD).unbind(1)
        positives = distinct(torch.stack([row, label, first, last], 1))
        states, rows = last_states(self.bert, groups), Rows.of(groups)
        return self.entities.loss(states, rows.rectangles(), positives) / len(rows.lengths)

    def find(self, groups: Sequence[Batch], targets: Tensor) -> tuple[Tensor, Tensor]:
        """Find entities: (M, 4) int, row, label, first and last token, and their scores (M,) from 0 to 1."""
        states, rows = last_states(self.bert, groups), Rows.of(groups)
        return spans(self.entities, states, rows)


class Linker(nn.Module):
    """Subjects and objects by first and last token, and for each predicate what links their first and last ones."""

    def __init__(self, bert: Bert, labels: int, *, efficient: bool) -> None:
        """Put the heads on the encoder."""
        super().__init__()
        self.bert = bert
        width = bert.config.hidden_size
        self.entities = Pairs(width, 2, efficient=efficient, spans=True)
        self.heads = Pairs(width, labels, efficient=efficient, spans=False)
        self.tails = Pairs(width, labels, efficient=efficient, spans=False)

    def forward(self, groups: Sequence[Batch], targets: Tensor) -> Tensor:
        """Compute the loss, a scalar, from (M, COLUMNS) int."""
        row, label, s_first, s_last, o_first, o_last = of_kind(targets, GOLD).unbind(1)
        zeros = torch.zeros_like(row)
        subjects, objects = (row, zeros, s_first, s_last), (row, zeros + 1, o_first, o_last)
        ends = distinct(torch.cat([torch.stack(subjects, 1), torch.stack(objects, 1)]))
        states, rows = last_states(self.bert, groups), Rows.of(groups)
        rectangles = rows.rectangles()
        loss = self.entities.loss(states, rectangles, ends)
        for links, first, second in ((self.heads, s_first, o_first), (self.tails, s_last, o_last)):
            loss = loss + links.loss(states, rectangles, distinct(torch.stack([row, label, first, second], 1)))
        return loss / len(rows.lengths)

    def find(self, groups: Sequence[Batch], targets: Tensor) -> tuple[Tensor, Tensor]:
        """Find triples.

        Only pairs of a subject and an object that were found are scored for predicates, not all pairs of tokens; known
        triples are told where they are likely enough.

        Returns:
            (M, 6) int, row, label, first and last token of the subject and of the object, and (M,) scores from 0 to 1.
        """
        states, rows = last_states(self.bert, groups), Rows.of(groups)
        found, scores = spans(self.entities, states, rows)
        is_subject = found[:, 1] == 0
        subjects, objects = found[is_subject], found[~is_subject]
        pairs = same_row(subjects[:, 0], objects[:, 0], len(rows.lengths))
        ends = torch.minimum(scores[is_subject][pairs[:, 0]], scores[~is_subject][pairs[:, 1]])
        heads, tails = self.heads.at(states), self.tails.at(states)
        triples, told = [], []
        size = max(1, LINKS_AT_ONCE // max(1, self.heads.labels))
        for part, sure in zip(torch.split(pairs, size), torch.split(ends, size), strict=True):
            subject, object = subjects[part[:, 0]], objects[part[:, 1]]
            start = rows.starts[subject[:, 0]]
            links = heads(start + subject[:, 2], start + object[:, 2])
            links = torch.minimum(links, tails(start + subject[:, 3], start + object[:, 3]))
            which, label = (links > 0).nonzero().unbind(1)
            triples.append(
                torch.cat([subject[which, :1], label.unsqueeze(1), subject[which, 2:], object[which, 2:]], 1)
            )
            told.append(torch.minimum(links[which, label].sigmoid(), sure[which]))
        hints = of_kind(targets, HINT)
        likely = self.chances(states, rows, hints) if len(hints) else ends[:0]
        is_told = likely >= KNOWN_LEAST
        return torch.cat([*triples, hints[is_told]]), torch.cat([*told, likely[is_told]])

    def chances(self, states: Tensor, rows: Rows, triples: Tensor) -> Tensor:
        """Compute how likely triples are that somebody else names, (M, 6) int to (M,) from 0 to 1."""
        _, label, *ends = triples.unbind(1)
        start = rows.starts[triples[:, 0]]
        s_first, s_last, o_first, o_last = (start + end for end in ends)
        number = torch.arange(len(triples), device=triples.device)
        entities, heads, tails = (pairs.at(states) for pairs in (self.entities, self.heads, self.tails))
        scores = [entities(s_first, s_last)[:, 0], entities(o_first, o_last)[:, 1]]
        scores += [heads(s_first, o_first)[number, label], tails(s_last, o_last)[number, label]]
        least: Tensor = torch.stack(scores).amin(0)
        return least.sigmoid()


def spans(pairs: Pairs, states: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
    """Find the spans with a score above 0: (M, 4) int, row, label, first and last token, and (M,) from 0 to 1."""
    found, told = [], []
    for rectangle in rows.rectangles():
        hidden = states[rectangle.index]
        count, length = rectangle.index.shape
        size = max(1, SCORES_AT_ONCE // (count * length * length))
        for start in range(0, pairs.labels, size):
            scores = pairs.table(hidden, rectangle.kept, start, min(pairs.labels, start + size))
            part = positive(scores, MOST)
            told.append(scores[tuple(part.unbind(1))].sigmoid())
            found.append(part + torch.tensor([rectangle.first, start, 0, 0], device=part.device))
    return torch.cat(found), torch.cat(told)


def same_row(left: Tensor, right: Tensor, rows: int) -> Tensor:
    """Pair what stands in the same row.

    Args:
        left: (A,) int, rows.
        right: (B,) int, rows.
        rows: how many there are.

    Returns:
        (M, 2) int, places in left and right.
    """
    order = right.argsort(stable=True)
    counts = torch.bincount(right, minlength=rows)
    each = counts[left]
    first = torch.arange(len(left), device=left.device).repeat_interleave(each)
    within = torch.arange(len(first), device=left.device) - (each.cumsum(0) - each)[first]
    second = order[(counts.cumsum(0) - counts)[left[first]] + within]
    return torch.stack([first, second], 1)
