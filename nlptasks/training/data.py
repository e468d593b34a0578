"""Training rows: read once, every bad record named before the first step, kept as an Arrow table.

A file becomes a table on the disk, which is then mapped into memory: rows are taken by their number, and a data set
may be larger than the memory. A table made from the same bytes in the same way is used again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
import sys
import tempfile
import time
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nlptasks import files, places, rows
from nlptasks.errors import InputError, RecordError
from nlptasks.files import Record
from nlptasks.training import recipes
from nlptasks.training.recipes import Recipe, Unfold

if TYPE_CHECKING:
    import pyarrow
    from datasets import Dataset

logger = logging.getLogger(__name__)
SHOWN = 5
BLOCK = 10_000  # rows that are in memory while a table is written
UNUSED = 30 * 86_400  # seconds after which a table that nobody asked for is removed
TABLE, REPORT = "rows.arrow", "report.json"
HUB = re.compile(r"[\w.-]+/[\w.-]+(:\w+)?")


@dataclass(frozen=True)
class Source:
    """One training or dev file, or a data set on the hub (`owner/name:split`), and how to read it."""

    name: str
    format: str | None = None
    columns: tuple[str, ...] | None = None
    encoding: str | None = None


@dataclass(frozen=True)
class Table:
    """Rows ready to learn from, and where they came from."""

    rows: Dataset
    name: str
    sha256: str
    bad: int

    def about(self) -> dict[str, Any]:
        """Describe the data for a model card."""
        return {"name": Path(self.name).name, "rows": len(self.rows), "bad": self.bad, "sha256": self.sha256}


def load(source: Source, recipe: Recipe) -> Table:
    """Read a file into a table, or take the table made from the same bytes before.

    Records that cannot be used are counted, and the first of them named, in a message of the log.

    Raises:
        InputError: it cannot be read, or holds no usable record.
    """
    sha256 = fingerprint(source)
    code = [files.fingerprint(str(path)) for path in makers(recipe.kind)]
    beside = tuple(files.fingerprint(name) for name in recipe.beside)
    made_of = (sha256, source, recipe.purpose, recipe.names, recipe.kind.__qualname__, code, beside)
    folder = places.cache() / "data" / hashlib.sha256(repr(made_of).encode()).hexdigest()[:32]
    if not (folder / REPORT).is_file():
        forget_unused(folder.parent, REPORT)
        make(folder, source, recipe)
    from datasets import Dataset

    (folder / REPORT).touch()
    report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    table = Table(Dataset.from_file(str(folder / TABLE)), source.name, sha256, report["bad"])
    complain(table, report)
    return table


#: The modules that, beside those of a row's own folder, decide what comes out of a file.
MAKERS = (files, rows, recipes)


def makers(kind: type) -> list[Path]:
    """Name the source files that decide what comes out of a file: a row's whole folder, which may import them late."""
    own = Path(str(sys.modules[kind.__module__].__file__)).parent
    return [*sorted(own.glob("*.py")), *(Path(str(module.__file__)) for module in MAKERS), Path(__file__)]


def complain(table: Table, report: Mapping[str, Any]) -> None:
    """Name the records that cannot be used.

    Raises:
        InputError: none can.
    """
    bad, first = report["bad"], report["first"]
    said = named(first) + ("; …" if bad > len(first) else "")
    if not len(table.rows):
        found = f"none of {bad} records can be used: {said}" if bad else "the file is empty; expected records"
        raise InputError(f"{table.name}: {found}")
    if bad:
        logger.info("%s: %d of %d records cannot be used: %s", table.name, bad, report["records"], said)


def named(bad: Iterable[tuple[str, str]]) -> str:
    """Name bad records by their places, each with its problem; those that have the same one stand together."""
    together: dict[str, list[str]] = {}
    for place, problem in bad:
        places_of = together.setdefault(problem, [])
        places_of.append(place.rpartition(":")[2] if places_of else place)  # the file need not be named again
    return "; ".join(f"{', '.join(found)}: {problem}" for problem, found in together.items())


def fingerprint(source: Source) -> str:
    """Hash a file's bytes; a hub data set is known by its name alone."""
    if is_on_hub(source.name):
        return hashlib.sha256(source.name.encode()).hexdigest()
    return files.fingerprint(source.name)


def is_on_hub(name: str) -> bool:
    """Tell whether a name can only be that of a data set on the hub: no file, no file's ending, no folder before it."""
    path = Path(name)
    has_ending = path.suffix in (*files.EXTENSIONS, *files.MAGIC.values())
    return HUB.fullmatch(name) is not None and not (has_ending or path.parent.is_dir() or name.startswith("."))


def forget_unused(folder: Path, mark: str) -> None:
    """Remove what was not used for long, and what a killed run may have left.

    Args:
        folder: of the cache.
        mark: the file of each whole entry that is touched when the entry is used.
    """
    oldest = time.time() - UNUSED
    for found in folder.glob("*"):
        marked = found / mark
        with suppress(FileNotFoundError):  # another process has just renamed or removed what it was making
            if (marked if marked.is_file() else found).stat().st_mtime < oldest:
                shutil.rmtree(found, ignore_errors=True)


def make(folder: Path, source: Source, recipe: Recipe) -> None:
    """Write the table and the report on bad records; the folder appears whole.

    Raises:
        InputError: the file cannot be read.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        made = Path(work, "made")
        made.mkdir()
        report = write(made / TABLE, records(source, recipe), recipe)
        (made / REPORT).write_text(json.dumps(report, ensure_ascii=False), encoding="utf-8")
        try:
            made.rename(folder)
        except OSError:
            if not (folder / REPORT).is_file():  # else another process has just made the same
                raise


def write(path: Path, found: Iterable[Record], recipe: Recipe) -> dict[str, Any]:
    """Write rows as an Arrow stream, block by block, and report on the records."""
    import pyarrow

    schema = pyarrow.schema(columns(recipe.kind))
    report: dict[str, Any] = {"records": 0, "bad": 0, "first": []}
    block: list[dict[str, Any]] = []
    with pyarrow.OSFile(str(path), "wb") as sink, pyarrow.ipc.new_stream(sink, schema) as table:
        for row in unfolded(found, recipe.unfold, report):
            if not row.keys() <= set(schema.names):
                raise ValueError(f"a row has {sorted(row)}, its table {schema.names}")
            block.append(row)
            if len(block) == BLOCK:
                table.write_batch(pyarrow.RecordBatch.from_pylist(block, schema))
                block = []
        table.write_batch(pyarrow.RecordBatch.from_pylist(block, schema))
    return report


def unfolded(found: Iterable[Record], unfold: Unfold, report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the rows of all records, and count those that cannot be used."""
    for record in found:
        report["records"] += 1
        try:
            if record.problem:
                raise RecordError(record.problem)
            yield from unfold(record.fields)
        except RecordError as error:
            report["bad"] += 1
            if len(report["first"]) < SHOWN:
                report["first"].append((record.place, str(error)))


def columns(kind: type) -> list[tuple[str, pyarrow.DataType]]:
    """Give the columns of a row's table."""
    return [(field.name, column(field.type)) for field in rows.describe(kind)]


def column(kind: Any) -> pyarrow.DataType:  # noqa: ANN401 - types have no common type
    """Give the type of a column; nothing beside a type is an empty cell.

    Raises:
        TypeError: the type has no place in a table.
    """
    import pyarrow

    simple = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64(), bool: pyarrow.bool_()}
    if kind in simple:
        return simple[kind]
    origin = typing.get_origin(kind)
    inner = [one for one in typing.get_args(kind) if one is not type(None)]
    if origin is Literal:
        return column(type(inner[0]))
    if origin in (list, tuple):
        return pyarrow.list_(column(inner[0]))
    if origin in (typing.Union, types.UnionType) and len(inner) == 1:
        return column(inner[0])
    raise TypeError(f"a training row cannot have the type {kind!r}")


def records(source: Source, recipe: Recipe) -> Iterable[Record]:
    """Read records from a file or from the hub."""
    if is_on_hub(source.name):
        return hub_records(source.name)
    return files.read_records(
        source.name,
        format=source.format,
        columns=source.columns,
        names=recipe.names,
        encoding=source.encoding,
        aliases=recipe.aliases,
        parts=recipe.parts,
        readers=recipe.readers,
    )


def hub_records(name: str) -> Iterator[Record]:
    """Read a data set from the hub as a stream, `owner/name` or `owner/name:split`.

    Raises:
        InputError: it cannot be reached or does not exist.
    """
    from datasets import load_dataset
    from huggingface_hub import HfApi

    path, _, split = name.partition(":")
    try:
        HfApi().dataset_info(path, timeout=10)  # where there is no network, load_dataset would try for half a minute
        table = load_dataset(path, split=split or "train", streaming=True)
        for number, fields in enumerate(table, 1):
            yield Record(name, number, dict(fields))
    except Exception as error:  # datasets raises its own classes and those of several libraries below it
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        remedy = "check the name and the network, or name a local file"
        raise InputError(f"{name}: no such file, and not to be had from the hub ({first}); {remedy}") from error
