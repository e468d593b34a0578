"""`nlpk pretrain CORPUS`: from plain text to a backbone."""

from __future__ import annotations

import inspect
import shlex
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nlptasks import places, rows
from nlptasks.errors import UsageError
from nlptasks.pretraining.settings import ELSEWHERE, Examination, Settings, Shape

from . import __version__, console
from .options import Reading, built, choice, flag, given, parameter, signed
from .outputs import complaints
from .sinks import encoded
from .train import absolute, backbone_of

if TYPE_CHECKING:
    from nlptasks.pretraining.documents import Source
    from nlptasks.pretraining.plan import Plan
    from nlptasks.pretraining.run import Pretraining, Report

#: What each way to use the command takes beside what all take; settings go with training alone.
READING = ("format", "field", "columns", "encoding", "workers")
PREPARING = ("corpus", "prepare", "backbone", "vocab_size", *READING)
EXAMINING = ("eval", "model", "device", "dtype", "length", "mask_rate", "tokens", "seed", "json", *READING)
RESUMING = ("corpus", "resume", "device", "compile", "hours", *READING)
NOT_TRAINING = ("prepare", "eval", "model", "json", "resume")


def register(app: typer.Typer) -> None:
    """Add the command."""

    def option(name: str, kind: Any, help: str, shown: str | None = None) -> inspect.Parameter:  # noqa: ANN401
        return parameter(name, kind | None, typer.Option(help=help, metavar=shown, show_default=False))

    corpus = typer.Argument(
        metavar="[CORPUS]...", help="Files of text, or one folder made with --prepare.", show_default=False
    )
    as_json = typer.Option("--json", help="With --eval, print a JSON object.")
    parameters = [
        parameter("corpus", list[str] | None, corpus),
        option("out", Path, "New folder for the model; one under the user's data folder by default.", "DIR"),
        option("backbone", str, "Folder or hub name of a BERT to go on from, instead of a new model.", "DIR|NAME"),
        option("config", Path, "TOML file of settings; flags go before it.", "FILE"),
        option("resume", Path, "Go on with the run in this folder, with its own settings.", "DIR"),
        option("hours", float, "Stop after these, with the state saved.", "X"),
        option("prepare", Path, "Only prepare the corpus, in this new folder, for a machine without jieba.", "DIR"),
        option("eval", list[str], "Score --model on this text, which it has not seen; may be repeated.", "FILE"),
        option("model", str, "With --eval, folder or hub name of the model.", "DIR|NAME"),
        parameter("json", bool, as_json, False),
        option("format", choice(("text", "jsonl", "json", "tsv", "csv")), "Format of the files, if not by extension."),
        option("field", str, "Field that holds the text of a record; text by default.", "NAME"),
        option("columns", str, "Names of the columns of a table without a header, such as id,text.", "NAMES"),
        option("encoding", str, "Encoding of the files; UTF-8 or GB18030 by default, whichever fits.", "NAME"),
        option("workers", int, "Processes that prepare the corpus; one for each core by default.", "N"),
        option("device", str, "auto, cpu, cuda, cuda:1 or mps.", "DEVICE"),
        option("compile", choice(("auto", "on", "off")), "Whether torch compiles the model; auto does on CUDA."),
        *(flag(field, Shape) for field in rows.describe(Shape)),
        *(flag(field, Settings) for field in rows.describe(Settings) if field.name not in ELSEWHERE),
    ]

    def command(**values: Any) -> None:  # noqa: ANN401
        pretrain(values)

    doc = "Pre-train a backbone on plain text: whole-word masking, left to right, and UniLM on one stream."
    app.command("pretrain", no_args_is_help=True)(signed(command, doc, parameters))


def pretrain(values: Mapping[str, Any]) -> None:
    """Do what the flags ask for: prepare, score, go on, or train."""
    if values["hours"] is not None and not values["hours"] >= 0:
        raise UsageError(f"--hours {values['hours']:g}: expected 0 or more")
    if values["workers"] is not None and values["workers"] < 1:
        raise UsageError(f"--workers {values['workers']}: expected 1 or more")
    if values["prepare"]:
        refuse(values, "--prepare", PREPARING)
        prepare(values)
    elif values["eval"]:
        refuse(values, "--eval", EXAMINING)
        examine(values)
    else:
        train(values)


def refuse(values: Mapping[str, Any], way: str, taken: tuple[str, ...]) -> None:
    """Refuse flags that one way to use the command has no use for."""
    given = {name for name, value in values.items() if value is not None and value is not False and value != []}
    others = [name for name in values if name in given and name not in taken]
    if others:
        named = ", ".join("CORPUS" if name == "corpus" else "--" + name.replace("_", "-") for name in others)
        raise UsageError(f"{way} has no use for {named}; leave it out")


def sources(names: list[str], values: Mapping[str, Any]) -> tuple[Source, ...]:
    """Say how each file is read.

    Raises:
        UsageError: one of them is a pipe, or there are none to read in the way that is asked for.
    """
    from nlptasks.pretraining.documents import Source

    if not names and (told := [f"--{name}" for name in READING if values[name] is not None and name != "workers"]):
        raise UsageError(f"{told[0]}: says how CORPUS is read; name CORPUS, too")
    for name in names:
        if name == "-" or (Path(name).exists() and not Path(name).is_file() and not Path(name).is_dir()):
            raise UsageError(f"{name}: a pipe, which cannot be read twice; write the text to a file, and name that")
    columns = Reading(columns=values["columns"]).names()
    return tuple(
        Source(absolute(name), values["format"], values["field"], values["encoding"], columns) for name in names
    )


def prepare(values: Mapping[str, Any]) -> None:
    """Prepare a corpus in a folder of the user's choice."""
    from nlptasks.backbone import weights
    from nlptasks.pretraining import preparing

    if not values["corpus"]:
        raise UsageError("--prepare: no CORPUS; name the files to prepare")
    backbone = values["backbone"]
    if backbone and values["vocab_size"]:
        raise UsageError("--backbone has a vocabulary of its own; leave out --vocab-size")
    text = weights.load(backbone).text if backbone else built(Shape, values).vocab_size
    out = values["prepare"]
    preparing.prepare(sources(values["corpus"], values), text, out=out, workers=values["workers"])
    named = ["nlpk", "pretrain", str(out), *(["--backbone", backbone] if backbone else [])]
    console.note(f"corpus in {out}; train on it with: {shlex.join(named)} --out DIR")


def examine(values: Mapping[str, Any]) -> None:
    """Score a model on texts."""
    from nlptasks.backbone import hardware
    from nlptasks.pretraining import evaluation
    from nlptasks.pretraining.corpus import check_tokenizer
    from nlptasks.pretraining.plan import corpus_of

    backbone, model = evaluation.load(values["model"])
    device = hardware.device(values["device"] or "auto")
    dtype = hardware.dtype(values["dtype"] or "auto", device)[0]
    asked = built(Examination, values)
    evaluation.check_length(model, asked)
    corpora = [corpus_of(sources([name], values), backbone.text, values["workers"]) for name in values["eval"]]
    results = []
    for name, corpus in zip(values["eval"], corpora, strict=True):
        check_tokenizer(corpus, backbone.text, backbone.name)
        started = time.monotonic()
        found = evaluation.examine(model, corpus, asked, device=device, dtype=dtype)
        made = {"model": backbone.name, "file": name, "tokens": found.tokens, "unknown": found.unknown}
        results.append({**made, "scores": found.scores, "seconds": round(time.monotonic() - started, 3)})
        if values["json"]:
            print(encoded(results[-1]).decode(), end="", flush=True)
    if not values["json"]:
        lines = [[Path(one["file"]).name, f"{one['tokens']:,}", f"{one['unknown']:.4%}"] for one in results]
        scores = [[f"{score:.4f}" for score in one["scores"].values()] for one in results]
        columns = ["file", "tokens", "unknown", *results[0]["scores"]]
        console.table("", columns, [line + scored for line, scored in zip(lines, scores, strict=True)])


def train(values: Mapping[str, Any]) -> None:
    """Train, show how it goes, and say where the model went."""
    training = begun(values)
    folder = shlex.quote(str(training.out))
    go_on = f"go on with: nlpk pretrain --resume {folder}"
    if not training.is_first:
        for _ in training:
            pass
        return
    console.note(opening(training))
    reports: Any = iter(training)
    try:
        with complaints(training.out), closing(reports):  # a generator, which saves its state when it is closed
            show(reports)
    except KeyboardInterrupt:
        if (training.out / "last").is_dir():
            console.note(f"stopped at update {training.run.step}; {go_on}")
        raise
    if training.finished:
        console.note(f"model in {training.out}; use it with --backbone {folder}")
    else:
        console.note(f"stopped at update {training.run.step:,} of {training.run.steps:,}, its time being over; {go_on}")


def begun(values: Mapping[str, Any]) -> Pretraining:
    """Prepare the run that the flags ask for: a new one, or one to go on with."""
    from nlptasks.pretraining.plan import planned
    from nlptasks.pretraining.run import Pretraining

    machine = {"device": values["device"] or "auto", "hours": values["hours"], "workers": values["workers"]}
    machine["compile"] = {"on": True, "off": False}.get(values["compile"])
    if values["resume"]:
        refuse(values, "--resume", RESUMING)
        plan = planned(values["resume"], sources(values["corpus"] or [], values))
        return Pretraining(plan, values["resume"], resume=True, **machine)
    refuse(values, "training", tuple(name for name in values if name not in NOT_TRAINING))
    out = values["out"] or places.home() / "runs" / "pretraining" / datetime.now().strftime("%Y-%m-%d-%H%M%S")
    return Pretraining(planned_by_flags(values), out, **machine)


def planned_by_flags(values: Mapping[str, Any]) -> Plan:
    """Make the plan of a new run from the flags."""
    from nlptasks.pretraining.corpus import is_prepared
    from nlptasks.pretraining.plan import Plan
    from nlptasks.training.settings import as_plain, resolve

    if not values["corpus"]:
        raise UsageError("no CORPUS; name files of text, or a folder made with --prepare")
    if values["vocab_size"] and is_prepared(values["corpus"][0]):
        raise UsageError(f"{values['corpus'][0]}: has a vocabulary of its own; leave out --vocab-size")
    if values["backbone"] and (shape := given(Shape, values)):
        named = ", ".join("--" + name.replace("_", "-") for name in shape)
        raise UsageError(f"--backbone has a shape of its own; leave out {named}")
    return Plan(
        settings=as_plain(resolve(Settings, {}, values["config"], given(Settings, values))),
        sources=sources(values["corpus"], values),
        shape=None if values["backbone"] else built(Shape, values),
        backbone=backbone_of(values),
        command=shlex.join(["nlpk", *sys.argv[1:]]),
        version=__version__,
    )


def opening(training: Pretraining) -> str:
    """Say what is going to be trained, on what, and how much of it."""
    config = training.model.bert.config
    weights = sum(parameter.numel() for parameter in training.model.parameters()) / 1e6
    shape = f"{config.num_hidden_layers} x {config.hidden_size}, {config.vocab_size:,} tokens, {weights:.1f} M weights"
    updates = f"{training.run.steps:,} updates, {training.lessons.tokens(training.run.steps):,} tokens"
    dtype = str(training.dtype).removeprefix("torch.")
    return f"{shape}; {updates}; {training.device}, {dtype}, {training.machine / 1e9:,.0f} GFLOP/s measured"


def show(reports: Any) -> None:  # noqa: ANN401 - an iterator of Report
    """Show a run as it goes: a bar on a terminal, a line now and then elsewhere."""
    if not sys.stderr.isatty():
        console.show_lines(reports, line)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.table import Column

    # What does not fit on a line is what stands last.
    said = TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1))
    with Progress(MofNCompleteColumn(), BarColumn(12), said, console=console.console(), expand=True) as bar:
        row = bar.add_task("starting", total=None)
        for report in reports:
            text = "  ".join([left(report), loss(report), speed(report)])
            bar.update(row, completed=report.step, total=report.steps, description=text)


def line(report: Report) -> str:
    """Put a report into one line."""
    return f"step {report.step}/{report.steps}  {loss(report)}  {speed(report)}, {left(report)}"


def loss(report: Report) -> str:
    """Say what the loss is, of all rows and of each objective's."""
    losses = " ".join(f"{name} {loss:.3f}" for name, loss in report.losses.items())
    return f"loss {report.loss:.3f} ({losses})"


def speed(report: Report) -> str:
    """Say how fast a run goes, and how well it uses the machine."""
    return f"{report.tokens_per_second:,.0f} tokens/s, {report.share_of_rate:.0%} of the matrix rate"


def left(report: Report) -> str:
    """Say how long a run will go on."""
    minutes = round(report.seconds_left / 60)
    if not minutes:
        return f"{report.seconds_left:.0f} s left"
    return f"{minutes // 60}:{minutes % 60:02d} h left" if minutes >= 60 else f"{minutes} min left"
