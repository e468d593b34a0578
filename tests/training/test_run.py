import dataclasses
import itertools
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from nlptasks.backbone import weights
from nlptasks.errors import InputError, ModelError, UsageError
from nlptasks.training import checkpoint
from nlptasks.training.optimizers import KINDS
from nlptasks.training.run import Plan, Training, planned
from nlptasks.training.state import STATE, last_of

MakePlan = Callable[..., Plan]
Start = Callable[..., subprocess.Popen[str]]


def trained(plan: Plan, out: Path, *, stop: int | None = None, resume: bool = False) -> Training:
    """Train to the end, or until so many reports have come."""
    training = Training(plan, out, device="cpu", resume=resume)
    steps: Any = iter(training)
    for _ in itertools.islice(steps, stop):
        pass
    steps.close()
    return training


def log(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text("utf-8").splitlines()]


def model(out: Path) -> bytes:
    return (out / "model.safetensors").read_bytes()


def test_a_run_leaves_a_model_that_says_what_it_is(plan: MakePlan, tmp_path: Path) -> None:
    training = trained(plan(evaluate_every=3), tmp_path / "out")
    found = checkpoint.open_folder(tmp_path / "out", "similarity", "cosent")
    assert found.about["scores"] == training.scores
    assert set(training.scores) == {"spearman", "pearson"}
    about = found.about["training"]
    assert [(one["name"], one["rows"], one["bad"]) for one in about["data"]] == [("pairs.tsv", 24, 0)] * 2
    assert (about["seed"], about["dtype"], about["device"]) == (1, "float32", "cpu")
    assert found.settings["evaluate_every"] == 3
    names = {path.name for path in (tmp_path / "out").iterdir()}
    files = {"README.md", "config.json", "log.jsonl", "model.safetensors", "nlpk.json", "tokenizer.json"}
    assert names == files | {"tokenizer_config.json"}
    assert [line["step"] for line in log(tmp_path / "out")] == list(range(1, 13))
    assert [line["step"] for line in log(tmp_path / "out") if line["scores"]] == [3, 6, 9, 12]


def test_the_model_kept_is_the_best_by_the_dev_rows(
    plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, kept = iter([0.1, 0.5, 0.3, 0.4]), []

    def score(self: Any, model: Any, *_: object) -> dict[str, float]:  # noqa: ANN401
        kept.append(model.bert.tokens.weight.detach().clone())
        return {"spearman": next(values)}

    monkeypatch.setattr("nlptasks.similarity.task.Task.score", score)
    training = trained(plan(evaluate_every=3), tmp_path / "out")
    assert training.scores == {"spearman": 0.5}
    loaded = weights.load(tmp_path / "out").bert.tokens.weight
    assert [torch.equal(loaded, one) for one in kept] == [False, True, False, False]
    assert checkpoint.open_folder(tmp_path / "out").about["training"]["updates"] == 6


def test_the_task_finishes_the_best_model_not_the_last(
    plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, kept = iter([0.1, 0.5, 0.3, 0.4, 0.9]), []

    def score(self: Any, model: Any, *_: object) -> dict[str, float]:  # noqa: ANN401
        kept.append(model.bert.tokens.weight.detach().clone())
        return {"spearman": next(values)}

    monkeypatch.setattr("nlptasks.similarity.task.Task.score", score)
    training = trained(plan(evaluate_every=3, whiten=True), tmp_path / "out")
    loaded = weights.load(tmp_path / "out")
    assert [torch.equal(loaded.bert.tokens.weight, one) for one in kept] == [False, True, False, False, True]
    assert loaded.rest["whitening.weight"].shape == (16, 16)
    assert training.scores == checkpoint.open_folder(tmp_path / "out").about["scores"] == {"spearman": 0.9}


def test_without_dev_rows_the_last_model_is_kept(plan: MakePlan, tmp_path: Path) -> None:
    training = trained(plan(dev=None), tmp_path / "out")
    assert checkpoint.open_folder(tmp_path / "out").about["scores"] == {}
    loaded = weights.load(tmp_path / "out").bert
    assert torch.equal(loaded.tokens.weight, training.model.bert.tokens.weight)


@pytest.mark.parametrize("dev", [True, False])
def test_the_mean_of_the_weights_is_what_is_kept(
    plan: MakePlan, tmp_path: Path, pairs: Path, tiny_folder: Path, dev: bool
) -> None:
    training = trained(plan(dev=pairs if dev else None, ema=0.999), tmp_path / "out")
    assert training.run.mean is not None
    kept, start = weights.load(tmp_path / "out").bert, weights.load(tiny_folder).bert
    moved = (kept.tokens.weight - start.tokens.weight).abs().max()
    assert 0 < moved < 1e-3  # 12 updates of up to 1e-3, of which a mean of 0.999 takes next to nothing


SETTINGS = [{}, {"ema": 0.8, "accumulation": 2, "epochs": 5.0}, {"method": "simcse", "hidden_dropout": 0.3}]


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_run_that_is_resumed_ends_the_same(plan: MakePlan, tmp_path: Path, settings: dict[str, Any]) -> None:
    made = plan(**{"evaluate_every": 3, **settings})
    whole = tmp_path / "whole"
    trained(made, whole)
    for stop in (1, 4, 8):
        parts = tmp_path / str(stop)
        trained(made, parts, stop=stop)
        assert (parts / "last" / "run.json").is_file()
        assert planned(parts) == made
        trained(planned(parts), parts, resume=True)
        assert model(whole) == model(parts)
        assert [line["step"] for line in log(parts)] == [line["step"] for line in log(whole)]
        assert [line["scores"] for line in log(parts)] == [line["scores"] for line in log(whole)]


AROUND = {"lookahead": 3, "lazy_embeddings": True, "adaptive_rate": True, "rates": "bert.tokens:0.5"}
OPTIMIZERS: list[dict[str, Any]] = [
    *[{"optimizer": name} for name in KINDS],
    *[{"optimizer": name, **AROUND} for name in KINDS],
]


@pytest.mark.parametrize("settings", OPTIMIZERS)
def test_every_optimizer_goes_on_exactly(plan: MakePlan, tmp_path: Path, settings: dict[str, Any]) -> None:
    made = plan(dev=None, **settings)
    trained(made, tmp_path / "whole")
    trained(made, tmp_path / "parts", stop=4)
    trained(made, tmp_path / "parts", stop=3, resume=True)
    trained(made, tmp_path / "parts", resume=True)
    assert model(tmp_path / "whole") == model(tmp_path / "parts")


def test_a_run_may_be_resumed_again_and_again(plan: MakePlan, tmp_path: Path) -> None:
    made = plan(evaluate_every=5, simplify_vocabulary=True)
    trained(made, tmp_path / "whole")
    trained(made, tmp_path / "parts", stop=1)
    for _ in range(4):
        trained(made, tmp_path / "parts", stop=2, resume=True)
    trained(made, tmp_path / "parts", resume=True)
    assert model(tmp_path / "whole") == model(tmp_path / "parts")


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_run_that_broke_while_scoring_ends_the_same(
    plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    made = plan(evaluate_every=4, save_every=0.0, ema=0.9)
    trained(made, tmp_path / "whole")
    score: Any = Training.evaluate

    def breaks(self: Training) -> Any:  # noqa: ANN401
        if self.run.step == 8:
            raise error
        return score(self)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "evaluate", breaks)
        with pytest.raises(error):
            trained(made, tmp_path / "parts")
    saved = json.loads((tmp_path / "parts/last/run.json").read_text())["run"]["step"]
    assert saved == (8 if error is KeyboardInterrupt else 7)
    trained(made, tmp_path / "parts", resume=True)
    assert model(tmp_path / "whole") == model(tmp_path / "parts")


def test_a_run_that_broke_at_its_end_ends_the_same(
    plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan(dev=None, ema=0.9)
    trained(made, tmp_path / "whole")

    def breaks(*_: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("nlptasks.similarity.task.Task.finish", breaks)
        with pytest.raises(KeyboardInterrupt):
            trained(made, tmp_path / "parts")
    assert trained(made, tmp_path / "parts", resume=True).run.step == 12
    assert model(tmp_path / "whole") == model(tmp_path / "parts")


@pytest.mark.parametrize("moved", ["last.old", "last.part and last.old"])
def test_a_crash_between_the_two_renames_loses_nothing(plan: MakePlan, tmp_path: Path, moved: str) -> None:
    made = plan(evaluate_every=3)
    trained(made, tmp_path / "whole")
    out = tmp_path / "parts"
    trained(made, out, stop=4)
    if "last.part" in moved:
        shutil.copytree(out / "last", out / "last.part")
    (out / "last").rename(out / "last.old")
    trained(made, out, stop=3, resume=True)
    assert {path.name for path in out.glob("last*")} == {"last"}
    trained(made, out, resume=True)
    assert model(tmp_path / "whole") == model(out)


@pytest.mark.parametrize("method", ["simcse", "supervised-simcse", "cosent"])
def test_a_pass_of_one_row_is_refused_before_anything_is_read(plan: MakePlan, tmp_path: Path, method: str) -> None:
    made = plan(method, train=["no-such.tsv"], dev=None, batch_size=1)
    said = f"^--batch-size 1: {method} compares the rows of a pass with one another; expected 2 or more$"
    with pytest.raises(UsageError, match=said):
        Training(made, tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()


def test_a_method_that_compares_nothing_takes_a_pass_of_one_row(plan: MakePlan, tmp_path: Path) -> None:
    assert trained(plan("whitening", batch_size=1), tmp_path / "out").model.whitening is not None


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("method", ["simcse", "supervised-simcse", "cosent"])
def test_rows_left_over_make_no_pass_of_one(plan: MakePlan, tmp_path: Path, method: str, accumulation: int) -> None:
    rows = [
        {"text": f"今天{n}", "positive": f"天气{n}", "a": f"我{n}", "b": f"你{n * 3}", "score": n} for n in range(9)
    ]
    keys = {"simcse": ("text",), "supervised-simcse": ("text", "positive"), "cosent": ("a", "b", "score")}[method]
    data = tmp_path / "nine.jsonl"
    data.write_text("".join(json.dumps({key: row[key] for key in keys}) + "\n" for row in rows), encoding="utf-8")
    trained(plan(method, train=[data], dev=None, epochs=3.0, batch_size=4, accumulation=accumulation), tmp_path / "out")
    losses = [line["loss"] for line in log(tmp_path / "out")]
    assert len(losses) == 6 // accumulation
    assert all(0 < loss < 10 for loss in losses)  # a sentence against nothing would have a loss of 0


def test_too_few_sentences_to_whiten_are_refused_before_the_training(
    plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "few.tsv"
    data.write_text("a\tb\tscore\n今天\t天气\t1\n我们\t公园\t0\n", encoding="utf-8")
    said = r"whitening to 16 of 16 dimensions needs at least 17 sentences .* found 4: give more, or keep at most --dims"
    with pytest.raises(InputError, match=said):
        Training(plan(train=[data], whiten=True), tmp_path / "out", device="cpu")
    assert not (tmp_path / "out").exists()
    assert trained(plan(train=[data], whiten=True, dims=2), tmp_path / "out").model.width == 2


def test_a_whitened_model_is_trained_on_as_the_plain_one(plan: MakePlan, tmp_path: Path) -> None:
    trained(plan("whitening", dev=None), tmp_path / "whitened")
    assert "whitening.weight" in weights.load(tmp_path / "whitened").rest
    for name, backbone in (("one", None), ("two", str(tmp_path / "whitened"))):
        made = plan(dev=None)
        trained(dataclasses.replace(made, backbone=backbone or made.backbone), tmp_path / name)
    assert model(tmp_path / "one") == model(tmp_path / "two")


def test_a_whitening_that_was_interrupted_is_fitted_anew(
    plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan(whiten=True)
    trained(made, tmp_path / "whole")

    def breaks(self: Training) -> Any:  # noqa: ANN401
        saves(self)
        if self.model.whitening is not None:
            raise KeyboardInterrupt

    saves: Any = Training.save_best
    with monkeypatch.context() as patch:
        patch.setattr(Training, "save_best", breaks)
        with pytest.raises(KeyboardInterrupt):
            trained(made, tmp_path / "parts")
    assert "whitening.weight" in weights.load(tmp_path / "parts").rest
    trained(made, tmp_path / "parts", resume=True)
    assert model(tmp_path / "whole") == model(tmp_path / "parts")


def test_a_half_line_of_the_log_is_dropped(plan: MakePlan, tmp_path: Path) -> None:
    made = plan(evaluate_every=3)
    trained(made, tmp_path / "out", stop=3)
    with (tmp_path / "out/log.jsonl").open("a") as file:
        file.write('{"step": 4, "loss": 1}\n{"step": 5, "lo')
    trained(made, tmp_path / "out", resume=True)
    assert [line["step"] for line in log(tmp_path / "out")] == list(range(1, 13))


def test_a_run_that_is_complete_says_so(plan: MakePlan, tmp_path: Path) -> None:
    trained(plan(), tmp_path / "out")
    with pytest.raises(ModelError, match="out: nothing to resume, the run is complete; start a new one"):
        planned(tmp_path / "out")


def test_where_nothing_ran_there_is_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no state to resume from; start a new run with --out"):
        planned(tmp_path)
    with pytest.raises(ModelError, match="gone: no such folder; --resume takes that of a run which was stopped"):
        planned(tmp_path / "gone")


def test_the_state_names_files_so_that_they_are_found_from_any_folder(
    plan: MakePlan, tmp_path: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pairs.parent)
    short = Path(pairs.name)
    trained(plan(train=(short,), dev=short), tmp_path / "out", stop=1)
    monkeypatch.chdir("/")
    resumed = planned(tmp_path / "out")
    assert resumed.dev
    assert [resumed.train[0].name, resumed.dev.name] == [str(pairs.resolve())] * 2


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_damaged_state_is_named(plan: MakePlan, tmp_path: Path, content: str) -> None:
    trained(plan(), tmp_path / "out", stop=1)
    (tmp_path / "out/last/run.json").write_text(content)
    with pytest.raises(ModelError, match=r"run\.json: damaged .*; start a new run with --out"):
        planned(tmp_path / "out")


def test_the_state_of_another_version_is_named(plan: MakePlan, tmp_path: Path) -> None:
    trained(plan(), tmp_path / "out", stop=1)
    path = tmp_path / "out/last/run.json"
    state = json.loads(path.read_text())
    state["plan"]["later"] = 1
    path.write_text(json.dumps(state))
    with pytest.raises(ModelError, match=r"the run of another version of nlpk .*'later'.*; start a new one with --out"):
        planned(tmp_path / "out")


def test_a_state_that_is_cut_off_is_named(plan: MakePlan, tmp_path: Path) -> None:
    made = plan()
    trained(made, tmp_path / "out", stop=1)
    state = tmp_path / "out/last" / STATE
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(ModelError, match=r"state\.safetensors: damaged"):
        Training(made, tmp_path / "out", resume=True)


def test_a_run_goes_on_with_its_own_data_only(plan: MakePlan, tmp_path: Path, pairs: Path) -> None:
    made = plan()
    trained(made, tmp_path / "out", stop=1)
    pairs.write_text(pairs.read_text() + "又\t一\t2\n")
    with pytest.raises(InputError, match="the training or dev file has changed since; --resume needs the same data"):
        Training(made, tmp_path / "out", resume=True)


def test_a_folder_that_holds_something_is_not_trained_into(plan: MakePlan, tmp_path: Path, pairs: Path) -> None:
    with pytest.raises(UsageError, match=r"not an empty folder; choose another --out$"):
        Training(plan(), tmp_path)
    trained(plan(), tmp_path / "stopped", stop=1)
    with pytest.raises(UsageError, match=r"stopped: not an empty folder; choose another --out, or go on with --resume"):
        Training(plan(), tmp_path / "stopped")
    with pytest.raises(UsageError, match=r"pairs\.tsv: a file; the run is to be a folder, so choose another --out"):
        Training(plan(), pairs)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "log.jsonl").write_text('{"step": 99}\n')  # of a run that ended before its first save
    with pytest.raises(ModelError, match="the run ended before its first save; start it again, with the same --out"):
        last_of(tmp_path / "empty")
    trained(plan(steps=1), tmp_path / "empty")
    assert [json.loads(line)["step"] for line in (tmp_path / "empty" / "log.jsonl").open()] == [1]


def test_two_runs_do_not_write_into_one_folder(plan: MakePlan, tmp_path: Path) -> None:
    one, other = (Training(plan(), tmp_path / "out", device="cpu") for _ in range(2))
    steps: Any = iter(one)
    next(steps)
    before = (tmp_path / "out" / "log.jsonl").read_bytes()
    with pytest.raises(UsageError, match="out: another run is under way there; wait for it, or choose another --out"):
        next(iter(other))
    assert (tmp_path / "out" / "log.jsonl").read_bytes() == before
    steps.close()
    trained(plan(), tmp_path / "out", resume=True)


def test_a_run_does_not_write_over_one_that_ended_while_it_prepared(plan: MakePlan, tmp_path: Path) -> None:
    late = Training(plan(), tmp_path / "out", device="cpu")
    trained(plan(), tmp_path / "out")
    before = model(tmp_path / "out"), (tmp_path / "out" / "log.jsonl").read_bytes()
    with pytest.raises(UsageError, match=r"out: not an empty folder; choose another --out$"):
        next(iter(late))
    assert (model(tmp_path / "out"), (tmp_path / "out" / "log.jsonl").read_bytes()) == before


def test_a_damaged_log_does_not_keep_a_run_from_going_on(plan: MakePlan, tmp_path: Path) -> None:
    trained(plan(), tmp_path / "out", stop=3)
    with (tmp_path / "out" / "log.jsonl").open("ab") as damaged:
        damaged.write(b"\xffgarbage\n{")
    trained(plan(), tmp_path / "out", resume=True)
    assert [line["step"] for line in log(tmp_path / "out")] == list(range(1, 13))


def test_one_row_is_too_few_to_learn_from(plan: MakePlan, tmp_path: Path) -> None:
    (tmp_path / "one.tsv").write_text("a\tb\tscore\n今\t天\t3\n")
    with pytest.raises(InputError, match=r"one\.tsv: one row; expected 2 or more to learn from"):
        Training(plan(train=[tmp_path / "one.tsv"]), tmp_path / "out")


@pytest.mark.parametrize("error", [OSError(28, "No space left"), SafetensorError("No space left")])
def test_a_full_disk_leaves_no_folder_that_cannot_be_gone_on_with(
    plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr("nlptasks.training.state.save_file", full)
        with pytest.raises(type(error), match="No space left"):
            list(Training(plan(dev=None, steps=2), tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    training = iter(Training(plan(steps=4, evaluate_every=2), tmp_path / "out"))
    next(step for step in training if step.scores is not None)
    with monkeypatch.context() as patch:
        patch.setattr("nlptasks.training.state.save_file", full)
        with pytest.raises(type(error), match="No space left"):
            list(training)
    assert (tmp_path / "out" / "last").is_dir()
    assert not (tmp_path / "out" / "last.part").exists()


def test_a_folder_that_could_not_be_made_is_refused_before_anything_is_read(plan: MakePlan, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"out: cannot be made or written, .*file is no folder"):
        Training(plan(), tmp_path / "file" / "out")


def test_a_run_stopped_before_its_first_update_leaves_nothing(plan: MakePlan, tmp_path: Path) -> None:
    training = Training(plan(), tmp_path / "out")
    iter(training).close()  # type: ignore[attr-defined]
    trained(plan(steps=1), tmp_path / "out")


def test_files_with_other_scales_are_brought_to_one(plan: MakePlan, tmp_path: Path, pairs: Path) -> None:
    (tmp_path / "binary.tsv").write_text("a\tb\tscore\n今\t天\t1\n你\t我\t0\n")
    training = Training(plan(train=[pairs, tmp_path / "binary.tsv"]), tmp_path / "out")
    scores = [row["score"] for row in training.run.rows]
    assert len(scores) == 26
    assert sorted(set(scores)) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert scores[-2:] == [1, 0]


def test_max_rows_draws_by_the_seed(plan: MakePlan, tmp_path: Path) -> None:
    def drawn(seed: int) -> list[str]:
        return [row["a"] for row in Training(plan(max_rows=9, seed=seed), tmp_path / "out").run.rows]

    assert drawn(1) == drawn(1) != drawn(2)
    assert len(set(drawn(1))) == 9


def test_simplifying_drops_tokens_from_model_and_tokenizer(plan: MakePlan, tmp_path: Path, tiny_folder: Path) -> None:
    trained(plan(simplify_vocabulary=True), tmp_path / "out")
    before, after = weights.load(tiny_folder), weights.load(tmp_path / "out")
    assert after.bert.config.vocab_size == len(after.text) < len(before.text)
    assert after.text.tokenizer.token_to_id("天气") is None
    assert len(after.bert.tokens.weight) == len(after.text)


# The real thing


ENDLESS = {"method": "cosent", "steps": 90, "evaluate-every": 30, "save-every": 0, "ema": 0.9, "accumulation": 2}


@pytest.fixture
def start(spawn: Start, tiny_folder: Path, pairs: Path) -> Start:
    """Start `nlpk train similarity` in a process of its own."""

    def run(out: Path, *options: object) -> subprocess.Popen[str]:
        chosen = options or (
            *("--train", pairs, "--dev", pairs, "--backbone", tiny_folder, "--out", out),
            *("--dtype", "float32", "--batch-size", 4, "--limit", 16, "--learning-rate", 1e-3, "--device", "cpu"),
            *itertools.chain.from_iterable((f"--{name}", value) for name, value in ENDLESS.items()),
        )
        return spawn("train", "similarity", *chosen, text=True)

    return run


def wait_for(process: subprocess.Popen[str], out: Path, step: int) -> None:
    """Wait until a run has saved a state so far on."""
    until = time.monotonic() + 200  # each update waits for the disk, which others may keep busy
    while time.monotonic() < until:
        assert process.poll() is None, process.communicate()[1]
        try:
            if json.loads((out / "last/run.json").read_text())["run"]["step"] >= step:
                return
        except (OSError, ValueError):
            pass
        time.sleep(0.002)
    pytest.fail("the run does not go on")


def test_a_run_killed_in_the_middle_goes_on_to_the_same_model(start: Start, tmp_path: Path) -> None:
    whole, parts = start(tmp_path / "whole"), start(tmp_path / "parts")
    wait_for(parts, tmp_path / "parts", 20)
    parts.send_signal(signal.SIGKILL)
    parts.communicate()
    assert parts.returncode == -signal.SIGKILL
    assert 20 <= json.loads((last_of(tmp_path / "parts") / "run.json").read_text())["run"]["step"] < 90
    resumed = start(tmp_path / "parts", "--resume", tmp_path / "parts", "--device", "cpu")
    for process in (whole, resumed):
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
        assert out == ""
        assert all(line.startswith("nlpk: ") for line in err.splitlines()), err
    assert model(tmp_path / "whole") == model(tmp_path / "parts")
    assert [line["step"] for line in log(tmp_path / "parts")] == [line["step"] for line in log(tmp_path / "whole")]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_that_is_interrupted_saves_its_state(start: Start, tmp_path: Path, number: int, status: int) -> None:
    process = start(tmp_path / "out")
    wait_for(process, tmp_path / "out", 10)
    process.send_signal(number)
    _, err = process.communicate(timeout=200)
    assert process.returncode == status, err
    step = json.loads((tmp_path / "out/last/run.json").read_text())["run"]["step"]
    assert f"stopped at update {step}; go on with: nlpk train similarity --resume {tmp_path}/out" in err
    assert "Traceback" not in err


def test_fewer_dev_rows_are_drawn_by_the_seed(
    plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def labelled(**flags: int) -> list[Any]:
        return Training(plan(**flags), tmp_path / "out", device="cpu").labelled

    monkeypatch.setattr("nlptasks.training.run.MANY", 24)
    caplog.set_level("INFO", logger="nlptasks")
    whole, some = labelled(), labelled(max_dev_rows=6)
    assert caplog.messages.count("scoring 24 dev rows each time; --max-dev-rows N takes fewer of them") == 1
    assert [row for row in whole if row in some] == some  # in their order
    assert len(some) == 6
    assert labelled(max_dev_rows=6) == some != labelled(max_dev_rows=6, seed=2)
    assert labelled(max_dev_rows=99) == whole
