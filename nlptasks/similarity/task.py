"""Similarity as a task: its losses, its answers and its scores."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from nlptasks.backbone.batch import Budget, by_length
from nlptasks.backbone.losses import contrastive_scores, cosent, flat_nce, info_nce, twin_scores
from nlptasks.backbone.text import Text
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import InputError, RecordError
from nlptasks.similarity import whitening
from nlptasks.similarity.encoder import Embedder, SentenceEncoder, affine, cosines
from nlptasks.similarity.model import Loaded, assembled, check_limit, drop_whitening, embedder, load
from nlptasks.similarity.row import Options, Row, Settings, Sweep, flaw
from nlptasks.task import Shown, Work, paired
from nlptasks.task import Task as AnyTask
from nlptasks.training.metrics import pearson, spearman

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = [
    "Comparer",
    "Loaded",
    "Task",
    "assembled",
    "correlations",
    "embedder",
    "evaluations",
    "examples",
    "load",
    "score_predictions",
    "shown",
    "worker",
]

LOSSES = {"infonce": info_nce, "flatnce": flat_nce}

logger = logging.getLogger(__name__)


class Task(AnyTask[SentenceEncoder]):
    """One training method of similarity with its settings."""

    name = "similarity"
    best = "spearman"

    def __init__(self, method: str, settings: Settings, text: Text) -> None:
        """Keep the method, its settings and the tokenizer."""
        self.method, self.settings, self.text = method, settings, text

    def scaled(self, rows: Dataset) -> Dataset:
        """Divide the scores of a file by its largest, of either sign, so that files with other scales can be mixed."""
        if self.method != "cosent":
            return rows
        scores = rows.with_format("arrow")["score"].to_numpy()
        return rows.remove_columns("score").add_column("score", scores / (np.abs(scores).max() or 1.0))

    def model(self, backbone: Backbone) -> SentenceEncoder:
        """Put the pooling and, where the checkpoint has one, the pooler on a backbone; a whitening is left out.

        Raises:
            UsageError: sentences are to be read further than the backbone can.
        """
        check_limit(self.settings.limit, backbone)
        if drop_whitening(backbone) and not self.settings.whiten:
            logger.info("%s: its whitening is left out; --whiten fits a new one after the training", backbone.name)
        if self.settings.hidden_dropout is not None:
            for module in backbone.bert.modules():
                if isinstance(module, nn.Dropout):
                    module.p = self.settings.hidden_dropout
        return assembled(backbone, self.settings.pooling)

    def check(self, model: SentenceEncoder, rows: Sequence[Mapping[str, Any]]) -> None:
        """Refuse rows that teach nothing together, and too few sentences for the whitening.

        Raises:
            InputError: they are such rows, or too few.
            UsageError: the whitening is to keep more dimensions than there are.
        """
        if self.settings.steps != 0 and (found := flaw(self.method, rows)):
            raise InputError(found)
        if self.settings.whiten:
            width = model.bert.config.hidden_size
            count = sum(1 for _ in islice(sentences(rows), width + 1))
            whitening.check(count, width, dims=self.settings.dims, gamma=self.settings.whiten_gamma)

    def batch(self, rows: Sequence[Mapping[str, Any]]) -> Work:
        """Encode rows: twins for simcse, a then b for cosent, anchors, positives, negatives for triplets."""
        targets = None
        if self.method == "simcse":
            texts = [row["text"] for row in rows for _ in range(2)]
        elif self.method == "cosent":
            texts = [row["a"] for row in rows] + [row["b"] for row in rows]
            targets = torch.tensor([row["score"] for row in rows])
        else:
            texts = [row["text"] for row in rows] + [row["positive"] for row in rows]
            texts += [row["negative"] for row in rows if row["negative"]]
            targets = torch.tensor(len(rows))
        examples = self.text.encode(texts, self.settings.limit)
        groups, order = by_length(examples)
        return Work(groups, torch.tensor(order), targets, sum(map(len, examples)))

    def loss(self, model: SentenceEncoder, work: Work) -> Tensor:
        """Compute the method's loss of one pass."""
        pooled = model(work.groups)
        vectors = torch.empty_like(pooled).index_copy(0, work.order, pooled)
        loss, temperature = LOSSES[self.settings.loss], self.settings.temperature
        if self.method == "simcse":
            return loss(*twin_scores(vectors, temperature=temperature))
        if work.targets is None:
            raise ValueError("supervised methods need targets")
        if self.method == "cosent":
            count = len(work.targets)
            return cosent(cosines(vectors[:count], vectors[count:]), work.targets, scale=self.settings.scale)
        count = int(work.targets)
        anchors, positives, negatives = vectors[:count], vectors[count : 2 * count], vectors[2 * count :]
        others = negatives if len(negatives) else None
        return loss(*contrastive_scores(anchors, positives, others, temperature=temperature))

    def finish(self, model: SentenceEncoder, rows: Sequence[Mapping[str, Any]], budget: Budget) -> bool:
        """Fit the whitening on the training sentences, where it is asked for."""
        if not self.settings.whiten:
            return False
        settings = self.settings
        moments = whitening.Moments(model.bert.config.hidden_size)
        model.whitening = None
        for block in embedder(model, self.text, budget, limit=settings.limit).embed(sentences(rows)):
            moments.update(block)
        fitted = whitening.fit(
            moments, dims=settings.dims, beta=settings.whiten_beta, gamma=settings.whiten_gamma, pooling=model.pooling
        )
        model.whitening = affine(fitted)
        return True

    def score(self, model: SentenceEncoder, rows: Sequence[Row], budget: Budget) -> dict[str, float]:
        """Correlate cosines with the references."""
        comparer = Comparer(embedder(model, self.text, budget, limit=self.settings.limit))
        answers = comparer.cosines([(row.a, row.b) for row in rows])
        return correlations(answers, [row.score for row in rows])

    def rest(self, model: SentenceEncoder) -> dict[str, Tensor]:
        """Name the weights beside the encoder's."""
        parts = {"bert.pooler.dense": model.pooler, "whitening": model.whitening}
        return {
            f"{name}.{kind}": tensor.detach()
            for name, layer in parts.items()
            if layer is not None
            for kind, tensor in (("weight", layer.weight), ("bias", layer.bias))
        }


def sentences(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Give every sentence of training rows."""
    for row in rows:
        for name in ("text", "a", "b", "positive", "negative"):
            if isinstance(value := row.get(name), str):
                yield value


def correlations(answers: Sequence[float] | np.ndarray, references: Sequence[float | None]) -> dict[str, float]:
    """Score cosines against references."""
    return {"spearman": spearman(answers, references), "pearson": pearson(answers, references)}  # type: ignore[arg-type]


class Comparer:
    """Turns pairs of sentences into cosines: the task's answers."""

    def __init__(self, embedder: Embedder) -> None:
        """Compare with an embedder."""
        self.embedder = embedder

    def read(self, rows: Sequence[Row]) -> list[tuple[list[int], list[int]] | RecordError]:
        """Tokenise both sides of each row."""
        ids = self.embedder.text.encode([text for row in rows for text in (row.a, row.b)], self.embedder.limit)
        return list(zip(ids[::2], ids[1::2], strict=True))

    def size(self, example: tuple[list[int], list[int]]) -> int:
        """Count the tokens of a pair."""
        return len(example[0]) + len(example[1])

    def answer(self, examples: Sequence[tuple[list[int], list[int]]]) -> list[dict[str, float]]:
        """Compute the cosine of each pair."""
        vectors = torch.from_numpy(np.stack(self.embedder.answer([ids for pair in examples for ids in pair])))
        return [{"cosine": value} for value in cosines(vectors[::2], vectors[1::2]).tolist()]

    def cosines(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Compare many pairs, in order: (n,) float32; sentences that occur often are read once."""
        distinct = list(dict.fromkeys(text for pair in pairs for text in pair))
        place = {text: number for number, text in enumerate(distinct)}
        vectors = torch.from_numpy(np.concatenate(list(self.embedder.embed(distinct))))
        left = torch.tensor([place[a] for a, _ in pairs])
        right = torch.tensor([place[b] for _, b in pairs])
        return cosines(vectors[left], vectors[right]).numpy()


def worker(loaded: Loaded) -> Comparer:
    """Make what answers the task's rows."""
    return Comparer(loaded.embedder)


def evaluations(
    loaded: Loaded, labelled: Sequence[Row], sweep: Sweep
) -> Iterator[tuple[dict[str, Any], dict[str, float]]]:
    """Score labelled rows with the model's own vectors, or with every pooling, raw and whitened.

    Yields:
        The setting and its scores.
    """
    references = [row.score for row in labelled]
    pairs = [(row.a, row.b) for row in labelled]
    own = loaded.embedder
    if not sweep.sweep:
        whitened = "model" if own.model.whitening is not None else "no"
        yield {"pooling": loaded.pooling, "whitened": whitened}, correlations(Comparer(own).cosines(pairs), references)
        return
    poolings = own.model.poolings
    side_by_side = Embedder(own.model, own.text, own.budget, limit=own.limit, poolings=poolings, device=own.device)
    texts = list(dict.fromkeys(text for pair in pairs for text in pair))
    vectors = np.concatenate(list(side_by_side.embed(texts)))
    place = {text: number for number, text in enumerate(texts)}
    left, right = ([place[pair[side]] for pair in pairs] for side in (0, 1))
    width = own.model.bert.config.hidden_size
    if len(texts) <= width:
        logger.info(
            "not scored whitened: %d different texts, needs more than the model's %d dimensions", len(texts), width
        )
    for name, part in zip(poolings, np.split(vectors, len(poolings), 1), strict=True):
        forms = {"no": part}
        if len(texts) > width:
            moments = whitening.Moments(part.shape[1])
            moments.update(part)
            forms["yes"] = whitening.fit(moments)(part)
        for whitened, made in forms.items():
            answers = cosines(torch.from_numpy(made[left]), torch.from_numpy(made[right])).numpy()
            yield {"pooling": name, "whitened": whitened}, correlations(answers, references)


def score_predictions(
    predictions: Sequence[Any], labelled: Sequence[Row], options: Options | None = None
) -> dict[str, float]:
    """Score the predictions of any system.

    Raises:
        InputError: not one prediction for each record, or one without a cosine.
    """
    try:
        answers = [float(prediction["cosine"]) for prediction, _ in paired(predictions, labelled)]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            'a prediction without a cosine; expected lines with {"prediction": {"cosine": number}}'
        ) from error
    return correlations(answers, [row.score for row in labelled])


def examples(loaded: Loaded) -> list[Row]:
    """Give pairs to show what the task does: a question and what else may be asked."""
    others = ("想把注册时的手机换成新号码", "如何查询本月话费", "手机屏幕碎了去哪里修", "明天北京会下雨吗")
    return [Row("怎么更换绑定的手机号", other) for other in others]


def shown(rows: Sequence[Row], predictions: Sequence[Mapping[str, Any]]) -> Iterator[Shown]:
    """Rank what is compared with the same sentence."""
    for sentence in dict.fromkeys(row.a for row in rows):
        found = [(row.b, one["cosine"]) for row, one in zip(rows, predictions, strict=True) if row.a == sentence]
        ranked = sorted(found, key=lambda pair: -pair[1])
        yield Shown(sentence, columns=("sentence", "cosine"), lines=[(text, f"{value:.3f}") for text, value in ranked])
