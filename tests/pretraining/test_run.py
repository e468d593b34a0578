import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from nlptasks.backbone import weights
from nlptasks.backbone.batch import Batch
from nlptasks.errors import InputError, ModelError, UsageError
from nlptasks.pretraining import evaluation
from nlptasks.pretraining import run as module
from nlptasks.pretraining.corpus import Corpus
from nlptasks.pretraining.documents import Source
from nlptasks.pretraining.plan import Plan, corpus_of, planned
from nlptasks.pretraining.run import Pretraining, Report
from nlptasks.pretraining.settings import Shape
from nlptasks.training import checkpoint

Make = Callable[..., Plan]
Spawn = Callable[..., subprocess.Popen[bytes]]


def same(one: Path, other: Path) -> bool:
    """Tell whether two models are equal bit for bit."""
    tensors, others = load_file(one / weights.WEIGHTS), load_file(other / weights.WEIGHTS)
    return tensors.keys() == others.keys() and all(
        torch.equal(tensor, others[name]) for name, tensor in tensors.items()
    )


def log(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text("utf-8").splitlines()]


def interrupted(training: Pretraining, step: int) -> None:
    """Stop a run as Ctrl-C does, after an update."""
    reports: Any = iter(training)
    while next(reports).step < step:
        pass
    with pytest.raises(KeyboardInterrupt):
        reports.throw(KeyboardInterrupt)


def test_a_run_leaves_a_model_for_everybody(plan: Make, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, BertForMaskedLM

    out = tmp_path / "out"
    reports = list(Pretraining(plan(steps=4), out))
    assert [report.step for report in reports] == [1, 2, 3, 4]
    files = "README.md config.json log.jsonl model.safetensors nlpk.json tokenizer.json tokenizer_config.json"
    assert sorted(os.listdir(out)) == files.split()
    theirs: Any = BertForMaskedLM.from_pretrained(out, attn_implementation="eager")
    theirs.eval()
    words = AutoTokenizer.from_pretrained(out)
    backbone, model = evaluation.load(out)
    ids = torch.tensor(backbone.text.encode(["今天天气很好，the play 3"], 64))
    assert ids.tolist() == words(["今天天气很好，the play 3"])["input_ids"]
    with torch.no_grad():
        hidden = model.head(model.bert.eval()(Batch(ids)))
        ours = torch.nn.functional.linear(hidden, model.bert.tokens.weight, model.head.bias)
        assert torch.allclose(ours, theirs(input_ids=ids).logits, atol=1e-5)
    opened = checkpoint.open_folder(out)
    assert (opened.task, opened.about["training"]["tokens"]) == ("pretraining", 4 * 96)
    assert weights.read_config(out).hidden_dropout_prob == 0.1
    assert "| corpus.txt |" in (out / "README.md").read_text("utf-8")


def test_reports_say_what_there_is_to_know(plan: Make, tmp_path: Path, corpus: Corpus) -> None:
    report = list(Pretraining(plan(objectives="mlm=1,lm=1"), tmp_path / "out"))[-1]
    assert isinstance(report, Report)
    assert set(report.losses) == {"mlm", "lm"}
    assert report.tokens == 6 * 96
    assert report.epoch == pytest.approx(6 * (0.5 * 6 * 14 + 0.5 * 3 * 30) / corpus.tokens)
    assert min(report.tokens_per_second, report.share_of_rate, report.seconds) > 0
    assert report.seconds_left == 0
    assert [line["step"] for line in log(tmp_path / "out")] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("objectives", ["mlm=1", "lm=1", "unilm=1", "mlm=0.5,lm=0.25,unilm=0.25"])
def test_it_learns(plan: Make, tmp_path: Path, objectives: str) -> None:
    flags = {"objectives": objectives, "steps": 120, "learning_rate": 0.01, "batch_tokens": 192}
    reports = list(Pretraining(plan(**flags), tmp_path / "out"))
    assert reports[-1].loss < reports[0].loss - 1.5


FLAGS: list[dict[str, Any]] = [{}, {"dropout": 0.2, "ema": 0.5, "accumulation": 2}, {"dtype": "bf16"}]


@pytest.mark.parametrize("flags", FLAGS)
def test_a_run_that_goes_on_is_one_that_was_not_stopped(plan: Make, tmp_path: Path, flags: dict[str, Any]) -> None:
    list(Pretraining(plan(**flags), tmp_path / "whole"))
    interrupted(Pretraining(plan(**flags), tmp_path / "parts"), 2)
    parts = tmp_path / "parts"
    interrupted(Pretraining(planned(parts), parts, resume=True), 5)
    list(Pretraining(planned(parts), parts, resume=True))
    assert same(tmp_path / "whole", parts)
    assert [line["step"] for line in log(parts)] == [1, 2, 3, 4, 5, 6]
    assert not (parts / "last").exists()


def test_passes_change_nothing_but_the_memory(plan: Make, tmp_path: Path) -> None:
    for passes in (1, 3):
        list(Pretraining(plan(accumulation=passes), tmp_path / str(passes)))
    one, other = (load_file(tmp_path / name / weights.WEIGHTS) for name in "13")
    assert all(torch.allclose(tensor, other[name], atol=1e-5) for name, tensor in one.items())


def test_a_seed_decides(plan: Make, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        list(Pretraining(plan(seed=seed), tmp_path / name))
    assert same(tmp_path / "a", tmp_path / "b")
    assert not same(tmp_path / "a", tmp_path / "c")


STARTING = """
import os, sys
from pathlib import Path
import nlptasks.pretraining.run as r
from nlptasks.backbone import hardware
from nlptasks.pretraining.documents import Source
from nlptasks.pretraining.plan import Plan, planned
from nlptasks.pretraining.settings import Shape
hardware.matrix_rate = lambda *_: 1e12
plan, out = {plan!r}, Path(sys.argv[1])
"""
REPORTING = """
for report in r.Pretraining(plan, out):
    print(report.step, flush=True)
"""


def test_a_killed_run_goes_on_where_it_was_saved(plan: Make, tmp_path: Path, spawn: Spawn) -> None:
    """Kill -9, in a process of its own, in the middle of a run that saves after every update."""
    whole, out = tmp_path / "whole", tmp_path / "out"
    chosen = plan(steps=60, save_every=0.0)
    script = tmp_path / "worker.py"
    script.write_text(STARTING.format(plan=chosen) + REPORTING)
    process = spawn(script, out, program="script")
    assert process.stdout
    while process.stdout.readline() not in (b"20\n", b""):
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    saved = json.loads((out / "last" / "run.json").read_text("utf-8"))["run"]["step"]
    assert 0 < saved < 60
    assert not (out / "nlpk.json").exists()
    list(Pretraining(planned(out), out, resume=True))
    list(Pretraining(chosen, whole))
    assert same(whole, out)


def test_hours_end_a_run_for_now(plan: Make, tmp_path: Path) -> None:
    out = tmp_path / "out"
    training = Pretraining(plan(), out, hours=0.0)
    assert [report.step for report in training] == [1]
    assert not training.finished
    again = Pretraining(planned(out), out, resume=True, hours=1.0)
    assert [report.step for report in again] == [2, 3, 4, 5, 6]
    assert again.finished
    assert evaluation.load(out)


def test_one_may_go_on_from_a_model(plan: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = tmp_path / "first"
    list(Pretraining(plan(), first))
    list(Pretraining(plan(backbone=first, steps=0), tmp_path / "second"))
    assert same(first, tmp_path / "second")
    assert "no head" not in caplog.text


def test_a_backbone_without_a_head_gets_a_new_one(plan: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = tmp_path / "first"
    list(Pretraining(plan(steps=0), first))
    backbone = weights.load(first)
    weights.save(first, backbone.bert, backbone.text, {})
    with caplog.at_level("INFO"):
        list(Pretraining(plan(backbone=first, steps=1), tmp_path / "second"))
    assert "no head for masked words; a new one is trained" in caplog.text
    assert evaluation.load(tmp_path / "second")


def test_a_new_run_starts_from_berts_weights(plan: Make, tmp_path: Path) -> None:
    list(Pretraining(plan(steps=0, shape=Shape(layers=2, width=64, intermediate=96)), tmp_path / "out"))
    tensors = load_file(tmp_path / "out" / weights.WEIGHTS)
    table = tensors["bert.embeddings.word_embeddings.weight"]
    assert float(table.std()) == pytest.approx(0.02, rel=0.05)
    assert tensors["bert.encoder.layer.1.intermediate.dense.weight"].shape == (96, 64)
    assert not tensors["cls.predictions.bias"].any()


def test_the_running_mean_is_what_is_kept(plan: Make, tmp_path: Path) -> None:
    list(Pretraining(plan(ema=0.9), tmp_path / "mean"))
    list(Pretraining(plan(), tmp_path / "last"))
    assert not same(tmp_path / "mean", tmp_path / "last")


def test_the_compiled_model_is_the_model(plan: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def compiled(model: Any) -> Any:  # noqa: ANN401
        asked.append(model)
        return model

    monkeypatch.setattr(torch, "compile", compiled)
    assert Pretraining(plan(), tmp_path / "a", compile=True).model is asked[0]
    Pretraining(plan(), tmp_path / "b")
    assert len(asked) == 1


def test_what_cannot_be_trained_is_refused(plan: Make, tmp_path: Path, corpus: Corpus) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(UsageError, match="full: not an empty folder; choose another --out"):
        Pretraining(plan(), tmp_path / "full")
    with pytest.raises(ModelError, match="no state to resume from"):
        planned(tmp_path)
    with pytest.raises(UsageError, match="a prepared corpus stands alone"):
        corpus_of((Source(str(corpus.folder)), Source("other.txt")), 300)
    with pytest.raises(UsageError, match="prepared with another tokenizer"):
        Pretraining(plan(backbone=weights.DEFAULT), tmp_path / "out")
    first = tmp_path / "first"
    list(Pretraining(plan(steps=0), first))
    with pytest.raises(UsageError, match="rows of 600 tokens, but the model has 512 positions; lower --length"):
        Pretraining(plan(backbone=first, long_length=600, batch_tokens=600), tmp_path / "out")


def test_another_corpus_or_plan_is_refused_on_resume(
    plan: Make, tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    interrupted(Pretraining(plan(), out), 2)
    monkeypatch.setattr(Corpus, "fingerprint", "another")
    with pytest.raises(InputError, match="the corpus is not the one of the run; --resume needs the same text"):
        Pretraining(planned(out, (Source(str(corpus.folder)),)), out, resume=True)
    state = json.loads((out / "last" / "run.json").read_text("utf-8"))
    state["plan"] = {"task": "similarity"}
    (out / "last" / "run.json").write_text(json.dumps(state))
    with pytest.raises(ModelError, match="not a pre-training run, or of another version"):
        planned(out)


STOPPING = """
first = r.Pretraining(plan, out, hours=float(os.environ["RANK"]))
assert [report.step for report in first] == [1]
assert not first.finished
second = r.Pretraining(planned(out), out, resume=True)
assert [report.step for report in second] == [2, 3, 4, 5, 6]
assert second.finished
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_two_processes_train_the_model_that_one_does(plan: Make, tmp_path: Path, spawn: Spawn) -> None:
    """They find each other as torchrun's do; the time of one of them is over after an update, and both stop."""
    script = tmp_path / "worker.py"
    script.write_text(STARTING.format(plan=plan()) + STOPPING)
    common = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    ranks = [{**common, "RANK": number, "LOCAL_RANK": number} for number in "01"]
    started = [spawn(script, tmp_path / "two", program="script", env=env, stderr=None) for env in ranks]
    list(Pretraining(plan(), tmp_path / "one"))
    assert [process.wait(120) for process in started] == [0, 0]
    one, other = (load_file(tmp_path / name / weights.WEIGHTS) for name in ("one", "two"))
    assert all(torch.allclose(tensor, other[name], atol=1e-5) for name, tensor in one.items())
    assert [line["tokens"] for line in log(tmp_path / "two")] == [96 * n for n in range(1, 7)]
    for alone, together in zip(log(tmp_path / "one"), log(tmp_path / "two"), strict=True):
        assert together["losses"] == pytest.approx(alone["losses"], abs=1e-4)


def test_reports_come_after_some_updates_or_some_tokens(
    plan: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reported(out: Path) -> list[int]:
        reports: Any = iter(Pretraining(plan(steps=1000), out))
        with closing(reports):
            return [next(reports).step for _ in range(2)]

    assert reported(tmp_path / "one") == [10, 20]
    monkeypatch.setattr(module, "EVERY", 4)
    assert reported(tmp_path / "two") == [4, 8]
    monkeypatch.setattr(module, "READ", 2 * 96)
    assert reported(tmp_path / "three") == [2, 4]
