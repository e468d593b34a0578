"""`nlpk search`: build an index of texts, add to it, and find what is nearest in meaning."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlptasks.errors import InputError, ModelError, RecordError, UsageError
from nlptasks.files import Record
from nlptasks.similarity.settings import Options

from . import console
from .embed import answered, load_model, naming
from .options import FILE, Computing, Model, Reading, Writing, flat, refuse_key
from .outputs import Failures, complaints, opened
from .sinks import Pair, json_lines
from .streams import one, records, refuse_input, skip

if TYPE_CHECKING:
    from nlptasks.similarity.index import Index, Writer
    from nlptasks.similarity.task import Loaded
    from nlptasks.similarity.vectors import Window

Folder = Annotated[Path, typer.Argument(metavar="INDEX", help="Folder of the index.", show_default=False)]
Moved = Annotated[
    str | None, typer.Option("--model", metavar="DIR", help="Folder of the index's model, where that has moved.")
]
Field = Annotated[str, typer.Option(metavar="NAME", help="Field that holds the text, in JSON lines and tables.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True)
    app.add_typer(group, name="search", help="Find the texts that are nearest in meaning.")
    for command in (build, add, query):
        group.command(command.__name__)(flat(command))


def build(
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the index.", show_default=False)],
    file: FILE = None,
    field: Field = "text",
    exact_below: Annotated[
        int, typer.Option(metavar="N", min=0, help="Texts from which a graph is built; below, search is exact.")
    ] = 100_000,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an index that is there.")] = False,
    options: Options,
    model: Model,
    reading: Reading,
    machine: Computing,
) -> None:
    """Build an index from texts, one a line or a record."""
    from nlptasks.similarity.index import Index

    _, found = records(file, reading, (field,), **naming(field))
    loaded = load_model(model, options, machine)
    about = {"model": loaded.origin, "pooling": loaded.pooling, "limit": options.limit, "field": field}
    settings: dict[str, Any] = {"width": loaded.embedder.width, "model": fingerprint(loaded), "about": about}
    with complaints(out):
        fill(Index.create(out, exact_below=exact_below, overwrite=overwrite, **settings), found, loaded, field)


def add(*, index: Folder, file: FILE = None, moved: Moved = None, reading: Reading, machine: Computing) -> None:
    """Add texts to an index, with the model it was built with."""
    from nlptasks.similarity.index import Index

    found_index = Index.open(index)
    field = found_index.about["field"]
    _, found = records(file, reading, (field,), **naming(field))
    loaded = load_for(found_index, machine, moved)
    with complaints(index):
        fill(Index.extend(index), found, loaded, field)


def query(
    *,
    index: Folder,
    question: Annotated[
        str | None,
        typer.Argument(
            metavar="QUESTION", help="The question; - or nothing with a pipe: one a line.", show_default=False
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", metavar="N", min=1, help="Texts to find.")] = 10,
    file: Annotated[
        str | None, typer.Option(metavar="FILE", help="File of questions; - is stdin.", show_default=False)
    ] = None,
    name: Annotated[
        str, typer.Option("--as", metavar="NAME", help="Key of the texts found in the output.")
    ] = "prediction",
    moved: Moved = None,
    reading: Reading,
    writing: Writing,
    machine: Computing,
) -> None:
    """Find the texts nearest to a question.

    JSON lines, with the texts found in the field prediction, the nearest first.
    """
    from nlptasks.similarity.index import Index

    refuse_key(name, ("text",))
    sink = json_lines(writing, name)
    alone = is_question(question, file)
    refuse_input(file, out=writing.target)
    found_index = Index.open(index)
    if alone:
        source, found, writing = "-", one(text=str(question)), replace(writing, on_error="fail")
    else:
        source, found = records(question or file, reading, ("text",), **naming("text"))
    loaded = load_for(found_index, machine, moved)
    about = {"index": str(index.resolve()), "count": found_index.count, "model": loaded.fingerprint, "k": k, "as": name}
    with opened(writing, source, {**about, **asdict(reading)}, sink) as output:
        for window in answered(skip(found, output.done), loaded, "text", (name,)):
            output.write(hits(window, found_index, k))
    output.end()


def is_question(question: str | None, file: str | None) -> bool:
    """Tell whether the command line has the question itself; `-` says that stdin has them.

    Raises:
        UsageError: a file is there too, or the question is the name of one.
    """
    if question is not None and file is not None:
        raise UsageError("a question and --file: give one of them")
    if question is None or question == "-":
        return False
    with suppress(OSError, ValueError):  # a text may be longer than a name, or hold what no name can
        if os.path.isfile(question):
            raise UsageError(f"{question}: this is a file; name a file of questions with --file {question}")
    return True


def fill(opening: AbstractContextManager[Writer], found: Iterator[Record], loaded: Loaded, field: str) -> None:
    """Embed records and add them to an index; bad ones are left out, counted and named."""
    failures = Failures(ending="; left out")
    with opening as writer, console.counter("texts") as counter:
        writer.check(fingerprint(loaded))
        for window in answered(found, loaded, field, ()):
            put(writer, window, failures)
            counter.add(len(window))
        count = writer.count
        if not count:
            raise InputError("no text to index in the input; expected one on a line or in a record")
    console.note(f"{console.counted(count, 'text')} in the index")
    failures.end()


def put(writer: Writer, window: Window, failures: Failures) -> None:
    """Add the good records of a window to an index."""
    import numpy as np

    good: list[tuple[Record, Any]] = []
    for record, answer in window:
        if isinstance(answer, RecordError):
            failures.add(record, answer)
        else:
            good.append((record, answer))
    if not good:
        return
    try:
        writer.add([record.fields for record, _ in good], np.stack([vector for _, vector in good]))
    except RecordError as error:  # one that the index cannot keep; nothing of the window was added
        if len(good) > 1:
            for pair in good:
                put(writer, [pair], failures)
        else:
            failures.add(good[0][0], error)


def hits(window: Window, index: Index, k: int) -> list[Pair]:
    """Answer the questions of a window with the texts nearest to them."""
    import numpy as np

    vectors = [vector for _, vector in window if not isinstance(vector, RecordError)]
    found = iter(index.query(np.stack(vectors), k) if vectors else [])
    return [
        (
            record,
            answer if isinstance(answer, RecordError) else [{**hit.item, "cosine": hit.cosine} for hit in next(found)],
        )
        for record, answer in window
    ]


def load_for(index: Index, machine: Computing, moved: str | None = None) -> Loaded:
    """Load the model that an index was built with, whichever was chosen since.

    Args:
        index: names it.
        machine: what computes.
        moved: the folder where it is now.

    Raises:
        ModelError: it is another one now, or gone.
    """
    about = index.about
    kind, source = next(iter(about["model"].items()))
    if moved is None and Path(source).is_absolute() and not Path(source).is_dir():
        remedy = "put it back, say with --model where it is now, or build the index again"
        raise ModelError(f"{source}: the model that the index was built with, but gone; {remedy}")
    options = Options(pooling=about["pooling"], limit=about["limit"])
    loaded = load_model(Model(**{kind: moved or source}), options, machine)
    index.check(fingerprint(loaded), moved or "")
    return loaded


def fingerprint(loaded: Loaded) -> str:
    """Name what decides the vectors: the model and its pooling."""
    return f"{loaded.fingerprint[:32]}-{loaded.pooling}"
