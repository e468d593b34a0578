import itertools
import math
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn

from nlptasks.errors import UsageError
from nlptasks.training.trainer import Progress, Run, fit

Make = Callable[..., Run]
Equal = Callable[[nn.Module, nn.Module], bool]
FLOAT = torch.float32


def finish(run: Run, **options: Any) -> list[Progress]:  # noqa: ANN401
    return list(fit(run, options.pop("evaluate", None), dtype=FLOAT, **options))


def scores(*values: float) -> Callable[[], dict[str, float]]:
    """Score with these values, one after the other."""
    left = iter(values)
    return lambda: {"fit": next(left)}


def test_training_learns_and_says_how_far_it_is(line_run: Make) -> None:
    run = line_run(epochs=100.0, learning_rate=0.02)
    found = finish(run)
    assert [progress.step for progress in found] == list(range(4, 401, 4))
    assert {progress.steps for progress in found} == {400}
    assert found[-1].epoch == 100
    assert found[-1].loss < found[0].loss / 20
    assert all(progress.tokens_per_second > 0 and progress.scores is None for progress in found)


def test_every_row_is_seen_once_an_epoch_in_another_order_each_time(line_run: Make) -> None:
    run = line_run(epochs=3.0)
    finish(run)
    seen = list(itertools.chain.from_iterable(run.task.seen))  # type: ignore[attr-defined]
    epochs = [tuple(seen[start : start + 16]) for start in (0, 16, 32)]
    assert all(sorted(epoch) == [row["x"] for row in run.rows] for epoch in epochs)
    assert len(set(epochs)) == 3


def test_a_task_with_stages_is_told_the_share_of_the_run_before_each_update(line_run: Make) -> None:
    run = line_run(steps=4)
    told: list[tuple[float, int]] = []
    run.task.stage = lambda share: told.append((share, len(run.task.seen)))  # type: ignore[attr-defined, method-assign]
    finish(run)
    assert told == [(0.0, 0), (0.25, 1), (0.5, 2), (0.75, 3)]


def test_half_an_epoch_is_half_of_the_updates(line_run: Make) -> None:
    assert line_run(epochs=0.5).steps == 2
    assert line_run(epochs=0.51).steps == 3
    assert line_run(epochs=9.0, steps=5).steps == 5


def test_rows_that_do_not_fill_a_pass_wait_for_another_epoch(line_run: Make) -> None:
    run = line_run(rows=[{"x": float(number), "y": 0.0} for number in range(7)], epochs=3.0, batch_size=3)
    finish(run)
    assert [len(batch) for batch in run.task.seen] == [3] * 6  # type: ignore[attr-defined]


@pytest.mark.parametrize(("rows", "passes", "updates"), [(3, [3], 1), (6, [4], 1), (9, [4, 4], 1), (17, [4] * 4, 2)])
def test_few_rows_make_smaller_or_fewer_passes_but_none_that_is_empty(
    line_run: Make, rows: int, passes: list[int], updates: int
) -> None:
    run = line_run(rows=[{"x": float(number), "y": 0.0} for number in range(rows)], batch_size=4, accumulation=2)
    finish(run)
    assert [len(batch) for batch in run.task.seen] == passes  # type: ignore[attr-defined]
    assert run.step == updates


def test_two_passes_of_four_are_one_of_eight(line_run: Make) -> None:
    whole, parts = line_run(batch_size=8, epochs=5.0), line_run(batch_size=4, accumulation=2, epochs=5.0)
    finish(whole)
    finish(parts)
    assert whole.step == parts.step == 10
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_schedules_count_updates_not_passes(line_run: Make) -> None:
    run = line_run(accumulation=2, epochs=5.0, schedule="linear", learning_rate=0.01)
    rates = [progress.rate for progress in finish(run, every=1)]
    assert rates == pytest.approx([0.01 * (1 - update / 10) for update in range(10)])


def test_layer_decay_lowers_the_rate_that_is_used_but_not_the_one_that_is_told(line_run: Make) -> None:
    run = line_run(schedule="constant", steps=1)
    run.optimizer.param_groups[0]["share"] = 0.25
    assert finish(run)[0].rate == pytest.approx(0.01)
    assert run.optimizer.param_groups[0]["lr"] == pytest.approx(0.0025)


def test_the_gradient_is_clipped(line_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"x": 1.0, "y": 1e6}] * 4
    norms = []

    def watched(clip: float) -> None:
        run = line_run(rows=rows, steps=1, clip=clip)
        step = run.optimizer.step

        def note() -> None:
            norms.append(torch.cat([p.grad.flatten() for p in run.model.parameters() if p.grad is not None]).norm())
            step()

        monkeypatch.setattr(run.optimizer, "step", note)
        finish(run)

    watched(0.5)
    watched(0.0)
    assert norms[0] == pytest.approx(0.5, rel=1e-4)
    assert norms[1] > 1000


def test_a_loss_that_is_no_number_stops_before_the_weights_are_spoilt(line_run: Make) -> None:
    run = line_run(rows=[{"x": 1.0, "y": math.inf}] * 4)
    before = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    with pytest.raises(UsageError, match="the loss is inf at update 1; try a lower learning_rate"):
        finish(run)
    assert all(torch.equal(before[name], tensor) for name, tensor in run.model.state_dict().items())


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA"), RuntimeError("can't allocate memory")])
def test_a_pass_that_does_not_fit_into_memory_names_the_way_out(line_run: Make, error: Exception) -> None:
    run = line_run()

    def fail(model: object, work: object) -> None:
        raise error

    run.task.loss = fail  # type: ignore[assignment, method-assign]
    with pytest.raises(UsageError, match=r"a pass of 4 rows does not fit .*; lower --batch-size and raise --accumul"):
        finish(run)


def test_other_failures_of_a_pass_stay_what_they_are(line_run: Make) -> None:
    run = line_run()

    def fail(model: object, work: object) -> None:
        raise RuntimeError("shapes do not fit")

    run.task.loss = fail  # type: ignore[assignment, method-assign]
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        finish(run)


def test_the_best_score_is_noted(line_run: Make) -> None:
    run = line_run(epochs=2.0, evaluate_every=2)
    found = [progress for progress in finish(run, evaluate=scores(0.1, 0.3, 0.3, 0.2)) if progress.scores]
    assert [progress.step for progress in found] == [2, 4, 6, 8]
    assert [progress.best for progress in found] == [True, True, False, False]
    assert run.best == 0.3


def test_a_score_comes_at_the_end_even_between_two(line_run: Make) -> None:
    run = line_run(steps=5, evaluate_every=3)
    assert [one.step for one in finish(run, evaluate=scores(1, 2)) if one.scores] == [3, 5]


def test_a_score_that_is_no_number_is_beaten_by_any(line_run: Make) -> None:
    run = line_run(steps=3, evaluate_every=1)
    found = finish(run, evaluate=scores(math.nan, 0.1, math.nan))
    assert [progress.best for progress in found] == [True, True, False]
    assert run.best == 0.1


def test_training_stops_when_patience_is_at_an_end(line_run: Make) -> None:
    run = line_run(epochs=10.0, evaluate_every=1, patience=2)
    assert len(finish(run, evaluate=scores(0.5, 0.6, 0.6, 0.1, 0.9))) == 4
    assert run.step == 4


def test_patience_that_is_at_an_end_stays_so(line_run: Make) -> None:
    run = line_run(epochs=10.0, evaluate_every=1, patience=1)
    finish(run, evaluate=scores(0.5, 0.4))
    assert finish(run, evaluate=scores(0.9)) == []


def test_scoring_happens_without_dropout_and_with_the_mean_of_the_weights(line_run: Make) -> None:
    run = line_run(steps=4, evaluate_every=4, ema=0.9, dropout=0.5)
    seen = []

    def evaluate() -> dict[str, float]:
        seen.append((run.model.training, [parameter.detach().clone() for parameter in run.model.parameters()]))
        return {"fit": 0.0}

    finish(run, evaluate=evaluate)
    assert run.mean is not None
    training, weights = seen[0]
    assert not training
    assert run.model.training
    assert all(torch.equal(one, mean) for one, mean in zip(weights, run.mean.means, strict=True))
    assert not torch.equal(weights[0], next(run.model.parameters()))


def test_scoring_does_not_disturb_training(line_run: Make, equal: Equal) -> None:
    def evaluate() -> dict[str, float]:
        torch.randn(100)
        return {"fit": 0.0}

    alone = line_run(epochs=3.0, dropout=0.5)
    finish(alone)
    scored = line_run(epochs=3.0, dropout=0.5, evaluate_every=1)
    finish(scored, evaluate=evaluate)
    assert equal(alone.model, scored.model)


def test_one_seed_gives_one_result_and_another_seed_another(line_run: Make, equal: Equal) -> None:
    one, same, other = (line_run(seed=seed, epochs=3.0) for seed in (1, 1, 2))
    orders: list[Any] = [vars(run)["updates"].order(0) for run in (one, same, other)]
    assert orders[0] == orders[1] != orders[2]
    for run in (one, same, other):
        finish(run)
    assert equal(one.model, same.model)
    assert not equal(one.model, other.model)


def test_the_seed_decides_what_dropout_drops(line_run: Make, equal: Equal) -> None:
    rows = [{"x": 1.0, "y": 2.0}] * 4  # their order does not matter
    models = []
    for seed in (1, 1, 2):
        run = line_run(rows=rows, seed=seed, dropout=0.5, epochs=4.0)
        finish(run)
        models.append(run.model)
    assert equal(models[0], models[1])
    assert not equal(models[0], models[2])


def test_products_in_bf16_leave_the_weights_in_float32(line_run: Make) -> None:
    run = line_run(epochs=60.0, learning_rate=0.02)
    dtypes = []
    run.model[0].register_forward_hook(lambda module, inputs, output: dtypes.append(output.dtype))  # type: ignore[index]
    found = list(fit(run, None, dtype=torch.bfloat16))
    assert set(dtypes) == {torch.bfloat16}
    assert {parameter.dtype for parameter in run.model.parameters()} == {torch.float32}
    assert found[-1].loss < found[0].loss / 5


RESUMED = [
    {},
    {"ema": 0.8},
    {"dropout": 0.3},
    {"accumulation": 2},
    {"ema": 0.8, "dropout": 0.3, "accumulation": 2, "schedule": "cosine", "warmup": 0.2, "layer_decay": 0.5},
]


@pytest.mark.parametrize("settings", RESUMED)
@pytest.mark.parametrize("stop", [1, 3, 5])
def test_a_run_that_goes_on_elsewhere_ends_the_same(
    line_run: Make, equal: Equal, settings: dict[str, Any], stop: int
) -> None:
    whole = line_run(epochs=4.0, **settings)
    finish(whole, every=1)
    first = line_run(epochs=4.0, **settings)
    steps = fit(first, None, dtype=FLOAT, every=1)
    for _ in range(stop):
        next(steps)
    steps.close()  # type: ignore[attr-defined]
    state = {name: tensor.clone() for name, tensor in first.tensors().items()}, first.numbers()
    second = line_run(epochs=4.0, **settings)
    second.model.load_state_dict(first.model.state_dict())
    torch.manual_seed(99)
    second.restore(*state)
    assert [progress.step for progress in finish(second, every=1)] == list(range(stop + 1, whole.steps + 1))
    assert equal(whole.model, second.model)
    if whole.mean and second.mean:
        assert all(torch.equal(*pair) for pair in zip(whole.mean.means, second.mean.means, strict=True))


def test_a_score_that_was_interrupted_is_made_up_for(line_run: Make) -> None:
    def interrupted() -> dict[str, float]:
        raise KeyboardInterrupt

    first = line_run(steps=4, evaluate_every=2)
    with pytest.raises(KeyboardInterrupt):
        finish(first, evaluate=interrupted)
    assert (first.step, first.scored) == (2, 0)
    assert first.model.training
    second = line_run(steps=4, evaluate_every=2)
    second.restore(first.tensors(), first.numbers())
    found = finish(second, evaluate=scores(0.1, 0.2), every=9)
    assert [progress.step for progress in found] == [2, 4]
    assert found[0].loss == first.loss


def signals(run: Run, number: int) -> None:
    """Send this process a signal in the middle of every update."""
    step = run.optimizer.step

    def interrupted() -> None:
        os.kill(os.getpid(), number)
        step()

    run.optimizer.step = interrupted  # type: ignore[method-assign]


@pytest.fixture
def terminated() -> Iterator[None]:
    """Let termination raise, as the command line does."""

    def terminate(*_: object) -> None:
        raise KeyboardInterrupt("terminated")

    before = signal.signal(signal.SIGTERM, terminate)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("terminated")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_waits_for_the_end_of_an_update(line_run: Make, equal: Equal, number: int) -> None:
    whole, cut = line_run(steps=1), line_run(steps=8)
    signals(cut, number)
    with pytest.raises(KeyboardInterrupt):
        finish(cut)
    assert cut.step == 1
    finish(whole)
    assert equal(whole.model, cut.model)


def test_steps_of_zero_train_nothing(line_run: Make) -> None:
    run = line_run(steps=0)
    assert finish(run, evaluate=scores()) == []


def test_what_encoding_raises_comes_out(line_run: Make) -> None:
    with pytest.raises(KeyError, match="y"):
        finish(line_run(rows=[{"x": 1.0}] * 4))


@pytest.mark.gpu
def test_a_run_on_a_gpu_goes_on_exactly_and_scoring_does_not_disturb_it(line_run: Make) -> None:
    def run_on_gpu(evaluate_every: int, stop: int | None) -> list[torch.Tensor]:
        run = line_run(epochs=3.0, dropout=0.3, evaluate_every=evaluate_every)
        device = torch.device("cuda")
        run = Run(run.task, run.model.to(device), run.rows, run.settings, device)
        steps = fit(run, lambda: {"fit": float(torch.randn(3, device=device).sum())}, dtype=FLOAT, every=1)
        for progress in steps:
            if progress.step == stop:
                state = {name: tensor.cpu().clone() for name, tensor in run.tensors().items()}, run.numbers()
                torch.cuda.manual_seed(5)
                run.restore(*state)
        return [parameter.detach().cpu() for parameter in run.model.parameters()]

    whole = run_on_gpu(12, None)
    for other in (run_on_gpu(1, None), run_on_gpu(12, 5)):
        assert all(torch.equal(*pair) for pair in zip(whole, other, strict=True))
