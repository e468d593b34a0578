"""`nlpk search`: build an index of texts, add to it, and find what is nearest in meaning."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlptasks.errors import RecordError, UsageError
from nlptasks.files import Record
from nlptasks.similarity.row import Options

from . import console
from .embed import answered, load_model
from .options import FILE, Machine, Model, Reading, Writing, flat
from .streams import Lines, end, file_or_pipe, records

if TYPE_CHECKING:
    from nlptasks.similarity.index import Index, Writer
    from nlptasks.similarity.task import Loaded
    from nlptasks.similarity.vectors import Window

Folder = Annotated[Path, typer.Argument(metavar="INDEX", help="Folder of the index.", show_default=False)]
Field = Annotated[str, typer.Option(help="Field that holds the text, in JSON lines and tables.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True)
    app.add_typer(group, name="search", help="Find the texts that are nearest in meaning.")
    for command in (build, add, query):
        group.command(command.__name__)(flat(command))


def build(
    out: Annotated[Path, typer.Option(help="Folder for the index.", show_default=False)],
    file: FILE = None,
    field: Field = "text",
    exact_below: Annotated[int, typer.Option(help="Texts from which a graph is built; below, search is exact.")] = 100_000,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an index that is there.")] = False,
    options: Options = Options(),
    model: Model = Model(),
    reading: Reading = Reading(),
    machine: Machine = Machine(),
) -> None:
    """Build an index from texts, one a line or a record."""
    from nlptasks.similarity.index import Index

    found = records(file_or_pipe(file), reading, (field,))
    loaded = load_model(model, options, machine)
    about = {"model": loaded.origin, "pooling": loaded.pooling, "limit": options.limit, "field": field}
    settings = {"width": loaded.embedder.width, "model": fingerprint(loaded), "about": about}
    fill(Index.create(out, exact_below=exact_below, overwrite=overwrite, **settings), found, loaded, field)


def add(index: Folder, file: FILE = None, reading: Reading = Reading(), machine: Machine = Machine()) -> None:
    """Add texts to an index, with the model it was built with."""
    from nlptasks.similarity.index import Index

    opened = Index.open(index)
    field = opened.about["field"]
    found = records(file_or_pipe(file), reading, (field,))
    fill(Index.extend(index), found, load_for(opened, machine), field)


def query(
    index: Folder,
    question: Annotated[str | None, typer.Argument(help="The question; without it, lines of stdin.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Texts to find.")] = 10,
    file: Annotated[str | None, typer.Option(help="File of questions; - is stdin.", show_default=False)] = None,
    name: Annotated[str, typer.Option("--as", help="Key of the texts found in the output.")] = "prediction",
    reading: Reading = Reading(),
    writing: Writing = Writing(),
    machine: Machine = Machine(),
) -> None:
    """Find the texts nearest to a question: JSON lines, the texts found in the field prediction."""
    from nlptasks.similarity.index import Index

    if question is not None and file is not None:
        raise UsageError("a question and --file: give one of them")
    opened = Index.open(index)
    source = "-" if question is not None else file_or_pipe(file)
    found = iter([Record("options", 1, {"text": question})]) if question is not None else records(source, reading, ("text",))
    loaded = load_for(opened, machine)
    about = {"index": str(index.resolve()), "count": opened.count, "k": k, "as": name}
    with Lines(writing, source, about) as lines:
        for _ in range(lines.done):
            next(found, None)
        for window in answered(found, loaded, "text", (name,)):
            lines.write(list(hits(window, opened, k, name, lines)))
    lines.finish()


def fill(opening: AbstractContextManager[Writer], found: Iterator[Record], loaded: Loaded, field: str) -> None:
    """Embed records and add them to an index; bad ones are left out, counted and named."""
    import numpy as np

    failed = 0
    with opening as writer, console.counter("texts") as counter:
        writer.check(fingerprint(loaded))
        for window in answered(found, loaded, field, ()):
            good = [(record, vector) for record, vector in window if not isinstance(vector, RecordError)]
            for record, answer in window:
                if isinstance(answer, RecordError):
                    failed += 1
                    if failed <= 5:
                        console.note(f"{record.place}: {answer}; left out")
            if good:
                writer.add([record.fields for record, _ in good], np.stack([vector for _, vector in good]))
            counter.add(len(window))
        count = writer.count
    console.note(f"{count:,} texts in the index")
    end(failed)


def hits(window: Window, index: Index, k: int, name: str, lines: Lines) -> Iterator[dict[str, Any]]:
    """Give the output for each question of a window."""
    import numpy as np

    vectors = [vector for _, vector in window if not isinstance(vector, RecordError)]
    found = iter(index.query(np.stack(vectors), k) if vectors else [])
    for record, answer in window:
        if isinstance(answer, RecordError):
            yield from lines.failure(record, answer)
        else:
            yield {**record.fields, name: [{"cosine": hit.cosine, **hit.item} for hit in next(found)]}


def load_for(index: Index, machine: Machine) -> Loaded:
    """Load the model that an index was built with.

    Raises:
        ModelError: it is another one now.
    """
    about = index.about
    kind, source = next(iter(about["model"].items()), (None, None))
    model = Model(**{kind: source}) if kind else Model()
    loaded = load_model(model, Options(pooling=about["pooling"], limit=about["limit"]), machine)
    index.check(fingerprint(loaded))
    return loaded


def fingerprint(loaded: Loaded) -> str:
    """Name what decides the vectors: the model and its pooling."""
    return f"{loaded.fingerprint[:32]}-{loaded.pooling}"
