"""CasRel: subjects, then for each of them its predicates and objects, by an encoder whose last norm knows the subject.

Source: kexue.fm/archives/7161; the idea of the cascade: Wei et al. 2020, arXiv 1909.03227.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlptasks.backbone.batch import Batch
from nlptasks.backbone.bert import Bert, Layer, Norm
from nlptasks.backbone.linear import Linear
from nlptasks.ie import chains
from nlptasks.ie.examples import GOLD, HINT, of_kind
from nlptasks.ie.grid import Rows

#: Powers of the chances of subjects and of objects: most are near 0, where a power leaves little to learn.
SUBJECT_POWER, OBJECT_POWER = 2, 4
#: The least chances of first and last tokens.
FIRST, LAST = 0.6, 0.5


class CasRel(nn.Module):
    """Subjects by one layer, objects for each predicate by another, behind a norm that the subject moves."""

    def __init__(self, bert: Bert, labels: int) -> None:
        """Put the heads on the encoder."""
        super().__init__()
        self.bert, self.labels = bert, labels
        width = bert.config.hidden_size
        self.norm = Norm(width, bert.config.layer_norm_eps, condition=2 * width)
        self.subjects, self.objects = Linear(width, 2), Linear(width, 2 * labels)
        for layer in (self.subjects, self.objects):
            nn.init.normal_(layer.weight, std=bert.config.initializer_range)
        nn.init.constant_(self.subjects.bias, chains.bias_of(chains.RARE_SUBJECT, SUBJECT_POWER))
        nn.init.constant_(self.objects.bias, chains.bias_of(chains.RARE_OBJECT, OBJECT_POWER))

    def forward(self, groups: Sequence[Batch], targets: Tensor) -> Tensor:
        """Compute the loss, a scalar, from (M, COLUMNS) int: of subjects, and summed over predicates of objects."""
        gold, rows = of_kind(targets, GOLD), Rows.of(groups)
        states, subject_logits = self.read(groups)
        labels = chains.subject_labels(gold[:, [0, 2, 3]], rows, len(states))
        loss = cross_entropy(subject_logits, labels, SUBJECT_POWER).mean()
        subjects = chains.taught(gold, mix=True)
        if len(subjects.places):
            logits, its_rows = self.object_logits(states, rows, subjects.places)
            labels = chains.object_labels(subjects.objects, its_rows, len(logits), self.labels)
            each = cross_entropy(logits, labels, OBJECT_POWER).mean(-1).sum(-1)
            loss = loss + each.mean()
        return loss

    def read(self, groups: Sequence[Batch]) -> tuple[Tensor, Tensor]:
        """Read groups: (N, H) before the last norm, and the logits of subjects (N, 2)."""
        states = self.bert.unnormed(groups)
        last: Layer = self.bert.layers[-1]  # type: ignore[assignment]
        return states, self.subjects(last.feed_norm(states))

    def object_logits(self, states: Tensor, rows: Rows, places: Tensor) -> tuple[Tensor, Rows]:
        """Compute the logits of objects, (M, predicates, 2), the row of each subject (S, 3) laid end to end."""
        start = rows.starts[places[:, 0]]
        subject = torch.cat([states[start + places[:, 1]], states[start + places[:, 2]]], 1)
        tokens, its_rows = rows.chosen(places[:, 0])
        hidden = self.norm.normalize(states[tokens], subject, its_rows.owners())
        return self.objects(hidden).unflatten(-1, (self.labels, 2)), its_rows

    def find(self, groups: Sequence[Batch], targets: Tensor) -> tuple[Tensor, Tensor]:
        """Find triples: (M, 6) int, row, label, ends of subject and object, and scores (M,) from 0 to 1."""
        rows = Rows.of(groups)
        states, logits = self.read(groups)
        chances = logits.float().sigmoid() ** SUBJECT_POWER

        def objects(places: Tensor) -> tuple[Tensor, Rows]:
            logits, its_rows = self.object_logits(states, rows, places)
            return logits.float().sigmoid() ** OBJECT_POWER, its_rows

        return chains.triples(chances, rows, objects, of_kind(targets, HINT), (FIRST, LAST))


def cross_entropy(logits: Tensor, labels: Tensor, power: int) -> Tensor:
    """Compute the cross entropy of chances that are a power of a sigmoid, in float32.

    -y log p - (1 - y) log(1 - p) with p = sigmoid(x)^n, log p = n log sigmoid(x).

    Args:
        logits: (...).
        labels: (...), 0 or 1.
        power: n.
    """
    logs = power * F.logsigmoid(logits.float())
    others = torch.log(-torch.expm1(logs.clamp_max(-1e-7)))
    return -(labels * logs + (1 - labels) * others)
