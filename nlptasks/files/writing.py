"""Writing files that appear under their names only when they are complete, and refusals before any work."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from nlptasks.errors import InputError
from nlptasks.files.streams import cannot_open


def fingerprint(path: str | Path) -> str:
    """Compute the SHA-256 of a file's bytes as they are on disk, in hexadecimal.

    Raises:
        InputError: the file cannot be opened.
    """
    try:
        with open(path, "rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise cannot_open(Path(path), error) from error


def part_of(path: str | Path) -> Path:
    """Name the partial file that `write_beside` fills before it becomes `path`."""
    target = Path(os.path.realpath(path))  # a link stays a link, and its target is replaced
    return target.with_name(target.name + ".part")


def check_folder(path: str | Path) -> None:
    """Refuse before any work a folder that could not be made or filled afterwards; those above it may be missing.

    Raises:
        InputError: the nearest one that is there may not be written into, or is no folder.
    """
    above = Path(os.path.realpath(path))
    while not os.path.lexists(above):
        above = above.parent
    if not os.path.isdir(above) or not os.access(above, os.W_OK | os.X_OK):
        reason = "may not be written into" if os.path.isdir(above) else "is no folder"
        raise InputError(f"{path}: cannot be made or written, {above} {reason}; choose another place")


def check_file(path: str | Path) -> None:
    """Refuse before any work a file that `write_beside` could not write afterwards.

    Raises:
        InputError: it is a folder, or the folder it belongs into is missing or may not be written into.
    """
    if os.path.isdir(path):
        raise InputError(f"{path}: this is a folder; name a file in it to write to")
    folder = Path(os.path.realpath(path)).parent
    if not os.path.lexists(folder):
        raise InputError(f"{path}: there is no folder {folder}; make it, or choose another place")
    if not os.path.exists(path) or os.path.isfile(path):  # a device or a pipe is not replaced
        check_folder(folder)


@contextmanager
def write_beside(path: str | Path, *, keep: bool = False, resume: bool = False) -> Iterator[BinaryIO]:
    """Write a file that appears under its name only when it is complete.

    What is written goes to `<name>.part`, which is renamed when the block ends well. A device or a pipe, as
    /dev/stdout, cannot be renamed over and is written directly.

    Args:
        path: the file to make or replace.
        keep: leave the partial file there when the block fails, so that a later call can resume it.
        resume: go on with the partial file, if there is one: the stream stands at its end and may be read, moved and
            truncated.

    Raises:
        InputError: the file cannot be written there, or the disk takes no more of it.
    """
    path, part = Path(path), part_of(path)
    if os.path.isdir(path):  # unlike Path.is_dir, no error where a folder may not be looked into
        raise InputError(f"{path}: this is a folder; name a file in it to write to")
    if os.path.exists(path) and not os.path.isfile(path):
        with refusals_named(path, keep=False), open_to_write(path, path, "wb") as handle:
            yield handle
        return
    handle = open_to_write(part, path, "r+b" if resume and os.path.exists(part) else "w+b")
    try:
        with refusals_named(path, keep=keep), handle:
            handle.seek(0, os.SEEK_END)
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(part, part.with_suffix(""))
    except BaseException:
        if not keep:
            part.unlink(missing_ok=True)
        raise


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give a library that writes files by their name such a name; the file takes its place when the block ends well.

    It gets the permissions that the umask gives to any new file, which some libraries give to its owner alone.
    """
    part = part_of(path)
    part.unlink(missing_ok=True)
    part.touch()
    mode = stat.S_IMODE(part.stat().st_mode)
    try:
        yield part
        part.chmod(mode)
        part.replace(part.with_suffix(""))
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    with replaced(path) as part:
        part.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


@contextmanager
def refusals_named(path: Path, *, keep: bool) -> Iterator[None]:
    """Name the file where the system takes no more of it; a closed pipe stays what it is."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename is not None:  # another file's
            raise
        remedy = "make room and go on with --resume" if keep else "make room"
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); {remedy}") from error


def open_to_write(path: Path, meant: Path, mode: str) -> BinaryIO:
    """Open a file, and name the one that was meant where that fails."""
    try:
        return open(path, mode)  # type: ignore[return-value]  # the mode is always a binary one
    except OSError as error:
        raise InputError(f"{meant}: this file cannot be written ({error.strerror}); choose another place") from error
