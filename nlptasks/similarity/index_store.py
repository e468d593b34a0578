"""The folder of a search index: its manifest, its lock, and how it passes from one valid state to the next.

- `index.json`: the manifest; replaced last and atomically, so it alone decides what is valid.
- `lock`: held by the process that writes.
- `data-<random>/`: what the manifest names; bytes beyond the lengths that it gives are not part of the index.
  - `vectors.f32`: one row per item, L2-normalised, little-endian float32.
  - `items.jsonl`: one JSON object per item.
  - `items.offsets`: where each item ends in `items.jsonl`, little-endian uint64.
  - `graph-<count>.usearch`: in a large index only.
"""

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import orjson

from nlptasks.errors import InputError, ModelError

FORMAT = 1
KIND = "nlpk search index"
VECTORS, ITEMS, OFFSETS = "vectors.f32", "items.jsonl", "items.offsets"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One valid state of an index."""

    data: str
    """Name of the folder with the files."""
    count: int
    """Number of items."""
    width: int
    """Components of a vector."""
    model: str
    """Fingerprint of the model that made the vectors."""
    about: dict[str, Any]
    """What else describes the vectors: where the model lies, its pooling and the like."""
    exact_below: int
    """Number of items from which there is a graph."""
    graph: str | None
    """Name of the graph's file."""
    lengths: dict[str, int]
    """Bytes of each file that belong to this state."""

    @property
    def built_with(self) -> str:
        """Name the model that made the vectors, by its place where that is known, else by its fingerprint."""
        place = self.about.get("model")
        return " ".join(map(str, place.values())) if isinstance(place, dict) else str(place or self.model[:12])

    def check(self, model: str, name: str = "") -> None:
        """Refuse a model other than the one that made the vectors.

        Args:
            model: its fingerprint.
            name: its place, where it is not the one that the index names.

        Raises:
            ModelError: the fingerprints differ.
        """
        if model != self.model:
            found = f"{name} is another" if name else "that one has changed since, or another was given"
            raise ModelError(
                f"the index was built with the model {self.built_with}, and {found}; "
                "give the model as it was, or build the index again"
            )


def new_manifest(*, width: int, model: str, about: Mapping[str, Any], exact_below: int) -> Manifest:
    """Describe an index without items, in a data folder of its own."""
    lengths = {VECTORS: 0, ITEMS: 0, OFFSETS: 0}
    data = f"data-{secrets.token_hex(4)}"
    return Manifest(data, 0, width, model, dict(about), exact_below, None, lengths)


def read_manifest(folder: Path) -> Manifest:
    """Read which state of an index is valid.

    Raises:
        InputError: the folder is missing, is no index, is damaged, or was written by a newer version.
    """
    content = _json_object(folder)
    if content.get("kind") != KIND:
        raise InputError(f"{folder}: not a search index (its index.json is something else); name another folder")
    if isinstance(content.get("format"), int) and content["format"] > FORMAT:
        raise InputError(
            f"{folder}: index of format {content['format']}, but this version reads up to {FORMAT}; upgrade nlpk"
        )
    try:
        manifest = Manifest(**{field.name: content[field.name] for field in fields(Manifest)})
        sound = _is_sound(manifest)
    except (KeyError, TypeError, AttributeError):
        sound = False
    if not sound:
        raise InputError(f"{folder}: index.json is damaged; build the index again")
    return manifest


def _json_object(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; build an index with `nlpk search build CORPUS --out {folder}`")
    try:
        content = orjson.loads((folder / "index.json").read_bytes())
    except FileNotFoundError:
        raise InputError(f"{folder}: not a search index (it has no index.json); name another folder") from None
    except orjson.JSONDecodeError:
        raise InputError(f"{folder}: index.json is damaged; delete the folder and build the index again") from None
    return content if isinstance(content, dict) else {}


def _is_sound(manifest: Manifest) -> bool:
    lengths, count = manifest.lengths, manifest.count
    names = {VECTORS, ITEMS, OFFSETS, *([manifest.graph] if manifest.graph else [])}
    return (
        all(isinstance(number, int) for number in (count, manifest.width, manifest.exact_below, *lengths.values()))
        and isinstance(manifest.about, dict)
        and isinstance(manifest.model, str)
        and manifest.width >= 1
        and re.fullmatch("data-[0-9a-f]+", manifest.data) is not None
        and manifest.graph in (None, f"graph-{count}.usearch")
        and set(lengths) == names
        and lengths[VECTORS] == 4 * manifest.width * count
        and lengths[OFFSETS] == 8 * count
    )


def check_files(folder: Path, manifest: Manifest) -> None:
    """See that every file has the bytes that the manifest promises; more is left over from an interrupted writer.

    Raises:
        FileNotFoundError: a file is missing.
        InputError: a file is too short.
    """
    for name, length in manifest.lengths.items():
        size = (folder / manifest.data / name).stat().st_size
        if size < length:
            raise InputError(f"{folder}: {name} is damaged ({size} bytes of {length}); build the index again")


def missing(folder: Path, error: FileNotFoundError) -> InputError:
    """Say which file of an index is missing."""
    return InputError(f"{folder}: {Path(error.filename).name} is missing; build the index again")


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Make a state the valid one: from here on readers see it, after a crash too."""
    fresh = folder / "index.json.new"
    content = {"kind": KIND, "format": FORMAT, **asdict(manifest)}
    fresh.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    sync(fresh)
    os.replace(fresh, folder / "index.json")
    sync(folder)


def sync(path: Path) -> None:
    """Bring a file's content, or a folder's list of names, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(folder: Path, manifest: Manifest) -> None:
    """Delete what a state does not name: older graphs, replaced data, what an interrupted writer left."""
    for data in folder.glob("data-*"):
        if data.name != manifest.data:
            shutil.rmtree(data, ignore_errors=True)
    for graph in (folder / manifest.data).glob("graph-*"):
        if graph.name != manifest.graph:
            graph.unlink(missing_ok=True)


def publish(part: Path, folder: Path, manifest: Manifest, *, replaces: bool) -> None:
    """Put a complete index, built in `part`, in the place of an empty or missing folder, or of an older index.

    Raises:
        InputError: the folder is no longer empty.
    """
    if replaces:
        os.rename(part / manifest.data, folder / manifest.data)
        # Before the manifest names it, lest a power cut keep the name and lose the data.
        sync(folder)
        write_manifest(folder, manifest)
        sweep(folder, manifest)
        shutil.rmtree(part)
        return
    write_manifest(part, manifest)
    try:
        os.rename(part, folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot take the new index ({error.strerror}); name another folder") from None
    sync(folder.parent)


def is_replaced(folder: Path, *, overwrite: bool) -> bool:
    """Tell whether a new index takes the place of one that is there.

    Raises:
        InputError: something is there that must stay.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: a file is in the way; name another folder")
    if not folder.exists() or not any(folder.iterdir()):
        return False
    if not overwrite:
        raise InputError(
            f"{folder}: the folder is not empty; name another, or replace the index in it with --overwrite"
        )
    if _json_object(folder).get("kind") != KIND:
        raise InputError(f"{folder}: what is there is not a search index and stays; name another folder")
    return True


def make_folder(folder: Path) -> None:
    """Create a folder and those above it.

    Raises:
        InputError: the system refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be created ({error.strerror}); name another folder") from None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other writers out; the system lifts the lock when the process dies.

    Raises:
        InputError: another process holds the lock, or the folder cannot be written.
    """
    path = folder / "lock"
    try:
        handle = path.open("ab")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); check its permissions") from None
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The folder may have been renamed between opening and locking: then this is some other folder's lock.
            ours = os.path.samestat(path.stat(), os.fstat(handle.fileno()))
        except (BlockingIOError, FileNotFoundError):
            ours = False
        if not ours:
            raise InputError(f"{folder}: another process is writing this index; try again when it is done")
        try:
            yield
        finally:
            # Explicitly, because a forked child would keep the lock alive through its copy of the handle.
            fcntl.flock(handle, fcntl.LOCK_UN)
