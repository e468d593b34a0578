import io
import json
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from nlpk.pretrain import show
from nlptasks.pretraining.run import Report

Nlpk = Callable[..., Any]
Spawn = Callable[..., subprocess.Popen[bytes]]
SMALL = ("--layers", 1, "--width", 16, "--heads", 2, "--vocab-size", 230)
SHORT = ("--length", 16, "--long-length", 32, "--batch-tokens", 64, "--dtype", "float32")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nlptasks.backbone.hardware.matrix_rate", lambda *_: 1e12)
    monkeypatch.setattr("nlptasks.pretraining.words.jieba_words", lambda: list)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "a corpus.txt"
    path.write_text("今天天气很好，我们去公园。\n\n北京是首都。\n\n" * 30, encoding="utf-8")
    return path


def test_text_becomes_a_model_that_goes_on_and_is_scored(nlpk: Nlpk, text: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second one"
    unseen = (*SMALL[:-1], 231)  # of this size no other test has one in the cache
    result = nlpk("pretrain", text, "--out", first, "--steps", 3, *unseen, *SHORT)
    assert (result.status, result.out) == (0, b"")
    lines = result.err.splitlines()
    assert all(line.startswith("nlpk: ") for line in lines)
    assert lines[0] == "nlpk: the vocabulary has 201 tokens of 231: the corpus holds no more"
    assert "a corpus.txt: 60 documents, 630 tokens, 0.0000% of them unknown" in lines[1]
    assert "1 x 16, " in lines[2]
    assert "3 updates, 192 tokens; cpu, float32" in lines[2]
    assert lines[-2].startswith("nlpk: step 3/3  loss ")
    assert lines[-1] == f"nlpk: model in {first}; use it with --backbone {first}"
    more = ("--backbone", first, "--objectives", "mlm=0.5,lm=0.5", "--tokens", "1e2")
    assert nlpk("pretrain", text, text, *more, "--out", second, *SHORT).status == 0
    assert json.loads((second / "nlpk.json").read_text("utf-8"))["method"] == "mlm=0.5,lm=0.5"
    scored = nlpk("pretrain", "--eval", text, "--model", second, "--length", 16, "--json")
    names = ["mlm_loss", "mlm_accuracy", "lm_loss", "lm_perplexity", "unilm_loss"]
    assert list(scored.lines[0]["scores"]) == names
    assert scored.lines[0]["tokens"] == 630 // 14 * 16
    table = (
        nlpk("pretrain", "--eval", text, "--eval", text, "--model", second, "--length", 16).out.decode().splitlines()
    )
    assert table[0].split("\t") == ["file", "tokens", "unknown", *names]
    assert len(table) == 3
    refused = nlpk("predict", "similarity", "--model", second, stdin="a\tb\n")
    assert "a model of task pretraining; expected similarity" in refused.complaint
    assert json.loads(nlpk("models", "show", second).out)["task"] == "pretraining"


def test_a_prepared_corpus_goes_anywhere(nlpk: Nlpk, text: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    result = nlpk("pretrain", text, "--prepare", made, "--vocab-size", 230)
    assert result.status == 0
    assert result.err.splitlines()[-1] == f"nlpk: corpus in {made}; train on it with: nlpk pretrain {made} --out DIR"
    moved = made.rename(tmp_path / "moved")
    out = tmp_path / "out"
    assert nlpk("pretrain", moved, "--out", out, "--steps", 2, "--hours", 0, *SMALL[:-2], *SHORT).status == 0
    refused = nlpk("pretrain", moved, "--out", tmp_path / "other", *SMALL, *SHORT)
    assert refused.complaint == f"{moved}: has a vocabulary of its own; leave out --vocab-size"
    again = moved.rename(tmp_path / "elsewhere")
    lost = nlpk("pretrain", "--resume", out)
    assert lost.status == 2
    assert str(moved) in lost.complaint
    assert nlpk("pretrain", again, "--resume", out).status == 0
    assert (out / "model.safetensors").is_file()
    fitting = nlpk("pretrain", text, "--prepare", tmp_path / "fitting", "--backbone", out)
    assert fitting.err.endswith(f"nlpk pretrain {tmp_path}/fitting --backbone {out} --out DIR\n")
    assert nlpk("pretrain", "--eval", tmp_path / "fitting", "--model", out, "--length", 16).status == 0
    foreign = nlpk("pretrain", "--eval", tmp_path / "fitting", "--length", 16)
    assert foreign.status == 2
    assert f"{tmp_path}/fitting: prepared with another tokenizer than that of" in foreign.complaint


def test_a_stopped_run_is_scored_and_goes_on_with_its_own_text_only(nlpk: Nlpk, text: Path, tmp_path: Path) -> None:
    out, other = tmp_path / "out", tmp_path / "other.txt"
    other.write_text("公园里有人唱歌。\n" * 99, encoding="utf-8")
    assert nlpk("pretrain", text, "--out", out, "--steps", 300, "--hours", 0, *SMALL, *SHORT).status == 0
    scored = nlpk("pretrain", "--eval", text, "--model", out, "--length", 16, "--json")
    assert scored.status == 0
    assert f"{out}: a run that is not complete; its last state is scored" in scored.err
    (out / "last").rename(out / "last.old")  # as a crash may leave it
    again = nlpk("pretrain", "--eval", text, "--model", out, "--length", 16, "--json")
    assert again.lines[0]["scores"] == scored.lines[0]["scores"]
    (out / "last.old").rename(out / "last")
    refused = nlpk("pretrain", other, "--resume", out)
    assert refused.status == 2
    said = f"{other}: not the corpus that the run began with; --resume needs the same files"
    assert refused.err.splitlines()[-1] == f"nlpk: {said}"
    again = nlpk("pretrain", text, "--out", out, *SMALL, *SHORT)
    assert again.complaint == f"{out}: not an empty folder; choose another --out, or go on with --resume {out}"


def test_notes_on_the_files_are_made_once(nlpk: Nlpk, tmp_path: Path) -> None:
    records = [{"body": "今天天气很好，我们去公园。"}] * 30 + [{"t": 1}]
    text = "\n".join(json.dumps(record, ensure_ascii=False) for record in records)
    (tmp_path / "c.jsonl").write_text(text, encoding="gb18030")
    result = nlpk("pretrain", tmp_path / "c.jsonl", "--field", "body", "--steps", 1, *SMALL, *SHORT)
    assert result.status == 0
    assert result.err.count("GB18030") == 1
    assert result.err.count("records that cannot be used: 1, this being the first") == 1
    assert result.err.count("documents, ") == 1


def test_a_run_that_ended_before_its_first_save_is_started_again(nlpk: Nlpk, text: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "last.part").mkdir(parents=True)
    (out / "log.jsonl").write_text('{"step": 1}\n', encoding="utf-8")
    refused = nlpk("pretrain", "--resume", out)
    assert refused.status == 2
    assert refused.complaint == f"{out}: the run ended before its first save; start it again, with the same --out"
    assert nlpk("pretrain", text, "--out", out, "--steps", 1, *SMALL, *SHORT).status == 0
    assert [json.loads(line)["step"] for line in (out / "log.jsonl").open(encoding="utf-8")] == [1]
    assert (out / "model.safetensors").is_file()


def test_a_run_whose_time_is_over_says_how_to_go_on(nlpk: Nlpk, text: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = nlpk("pretrain", text, "--out", out, "--steps", 300, "--hours", 0, *SMALL, *SHORT)
    assert result.status == 0
    said = f"stopped at update 3 of 300, its time being over; go on with: nlpk pretrain --resume {out}"
    assert result.err.splitlines()[-1] == f"nlpk: {said}"


def test_a_narrow_terminal_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Console(file=io.StringIO(), width=60, force_terminal=True)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("nlpk.console.console", lambda: shown)
    losses = {"mlm": 4.5, "lm": 4.25, "unilm": 4.125}
    show(iter([Report(30, 60, 0.5, 9000, 4.0, losses, 1e-3, 3000.0, 0.5, 9.0, 7200.0)]))
    assert isinstance(shown.file, io.StringIO)
    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in shown.file.getvalue().splitlines()]
    assert any(line.startswith("30/60") and "2:00 h left  loss 4.000" in line for line in lines), lines
    assert max(map(len, lines)) <= 60


def test_an_interrupted_run_says_how_to_go_on(spawn: Spawn, text: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with spawn("pretrain", text, "--out", out, "--steps", 10**6, "--save-every", 0, *SMALL, *SHORT) as process:
        assert process.stderr
        while b" updates, " not in (line := process.stderr.readline()):
            assert line
        while not (out / "last").is_dir():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read().decode().splitlines()
        assert process.wait() == 143
    assert f"; go on with: nlpk pretrain --resume {out}" in said[-2]
    assert said[-1] == "nlpk: terminated"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "no CORPUS; name files of text"),
        (("no-such.txt",), "no-such.txt: there is no such file"),
        (("empty.txt",), "empty.txt: no text; expected some, with a blank line between documents"),
        (("-",), "-: a pipe, which cannot be read twice; write the text to a file, and name that"),
        (("/dev/null",), "/dev/null: a pipe, which cannot be read twice"),
        (("full",), "full: a folder, and not one made with --prepare; name the files in it"),
        (
            ("prepared", "--field", "body"),
            "prepared: prepared already; leave out --format, --field, --columns and --encoding",
        ),
        (("prepared", "--prepare", "P"), "prepared: prepared already; name the files that it was made of"),
        (("--resume", "R", "--field", "body"), "--field: says how CORPUS is read; name CORPUS, too"),
        (("--eval", "short.txt", "--steps", 0), "--eval has no use for --steps; leave it out"),
        (("--eval", "no-such.txt", "--length", 513), "--length 513: expected 8 to 512, the model's positions"),
        (("short.txt", "--schedule", "piecewise", "--pieces", "0:-5"), "found '0:-5', expected update:share"),
        (("short.txt", "--prepare", "P", "--backbone", "B", "--vocab-size", 300), "leave out --vocab-size"),
        (("--eval", "short.txt", "--eval", "no-such.txt"), "no-such.txt: there is no such file"),
        (("binary.txt",), "this is a binary file"),
        (("short.txt",), "tokens do not fill a row, which has 126 and two special ones; lower --length"),
        (
            ("short.txt", "--length", 8, "--long-share", 0),
            "are less than an update of 384 rows of 8; lower",
        ),
        (("short.txt", "--backbone", "B", "--layers", 3), "--backbone has a shape of its own; leave out --layers"),
        (("short.txt", "--json"), "training has no use for --json; leave it out"),
        (("short.txt", "--resume", "R", "--steps", 3), "--resume has no use for --steps; leave it out"),
        (("--resume", "R"), "R: no such folder; --resume takes that of a run"),
        (("short.txt", "--eval", "short.txt"), "--eval has no use for CORPUS; leave it out"),
        (("--eval", "short.txt", "--model", "./no"), "./no: no such folder"),
        (("--prepare", "P"), "--prepare: no CORPUS; name the files to prepare"),
        (("short.txt", "--prepare", "P", "--steps", 3), "--prepare has no use for --steps; leave it out"),
        (("short.txt", "--mask-rate", 2), "--mask-rate 2: expected more than 0, below 1"),
        (("short.txt", "--objectives", "mlm=x"), "expected shares such as mlm=0.7"),
        (("short.txt", "--width", 50, "--heads", 4), "--width 50: 4 heads do not divide it"),
        (("short.txt", "--vocab-size", 9), "--vocab-size 9: "),
        (("short.txt", "--hours", -1), "--hours -1: expected 0 or more"),
        (("short.txt", "--workers", 0), "--workers 0: expected 1 or more"),
        (("short.txt", "--tokens", 9, "--steps", 3), "--tokens and --steps both say how long the run is; give one"),
        (("short.txt", "--length", 600), "--long-length 512: less than --length 600; raise it, or give --long-share 0"),
        (("short.txt", "--seed", 1 << 63), "expected 0 or more, below 2^63"),
        (("short.txt", "--pieces", "0:1,9:0"), "--pieces does nothing without --schedule piecewise"),
        (("gb.txt", "--encoding", "utf-8"), "not text in utf-8; name its encoding with --encoding"),
        (("--eval", "short.txt"), "7 tokens, in which mlm has nothing to tell; expected a few sentences at least"),
        (("short.txt", "--out", "full"), "full: not an empty folder; choose another --out"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    nlpk: Nlpk, options: tuple[object, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").touch()
    Path("binary.txt").write_bytes(bytes(256))
    Path("short.txt").write_text("今天天气很好\n", encoding="utf-8")
    Path("gb.txt").write_text("今天天气很好。" * 99, encoding="gb18030")
    Path("prepared").mkdir()
    Path("prepared", "corpus.json").touch()
    Path("full").mkdir()
    Path("full", "mine").touch()
    result = nlpk("pretrain", *(options or ("--out", "O")))
    assert (result.status, result.out) == (2, b"")
    assert said in result.err.splitlines()[-1]
    assert "Traceback" not in result.err
    assert not Path("P").exists()


def test_a_run_is_drawn_where_there_is_what_draws(
    nlpk: Nlpk, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, picture = tmp_path / "out", tmp_path / "loss.png"
    assert nlpk("pretrain", text, "--out", out, "--steps", 1, *SMALL, *SHORT).status == 0
    drawn: list[tuple[Path, Path]] = []
    monkeypatch.setattr("nlptasks.training.plot.draw", lambda folder, out: drawn.append((folder, out)))
    assert nlpk("models", "plot", out, "--out", picture).complaint == f"picture in {picture}"
    assert drawn == [(out, picture)]
