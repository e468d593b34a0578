"""The encoder: token ids to hidden states, for every BERT-architecture checkpoint.

Rows of unequal length are laid end to end: linear layers and norms see one matrix (N, H), attention runs group by
group, each group of one length. So nothing is padded where groups hold rows of exactly one length.

Source: Devlin et al. 2018, arXiv 1810.04805. Conditional LayerNorm: kexue.fm/archives/7124.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlptasks.backbone.attention import Remembering, attend
from nlptasks.backbone.batch import Batch, positions_of, rows_of_tokens, split
from nlptasks.backbone.config import Config as Config  # as others know it
from nlptasks.backbone.dropout import Dropout
from nlptasks.backbone.linear import Linear, freeze
from nlptasks.backbone.matching import Matcher

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_new": partial(F.gelu, approximate="tanh"),
    "gelu_pytorch_tanh": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "silu": F.silu,
    "swish": F.silu,
}


class Table(nn.Embedding):
    """An embedding whose numbers are drawn by the model that it is part of, or read from a file."""

    def reset_parameters(self) -> None:
        """Draw nothing: without memory, torch would load its compiler for that, 0.8 s of CPU time."""


class Norm(nn.LayerNorm):
    """LayerNorm whose gain and bias may move with a condition: γ + Wγ c and β + Wβ c, both W zero at the start."""

    def __init__(self, width: int, eps: float, condition: int | None = None) -> None:
        """Make a norm of (N, width); `condition` is the width of c, or none for a plain LayerNorm."""
        super().__init__(width, eps)
        self.gain_shift: nn.Linear | None = None
        self.bias_shift: nn.Linear | None = None
        self.listen(condition)

    def listen(self, condition: int | None) -> None:
        """Listen to a condition of another width, from zero on, or to none; weights of the same width stay."""
        if (None if self.gain_shift is None else self.gain_shift.in_features) == condition:
            return
        self.gain_shift = self.bias_shift = None
        if condition is not None:
            self.gain_shift = nn.Linear(condition, len(self.weight), bias=False)
            self.bias_shift = nn.Linear(condition, len(self.weight), bias=False)
            nn.init.zeros_(self.gain_shift.weight)
            nn.init.zeros_(self.bias_shift.weight)

    def normalize(self, x: Tensor, condition: Tensor | None, rows: Tensor | None) -> Tensor:
        """Normalise each token.

        Args:
            x: (N, H).
            condition: (B, C), or none.
            rows: (N,) int, the row that each token belongs to; needed with a condition.

        Raises:
            ValueError: a condition for a norm that was made without one.
        """
        if condition is None:
            return self.forward(x)
        if self.gain_shift is None or self.bias_shift is None:
            raise ValueError("a condition for a model that was made without one; give its width to Bert")
        gain: Tensor = self.weight + self.gain_shift(condition)
        bias: Tensor = self.bias + self.bias_shift(condition)
        return F.layer_norm(x, self.normalized_shape, eps=self.eps) * gain[rows] + bias[rows]


@dataclass(frozen=True)
class Reading:
    """What a pass needs beside the hidden states: who attends to whom, what was read before, the condition.

    `columns` are the tokens of each row whose states are wanted from a layer; all where there are none.
    """

    groups: Sequence[Batch]
    memory: Remembering | None = None
    condition: Tensor | None = None
    rows: Tensor | None = None
    columns: slice | None = None

    @property
    def rows_wanted(self) -> Tensor | None:
        """Number the rows of the tokens that are wanted, where there is a condition."""
        return None if self.rows is None else self.wanted(self.rows)

    def wanted(self, x: Tensor) -> Tensor:
        """Take from the tokens of the groups laid end to end, (N, …), those that are wanted."""
        if self.columns is None:
            return x
        return torch.cat([part[:, self.columns].reshape(-1, *x.shape[1:]) for part in split(x, self.groups)])


class Layer(nn.Module):
    """Self-attention and a feed-forward net, each with a residual sum and a norm behind it."""

    def __init__(self, config: Config, number: int, condition: int | None) -> None:
        """Make layer `number`, counted from 0."""
        super().__init__()
        width = config.hidden_size
        self.number, self.heads = number, config.num_attention_heads
        self.attention_dropout = config.attention_probs_dropout_prob
        self.query_key_value = Linear(width, 3 * width)
        self.attention_out = Linear(width, width)
        self.attention_norm = Norm(width, config.layer_norm_eps, condition)
        self.feed_in = Linear(width, config.intermediate_size)
        self.feed_out = Linear(config.intermediate_size, width)
        self.feed_norm = Norm(width, config.layer_norm_eps, condition)
        self.dropout = Dropout(config.hidden_dropout_prob)
        self.gelu = config.hidden_act == "gelu"
        self.activation = ACTIVATIONS[config.hidden_act]

    def forward(self, x: Tensor, reading: Reading) -> Tensor:
        """Map (N, H) to (N, H)."""
        return self.feed_norm.normalize(self.summed(x, reading), reading.condition, reading.rows_wanted)

    def summed(self, x: Tensor, reading: Reading) -> Tensor:
        """Map (N, H) to (N, H), the last residual sum, before the norm behind it."""
        x = self.add(self.attention_out, self.attention(x, reading), reading.wanted(x))
        x = self.attention_norm.normalize(x, reading.condition, reading.rows_wanted)
        inner = self.feed_in.gelu(x) if self.gelu else self.activation(self.feed_in(x))
        return self.add(self.feed_out, inner, x)

    def add(self, linear: Linear, x: Tensor, residual: Tensor) -> Tensor:
        """Add a linear layer's output, with dropout while training, to the residual."""
        return self.dropout(linear(x)) + residual if self.training else linear.plus(x, residual)

    def attention(self, x: Tensor, reading: Reading) -> Tensor:
        """Let the tokens of each group see each other; (N, H) to (N, H), fewer where not all are wanted."""
        dropout = self.attention_dropout if self.training else 0.0
        parts = self.query_key_value(x).split([group.ids.numel() for group in reading.groups])
        seen = []
        for group, part in zip(reading.groups, parts, strict=True):
            rows, length = group.ids.shape
            queries, keys, values = part.view(rows, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
            if reading.memory is not None:
                keys, values = reading.memory.extend(self.number, keys, values)
            mask, columns = group.mask, reading.columns
            if columns is not None:
                queries, mask = queries[:, :, columns], None if mask is None else mask[:, :, columns]
            mixed = attend(queries, keys, values, mask, dropout)
            seen.append(mixed.transpose(1, 2).flatten(0, 1).flatten(1))
        return seen[0] if len(seen) == 1 else torch.cat(seen)


class Bert(nn.Module):
    """The encoder. The batch decides whether it reads both ways, prefix-wise or left to right."""

    def __init__(self, config: Config, *, condition: int | None = None) -> None:
        """Make a BERT with random weights; `condition` is the width of what its norms listen to, or none."""
        super().__init__()
        self.config = config
        width = config.hidden_size
        self.tokens = Table(config.vocab_size, width)
        self.positions = Table(config.max_position_embeddings, width)
        self.segments = Table(config.type_vocab_size, width)
        self.norm = Norm(width, config.layer_norm_eps, condition)
        self.dropout = Dropout(config.hidden_dropout_prob)
        self.layers = nn.ModuleList(Layer(config, number, condition) for number in range(config.num_hidden_layers))
        self.apply(self.start)

    def start(self, module: nn.Module) -> None:
        """Draw a module's weights as BERT does; a condition's weights stay 0, and those without memory as they are."""
        if isinstance(module, Linear | Table) and not module.weight.is_meta:
            nn.init.normal_(module.weight, std=self.config.initializer_range)
        if isinstance(module, Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def listen(self, condition: int | None) -> None:
        """Let every norm listen to a condition of a width, from zero on where it was another, or to none."""
        for module in self.modules():
            if isinstance(module, Norm):
                module.listen(condition)

    def freeze(self) -> Bert:
        """Make ready for inference alone: evaluation mode, weights laid out for the processor."""
        freeze(self.eval().requires_grad_(False))
        return self

    def forward(self, batch: Batch, memory: Remembering | None = None, condition: Tensor | None = None) -> Tensor:
        """Read one batch.

        Args:
            batch: (B, T); with a memory, the new tokens alone, their `positions` given and a mask over memory and
                themselves, (B, 1, T, S).
            memory: what was read before; the new tokens are added to it.
            condition: (B, C), or none.

        Returns:
            (B, T, H) hidden states of the last layer.
        """
        return self.read([batch], memory, condition)[0]

    def read(
        self,
        groups: Sequence[Batch],
        memory: Remembering | None = None,
        condition: Tensor | None = None,
        columns: slice | None = None,
    ) -> list[Tensor]:
        """Read several groups in one pass.

        Args:
            groups: each of one length; a `Memory` goes with one group only.
            memory: as for `forward`.
            condition: (B, C), rows in the order of the groups laid end to end, or none.
            columns: the tokens of each row that are wanted, such as the last one alone; all by default. The last
                layer computes no others.

        Returns:
            The last layer's (B, T, H) for each group.
        """
        last = deque(self.states(groups, memory, condition, columns), maxlen=1).pop()
        return split(last, groups, columns)

    def states(
        self,
        groups: Sequence[Batch],
        memory: Remembering | None = None,
        condition: Tensor | None = None,
        columns: slice | None = None,
        matcher: Matcher | None = None,
    ) -> Iterator[Tensor]:
        """Give the hidden states (N, H) of the embeddings, then of each layer, all groups laid end to end.

        The arguments are those of `read`, and what tells tokens what two texts have in common, or none; the last states
        are those of the wanted tokens alone.
        """
        reading = Reading(groups, memory, condition, None if condition is None else rows_of_tokens(groups))
        places = torch.cat([positions_of(group, memory.length if memory else 0).reshape(-1) for group in groups])
        x = self.token_states(groups)
        if matcher is not None and (known := matcher(groups)) is not None:
            x = x.index_add(0, known[0], known[1].to(x.dtype))
        x = x + self.positions(places) + self.segment_states(groups)
        x = self.dropout(self.norm.normalize(x, reading.condition, reading.rows))
        yield x
        for number, layer in enumerate(self.layers, 1):
            x = layer(x, reading if number < len(self.layers) else replace(reading, columns=columns))
            yield x

    def unnormed(self, groups: Sequence[Batch]) -> Tensor:
        """Give the last layer's residual sum (N, H) before the norm behind it, all groups laid end to end."""
        below = deque(islice(self.states(groups), len(self.layers)), maxlen=1).pop()
        layer: Layer = self.layers[-1]  # type: ignore[assignment]
        return layer.summed(below, Reading(groups))

    def token_states(self, groups: Sequence[Batch]) -> Tensor:
        """Look up the embeddings of tokens, (N, H), and add those of what stands beside them."""
        states: Tensor = self.tokens(torch.cat([group.ids.reshape(-1) for group in groups]))
        width = next((group.beside.shape[2] for group in groups if group.beside is not None), None)
        if width is None:
            return states
        pad = self.config.pad_token_id
        beside = [
            group.ids.new_full((group.ids.numel(), width), pad) if group.beside is None else group.beside.flatten(0, 1)
            for group in groups
        ]
        return states + sum_of_rows(torch.cat(beside), self.tokens.weight, pad)

    def segment_states(self, groups: Sequence[Batch]) -> Tensor:
        """Look up the segments' embeddings: (N, H), or (H,) where every token is in segment 0."""
        if all(group.segments is None for group in groups):
            return self.segments.weight[0]
        segments = [torch.zeros_like(g.ids) if g.segments is None else g.segments for g in groups]
        return F.embedding(torch.cat([part.reshape(-1) for part in segments]), self.segments.weight)


def sum_of_rows(ids: Tensor, table: Tensor, pad: int) -> Tensor:
    """Sum the rows of a table, (V, H), that ids name, (N, K) int, without those of padding: (N, H)."""
    if not torch.is_grad_enabled():
        return F.embedding_bag(ids, table, mode="sum", padding_idx=pad)
    # A product, because its gradient is one, too: that of a sum of rows adds them one by one.
    counts = table.new_zeros(len(ids), len(table))
    counts.scatter_add_(1, ids, torch.ones_like(ids, dtype=table.dtype))
    counts[:, pad] = 0
    return counts @ table
