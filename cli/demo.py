"""`nlpk demo`: every task on real sentences with the models that answer by default, or on one's own."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer

import nlptasks
from nlptasks import rows
from nlptasks.errors import NlpkError, UsageError

from . import console
from .tasks import form_of

if TYPE_CHECKING:
    from nlptasks.task import Shown

Asked = Annotated[str | None, typer.Argument(metavar="TASK", help="One task; all by default.", show_default=False)]
Tried = Annotated[bool, typer.Option("--try", help="Ask for records of your own, line by line, also from a pipe.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(task: Asked = None, tried: Tried = False) -> None:
    """Show what the tasks do, with the models that answer where no other is named."""
    if tried and task is None:
        raise UsageError(f"--try: of which task? one of {', '.join(nlptasks.names())}")
    if task is not None:
        form_of(task)
    for name in [task] if task else nlptasks.names():
        show_task(name, tried)
    if task is None:
        console.note("next: nlpk demo TASK --try, nlpk predict TASK --help, nlpk train TASK")


def show_task(task: str, tried: bool) -> None:
    """Let a task answer its examples, or records of one's own."""
    from nlptasks.training import models

    found = models.find(task)
    form, module = nlptasks.form(task), nlptasks.load(task)
    if tried:
        try_own(task, form, found)
        return
    loaded = module.load(found, form.Options(**shown_by(form)))
    answer(task, module, loaded, module.examples(loaded))


def shown_by(form: ModuleType) -> dict[str, Any]:
    """Give the options that a task is shown by, where they are not its own defaults."""
    return dict(getattr(form, "SHOWN", {}))


def try_own(task: str, form: ModuleType, found: Any) -> None:  # noqa: ANN401 - a checkpoint, which needs torch
    """Ask for records until the input ends; a bad one is told, and the next one asked for.

    What is asked for once, such as a passage, may be left blank: then it is that of the task's own example.
    """
    module = nlptasks.load(task)
    once, again = form.TRIED
    options = rows.names(form.Options)
    asked, lines = False, " and ".join(filter(None, (", ".join(once), ", ".join(again))))
    try:
        kept = typed(once, "blank for the demo's own")
    except EOFError:
        console.note(f"nothing was asked; expected lines of {lines}")
        return
    told = {name: text for name, text in kept.items() if name in options and text}
    loaded = module.load(found, form.Options(**{**shown_by(form), **told}))
    fields = {name: text for name, text in kept.items() if name not in options}
    if once and not any(kept.values()):
        own = asdict(module.examples(loaded)[0])
        fields = {name: value for name, value in own.items() if value is not None and name not in again}
    while True:
        try:
            given = {**fields, **typed(again)}
        except EOFError:
            if not asked:
                console.note(f"nothing was asked; expected lines of {lines}")
            return
        asked = True
        try:
            answer(task, module, loaded, [rows.parse(form.Row, {name: text for name, text in given.items() if text})])
        except NlpkError as error:
            console.note(str(error))


def typed(names: Sequence[str], hint: str = "") -> dict[str, str]:
    """Ask for fields on the terminal, one after the other.

    Raises:
        EOFError: the input has ended.
    """
    found = {}
    for name in names:
        shown = f"{name} ({hint})" if hint else name
        sys.stderr.write(f"{shown}: " if sys.stdin.isatty() else "")
        sys.stderr.flush()
        line = sys.stdin.buffer.readline()
        if not line:
            raise EOFError
        found[name] = line.decode("utf-8", "replace").strip()
    return found


def answer(task: str, module: ModuleType, loaded: Any, records: Sequence[Any]) -> None:  # noqa: ANN401 - of any task
    """Answer records and show that."""
    from nlptasks.inference.predictor import answers

    predictions: list[Mapping[str, Any]] = answers(records, module.worker(loaded), loaded.budget)
    for one in module.shown(records, predictions):
        show(task, one)


def show(task: str, shown: Shown) -> None:
    """Write an answer as lines, or draw it on a terminal."""
    draw = drawn if sys.stdout.isatty() else plain
    draw(task, shown)


def plain(task: str, shown: Shown) -> None:
    """Write an answer as lines."""
    print(f"# {task}: {shown.title}")
    for text, _ in shown.texts:
        print(text)
    if shown.columns:
        console.table("", shown.columns, shown.lines)
    if shown.block:
        print(shown.block)


def drawn(task: str, shown: Shown) -> None:
    """Draw an answer for a terminal."""
    from rich.console import Group
    from rich.markup import escape
    from rich.panel import Panel

    title = f"[bold]{task}[/bold] {escape(shown.title)}"
    console.console(True).print(Panel(Group(*parts(shown)), title=title, title_align="left", border_style="dim"))


def parts(shown: Shown) -> Iterator[Any]:
    """Give what a panel holds: texts with marks, a table, and a block as it is."""
    from rich.text import Text

    for text, spans in shown.texts:
        marked = Text(text)
        for start, end in spans:
            marked.stylize("bold reverse", start, end)
        yield marked
    if shown.columns:
        yield console.drawn_table("", shown.columns, shown.lines)
    if shown.block:
        yield Text(shown.block, style="cyan")
