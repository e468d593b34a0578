"""The course of a training run, drawn from its log."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nlptasks import files
from nlptasks.errors import InputError, UsageError
from nlptasks.training.state import LOG

FORMS = ("png", "svg", "pdf")
Curve = tuple[list[int], list[float]]  # updates and values


def read(folder: Path) -> list[dict[str, Any]]:
    """Read the log of a run.

    Raises:
        InputError: there is none, or it is damaged or empty.
    """
    path = folder / LOG
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        reports = [dict(json.loads(line)) for line in lines if line.endswith("\n")]  # a crash may leave half a line
        reports.sort(key=lambda report: int(report["step"]))
    except FileNotFoundError as error:
        raise InputError(f"{folder}: no {LOG}; expected the folder of a training run") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: damaged ({error!r}); expected a JSON object with a step on each line") from error
    if not reports:
        raise InputError(f"{path}: empty; the run has not reported yet")
    return reports


def curves(reports: Sequence[Mapping[str, Any]], group: str) -> dict[str, Curve]:
    """Collect curves by name: `losses` has one for each objective or else the loss, `scores` one for each score."""
    found: dict[str, Curve] = {}
    for report in reports:
        values = report.get(group) or ({"loss": report["loss"]} if group == "losses" and "loss" in report else {})
        for name, value in values.items():
            steps, numbers = found.setdefault(name, ([], []))
            steps.append(report["step"])
            numbers.append(value)
    return found


def draw(folder: Path, out: Path) -> None:
    """Draw a run's losses, and its scores where it has any, into a picture.

    Args:
        folder: of the run.
        out: file to write; its ending names the form: .png, .svg, .pdf.

    Raises:
        InputError: there is no log, or the picture cannot be written.
        UsageError: the ending is another, or matplotlib is not installed.
    """
    form = out.suffix.removeprefix(".").lower() or FORMS[0]
    if form not in FORMS:
        raise UsageError(f"--out {out}: a picture cannot be {form}; name it .png, .svg or .pdf")
    reports = read(folder)
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError("matplotlib, which draws, is not installed; pip install matplotlib") from error
    groups = {name: found for name in ("losses", "scores") if (found := curves(reports, name))}
    labels = {"losses": "nats a target" if "losses" in reports[0] else "loss", "scores": "score"}
    figure = Figure(figsize=(8, 3.5 * max(1, len(groups))), layout="constrained")
    if (name := folder.resolve().name).isascii():  # the usual fonts have nothing else
        figure.suptitle(name, parse_math=False)
    for number, (group, found) in enumerate(groups.items(), 1):
        axes = figure.add_subplot(len(groups), 1, number, xlabel="update", ylabel=labels[group])
        for name, (steps, values) in found.items():
            axes.plot(steps, values, label=name, marker="." if len(steps) < 30 else None)
        axes.legend()
        axes.grid(alpha=0.3)
    with files.write_beside(out) as handle:
        figure.savefig(handle, format=form, dpi=150)
