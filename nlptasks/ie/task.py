"""Information extraction as a task: what it learns from, its answers and its scores."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from nlptasks import files
from nlptasks.backbone import weights
from nlptasks.backbone.batch import Budget
from nlptasks.backbone.text import Text
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import InputError
from nlptasks.ie import knowledge, labels, model, scores, words
from nlptasks.ie.answers import Finder
from nlptasks.ie.examples import Encoder, Reach
from nlptasks.ie.labels import Labels
from nlptasks.ie.model import Extras, Loaded, load
from nlptasks.ie.row import ENTITIES_ONLY, Options, Row, Settings, Sweep
from nlptasks.inference.predictor import answers
from nlptasks.task import Shown, Work, paired
from nlptasks.task import Task as AnyTask
from nlptasks.training import checkpoint

__all__ = ["Finder", "Loaded", "Task", "evaluations", "examples", "load", "score_predictions", "shown", "worker"]

logger = logging.getLogger(__name__)
#: Rows that are looked at together when labels are collected.
BLOCK = 1024


class Task(AnyTask[nn.Module]):
    """One method of information extraction with its settings."""

    name = "ie"
    best = "f1"

    def __init__(self, method: str, settings: Settings, text: Text) -> None:
        """Keep the method, its settings and the tokenizer."""
        self.method, self.settings, self.text = method, settings, text
        self.labels, self.extras = Labels({}, []), Extras()
        self.reach = Reach(settings.limit, settings.overlap)
        self.encoder = Encoder(text, method, self.reach, self.labels)

    def fit_labels(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Learn from training rows what there is to say, and for dgcnn which words and triples there are.

        Returns:
            What the model folder keeps.

        Raises:
            InputError: there is nothing to say.
        """
        self.labels = labels.fitted(each(rows), self.settings.schema)
        said = self.labels.types if self.method in ENTITIES_ONLY else self.labels.predicates
        if not said:
            kind = "entities" if self.method in ENTITIES_ONLY else "triples"
            raise InputError(f"no {kind} in the training rows that stand in their texts; there is nothing to learn")
        if self.method == "dgcnn":
            texts = (row["text"] for row in each(rows))
            made = words.made(texts, self.settings.words, self.settings.word_size)
            self.extras = Extras(made, knowledge.learnt(each(rows)) if self.settings.distant else None)
        self.encoder = Encoder(self.text, self.method, self.reach, self.labels, self.extras.known, self.extras.words)
        return self.labels.as_json()

    def model(self, backbone: Backbone) -> nn.Module:
        """Put the method's heads on a backbone.

        Raises:
            UsageError: more is to be read at once than the backbone can.
        """
        self.reach.check(backbone.bert.config.max_position_embeddings)
        if not self.is_known(backbone):
            backbone.rest = {name: part for name, part in backbone.rest.items() if not name.startswith(model.FRONT)}
            logger.info("%s has learnt to say something else; its heads start anew", backbone.name)
        return model.assembled(self.method, backbone, self.labels, asdict(self.settings), self.extras)

    def is_known(self, backbone: Backbone) -> bool:
        """Tell whether a backbone's heads, if it has any, are of this method and of these labels, in their order."""
        if not any(name.startswith(model.FRONT) for name in backbone.rest):
            return True
        path = weights.locate(backbone.name) / checkpoint.ABOUT
        about = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        told, own = Extras.of(backbone.rest).words, self.extras.words
        same_words = (told.words if told else []) == (own.words if own else [])
        return bool(same_words and about.get("method") == self.method and about.get("labels") == self.labels.as_json())

    def batch(self, rows: Sequence[Mapping[str, Any]]) -> Work:
        """Encode training rows for one forward pass."""
        return self.encoder.lessons(rows)

    def loss(self, model: nn.Module, work: Work) -> Tensor:
        """Compute the method's loss."""
        loss: Tensor = model(work.groups, work.taught)
        return loss

    def finish(self, model: nn.Module, rows: Sequence[Mapping[str, Any]], budget: Budget) -> bool:
        """Tell what was longer than is read at once; the model stays as it is."""
        counts = self.encoder.counts
        logger.info("of %(texts)d texts seen, %(windowed)d were longer than a window", counts)
        if counts["lost"]:
            logger.info("windows of very long texts that were not taught: %(lost)d", counts)
        if counts["apart"]:
            remedy = "a larger --limit holds more"
            logger.info("triples seen whose ends stand together in no window: %d; %s", counts["apart"], remedy)
        return False

    def score(self, model: nn.Module, rows: Sequence[Row], budget: Budget) -> dict[str, float]:
        """Answer rows and score the answers."""
        device = next(model.parameters()).device
        known, of_text = self.extras.known, self.extras.words
        encoder = Encoder(self.text, self.method, self.reach, self.labels, known, of_text)
        named: dict[str, Any] = {"options": Options(), "name": self.name, "method": self.method}
        loaded = Loaded(model=model, encoder=encoder, device=device, budget=budget, **named)
        said, right = answered(loaded, rows)
        return scores.scored(said, right)

    def rest(self, made: nn.Module) -> dict[str, Tensor]:
        """Name the weights beside the encoder's."""
        return model.rest(made, self.extras)


def each(rows: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Go through rows, of a table block by block."""
    at_once = getattr(rows, "__getitems__", None)
    if at_once is None:
        yield from rows
        return
    for start in range(0, len(rows), BLOCK):
        yield from at_once(list(range(start, min(len(rows), start + BLOCK))))


def answered(loaded: Loaded, rows: Sequence[Row]) -> tuple[list[scores.Said], list[scores.Said]]:
    """Answer rows: what was found, and what is right.

    Raises:
        InputError: rows do not say what the method finds.
    """
    entities = loaded.method in ENTITIES_ONLY
    if any((row.entities if entities else row.triples) is None for row in rows):
        kind = "entities" if entities else "triples"
        raise InputError(f"a record without {kind}, which {loaded.method} finds; scoring needs them in every record")
    finder = Finder(loaded)
    said = [scores.of_prediction(answer, entities) for answer in answers(rows, finder, loaded.budget)]
    finder.report()
    return said, [scores.of_row(row, entities) for row in rows]


def worker(loaded: Loaded) -> Finder:
    """Make what answers the task's rows."""
    return Finder(loaded)


def evaluations(
    loaded: Loaded, labelled: Sequence[Row], sweep: Sweep
) -> Iterator[tuple[dict[str, Any], dict[str, float]]]:
    """Score labelled rows: exact, normalised, whole where objects have slots, and for each predicate or type.

    Yields:
        The setting and its scores.
    """
    if sweep.errors is not None:
        files.check_file(sweep.errors)
    said, right = answered(loaded, labelled)
    if sweep.errors is not None:
        with files.replaced(Path(sweep.errors)) as part, part.open("w", encoding="utf-8") as handle:
            for line in scores.errors((row.text for row in labelled), said, right):
                handle.write(json.dumps(line, ensure_ascii=False) + "\n")
    yield {"match": "exact"}, scores.scored(said, right)
    yield {"match": "normalised"}, scores.scored(said, right, scores.normalised)
    if scores.has_slots(right):
        yield {"match": "whole"}, scores.scored([*map(scores.whole, said)], [*map(scores.whole, right)])
    if sweep.per_predicate:
        for label, found in scores.by_label(said, right).items():
            yield {"match": "exact", "label": label}, found


def score_predictions(
    predictions: Sequence[Any], labelled: Sequence[Row], options: Options | None = None
) -> dict[str, float]:
    """Score the predictions of any system: triples where the records have them, else entities.

    Raises:
        InputError: not one prediction for each record, or one of another form.
    """
    entities = any(row.triples is None for row in labelled)
    try:
        said = [scores.of_prediction(prediction, entities) for prediction, _ in paired(predictions, labelled)]
    except (KeyError, TypeError) as error:
        kind = "entities" if entities else "triples"
        raise InputError(
            f'a prediction without {kind}; expected lines with {{"prediction": …}} as nlpk writes'
        ) from error
    right = [scores.of_row(row, entities) for row in labelled]
    more = {f"{name}_normalised": value for name, value in scores.scored(said, right, scores.normalised).items()}
    if scores.has_slots(right):
        all_slots = scores.scored([*map(scores.whole, said)], [*map(scores.whole, right)])
        more |= {f"{name}_whole": value for name, value in all_slots.items()}
    return {**scores.scored(said, right), **more}


def examples(loaded: Loaded) -> list[Row]:
    """Give sentences to show what the task does."""
    return [Row("《邪少兵王》是冰火未央写的网络小说"), Row("张艺谋导演的《红高粱》由姜文、巩俐主演")]


def shown(rows: Sequence[Row], predictions: Sequence[Mapping[str, Any]]) -> Iterator[Shown]:
    """Show triples, or else entities, and where they stand."""
    for row, one in zip(rows, predictions, strict=True):
        triples, entities = one["triples"], one["entities"]
        parts = [triple[side] for triple in triples for side in ("subject", "object")] or entities
        texts = [(row.text, [(part["start"], part["end"]) for part in parts])]
        if triples:
            found = [(each["subject"]["text"], each["predicate"], each["object"]["text"]) for each in triples]
            yield Shown("triples", texts, ("subject", "predicate", "object"), found)
        else:
            yield Shown(
                "entities", texts, ("entity", "type"), [(each["text"], each["type"] or "") for each in entities]
            )
