"""`nlpk embed`: one vector for each line, whitened or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlptasks import files
from nlptasks.errors import RecordError, UsageError
from nlptasks.files import Record
from nlptasks.similarity.row import Embedding, Options

from . import console
from .options import FILE, Machine, Model, Reading, Writing, flat
from .predict import skip
from .streams import Lines, Partial, end, file_or_pipe, records

if TYPE_CHECKING:
    from nlptasks.similarity.task import Loaded
    from nlptasks.similarity.vectors import Sink, Spool, Window
    from nlptasks.similarity.whitening import Whitening

As = Annotated[str, typer.Option("--as", help="Key of the vector in JSON lines and Parquet.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("embed")(flat(embed))


def embed(
    file: FILE = None,
    embedding: Embedding = Embedding(),
    options: Options = Options(),
    model: Model = Model(),
    reading: Reading = Reading(),
    writing: Writing = Writing(),
    machine: Machine = Machine(),
    name: As = "vector",
) -> None:
    """Turn sentences into vectors: JSON lines on stdout, or .npy or .parquet with --out."""
    check(embedding, writing)
    source = file_or_pipe(file)
    found = records(source, reading, (embedding.field,))
    loaded = load_model(model, options, machine)
    whitening = load_whitening(embedding, loaded)
    about = {**asdict(embedding), "as": name, "model": loaded.fingerprint, "pooling": loaded.pooling}
    with Output(writing, source, about, name, embedding) as output:
        output.open(width_of(embedding, loaded, whitening))
        windows = answered(skip(found, output.done), loaded, embedding.field, output.taken)
        if embedding.whiten:
            spool = spooled(windows, loaded, output)
            whitening = fit(spool, embedding, loaded)
            windows = spool.windows()
        write(windows, whitening, embedding, output)
    if loaded.embedder.text.cut_texts:
        limit = loaded.embedder.limit
        console.note(f"{loaded.embedder.text.cut_texts} texts were longer than {limit} tokens, only their start was read")
    end(output.failed)


def check(embedding: Embedding, writing: Writing) -> None:
    """Refuse options that do not fit together.

    Raises:
        UsageError: they do not.
    """
    kind = Path(writing.out or "-").suffix
    if embedding.whiten and embedding.whitening:
        raise UsageError("--whiten fits a whitening, --whitening applies one that is there; give one of them")
    if embedding.save_whitening and not embedding.whiten:
        raise UsageError("--save-whitening needs --whiten, which fits what is saved")
    if writing.resume and (embedding.whiten or kind == ".parquet"):
        raise UsageError("--resume does not go with --whiten or .parquet; fit with --save-whitening, write .npy")
    if kind == ".npy" and writing.on_error == "skip":
        raise UsageError("--on-error skip does not go with .npy, whose rows are the input's lines")
    if embedding.dims is not None and embedding.dims < 1:
        raise UsageError(f"--dims {embedding.dims}: expected at least 1")


def load_model(model: Model, options: Options, machine: Machine) -> Loaded:
    """Load similarity's model."""
    from nlptasks.similarity.task import load
    from nlptasks.training import models

    found = None if model.backbone else models.find("similarity", Path(model.model) if model.model else None)
    return load(found, options, backbone=model.backbone, **machine.prepared())


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
        raise UsageError(f"--dims {embedding.dims}: the vectors have {width} dimensions")
    return embedding.dims or width


def answered(found: Iterator[Record], loaded: Loaded, field: str, taken: tuple[str, ...]) -> Iterator[Window]:
    """Embed records window by window."""
    from nlptasks.inference.predictor import stream
    from nlptasks.similarity.vectors import text_reader

    return stream(found, text_reader(field, taken), loaded.embedder, loaded.embedder.budget)


def spooled(windows: Iterator[Window], loaded: Loaded, output: Output) -> Spool:
    """Embed everything, to fit a whitening on it."""
    from nlptasks.similarity.vectors import Spool

    spool = Spool(output.folder, loaded.embedder.width, with_records=output.kind != ".npy")
    with console.counter("records embedded") as counter:
        for size in spool.add(windows):
            counter.add(size)
    return spool


def fit(spool: Spool, embedding: Embedding, loaded: Loaded) -> Whitening:
    """Fit the whitening, keep it where asked, and say how much it keeps."""
    from nlptasks.similarity import whitening

    options = {"beta": embedding.whiten_beta, "gamma": embedding.whiten_gamma, "dims": embedding.dims}
    fitted = whitening.fit(spool.moments, **options, pooling=loaded.pooling, model=loaded.fingerprint)  # type: ignore[arg-type]
    dims = len(fitted.bias)
    console.note(f"whitening from {fitted.count:,} texts, {dims} dimensions, {fitted.variance_kept:.1%} of the variance")
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


class Output:
    """JSON lines on stdout or in a file, .npy, or .parquet: whichever `--out` says."""

    def __init__(
        self, writing: Writing, source: str, about: Mapping[str, Any], name: str, embedding: Embedding
    ) -> None:
        """Keep how to write."""
        self.writing, self.source, self.about, self.name, self.embedding = writing, source, about, name, embedding
        self.kind = Path(writing.out or "-").suffix
        self.folder = Path(writing.out).parent if writing.out else None
        self.taken = () if self.kind in (".npy", ".parquet") else (name,)
        self.stack = ExitStack()
        self.done = self.failed = 0
        self.lines: Lines | None = None
        self.sink: Sink | None = None

    def __enter__(self) -> Output:
        """Begin."""
        return self

    def open(self, width: int) -> None:
        """Open the file for vectors of a width."""
        from nlptasks.similarity.vectors import Npy, Parquet

        if self.kind not in (".npy", ".parquet"):
            self.lines = self.stack.enter_context(Lines(self.writing, self.source, self.about))
            self.done = self.lines.done
            return
        out, resume = str(self.writing.out), self.writing.resume
        if resume and self.source == "-":
            raise UsageError("--resume needs an input FILE")
        self.partial = Partial(Path(out), self.source, self.about)
        if resume:
            self.partial.check()
        handle = self.stack.enter_context(files.write_beside(out, keep=self.kind == ".npy", resume=resume))
        self.partial.note()
        if self.kind == ".npy":
            self.sink = Npy(handle, width, self.embedding.store, resume=resume)
            self.done = self.sink.rows
        else:
            self.sink = Parquet(handle, width, self.name, self.embedding.field)

    def write(self, window: Window) -> None:
        """Write one window; bad records are counted and reported."""
        if self.lines is not None:
            self.lines.write([row for record, answer in window for row in self.rows(record, answer)])
            self.failed = self.lines.failed
            return
        for record, answer in window:
            if isinstance(answer, RecordError):
                self.failure(record, answer)
        if self.sink is not None:
            kept = [pair for pair in window if not isinstance(pair[1], RecordError)]
            self.sink.write(kept if self.writing.on_error == "skip" else window)

    def rows(self, record: Record, answer: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - vector or error
        """Give the lines for one record."""
        if isinstance(answer, RecordError):
            return self.lines.failure(record, answer) if self.lines else []
        return [{self.name: answer, **record.fields}]

    def failure(self, record: Record, error: Exception) -> None:
        """Count a bad record, and name the first few."""
        self.failed += 1
        if self.writing.on_error == "fail":
            raise UsageError(f"{record.place}: {error}")
        if self.failed <= 5:
            console.note(f"{record.place}: {error}")

    def __exit__(self, *error: Any) -> None:  # noqa: ANN401
        """Complete the file, or leave the partial one."""
        if self.sink is not None and error[0] is None:
            self.sink.close()
        self.stack.__exit__(*error)
        if self.sink is not None and error[0] is None:
            self.partial.forget()
