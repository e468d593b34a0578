"""The default model: every slot of a query scored from one reading of the question and the columns.

Columns are scored each by itself (given, grouped by, ordered by), and each candidate for a value against every column
with every operator, so that a table may be read in several blocks. What is known without reading, such as whether a
cell stands in the question, comes in as features.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlptasks.backbone.batch import Batch
from nlptasks.backbone.bert import Bert
from nlptasks.backbone.linear import Linear
from nlptasks.nl2sql.cues import OPERATORS
from nlptasks.nl2sql.features import COLUMN_FEATURES, PAIR_FEATURES, PAIR_OWN, TOKEN_FEATURES
from nlptasks.nl2sql.inputs import WHOLE_FEATURES, Inputs, mean_rows
from nlptasks.nl2sql.lessons import IGNORED, NOT_SELECTED, WHOLE, Targets
from nlptasks.nl2sql.query import ALL_OPERATORS

WIDTH = 256
#: What a word that tells an operator adds to the operator's logit before anything is learnt.
TRUST = 3.0
SELECTS, GROUPS, SORTS, TAGS = NOT_SELECTED + 1, 2, 3, 3
#: Heads that read features, and the spread they start with: each has few inputs, which would be lost among the states.
KNOWN, KNOWN_SPREAD = ("column_features", "whole_features", "pair_features", "tag_features"), 0.3


@dataclass(frozen=True)
class Scores:
    """What the model says, as logits.

    Attributes:
        select: (L, SELECTS).
        group: (L, GROUPS).
        sort: (L, SORTS).
        whole: (E, …) for each of WHOLE, in order.
        pair: (K, 1 + W · operators), the first for no value.
        tags: (Q, TAGS).
    """

    select: Tensor
    group: Tensor
    sort: Tensor
    whole: list[Tensor]
    pair: Tensor
    tags: Tensor


class Slots(nn.Module):
    """An encoder with a head for each slot."""

    def __init__(self, bert: Bert) -> None:
        """Put the heads on the encoder."""
        super().__init__()
        self.bert = bert
        hidden = bert.config.hidden_size
        self.heads = nn.ModuleDict(
            {
                "column": Linear(2 * hidden, WIDTH),
                "column_features": Linear(COLUMN_FEATURES, WIDTH),
                "column_out": Linear(WIDTH, SELECTS + GROUPS + SORTS),
                "whole": Linear(hidden, WIDTH),
                "whole_features": Linear(WHOLE_FEATURES, WIDTH),
                "whole_out": Linear(WIDTH, sum(WHOLE.values())),
                "first": Linear(hidden, WIDTH),
                "last": Linear(hidden, WIDTH),
                "holder": Linear(hidden, WIDTH),
                "pair_features": Linear(PAIR_FEATURES, WIDTH),
                "pair_out": Linear(WIDTH, len(ALL_OPERATORS)),
                "pair_cues": Linear(len(OPERATORS), len(ALL_OPERATORS), bias=False),
                "none": Linear(2 * hidden, WIDTH),
                "none_out": Linear(WIDTH, 1),
                "tag": Linear(hidden, WIDTH),
                "tag_features": Linear(TOKEN_FEATURES, WIDTH),
                "tag_out": Linear(WIDTH, TAGS),
            }
        )
        for module in self.heads.values():
            bert.start(module)
        for name in KNOWN:
            nn.init.normal_(self.heads.get_parameter(f"{name}.weight"), std=KNOWN_SPREAD)
        trusted = [[TRUST * (cue == operator) for cue in OPERATORS] for operator in ALL_OPERATORS]
        with torch.no_grad():
            self.heads.get_parameter("pair_cues.weight").copy_(torch.tensor(trusted))

    def forward(self, groups: Sequence[Batch], inputs: Inputs) -> Scores:
        """Score every slot of the examples of one pass."""
        states = deque(self.bert.states(groups), maxlen=1).pop()
        heads = self.heads
        columns = torch.cat([states[inputs.marks], states[inputs.ends]], 1)
        columns = F.gelu(heads["column"](columns) + heads["column_features"](inputs.column_features.to(states.dtype)))
        select, group, sort = heads["column_out"](columns).float().split([SELECTS, GROUPS, SORTS], 1)
        begins = mean_rows(states[inputs.starts], inputs.firsts, len(inputs.whole_features))
        whole = F.gelu(heads["whole"](begins) + heads["whole_features"](inputs.whole_features.to(states.dtype)))
        questions = mean_rows(states[inputs.tokens], inputs.token_rows, len(inputs.token_features))
        tags = F.gelu(heads["tag"](questions) + heads["tag_features"](inputs.token_features.to(states.dtype)))
        return Scores(
            select,
            group,
            sort,
            list(heads["whole_out"](whole).float().split(list(WHOLE.values()), 1)),
            self.pairs(states, questions, inputs),
            heads["tag_out"](tags).float(),
        )

    def pairs(self, states: Tensor, questions: Tensor, inputs: Inputs) -> Tensor:
        """Score each candidate against each column and operator, and against being no value at all."""
        heads = self.heads
        first, last, column = inputs.pairs.unbind(1)
        mixed = (
            heads["first"](states)[first] + heads["last"](states)[last] + heads["holder"](states[inputs.marks])[column]
        )
        known = inputs.pair_features.to(states.dtype)
        scores = heads["pair_out"](F.gelu(mixed + heads["pair_features"](known))).float()
        scores = scores + heads["pair_cues"](known[:, PAIR_OWN:]).float()
        scores = scores.masked_fill(~inputs.possible[:, None], -1e4)
        count, width = len(inputs.spans), int(inputs.width)
        table = scores.new_full((count * width, len(ALL_OPERATORS)), -1e4).index_copy(0, inputs.cells, scores)
        spans = questions[inputs.spans].flatten(1)
        none = heads["none_out"](F.gelu(heads["none"](spans))).float()
        return torch.cat([none, table.view(count, width * len(ALL_OPERATORS))], 1)


def loss_of(scores: Scores, inputs: Inputs) -> Tensor:
    """Sum the cross entropies of the slots, each over all that it is asked of, by example.

    Raises:
        ValueError: the inputs teach nothing.
    """
    targets = inputs.targets
    if not isinstance(targets, Targets):
        raise ValueError("training needs targets")
    count = len(inputs.whole_features)
    total = (
        sum_of(scores.select, targets.select) + sum_of(scores.group, targets.group) + sum_of(scores.sort, targets.sort)
    )
    total = total + sum_of(scores.pair, targets.pair) + 0.2 * sum_of(scores.tags, targets.tags)
    for at, one in enumerate(scores.whole):
        total = total + sum_of(one, targets.whole[:, at])
    return total / count


def sum_of(scores: Tensor, targets: Tensor) -> Tensor:
    """Sum cross entropies over what has a target; 0 where nothing has."""
    return F.cross_entropy(scores, targets, ignore_index=IGNORED, reduction="sum") if len(targets) else scores.sum()
