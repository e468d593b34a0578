"""DGCNN with a probability graph: characters and words, gated dilated convolutions, subjects, then objects.

The characters' embeddings are an encoder without layers, so that a model folder looks as any other. Rows lie end to
end with a gap between them that is as wide as the widest convolution reaches, so all rows are one product.

Source: kexue.fm/archives/6671.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlptasks.backbone.attention import attend
from nlptasks.backbone.batch import Batch
from nlptasks.backbone.bert import Bert
from nlptasks.backbone.dropout import Dropout
from nlptasks.backbone.linear import Linear
from nlptasks.ie import chains
from nlptasks.ie.examples import GOLD, HINT, WORD, of_kind
from nlptasks.ie.grid import Rows
from nlptasks.ie.words import Words

#: How far the convolutions reach, one layer after the other.
DILATIONS = (1, 2, 5, 1, 2, 5, 1, 2, 5, 1, 1, 1)
GAP = max(DILATIONS)
HEADS, HEAD_SIZE = 8, 16
#: Vectors between first and last token of a subject that are read to know it.
STEPS = 6
DISTANCES = 512
DROPOUT, GATE_DROPOUT = 0.25, 0.1
#: Bias of gates at the start: open, so that twelve layers do not halve what goes through them twelve times, and the
#: product of the gates of a chance does not hide it from what it should learn.
OPEN = 2.0
FIRST, LAST = 0.5, 0.4


@dataclass(frozen=True)
class Spaced:
    """Rows laid end to end with a gap behind each.

    Attributes:
        places: (N,) int, where each token lies.
        kept: (N', 1) float, 1 where there is a token, 0 in gaps.
    """

    places: Tensor
    kept: Tensor

    @classmethod
    def of(cls, rows: Rows) -> Spaced:
        """Lay out rows."""
        places = torch.arange(int(rows.lengths.sum()), device=rows.lengths.device) + GAP * rows.owners()
        kept = torch.zeros(len(places) + GAP * len(rows.lengths), 1, device=places.device)
        kept[places] = 1
        return cls(places, kept)


class Conv(nn.Module):
    """A convolution over three tokens, a distance apart."""

    def __init__(self, width: int, out: int, dilation: int = 1) -> None:
        """Make it with random weights."""
        super().__init__()
        self.dilation, self.linear = dilation, Linear(3 * width, out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N', width) to (N', out); what lies beyond the ends is 0."""
        d = self.dilation
        wide = F.pad(x, (0, 0, d, d))
        mixed: Tensor = self.linear(torch.cat([wide[: -2 * d], x, wide[2 * d :]], 1))
        return mixed


class Gated(nn.Module):
    """A residual convolution with a gate that chooses between what was and what is new."""

    def __init__(self, width: int, dilation: int) -> None:
        """Make it with random weights."""
        super().__init__()
        self.conv, self.dropout = Conv(width, 2 * width, dilation), Dropout(GATE_DROPOUT)
        nn.init.xavier_uniform_(self.conv.linear.weight)
        nn.init.zeros_(self.conv.linear.bias)
        nn.init.constant_(self.conv.linear.bias[:width], OPEN)

    def forward(self, x: Tensor, kept: Tensor) -> Tensor:
        """Map (N', width) to the same; gaps stay 0."""
        gate, new = self.conv(x).chunk(2, -1)
        old, new_part = self.dropout(gate).sigmoid(), 1 - gate.sigmoid()
        mixed: Tensor = (old * x + new_part * new) * kept
        return mixed


class Attention(nn.Module):
    """Self-attention within each row."""

    def __init__(self, width: int) -> None:
        """Make it with random weights."""
        super().__init__()
        self.project = Linear(width, 3 * HEADS * HEAD_SIZE)

    def forward(self, x: Tensor, shapes: Sequence[tuple[int, int]]) -> Tensor:
        """Map (N, width) to (N, HEADS * HEAD_SIZE).

        Args:
            x: rows laid end to end, without gaps.
            shapes: how many rows of which length follow one another.
        """
        seen = []
        for part, (rows, length) in zip(
            self.project(x).split([rows * length for rows, length in shapes]), shapes, strict=True
        ):
            queries, keys, values = part.view(rows, length, 3, HEADS, HEAD_SIZE).permute(2, 0, 3, 1, 4)
            mixed = attend(queries, keys, values, None, 0.0)
            seen.append(mixed.transpose(1, 2).reshape(rows * length, -1))
        return torch.cat(seen)


class Gate(nn.Module):
    """A chance for each token or row, by a hidden layer."""

    def __init__(self, width: int, out: int) -> None:
        """Make it with random weights."""
        super().__init__()
        self.hidden, self.out = Linear(width, width), Linear(width, out)
        nn.init.constant_(self.out.bias, OPEN)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width) to (N, out), float32, from 0 to 1."""
        chances: Tensor = self.out(self.hidden(x).relu()).float().sigmoid()
        return chances


class Dgcnn(nn.Module):
    """Convolutions over characters and words; `bert` holds the characters' embeddings."""

    def __init__(self, bert: Bert, labels: int, words: Words | None, *, distant: bool) -> None:
        """Put the network on the embeddings.

        Args:
            bert: without layers.
            labels: how many predicates.
            words: that have a vector, or none.
            distant: known triples are hints.
        """
        super().__init__()
        self.bert, self.labels, self.distant = bert, labels, distant
        width = bert.config.hidden_size
        self.words: nn.Embedding | None = None
        self.word_linear: nn.Linear | None = None
        if words is not None:
            self.words = nn.Embedding(len(words.words), words.size, _weight=start_of(words))
            self.words.weight.requires_grad_(words.vectors is None)
            self.word_linear = nn.Linear(words.size, width, bias=False)
        self.dropout = Dropout(DROPOUT)
        self.layers = nn.ModuleList(Gated(width, dilation) for dilation in DILATIONS)
        self.token_gate, self.predicate_gate = Gate(width, 2), Gate(width, labels)
        self.attention, self.object_attention = Attention(width), Attention(width)
        seen = HEADS * HEAD_SIZE
        self.subject_conv = Conv(width + seen + 2 * distant, width)
        self.subjects = Linear(width, 2)
        self.reader = nn.GRU(width, width // 2, batch_first=True, bidirectional=True)
        self.distances = nn.Embedding(DISTANCES, width // 2)
        nn.init.zeros_(self.distances.weight)
        self.object_conv = Conv(3 * width + seen + distant * (2 + 2 * labels), width)
        self.any_object, self.objects = Linear(width, 1), Linear(width, 2 * labels)
        nn.init.constant_(self.any_object.bias, OPEN)
        nn.init.constant_(self.subjects.bias, chains.bias_of(chains.RARE_SUBJECT))
        nn.init.constant_(self.objects.bias, chains.bias_of(chains.RARE_OBJECT))

    def forward(self, groups: Sequence[Batch], targets: Tensor) -> Tensor:
        """Compute the loss, a scalar, from (M, COLUMNS) int."""
        gold, rows = of_kind(targets, GOLD), Rows.of(groups)
        states = self.read(groups, rows, targets)
        labels = chains.subject_labels(gold[:, [0, 2, 3]], rows, len(states))
        with torch.autocast(states.device.type, enabled=False):
            loss = F.binary_cross_entropy(self.subject_chances(states, rows, groups, targets), labels)
        subjects = chains.taught(gold, mix=True)
        if len(subjects.places):
            chances, its_rows = self.object_chances(states, rows, subjects.places, targets)
            labels = chains.object_labels(subjects.objects, its_rows, len(chances), self.labels)
            with torch.autocast(states.device.type, enabled=False):
                each = F.binary_cross_entropy(chances, labels, reduction="none").mean(-1).sum(-1)
            loss = loss + each.mean()
        return loss

    def read(self, groups: Sequence[Batch], rows: Rows, targets: Tensor) -> Tensor:
        """Read groups: (N, width), rows laid end to end."""
        x = next(self.bert.states(groups))
        if self.words is not None and self.word_linear is not None:
            row, number, place, *_ = of_kind(targets, WORD).unbind(1)
            x = x.index_add(0, rows.starts[row] + place, self.word_linear(self.words(number)).to(x.dtype))
        spaced = Spaced.of(rows)
        wide = x.new_zeros(len(spaced.kept), x.shape[1])
        wide[spaced.places] = self.dropout(x)
        kept = spaced.kept.to(x.dtype)
        for layer in self.layers:
            wide = layer(wide, kept)
        return wide[spaced.places]

    def subject_chances(self, states: Tensor, rows: Rows, groups: Sequence[Batch], targets: Tensor) -> Tensor:
        """Compute the chances of first and last tokens of subjects, (N, 2) float32."""
        seen = [states, self.attention(states, [tuple(group.ids.shape) for group in groups])]
        if self.distant:
            hints = of_kind(targets, HINT)
            seen.append(chains.subject_labels(hints[:, [0, 2, 3]], rows, len(states)).to(states.dtype))
        hidden = self.over_gaps(self.subject_conv, torch.cat(seen, 1), rows)
        chances: Tensor = self.subjects(hidden).float().sigmoid() * self.token_gate(states)
        return chances

    def object_chances(self, states: Tensor, rows: Rows, subjects: Tensor, targets: Tensor) -> tuple[Tensor, Rows]:
        """Compute the chances of first and last tokens of objects.

        Args:
            states: (N, width).
            rows: where they lie.
            subjects: (S, 3) int, row, first and last token.
            targets: (M, COLUMNS) int, of which the hints are used.

        Returns:
            (M, predicates, 2) float32, and where the row of each subject lies.
        """
        row, first, last = subjects.unbind(1)
        tokens, its_rows = rows.chosen(row)
        own, owners = states[tokens], its_rows.owners()
        steps = torch.linspace(0, 1, STEPS, device=states.device)
        between = first.unsqueeze(1) + ((last - first).unsqueeze(1) * steps).round().long()
        with torch.autocast(states.device.type, enabled=False):  # which knows nothing of this layer on a CPU
            read = states[rows.starts[row].unsqueeze(1) + between].to(self.distances.weight.dtype)
            _, ends = self.reader(read)
        subject = torch.cat([ends[0], ends[1]], 1)[owners]
        at = torch.arange(len(tokens), device=states.device) - its_rows.starts[owners]
        far = [(at - end[owners]).abs().clamp_max(DISTANCES - 1) for end in (first, last)]
        seen = [own, self.object_attention(own, shapes(its_rows)), subject, *(self.distances(d) for d in far)]
        if self.distant:
            seen += self.hints(subjects, its_rows, len(tokens), targets)
        hidden = self.over_gaps(self.object_conv, torch.cat([part.to(own.dtype) for part in seen], 1), its_rows)
        any_object = self.any_object(hidden).float().sigmoid()
        gates = (self.token_gate(states)[tokens] * any_object).unsqueeze(1)
        of_row = self.predicate_gate(self.pooled(states, rows))[row][owners]
        chances = self.objects(hidden).float().sigmoid().unflatten(-1, (self.labels, 2))
        return chances * gates * of_row.unsqueeze(-1), its_rows

    def hints(self, subjects: Tensor, its_rows: Rows, tokens: int, targets: Tensor) -> list[Tensor]:
        """Mark the subject, and the objects that known triples have for it."""
        marks = chains.subject_labels(
            torch.cat([torch.arange(len(subjects), device=subjects.device).unsqueeze(1), subjects[:, 1:]], 1),
            its_rows,
            tokens,
        )
        known = of_kind(targets, HINT)
        which, hint = (subjects.unsqueeze(1) == known[:, [0, 2, 3]].unsqueeze(0)).all(-1).nonzero().unbind(1)
        objects = torch.cat([which.unsqueeze(1), known[hint][:, [1, 4, 5]]], 1)
        return [marks, chains.object_labels(objects, its_rows, tokens, self.labels).flatten(1)]

    def pooled(self, states: Tensor, rows: Rows) -> Tensor:
        """Take the largest number of each row, (N, width) to (B, width)."""
        owners = rows.owners().unsqueeze(1).expand_as(states)
        empty = states.new_zeros(len(rows.lengths), states.shape[1])
        return empty.scatter_reduce(0, owners, states, "amax", include_self=False)

    @staticmethod
    def over_gaps(conv: Conv, x: Tensor, rows: Rows) -> Tensor:
        """Run a convolution over rows that lie end to end without gaps."""
        spaced = Spaced.of(rows)
        wide = x.new_zeros(len(spaced.kept), x.shape[1])
        wide[spaced.places] = x
        mixed: Tensor = conv(wide)[spaced.places].relu()
        return mixed

    def find(self, groups: Sequence[Batch], targets: Tensor) -> tuple[Tensor, Tensor]:
        """Find triples: (M, 6) int, row, label, ends of subject and object, and scores (M,) from 0 to 1."""
        rows = Rows.of(groups)
        states = self.read(groups, rows, targets)
        chances = self.subject_chances(states, rows, groups, targets)

        def objects(places: Tensor) -> tuple[Tensor, Rows]:
            return self.object_chances(states, rows, places, targets)

        hints = targets[:0, 1:] if self.distant else of_kind(targets, HINT)  # which it reads where it has learnt to
        return chains.triples(chances, rows, objects, hints, (FIRST, LAST))


def start_of(words: Words) -> Tensor:
    """Give the vectors of words; those that are to be learned start small."""
    return torch.randn(len(words.words), words.size) * 0.1 if words.vectors is None else words.vectors.clone()


def shapes(rows: Rows) -> list[tuple[int, int]]:
    """Say how many rows of one length follow one another."""
    lengths, counts = torch.unique_consecutive(rows.lengths, return_counts=True)
    return list(zip(counts.tolist(), lengths.tolist(), strict=True))
