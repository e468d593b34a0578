"""The contract that every task keeps: a new one is found by itself, and held to the same."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass
from importlib.resources import files as resources
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

import nlptasks
from nlptasks import files, rows
from nlptasks.backbone import weights
from nlptasks.backbone.batch import Budget
from nlptasks.backbone.bert import Bert, Config
from nlptasks.backbone.hardware import Machine
from nlptasks.backbone.heads import TokenHead
from nlptasks.errors import RecordError
from nlptasks.inference.predictor import stream
from nlptasks.training import checkpoint
from nlptasks.training.data import Source, load
from nlptasks.training.recipes import to_learn, to_score
from nlptasks.training.run import Plan, Training
from nlptasks.training.settings import Method, TrainingSettings, as_plain, resolve
from nlptasks.training.trainer import Run, fit

TASKS = nlptasks.names()
METHODS = [(task, method) for task in TASKS for method in nlptasks.form(task).METHODS]
#: Rows that are learnt by heart, and the most updates that this may take.
EIGHT, UPDATES = 8, 200
FALLS_TO = 0.05
CLOSE = 1e-4


def sample(task: str, name: str) -> Path:
    return Path(str(resources("nlptasks.samples").joinpath(task, name)))


def settings_of(form: ModuleType, method: str, **flags: Any) -> TrainingSettings:  # noqa: ANN401
    made: TrainingSettings = resolve(form.Settings, form.METHODS[method].defaults, flags=flags)
    return made


#: Settings that show the same in less time: of models that start from nothing, and of texts that need not be long.
SMALLER: dict[str, dict[str, Any]] = {
    "generation": {"limit": 16, "source_limit": 32},
    "qa": {"answer_limit": 16, "passage_limit": 128},
    "xiangqi": {"layers": 1, "width": 64, "length": 64},
}
#: What finds nothing after two updates learns eight rows by heart before it is asked.
TALKATIVE = {("ie", method): {"max_rows": EIGHT, "steps": 24} for method in ("casrel", "dgcnn")}
LEARNING = [pair for pair in METHODS if settings_of(nlptasks.form(pair[0]), pair[1]).steps != 0]


def needed(kind: type) -> list[str]:
    return [field.name for field in rows.describe(kind) if field.default is MISSING]


def first_record(task: str, name: str, columns: Sequence[str]) -> dict[str, Any]:
    form = nlptasks.form(task)
    record = next(iter(files.read_records(sample(task, name), names=columns)))
    return {form.ALIASES.get(key, key): value for key, value in record.fields.items()}


def test_there_are_tasks() -> None:
    assert "similarity" in TASKS
    assert LEARNING


@pytest.mark.parametrize("name", TASKS)
def test_a_task_says_what_it_is_and_does(name: str) -> None:
    form = nlptasks.form(name)
    assert nlptasks.summary(name).strip()
    assert all(isinstance(method, Method) and method.summary for method in form.METHODS.values())
    kinds = [form.Row, form.Scored, form.Options, form.Sweep, form.Settings, *(m.row for m in form.METHODS.values())]
    assert not [f"{kind.__name__}.{field.name}" for kind in kinds for field in rows.describe(kind) if not field.help]
    assert set(form.REFERENCES) <= set(rows.names(form.Row))
    assert not set(form.REFERENCES) & set(needed(form.Row))
    assert nlptasks.load(name).Task.name == name


@pytest.mark.parametrize(("task", "method"), METHODS)
def test_every_record_of_the_samples_can_be_learnt_from(task: str, method: str) -> None:
    form = nlptasks.form(task)
    table = load(Source(str(sample(task, form.SAMPLES[method]))), to_learn(form, method))
    assert table.bad == 0
    assert len(table.rows) > EIGHT


@pytest.mark.parametrize("task", TASKS)
def test_every_record_of_the_dev_sample_can_be_scored_and_asked(task: str) -> None:
    form = nlptasks.form(task)
    table = load(Source(str(sample(task, form.SAMPLE_DEV))), to_score(form))
    assert table.bad == 0
    assert rows.parse(form.Row, table.rows[0])


@pytest.mark.parametrize(("task", "method"), METHODS)
def test_a_training_record_without_a_field_is_refused_by_its_name(task: str, method: str) -> None:
    form = nlptasks.form(task)
    record = first_record(task, form.SAMPLES[method], form.COLUMNS[method])
    assert form.training_rows(method, record)
    for name in needed(form.METHODS[method].row):
        with pytest.raises(RecordError, match=f"field '{name}' is missing"):
            form.training_rows(method, {key: value for key, value in record.items() if key != name})
    with pytest.raises(RecordError, match="|".join(rows.names(form.METHODS[method].row))):
        form.training_rows(method, {})


@pytest.mark.parametrize("task", TASKS)
def test_a_record_without_a_field_is_not_answered_but_named(task: str) -> None:
    form = nlptasks.form(task)
    record = first_record(task, form.SAMPLE_DEV, form.COLUMNS_ASKED)
    for kind in (form.Row, form.Scored):
        for name in needed(kind):
            with pytest.raises(RecordError, match=f"field '{name}' is missing"):
                rows.parse(kind, {key: value for key, value in record.items() if key != name})


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a backbone that knows the words of the embedded one but is much smaller, its weights drawn by chance."""
    folder, text = tmp_path_factory.mktemp("small"), weights.load().text
    torch.manual_seed(0)
    config = Config(
        vocab_size=len(text),
        hidden_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=128,
        initializer_range=0.05,
    )
    weights.save(folder, Bert(config), text, TokenHead(config).named())
    return folder


# Learning


@dataclass(frozen=True)
class Learner:
    """A method with its model on the small backbone and eight rows of its sample."""

    task: Any
    model: nn.Module
    rows: list[Mapping[str, Any]]
    settings: TrainingSettings


def learner(small: Path, task: str, method: str, **flags: Any) -> Learner:  # noqa: ANN401
    form = nlptasks.form(task)
    settings = settings_of(form, method, batch_size=EIGHT, **SMALLER.get(task, {}), **flags)
    table = load(Source(str(sample(task, form.SAMPLES[method]))), to_learn(form, method)).rows
    torch.manual_seed(0)
    backbone = weights.load(small)
    made = nlptasks.load(task).Task(method, settings, backbone.text)
    made.fit_labels(table)
    every = len(table) // EIGHT
    chosen = made.scaled(table.select(range(0, EIGHT * every, every)))
    return Learner(made, made.model(backbone), list(chosen), settings)


@pytest.mark.parametrize(("task", "method"), LEARNING)
def test_the_loss_is_a_number_and_every_weight_learns(small: Path, task: str, method: str) -> None:
    """Where weights are 0 at the start, those below them have no gradient before the first update."""
    made = learner(small, task, method)
    made.model.train()
    learning = {name: p for name, p in made.model.named_parameters() if p.requires_grad}
    update = torch.optim.SGD(learning.values(), lr=1e-2)
    for _ in range(2):
        update.zero_grad()
        loss = made.task.loss(made.model, made.task.batch(made.rows))
        assert loss.shape == ()
        assert torch.isfinite(loss)
        loss.backward()
        update.step()
    assert learning
    assert not [
        name for name, p in learning.items() if p.grad is None or not p.grad.isfinite().all() or not p.grad.any()
    ]


@pytest.mark.parametrize(("task", "method"), LEARNING)
def test_eight_rows_are_learnt_by_heart(small: Path, task: str, method: str) -> None:
    """The loss falls below 5 % of its start; without dropout, which would put a floor under some losses."""
    flags = {"optimizer": "adamw", "learning_rate": 5e-3, "schedule": "constant", "warmup": 0.0, "steps": UPDATES}
    made = learner(small, task, method, **flags)
    for module in made.model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.0  # type: ignore[assignment]
    run = Run(made.task, made.model, made.rows, made.settings, torch.device("cpu"))
    losses = (progress.loss for progress in fit(run, None, dtype=torch.float32, every=1))
    start = next(losses)
    assert start > 0
    assert any(loss < FALLS_TO * start for loss in losses)


# Asking


@pytest.fixture(scope="module", params=METHODS, ids="-".join)
def trained(small: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Training:
    """Train a method for two updates at most, on its samples, or for as many as it takes to say something."""
    task, method = request.param
    form, folder = nlptasks.form(task), tmp_path_factory.mktemp("model")
    steps = settings_of(form, method).steps
    fewer = {"steps": 2 if steps is None else min(2, steps)}
    fewer |= {**SMALLER.get(task, {}), **TALKATIVE.get(request.param, {})}
    settings = settings_of(form, method, dtype="float32", batch_size=EIGHT, **fewer)
    dev = folder / form.SAMPLE_DEV
    with sample(task, form.SAMPLE_DEV).open(encoding="utf-8") as lines:
        dev.write_text("".join(itertools.islice(lines, 9)), encoding="utf-8")
    plan = Plan(
        task=task,
        method=method,
        settings=as_plain(settings),
        train=(Source(str(sample(task, form.SAMPLES[method]))),),
        dev=Source(str(dev)),
        backbone=None if task == "ie" else str(small),  # by chance everything is a triple, or nothing
        command="nlpk train",
        version="0",
    )
    training = Training(plan, folder / "out", device="cpu")
    for _ in training:
        pass
    return training


def loaded_from(training: Training) -> Any:  # noqa: ANN401
    found = checkpoint.open_folder(training.out, training.plan.task, training.plan.method)
    module = nlptasks.load(training.plan.task)
    return module.load(found, training.form.Options(), machine=Machine(device="cpu", dtype="float32"))


def asked(training: Training) -> list[dict[str, Any]]:
    """Give the dev rows without their references."""
    assert training.dev is not None
    hidden = training.form.REFERENCES
    return [{key: value for key, value in row.items() if key not in hidden} for row in training.dev.rows]


def answers(training: Training, fields: Sequence[Mapping[str, Any]], tokens: int = 4096) -> Iterator[Any]:
    kind, worker = training.form.Row, nlptasks.load(training.plan.task).worker(loaded_from(training))
    for window in stream(fields, lambda one: rows.parse(kind, one), worker, Budget(tokens)):
        yield from (answer for _, answer in window)


def near(left: Any, right: Any) -> bool:  # noqa: ANN401
    """Compare answers of any shape, numbers but for rounding."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(near(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(near, left, right))
    return bool(left == pytest.approx(right, rel=CLOSE, abs=CLOSE)) if isinstance(left, float) else bool(left == right)


def test_answers_need_no_reference_and_depend_on_no_neighbour(trained: Training) -> None:
    assert trained.dev is not None
    found = list(answers(trained, asked(trained)))
    assert len(found) == len(trained.dev.rows)
    assert not [answer for answer in found if isinstance(answer, RecordError)]
    assert any(not near(found[0], answer) for answer in found)
    assert near(found, list(answers(trained, list(trained.dev.rows))))
    assert near(found, list(answers(trained, asked(trained), tokens=1)))
    assert near(found, list(answers(trained, asked(trained)[::-1]))[::-1])


def test_a_model_that_is_saved_and_loaded_scores_the_same(trained: Training) -> None:
    module = nlptasks.load(trained.plan.task)
    _, scores = next(iter(module.evaluations(loaded_from(trained), trained.labelled, trained.form.Sweep())))
    assert scores.keys() == trained.scores.keys()
    assert near(scores, trained.scores)
    assert trained.task.best in scores
    again = trained.task.score(trained.model, trained.labelled, Budget(4096))
    assert near(scores, again)
