"""Opening files as streams of bytes, compressed or not, which give what is there as soon as it arrives."""

from __future__ import annotations

import difflib
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from nlptasks.errors import InputError

MAGIC = {
    b"\x1f\x8b\x08": ".gz",
    b"\xfd7zXZ\x00": ".xz",
    b"\x28\xb5\x2f\xfd": ".zst",
    # "BZh9" alone could open a text: the start of a first block, or of the end of an empty file, could not.
    **{b"BZh%d" % level + start: ".bz2" for level in range(1, 10) for start in (b"1AY&SY", b"\x17rE8P\x90")},
}
PIECE = 1 << 14  # bytes; as compressed input so few that a thousandfold expansion still fits into memory


def open_bytes(source: str | Path) -> BinaryIO:
    """Open a file, or stdin for `-`, and decompress it if its first bytes are those of .gz, .xz, .zst or .bz2.

    Closing the stream leaves stdin open.

    Raises:
        InputError: there is no such file, it is a folder or may not be read; on reading, damaged compressed data.
    """
    if str(source) == "-":
        if sys.stdin is None:
            raise InputError("stdin: it is closed; name a file instead of -")
        return stream(decompressed(sys.stdin.buffer, "stdin"), sys.stdin.buffer)
    try:
        handle = open(source, "rb")  # noqa: SIM115 - the stream that is returned closes it
    except (OSError, ValueError) as error:
        raise cannot_open(Path(source), error) from error
    return stream(decompressed(handle, str(source)), handle, closes=True)


def cannot_open(path: Path, error: OSError | ValueError) -> InputError:
    """Say why a file cannot be opened, and what to do about it."""
    if isinstance(error, IsADirectoryError):
        return InputError(f"{path}: this is a folder; name a file in it")
    if isinstance(error, PermissionError):
        return InputError(f"{path}: you have no permission to read this file; ask its owner, or chmod +r it")
    if not isinstance(error, FileNotFoundError):
        return InputError(f"{path}: cannot be opened ({error}); check the name")
    if not path.parent.is_dir():
        return InputError(f"{path}: there is no folder {path.parent}; check the path")
    with suppress(OSError):
        near = difflib.get_close_matches(path.name, os.listdir(path.parent), n=1)
        if near:
            return InputError(f"{path}: there is no such file; did you mean {path.with_name(near[0])}?")
    return InputError(f"{path}: there is no such file in {path.parent.resolve()}; check the name")


class _Pieces(io.RawIOBase):
    """A stream over pieces made on demand: a read gives what is there, and an error comes up at every further read."""

    def __init__(self, pieces: Iterator[bytes], below: BinaryIO, closes: bool) -> None:
        self._pieces, self._below, self._closes = pieces, below, closes
        self._left = memoryview(b"")
        self._error: InputError | None = None

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._below.fileno()

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - the type of a buffer has a name only from Python 3.12 on
        while not self._left:
            if (piece := self._next()) is None:
                return 0
            self._left = memoryview(piece)
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size

    def _next(self) -> bytes | None:
        if self._error:
            raise self._error
        try:
            return next(self._pieces, None)
        except InputError as error:
            self._error = error
            raise

    def close(self) -> None:
        if self._closes:
            self._below.close()
        super().close()


def stream(pieces: Iterator[bytes], below: BinaryIO, closes: bool = False) -> io.BufferedReader:
    """Make a stream of pieces that come from the one below, which it closes as well if it is told to."""
    return io.BufferedReader(_Pieces(pieces, below, closes), PIECE)


def arriving(handle: BinaryIO, source: str) -> Iterator[bytes]:
    """Yield what a stream has to give, without waiting for a piece to be full."""
    read = getattr(handle, "read1", handle.read)  # an unbuffered stream reads once by itself
    while True:
        try:
            piece: bytes = read(PIECE)
        except OSError as error:
            raise InputError(f"{source}: check the file or its disk: reading failed ({error.strerror})") from error
        if not piece:
            return
        yield piece


def decompressed(handle: BinaryIO, source: str) -> Iterator[bytes]:
    """Tell by the first bytes, and no more of them than needed, whether a stream is compressed."""
    pieces, start = arriving(handle, source), b""
    while any(magic.startswith(start) and magic != start for magic in MAGIC) and (piece := next(pieces, b"")):
        start += piece
    kind = next((kind for magic, kind in MAGIC.items() if start.startswith(magic)), None)
    pieces = chain([start], pieces)
    yield from pieces if kind is None else members(pieces, kind, source)


def members(pieces: Iterable[bytes], kind: str, source: str) -> Iterator[bytes]:
    """Decompress members one after another; zero bytes may pad them."""
    start, failures = decompressor(kind)
    member = None
    for piece in pieces:
        data = piece
        while data := data if member else data.lstrip(b"\0"):
            member = member or start()
            try:
                yielded = member.decompress(data)
            except failures as error:
                raise InputError(f"{source}: get the file again: its {kind} data is damaged") from error
            yield yielded
            data, member = (member.unused_data, None) if member.eof else (b"", member)
    if member:
        raise InputError(f"{source}: get the file again: its {kind} data is cut off")


def decompressor(kind: str) -> tuple[Callable[[], Any], tuple[type[Exception], ...]]:
    """Give what makes a decompressor for one member, and the errors it knows; each library is loaded when needed."""
    if kind == ".gz":
        import zlib

        return partial(zlib.decompressobj, wbits=31), (zlib.error,)
    if kind == ".xz":
        import lzma

        return lzma.LZMADecompressor, (lzma.LZMAError,)
    if kind == ".bz2":
        import bz2

        return bz2.BZ2Decompressor, (OSError, ValueError)
    import zstandard

    return zstandard.ZstdDecompressor().decompressobj, (zstandard.ZstdError,)


def extension(name: str) -> str:
    """Find the extension that tells a format, in lower case, below that of a compression."""
    path = Path(name.lower())
    return Path(path.stem).suffix if path.suffix in MAGIC.values() else path.suffix
