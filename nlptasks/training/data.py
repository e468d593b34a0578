"""Training rows: read once, every bad record named before the first step, kept as an Arrow table mapped into memory."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlptasks import files, places, rows
from nlptasks.errors import InputError, RecordError
from nlptasks.files import Record

if TYPE_CHECKING:
    from datasets import Dataset, Features

logger = logging.getLogger(__name__)
SHOWN = 5
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


def load(
    source: Source, names: Sequence[str], kind: type, unfold: Callable[[Mapping[str, Any]], list[dict[str, Any]]]
) -> Table:
    """Read a file into a table, or take the table made from the same bytes before.

    Args:
        source: what to read.
        names: the columns of a table without a header.
        kind: the dataclass of a row; decides the columns of the table.
        unfold: gives the rows of one record, or raises RecordError.

    Raises:
        InputError: it cannot be read, or holds no usable record.
    """
    sha256 = fingerprint(source)
    key = hashlib.sha256(repr((sha256, source, tuple(names), kind.__qualname__, kind.__module__)).encode()).hexdigest()
    folder = places.cache() / "data" / key[:32]
    if not (folder / "report.json").is_file():
        make(folder, source, names, kind, unfold)
    from datasets import load_from_disk

    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    table = Table(load_from_disk(str(folder / "table")), source.name, sha256, report["bad"])
    if report["bad"]:
        logger.info("%s: %d records cannot be used: %s", source.name, report["bad"], "; ".join(report["first"]))
    if not len(table.rows):
        found = f"none of {report['bad']} records can be used" if report["bad"] else "the file is empty"
        raise InputError(f"{source.name}: {found}; expected rows with {', '.join(rows.names(kind))}")
    return table


def fingerprint(source: Source) -> str:
    """Hash a file's bytes; a hub data set is known by its name alone."""
    if is_on_hub(source.name):
        return hashlib.sha256(source.name.encode()).hexdigest()
    return files.fingerprint(source.name)


def is_on_hub(name: str) -> bool:
    """Tell whether a name is no file but may be a data set on the hub."""
    return not Path(name).exists() and HUB.fullmatch(name) is not None and not name.startswith(".")


def make(
    folder: Path,
    source: Source,
    names: Sequence[str],
    kind: type,
    unfold: Callable[[Mapping[str, Any]], list[dict[str, Any]]],
) -> None:
    """Write the table and the report on bad records; the folder appears whole."""
    from datasets import Dataset
    from datasets.utils import disable_progress_bars

    disable_progress_bars()
    folder.parent.mkdir(parents=True, exist_ok=True)
    bad: list[str] = []
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        generator = Readable(source, names, unfold, bad)
        table = Dataset.from_generator(
            generator, features=features(kind), cache_dir=f"{work}/cache", fingerprint=folder.name
        )
        made = Path(work, "made")
        table.save_to_disk(str(made / "table"))
        report = {"bad": len(bad), "first": bad[:SHOWN]}
        (made / "report.json").write_text(json.dumps(report, ensure_ascii=False), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)


class Readable:
    """A generator of rows that can be called; the records that cannot be used are noted in `bad`."""

    def __init__(
        self,
        source: Source,
        names: Sequence[str],
        unfold: Callable[[Mapping[str, Any]], list[dict[str, Any]]],
        bad: list[str],
    ) -> None:
        """Keep what to read."""
        self.source, self.names, self.unfold, self.bad = source, names, unfold, bad

    def __call__(self) -> Iterator[dict[str, Any]]:
        """Give the rows."""
        for record in records(self.source, self.names):
            try:
                if record.problem:
                    raise RecordError(record.problem)
                yield from self.unfold(record.fields)
            except RecordError as error:
                self.bad.append(f"{record.place}: {error}")


def records(source: Source, names: Sequence[str]) -> Iterable[Record]:
    """Read records from a file or from the hub."""
    if is_on_hub(source.name):
        return hub_records(source.name)
    return files.read_records(
        source.name, format=source.format, columns=source.columns, names=names, encoding=source.encoding
    )


def hub_records(name: str) -> Iterator[Record]:
    """Read a data set from the hub, `owner/name` or `owner/name:split`.

    Raises:
        InputError: it cannot be reached or does not exist.
    """
    from datasets import load_dataset

    path, _, split = name.partition(":")
    try:
        table = load_dataset(path, split=split or "train", streaming=True)
        for number, fields in enumerate(table, 1):
            yield Record(name, number, dict(fields))
    except Exception as error:  # datasets raises its own classes and those of several libraries below it
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{name}: no such file, and not to be had from the hub ({first}); name a file") from error


def features(kind: type) -> Features:
    """Give the columns of a row's table."""
    from datasets import Features, Value

    types = {field.name: field.type for field in rows.describe(kind)}
    return Features({name: Value("float64" if "float" in str(type_) else "string") for name, type_ in types.items()})


def dev_rows(source: Source, names: Sequence[str], kind: type, aliases: Mapping[str, str]) -> Table:
    """Read labelled rows to score on; same rules as for training rows."""

    def unfold(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
        known = {aliases.get(name, name): value for name, value in fields.items()}
        return [dataclasses.asdict(rows.parse(kind, known))]

    return load(source, names, kind, unfold)
