import dataclasses

import pytest
import torch

from nlptasks.backbone.bert import Bert, Config
from nlptasks.backbone.heads import TokenHead, token_losses
from nlptasks.pretraining.corpus import Corpus
from nlptasks.pretraining.lessons import Lesson, Lessons
from nlptasks.pretraining.model import Model, Teacher, groups, operations
from nlptasks.pretraining.settings import Settings


@pytest.fixture
def lesson(corpus: Corpus) -> Lesson:
    settings = Settings(length=16, long_share=0.0, batch_tokens=96, objectives="mlm=1,lm=1,unilm=1")
    return Lessons(corpus, settings).update(0)[0]


@pytest.fixture
def model(corpus: Corpus) -> Model:
    torch.manual_seed(0)
    config = Config(
        vocab_size=len(corpus.text),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        initializer_range=0.3,
    )
    made = Model(Bert(config), TokenHead(config))
    made.set_dropout(0.0)
    return made


def alone(model: Model, lesson: Lesson) -> torch.Tensor:
    """Compute the losses row by row, each with only what it may see: the tokens before, or those of its source."""
    found = []
    flat = [(name, row) for name, ids in zip(lesson.names, lesson.ids, strict=True) for row in ids]
    first = lesson.names.index("unilm")
    written = sum(len(ids) for ids in lesson.ids[:first])
    for place, target in zip(lesson.places.tolist(), lesson.targets.tolist(), strict=True):
        name, row = flat[place // 16]
        at = place % 16
        segments = None
        if name == "unilm":
            assert lesson.segments is not None
            segments = lesson.segments[place // 16 - written][: at + 1]
        ids = row if name == "mlm" else row[: at + 1]
        part = Lesson(("mlm",), (ids[None],), None, torch.tensor([at]), torch.tensor([target]), torch.ones(1), (1,))
        if segments is None and name == "mlm":
            states = model.transformed(part)
        else:
            states = model.head(model.bert(next(iter(cut(name, ids, segments)))).reshape(-1, 16)[-1:])
        found.append(token_losses(states, model.bert.tokens.weight, model.head.bias, part.targets))
    return torch.cat(found)


def cut(name: str, ids: torch.Tensor, segments: torch.Tensor | None) -> list[object]:
    nothing, one = torch.zeros(0, dtype=torch.long), (ids[None],)
    given = None if segments is None else segments[None]
    return list(groups(Lesson((name,), one, given, nothing, nothing, nothing, (0,))))


def test_all_objectives_in_one_pass_are_each_by_itself(model: Model, lesson: Lesson) -> None:
    with torch.no_grad():
        total, losses = model(lesson)
        assert torch.allclose(losses, alone(model, lesson), atol=1e-4)
    assert float(total) == pytest.approx(float((losses * lesson.weights).sum()))


@pytest.mark.parametrize("objective", ["lm", "unilm"])
def test_later_tokens_change_nothing_before_them(corpus: Corpus, model: Model, objective: str) -> None:
    settings = Settings(length=16, long_share=0.0, batch_tokens=96, objectives=f"{objective}=1")
    lesson = Lessons(corpus, settings).update(0)[0]
    changed = [lesson.ids[0].clone()]
    changed[0][:, 14] = 99
    other = dataclasses.replace(lesson, ids=tuple(changed))
    kept = lesson.places % 16 < 14
    assert kept.any()
    for dtype in (torch.float32, torch.bfloat16):
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            states = [model.transformed(one) for one in (lesson, other)]
        assert torch.equal(states[0][kept], states[1][kept])


def test_every_weight_learns(model: Model, lesson: Lesson) -> None:
    torch.autograd.backward(model(lesson)[0])
    assert not [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]


def test_dropout_is_set_without_touching_the_configuration(model: Model, lesson: Lesson) -> None:
    model.train().set_dropout(0.0)
    assert torch.equal(model(lesson)[1], model(lesson)[1])
    model.set_dropout(0.5)
    assert not torch.equal(model(lesson)[1], model(lesson)[1])
    assert model.bert.config.hidden_dropout_prob == 0.1


def test_what_is_dropped_depends_on_the_update_alone(model: Model, lesson: Lesson) -> None:
    model.train().set_dropout(0.5)
    teacher = Teacher(model, dropout=True)
    one = teacher.loss(model, lesson)
    torch.rand(7)
    assert torch.equal(one, teacher.loss(model, lesson))


def test_the_teacher_keeps_count_of_each_objective(model: Model, lesson: Lesson) -> None:
    teacher = Teacher(model, dropout=False)
    for _ in range(2):
        teacher.loss(model, lesson)
    means = teacher.means(torch.device("cpu"))
    losses = torch.split(model(lesson)[1], list(lesson.counts))
    assert means == {name: pytest.approx(float(part.mean())) for name, part in zip(lesson.names, losses, strict=True)}
    assert teacher.means(torch.device("cpu")) == {}


def test_operations_are_those_of_the_products() -> None:
    config = Config(vocab_size=7, hidden_size=4, num_hidden_layers=2, num_attention_heads=1, intermediate_size=8)
    length, rows = 6, 2 * 3  # forward and twice as much backward, and a product is a sum of products
    layer = rows * length * (4 * 12 + 4 * 4 + 4 * 8 + 8 * 4 + 2 * length * 4)
    head = rows * (4 * 4 + 4 * 7)
    assert operations(config, length, 0.5) * length == 2 * layer + 0.5 * length * head
