"""Sentences to vectors: a BERT, a pooling, and perhaps a whitening, which is one affine map.

Sources: BERT-whitening, Su et al. 2021, arXiv 2103.15316 and kexue.fm/archives/8069; SimCSE, arXiv 2104.08821.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlptasks.backbone.batch import Batch, Budget, by_length, restored, split
from nlptasks.backbone.bert import Bert
from nlptasks.backbone.text import Text
from nlptasks.errors import ModelError, RecordError
from nlptasks.inference.predictor import stream
from nlptasks.similarity.settings import POOLINGS
from nlptasks.similarity.whitening import Whitening


class SentenceEncoder(nn.Module):
    """A BERT whose hidden states are pooled to one vector a sentence."""

    def __init__(
        self, bert: Bert, pooling: str, *, pooler: nn.Linear | None = None, whitening: nn.Linear | None = None
    ) -> None:
        """Put the parts together.

        Args:
            bert: the encoder.
            pooling: one of POOLINGS.
            pooler: BERT's dense layer on [CLS], (H, H); needed by the pooling `pooler` alone.
            whitening: the affine map (H, K), or none.

        Raises:
            ModelError: the pooling needs a pooler that is not there.
        """
        super().__init__()
        if pooling == "pooler" and pooler is None:
            raise ModelError("pooling pooler: this model has no pooler weights; use cls, last-avg or first-last-avg")
        self.bert, self.pooling, self.pooler, self.whitening = bert, pooling, pooler, whitening

    @property
    def width(self) -> int:
        """Give the width of the vectors that come out."""
        return self.bert.config.hidden_size if self.whitening is None else self.whitening.out_features

    @property
    def poolings(self) -> tuple[str, ...]:
        """List the poolings that this model's weights allow."""
        return tuple(name for name in POOLINGS if name != "pooler" or self.pooler is not None)

    def forward(self, groups: Sequence[Batch]) -> Tensor:
        """Give the sentences' vectors (B, H), whitened where the model is, not normalised.

        Args:
            groups: rows of exactly one length each, without a mask.
        """
        vectors = self.pooled(groups, (self.pooling,))[0].float()
        if self.whitening is None:
            return vectors
        with torch.autocast(vectors.device.type, enabled=False):  # bf16 would blur what a whitening amplifies
            whitened: Tensor = self.whitening(vectors)
        return whitened

    def pooled(self, groups: Sequence[Batch], poolings: Sequence[str]) -> list[Tensor]:
        """Give the vectors (B, H) for several poolings from one pass.

        Args:
            groups: as for `forward`.
            poolings: of POOLINGS; `first-last-avg` is the mean of the first and the last block's averages.
        """
        first = last = None
        for number, last in enumerate(self.bert.states(groups)):
            if number == 1:
                first = last
        states = {"first": first, "last": last}
        return [self.pool(name, states, groups) for name in poolings]

    def pool(self, name: str, states: dict[str, Tensor | None], groups: Sequence[Batch]) -> Tensor:
        """Pool the states (N, H) of all groups to (B, H)."""
        last = states["last"]
        if last is None:
            raise ValueError("no states")
        if name == "last-avg":
            return averages(last, groups)
        if name == "first-last-avg":
            first = states["first"]
            return averages(last, groups) if first is None else (averages(first, groups) + averages(last, groups)) / 2
        start = torch.cat([part[:, 0] for part in split(last, groups)])
        if name == "cls":
            return start
        if self.pooler is None:
            raise ModelError("pooling pooler: this model has no pooler weights; use cls, last-avg or first-last-avg")
        return torch.tanh(self.pooler(start))


def averages(states: Tensor, groups: Sequence[Batch]) -> Tensor:
    """Average the tokens of each row, all of them kept: states (N, H) to (B, H) in float32."""
    return torch.cat([part.mean(1, dtype=torch.float32) for part in split(states, groups)])


class Embedder:
    """Turns a stream of texts into vectors: what `nlpk embed`, search and evaluation share."""

    def __init__(
        self,
        model: SentenceEncoder,
        text: Text,
        budget: Budget,
        *,
        limit: int,
        poolings: Sequence[str] = (),
        device: torch.device | None = None,
    ) -> None:
        """Keep a frozen model and how to feed it.

        Args:
            model: in evaluation mode on `device`.
            text: its tokenizer.
            budget: tokens a pass.
            limit: tokens a text; what is longer is cut, and counted in `text.cut_texts`.
            poolings: give each of these, raw, side by side (n, P * H), instead of the model's own vector.
            device: where the model is; the CPU by default.
        """
        self.model, self.text, self.budget, self.limit, self.poolings = model, text, budget, limit, poolings
        self.device = device or torch.device("cpu")
        self.tokens = 0

    @property
    def width(self) -> int:
        """Give the width K of the vectors."""
        return self.model.bert.config.hidden_size * len(self.poolings) if self.poolings else self.model.width

    def read(self, rows: Sequence[str]) -> list[list[int] | RecordError]:
        """Tokenise texts."""
        return list(self.text.encode(rows, self.limit))

    def size(self, example: Sequence[int]) -> int:
        """Count a text's tokens."""
        return len(example)

    @torch.inference_mode()
    def answer(self, examples: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Compute the vectors of one pass, a row (K,) float32 for each text."""
        groups, order = by_length(examples)
        groups = [group.to(self.device) for group in groups]
        if self.poolings:
            vectors = torch.cat([part.float() for part in self.model.pooled(groups, self.poolings)], -1)
        else:
            vectors = self.model(groups)
        self.tokens += sum(map(len, examples))
        return list(restored(vectors, order).cpu().numpy())

    def embed(self, texts: Iterable[str]) -> Iterator[np.ndarray]:
        """Give the vectors of all texts in order, as blocks (n, K) float32.

        Raises:
            RecordError: a text does not fit into memory even by itself.
        """
        for window in stream(texts, str, self, self.budget):
            yield np.stack([sound(vector) for _, vector in window])


def sound(vector: np.ndarray | RecordError) -> np.ndarray:
    """Give a vector back, and raise what stands in the place of one."""
    if isinstance(vector, RecordError):
        raise vector
    return vector


def affine(whitening: Whitening) -> nn.Linear:
    """Turn a whitening into the layer that a model keeps."""
    dims, width = whitening.weight.shape
    layer = nn.Linear(width, dims)
    layer.weight = nn.Parameter(torch.from_numpy(whitening.weight), requires_grad=False)
    layer.bias = nn.Parameter(torch.from_numpy(whitening.bias), requires_grad=False)
    return layer


def cosines(left: Tensor, right: Tensor) -> Tensor:
    """Compute the cosine of each pair of rows, (B, K) and (B, K) to (B,)."""
    return (F.normalize(left.float(), dim=-1) * F.normalize(right.float(), dim=-1)).sum(-1)
