"""What a run goes on from: a model, its tensors and its plan, in the folder `last`, which is replaced whole."""

from __future__ import annotations

import fcntl
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from nlptasks import files
from nlptasks.errors import ModelError, UsageError
from nlptasks.training import checkpoint
from nlptasks.training.trainer import Run

STATE, PLAN, LOG = "state.safetensors", "run.json", "log.jsonl"
LAST, OLD, PART = "last", "last.old", "last.part"


def check_folder(out: Path, *, resume: bool) -> None:
    """Refuse a run's folder before any work; a new run may have one in which another ended before its first save.

    Raises:
        UsageError: it is a file, or holds something already.
        InputError: it cannot be made or written.
    """
    if out.is_file():
        raise UsageError(f"{out}: a file; the run is to be a folder, so choose another --out")
    if not resume and out.is_dir() and not {path.name for path in out.iterdir()} <= {LOG, PART}:
        resumed = f", or go on with --resume {out}" if state_in(out) else ""
        raise UsageError(f"{out}: not an empty folder; choose another --out{resumed}")
    files.check_folder(out)


@contextmanager
def alone(out: Path, until: int) -> Iterator[None]:
    """Make the folder of a run, in which no other may write meanwhile, and cut its log.

    Args:
        out: the folder.
        until: the update that the run goes on from; what the log says of later ones is forgotten. -1 for a new run.

    Raises:
        UsageError: another run is under way there, or has left something since a new one began to prepare.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOG).open("a+b") as log:
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held until it is closed, as it is by a kill -9, too
        except BlockingIOError as error:
            raise UsageError(f"{out}: another run is under way there; wait for it, or choose another --out") from error
        if until < 0:
            check_folder(out, resume=False)
        log.seek(0)
        log.truncate(sum(map(len, takewhile(lambda line: step_of(line) <= until, log.readlines()))))
        yield


def step_of(line: bytes) -> float:
    """Tell the update that a line of a log reports; one that a crash has damaged comes behind all."""
    try:
        return int(json.loads(line)["step"]) if line.endswith(b"\n") else math.inf
    except (ValueError, KeyError, TypeError):
        return math.inf


def save_state(folder: Path, run: Run, state: Mapping[str, Any]) -> None:
    """Write beside a model what its run goes on from: tensors, and what JSON can hold."""
    with files.replaced(folder / STATE) as part:
        save_file({name: tensor.cpu() for name, tensor in run.tensors().items()}, part)
    files.write_json(folder / PLAN, state)


def replace_last(out: Path, write: Callable[[Path], None]) -> None:
    """Let a new `last` take the old one's place, whole and on the disk; a crash leaves one of them."""
    part, last, old = (out / name for name in (PART, LAST, OLD))
    shutil.rmtree(part, ignore_errors=True)
    try:
        write(part)
        for path in part.iterdir():
            sync(path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    if last.exists():
        shutil.rmtree(old, ignore_errors=True)
        last.rename(old)
    part.rename(last)
    shutil.rmtree(old, ignore_errors=True)


def sync(path: Path) -> None:
    """Make sure that a file is on the disk before its folder gets its name."""
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def state_in(out: Path) -> Path | None:
    """Find the state that a run has left, if any; a crash may have left it under its old name."""
    return next((out / name for name in (LAST, OLD) if (out / name / PLAN).is_file()), None)


def last_of(out: Path) -> Path:
    """Find the state to go on from.

    Raises:
        ModelError: there is none.
    """
    if found := state_in(out):
        return found
    if not out.is_dir():
        raise ModelError(f"{out}: no such folder; --resume takes that of a run which was stopped")
    if (out / checkpoint.ABOUT).is_file():
        raise ModelError(f"{out}: nothing to resume, the run is complete; start a new one with another --out")
    if (out / LOG).is_file():
        raise ModelError(f"{out}: the run ended before its first save; start it again, with the same --out")
    raise ModelError(f"{out}: no state to resume from; start a new run with --out")


def read_state(out: Path) -> dict[str, Any]:
    """Read what `last` says of the run.

    Raises:
        ModelError: there is nothing to go on from, or it is damaged.
    """
    path = last_of(out) / PLAN
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found["plan"], found["run"], found["data"], found["scores"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: damaged ({error!r}); start a new run with --out") from error
    return found
