"""`nlpk embed`: one vector for each line, whitened or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from nlptasks import files
from nlptasks.errors import UsageError
from nlptasks.files import Record
from nlptasks.similarity.row import ALIASES
from nlptasks.similarity.settings import Embedding, Options

from . import console
from .options import FILE, JSON_LINES, Computing, Model, Reading, Writing, flat, refuse_key, refuse_other_endings
from .outputs import Output, opened
from .sinks import TABLES, JsonLines, Sink
from .streams import records, refuse_input, skip

if TYPE_CHECKING:
    from nlptasks.similarity.task import Loaded
    from nlptasks.similarity.vectors import Spool, Window
    from nlptasks.similarity.whitening import Whitening

As = Annotated[str, typer.Option("--as", metavar="NAME", help="Key of the vector in JSON lines and Parquet.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("embed")(flat(embed))


def embed(
    *,
    file: FILE = None,
    embedding: Embedding,
    options: Options,
    model: Model,
    reading: Reading,
    writing: Writing,
    machine: Computing,
    name: As = "vector",
) -> None:
    """Turn sentences into vectors.

    JSON lines on stdout or in a file; with --out NAME.npy or NAME.parquet, rows of that file.
    """
    check(embedding, writing, name)
    refuse_input(file, out=writing.target, save_whitening=embedding.save_whitening)
    source, found = records(file, reading, (embedding.field,), **naming(embedding.field))
    loaded = load_model(model, options, machine)
    whitening = load_whitening(embedding, loaded)
    about = {**asdict(embedding), **asdict(reading), **asdict(options), "as": name, "model": loaded.fingerprint}
    about["whitening"] = embedding.whitening and files.fingerprint(embedding.whitening)
    sink = sink_for(writing, embedding, name, width_of(embedding, loaded, whitening))
    with opened(
        writing, source, about, sink, resumable=not embedding.whiten and kind_of(writing) != ".parquet"
    ) as output:
        taken = () if kind_of(writing) in TABLES else (name,)
        windows = answered(skip(found, output.done), loaded, embedding.field, taken)
        if embedding.whiten:
            spool = spooled(windows, loaded, writing)
            whitening, windows = fit(spool, embedding, loaded), spool.windows()
        write(windows, whitening, embedding, output)
    note_cut(loaded)
    output.end()


def kind_of(writing: Writing) -> str:
    """Tell the format of the output by its extension."""
    return (writing.target or Path()).suffix.lower()


def check(embedding: Embedding, writing: Writing, name: str) -> None:
    """Refuse options that do not fit together.

    Raises:
        UsageError: they do not.
        InputError: the whitening could not be written in the end.
    """
    refuse_other_endings(writing, (*JSON_LINES, *TABLES))
    refuse_key(name, (embedding.field, *(("fields",) if kind_of(writing) == ".parquet" else ())))
    if embedding.whiten and embedding.whitening:
        raise UsageError("--whiten fits a whitening, --whitening applies one that is there; give one of them")
    if embedding.save_whitening and not embedding.whiten:
        raise UsageError("--save-whitening needs --whiten, which fits what is saved")
    if embedding.save_whitening:
        files.check_file(embedding.save_whitening)
    if writing.resume and (embedding.whiten or kind_of(writing) == ".parquet"):
        raise UsageError("--resume does not go with --whiten or .parquet; fit with --save-whitening, write .npy")
    if kind_of(writing) == ".npy" and writing.on_error == "skip":
        raise UsageError("--on-error skip does not go with .npy, whose rows are the input's lines")


def naming(field: str) -> dict[str, Any]:
    """Say how a table's header is known: by the field asked for, or by any name for text where none was."""
    if field == Embedding.field:
        return {"aliases": [name for name, meant in ALIASES.items() if meant == field]}
    return {"needed": field}


def load_model(model: Model, options: Options, machine: Computing) -> Loaded:
    """Load similarity's model."""
    from nlptasks.similarity.task import load
    from nlptasks.training import models

    found = None if model.backbone else models.find("similarity", Path(model.model) if model.model else None)
    return load(found, options, backbone=model.backbone, machine=machine.prepared())


def load_whitening(embedding: Embedding, loaded: Loaded) -> Whitening | None:
    """Load the whitening to apply, made for this model."""
    if embedding.whitening is None:
        return None
    from nlptasks.similarity.whitening import Whitening

    whitening = Whitening.load(Path(embedding.whitening))
    whitening.check(loaded.fingerprint, loaded.pooling)
    return whitening


def width_of(embedding: Embedding, loaded: Loaded, whitening: Whitening | None) -> int:
    """Tell how wide the vectors will be.

    Raises:
        UsageError: more dimensions asked for than there are.
    """
    width = loaded.embedder.width if whitening is None else len(whitening.bias)
    if embedding.dims is not None and embedding.dims > width:
        raise UsageError(f"--dims {embedding.dims}: the vectors have {width} dimensions; expected {width} or less")
    return embedding.dims or width


def sink_for(writing: Writing, embedding: Embedding, name: str, width: int) -> Callable[[BinaryIO, bool], Sink]:
    """Choose how vectors are written: rows of .npy or .parquet, or JSON lines."""
    from nlptasks.similarity.vectors import Npy, Parquet

    if kind_of(writing) == ".npy":
        return lambda handle, resume: Npy(handle, width, embedding.store, resume=resume)
    if kind_of(writing) == ".parquet":
        return lambda handle, _: Parquet(handle, width, name, embedding.field)
    return partial(JsonLines, key=name, first=True)


def answered(found: Iterator[Record], loaded: Loaded, field: str, taken: tuple[str, ...]) -> Iterator[Window]:
    """Embed records window by window."""
    from nlptasks.inference.predictor import stream
    from nlptasks.similarity.vectors import text_reader

    return stream(found, text_reader(field, taken), loaded.embedder, loaded.embedder.budget)


def spooled(windows: Iterator[Window], loaded: Loaded, writing: Writing) -> Spool:
    """Embed everything, to fit a whitening on it."""
    from nlptasks.similarity.vectors import Spool

    folder = writing.target.resolve().parent if writing.target else None
    spool = Spool(folder, loaded.embedder.width, with_records=kind_of(writing) != ".npy")
    with console.counter("records embedded") as counter:
        for size in spool.add(windows):
            counter.add(size)
    return spool


def fit(spool: Spool, embedding: Embedding, loaded: Loaded) -> Whitening:
    """Fit the whitening, keep it where asked, and say how much it keeps."""
    from nlptasks.similarity import whitening

    beta, gamma = embedding.whiten_beta, embedding.whiten_gamma
    origin: dict[str, Any] = {"pooling": loaded.pooling, "model": loaded.fingerprint}
    fitted = whitening.fit(spool.moments, beta=beta, gamma=gamma, dims=embedding.dims, **origin)
    dims = len(fitted.bias)
    console.note(
        f"whitening from {fitted.count:,} texts, {dims} dimensions, {fitted.variance_kept:.1%} of the variance"
    )
    if embedding.save_whitening:
        fitted.save(Path(embedding.save_whitening))
    return fitted


def write(windows: Iterator[Window], whitening: Whitening | None, embedding: Embedding, output: Output) -> None:
    """Finish the vectors and write them."""
    from nlptasks.similarity.vectors import Finish

    finish = Finish(whitening, embedding.dims, embedding.normalize)
    with console.counter("records") as counter:
        for window in windows:
            output.write(finish(window))
            counter.add(len(window))


def note_cut(loaded: Loaded) -> None:
    """Say how many texts were too long to be read whole."""
    if cut := loaded.embedder.text.cut_texts:
        were = f"{console.counted(cut, 'text')} {'was' if cut == 1 else 'were'}"
        start = "its start" if cut == 1 else "their start"
        console.note(f"{were} longer than {loaded.embedder.limit} tokens, only {start} was read")
