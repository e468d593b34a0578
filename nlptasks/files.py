"""Opening and parsing: compression, encodings, JSON lines, TSV, CSV, plain text; with `file:line` in every complaint.

The file is longer than most because a stream goes through all of it: bytes as they arrive -> decompressed -> lines of
text -> records. Each stage is a generator that hands on what is there, so a pipe is answered line by line.
"""

from __future__ import annotations

import codecs
import csv
import difflib
import hashlib
import io
import json
import logging
import os
import re
import stat
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from encodings.aliases import aliases as ALIASES
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from nlptasks import json_items
from nlptasks.errors import InputError, RecordError

FORMATS = ("jsonl", "json", "tsv", "csv", "text")
EXTENSIONS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".tsv": "tsv", ".csv": "csv", ".txt": "text"}
MAGIC = {
    b"\x1f\x8b\x08": ".gz",
    b"\xfd7zXZ\x00": ".xz",
    b"\x28\xb5\x2f\xfd": ".zst",
    # "BZh9" alone could open a text: the start of a first block, or of the end of an empty file, could not.
    **{b"BZh%d" % level + start: ".bz2" for level in range(1, 10) for start in (b"1AY&SY", b"\x17rE8P\x90")},
}
MARKS = {  # byte order marks; UTF-32's begins with UTF-16's, so it comes first
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
# How many of the lines that are not ASCII must decode. A few damaged lines do not change what the rest is: text in
# another encoding is hardly ever valid UTF-8, but often enough valid GB18030.
SHARES = {"utf-8": 0.5, "gb18030": 0.9}
# What an encoding is read as: a mark is removed from any first line, and text called GB2312 is seldom only that.
WIDER = {"utf-8-sig": "utf-8", "gb2312": "gb18030", "gbk": "gb18030"}
#: What the name of a column looks like where it cannot be a sentence.
COLUMN = re.compile(r"[A-Za-z]\w{0,31}", re.ASCII)
QUOTED = 10_000  # lines that a row of CSV may have; a quote that is never closed would swallow the rest of the file
PIECE = 1 << 14  # bytes; as compressed input so few that a thousandfold expansion still fits into memory
SAMPLE = 1 << 20

log = logging.getLogger(__name__)

_Line = tuple[int, str, str | None]  # number, text without its end, problem
_Cells = tuple[int, list[str], str | None]
Parts = Callable[[Mapping[str, Any]], list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a file or stream, or what stands in the way of using it."""

    source: str
    """File name as given, or `stdin`."""
    line: int
    """Where the record starts, from 1, in the decompressed stream; 0 where there are no lines."""
    fields: dict[str, Any]
    """The record's own keys; empty where it could not be parsed."""
    problem: str | None = None
    """One sentence where the record cannot be used."""
    number: int = 0
    """Which record of a JSON document it is, from 1; 0 elsewhere."""

    @property
    def place(self) -> str:
        """Say where the record stands, as `file:line`, and in a JSON document which one it is."""
        number = f" (record {self.number})" if self.number else ""
        return f"{self.source}:{self.line}{number}" if self.line else self.source


@dataclass(frozen=True, slots=True)
class Naming:
    """What the fields of a record are called where it does not say so itself, and how a header is told from a row.

    The first row of a table is its header where `columns` are not given and one of its cells is a known name. Where
    none is, rows are named by position; but a first row of a .tsv or .csv file that is nothing but distinct short
    ASCII names, with something else below it, is refused as a header without the fields needed: it would become data
    without a word. A header in Chinese cannot be told from a sentence and stays a row.
    """

    names: Sequence[str] = ("text",)
    """Fields the caller knows, main field first: they name the columns of a table without a header, in order."""
    columns: Sequence[str] | None = None
    """Names of the columns of a table without a header, as the user gave them."""
    aliases: Collection[str] = ()
    """Other names by which a header is known."""
    main: str | None = None
    """Field of plain text; the first of the names by default."""
    needed: str | None = None
    """Field that the user asked for by its name: a table without such a column is refused."""
    parts: Parts | None = None
    """Gives the records of an item of a JSON document; by default the item is one."""


def read_records(
    source: str | Path,
    *,
    format: str | None = None,
    columns: Sequence[str] | None = None,
    names: Sequence[str] = ("text",),
    encoding: str | None = None,
    aliases: Collection[str] = (),
    main: str | None = None,
    needed: str | None = None,
    parts: Parts | None = None,
) -> Iterator[Record]:
    """Read a file, compressed or not, one record per line (CSV: row, JSON document: item); `-` is stdin.

    The file is opened at once, so that a wrong name is known before a model is loaded.

    Args:
        source: file name, or `-`.
        format: one of FORMATS; by default told by the extension, else by the first line that is not blank.
        columns: column names of a TSV or CSV file without a header.
        names: fields the caller knows, main field first: they tell a header from a row, name columns that have no
            name, and the first of them is the field of plain text.
        encoding: by default UTF-8 or GB18030, whichever fits the first MiB, or what a byte order mark says.
        aliases: see `Naming`, as for the next three.
        main: field of plain text.
        needed: field that a table must have.
        parts: gives the records of an item of a JSON document.

    Raises:
        InputError: the file cannot be opened or read, is binary or cut off, an option is not known, or a table's header
            lacks the fields needed.
    """
    _check_options(format, columns, encoding)
    stream = open_bytes(source)
    name = "stdin" if str(source) == "-" else str(source)
    naming = Naming(names, columns or None, aliases, main, needed, parts)
    return _closing(stream, _read(stream, name, format, encoding, naming))


def read_stream(
    handle: BinaryIO,
    *,
    source: str = "stdin",
    format: str | None = None,
    columns: Sequence[str] | None = None,
    names: Sequence[str] = ("text",),
    encoding: str | None = None,
    aliases: Collection[str] = (),
    main: str | None = None,
    needed: str | None = None,
    parts: Parts | None = None,
) -> Iterator[Record]:
    """Read records from an open stream of uncompressed bytes, each as soon as its line is there.

    The options are those of `read_records`; `source` is the name for complaints, and its extension tells the format.
    The stream is not closed.
    """
    _check_options(format, columns, encoding)
    return _read(handle, source, format, encoding, Naming(names, columns or None, aliases, main, needed, parts))


def _read(handle: BinaryIO, source: str, format: str | None, encoding: str | None, naming: Naming) -> Iterator[Record]:
    lines = _lines(handle, source, encoding)
    return _records(lines, source, format or EXTENSIONS.get(_extension(source)), naming)


def read_text(source: str | Path, *, encoding: str | None = None) -> Iterator[str]:
    """Read a file, compressed or not, as pieces of text: in constant memory, however long its lines are.

    Line ends become LF, and what is not text in the encoding U+FFFD. The file is opened at once.

    Args:
        source: file name, or `-`.
        encoding: by default as for `read_records`.

    Raises:
        InputError: the file cannot be opened or read, is binary or cut off, or the encoding is not known.
    """
    _check_options(None, None, encoding)
    return _pieces_of_text(open_bytes(source), "stdin" if str(source) == "-" else str(source), encoding)


def open_bytes(source: str | Path) -> BinaryIO:
    """Open a file, or stdin for `-`, and decompress it if its first bytes are those of .gz, .xz, .zst or .bz2.

    Closing the stream leaves stdin open.

    Raises:
        InputError: there is no such file, it is a folder or may not be read; on reading, damaged compressed data.
    """
    if str(source) == "-":
        if sys.stdin is None:
            raise InputError("stdin: it is closed; name a file instead of -")
        return _stream(_decompressed(sys.stdin.buffer, "stdin"), sys.stdin.buffer)
    try:
        handle = open(source, "rb")  # noqa: SIM115 - the stream that is returned closes it
    except (OSError, ValueError) as error:
        raise _cannot_open(Path(source), error) from error
    return _stream(_decompressed(handle, str(source)), handle, closes=True)


def fingerprint(path: str | Path) -> str:
    """Compute the SHA-256 of a file's bytes as they are on disk, in hexadecimal.

    Raises:
        InputError: the file cannot be opened.
    """
    try:
        with open(path, "rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise _cannot_open(Path(path), error) from error


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
        with _refusals_named(path, keep=False), _open_to_write(path, path, "wb") as handle:
            yield handle
        return
    handle = _open_to_write(part, path, "r+b" if resume and os.path.exists(part) else "w+b")
    try:
        with _refusals_named(path, keep=keep), handle:
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


@contextmanager
def _refusals_named(path: Path, *, keep: bool) -> Iterator[None]:
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


def _open_to_write(path: Path, meant: Path, mode: str) -> BinaryIO:
    try:
        return open(path, mode)  # type: ignore[return-value]  # the mode is always a binary one
    except OSError as error:
        raise InputError(f"{meant}: this file cannot be written ({error.strerror}); choose another place") from error


def _cannot_open(path: Path, error: OSError | ValueError) -> InputError:
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


def _check_options(format: str | None, columns: Sequence[str] | None, encoding: str | None) -> None:
    if format is not None and format not in FORMATS:
        raise InputError(f"unknown format {format!r}; choose one of {', '.join(FORMATS)}")
    _check_unique(columns or (), "--columns")
    try:
        "\n".encode(encoding or "utf-8")
    except LookupError as error:
        near = difflib.get_close_matches(str(encoding).lower(), {*ALIASES, *ALIASES.values()}, n=1)
        hint = f"did you mean {near[0]}?" if near else "utf-8, gb18030 and utf-16 are some that are known"
        raise InputError(f"unknown encoding {encoding!r}; {hint}") from error


def _check_unique(columns: Sequence[str], place: str) -> None:
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None:
        raise InputError(f"{place}: the column {twice!r} is there twice; give each column a name of its own")


def _extension(name: str) -> str:
    """Find the extension that tells a format, in lower case, below that of a compression."""
    path = Path(name.lower())
    return Path(path.stem).suffix if path.suffix in MAGIC.values() else path.suffix


def _closing(handle: BinaryIO, records: Iterator[Record]) -> Iterator[Record]:
    with closing(handle):
        yield from records


# Bytes


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


def _stream(pieces: Iterator[bytes], below: BinaryIO, closes: bool = False) -> io.BufferedReader:
    return io.BufferedReader(_Pieces(pieces, below, closes), PIECE)


def _arriving(handle: BinaryIO, source: str) -> Iterator[bytes]:
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


def _decompressed(handle: BinaryIO, source: str) -> Iterator[bytes]:
    """Tell by the first bytes, and no more of them than needed, whether a stream is compressed."""
    pieces, start = _arriving(handle, source), b""
    while any(magic.startswith(start) and magic != start for magic in MAGIC) and (piece := next(pieces, b"")):
        start += piece
    kind = next((kind for magic, kind in MAGIC.items() if start.startswith(magic)), None)
    pieces = chain([start], pieces)
    yield from pieces if kind is None else _members(pieces, kind, source)


def _members(pieces: Iterable[bytes], kind: str, source: str) -> Iterator[bytes]:
    """Decompress members one after another; zero bytes may pad them."""
    start, failures = _decompressor(kind)
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


def _decompressor(kind: str) -> tuple[Callable[[], Any], tuple[type[Exception], ...]]:
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


# Lines


def _lines(handle: BinaryIO, source: str, encoding: str | None) -> Iterator[_Line]:
    """Decode a stream line by line; a line ends with LF or CRLF and nothing else."""
    head = b"" if encoding else _head(handle, source)
    decode = _Decoder(source, encoding, head)
    stream = _stream(chain([head], _arriving(handle, source)), handle)
    if "\n".encode(decode.encoding) != b"\n":
        stream = _stream(_as_utf8(stream, decode.encoding, source), handle)
        decode = _Decoder(source, "utf-8", b"")
    number = 0
    try:
        for number, raw in enumerate(stream, 1):
            text, problem = decode(raw.removesuffix(b"\n").removesuffix(b"\r"))
            yield number, text.removeprefix("\ufeff") if number == 1 else text, problem
    except InputError as error:
        raise InputError(f"{error} {f'after line {number}' if number else 'in the first line'}") from error


def _pieces_of_text(stream: BinaryIO, source: str, encoding: str | None) -> Iterator[str]:
    with closing(stream):
        head = b"" if encoding else _head(stream, source)
        name = _Decoder(source, encoding, head).encoding
        decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(name)("replace"), translate=True)
        yield decoder.decode(head).removeprefix("\ufeff")
        for piece in _arriving(stream, source):
            yield decoder.decode(piece)
        yield decoder.decode(b"", final=True)


def _head(handle: BinaryIO, source: str) -> bytes:
    """Read the sample by which an encoding is told: of a file the first MiB, of a pipe what is there, a line at least.

    An error on the way is left to whoever reads on.
    """
    patient, head = _is_file(handle), bytearray()
    with suppress(InputError):
        for piece in _arriving(handle, source):
            head += piece
            if len(head) >= SAMPLE or (b"\n" in piece and not patient):
                break
    return bytes(head)


def _is_file(handle: BinaryIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(handle.fileno()).st_mode)
    except OSError:  # no file descriptor: bytes in memory
        return handle.seekable()


def _as_utf8(handle: BinaryIO, encoding: str, source: str) -> Iterator[bytes]:
    """Turn an encoding whose line end is not the byte of LF into one where it is."""
    # Half a surrogate pair passes here and spoils only its own line later, where UTF-8 refuses it.
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    for piece in chain(_arriving(handle, source), [b""]):
        before = decoder.getstate()
        try:
            text = decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            decoder.setstate(before)  # to give the lines that are right: the first that is not is counted from them
            text = decoder.decode(piece[: max(0, error.start - len(before[0]))])
            yield text.encode("utf-8", "surrogatepass")
            raise InputError(f"{source}: give the right --encoding: this is not {encoding.upper()} text") from error
        except UnicodeError as error:  # that of an encoding whose byte order a mark tells
            raise InputError(f"{source}: give --encoding {encoding}-le or -be: there is no byte order mark") from error
        yield text.encode("utf-8", "surrogatepass")


class _Decoder:
    """Decodes lines; while all of them were ASCII, the first one that is not settles the encoding."""

    def __init__(self, source: str, encoding: str | None, head: bytes) -> None:
        self._source = source
        name = codecs.lookup(encoding).name if encoding else self._detect(head)
        self.encoding = WIDER.get(name, name)
        self._settled = encoding is not None or not _whole_lines(head).isascii()

    def __call__(self, raw: bytes) -> tuple[str, str | None]:
        """Decode a line, and say what is wrong with it."""
        try:
            text = raw.decode(self.encoding)
        except UnicodeDecodeError as error:
            return self._undecoded(raw, error)
        self._settled = self._settled or not raw.isascii()
        return text, None

    def _undecoded(self, raw: bytes, error: UnicodeDecodeError) -> tuple[str, str | None]:
        if not self._settled:
            with suppress(UnicodeDecodeError):
                text = raw.decode("gb18030")
                self._settled, self.encoding = True, self._chosen("gb18030")
                return text, None
        problem = f"byte {error.start + 1} is not {self.encoding.upper()} text; --encoding names another encoding"
        return raw.decode(self.encoding, "replace"), problem

    def _detect(self, head: bytes) -> str:
        for mark, encoding in MARKS.items():
            if head.startswith(mark):
                return self._chosen(encoding)
        if b"\0" in head:
            hint = "if it is UTF-16 without a byte order mark, give --encoding utf-16-le"
            raise InputError(f"{self._source}: this is a binary file, expected text; {hint}")
        for encoding, least in SHARES.items():
            if _share(_whole_lines(head), encoding) >= least:
                return self._chosen(encoding)
        raise InputError(f"{self._source}: the text is neither UTF-8 nor GB18030; name its encoding with --encoding")

    def _chosen(self, encoding: str) -> str:
        if encoding != "utf-8":
            log.info("%s: read as %s; --encoding overrides", self._source, encoding.upper())
        return encoding


def _whole_lines(sample: bytes) -> bytes:
    """Cut what follows the last line end: half a character there would be taken for a start of another encoding's."""
    return sample[: sample.rfind(b"\n") + 1] or sample


def _share(sample: bytes, encoding: str) -> float:
    """Measure which share of the lines that are not ASCII decode: 1 if all do, but for a character cut at the end."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(sample)
        return 1.0
    except UnicodeDecodeError:
        lines = [line for line in sample.split(b"\n") if not line.isascii()]
    decoded = 0
    for line in lines:
        with suppress(UnicodeDecodeError):
            line.decode(encoding)
            decoded += 1
    return decoded / len(lines)


# Records


def _records(lines: Iterator[_Line], source: str, format: str | None, naming: Naming) -> Iterator[Record]:
    if format is None:
        format, lines = _sniffed(lines, source, tabs=naming.columns is not None or len(naming.names) > 1)
    if format == "jsonl":
        yield from _parsed(lines, source, _json_object)
    elif format == "json":
        yield from _document(lines, source, naming)
    elif format == "text":
        main = naming.main or naming.names[0]
        yield from _parsed(lines, source, lambda text: {main: text})
    elif format == "csv":
        yield from _table(_csv_rows(lines, source), source, naming)
    else:
        rows = ((number, text.split("\t"), problem) for number, text, problem in lines)
        yield from _table(rows, source, naming)


def _sniffed(lines: Iterator[_Line], source: str, tabs: bool) -> tuple[str, Iterator[_Line]]:
    """Tell the format by the first line that is not blank; give back the lines with those that were looked at.

    A line that is an object with a list of items is a document only where no other line follows.
    """
    seen: list[_Line] = []
    text = _next_text(lines, seen)
    if json_items.is_opened(text) or (json_items.has_list(text) and not _next_text(lines, seen)):
        return "json", chain(seen, lines)
    lines = chain(seen, lines)
    if text.startswith("{") and text.endswith("}"):
        return "jsonl", lines
    if text and _extension(source) == ".json":
        expected = "one JSON object per line, a list of them, or an object with a list 'data'"
        raise InputError(f"{source}: expected {expected}")
    return ("tsv" if tabs and "\t" in text else "text"), lines


def _next_text(lines: Iterator[_Line], seen: list[_Line]) -> str:
    """Find the next line that is not blank, none at the end; the lines on the way are put to those seen."""
    for line in lines:
        seen.append(line)
        if text := line[1].strip():
            return text
    return ""


def _document(lines: Iterator[_Line], source: str, naming: Naming) -> Iterator[Record]:
    """Read the records of a JSON document item by item.

    Raises:
        InputError: it is damaged, or not text; what stands before is given first.
    """

    def pieces() -> Iterator[str]:
        for number, text, problem in lines:
            if problem:
                raise InputError(f"{source}:{number}: {problem}")
            yield text + "\n"

    count = 0
    for line, item in json_items.Items(source, pieces()):
        if not isinstance(item, dict):
            count += 1
            yield Record(source, line, {}, "expected a JSON object in the list", count)
            continue
        for fields in naming.parts(item) if naming.parts else [item]:
            count += 1
            yield Record(source, line, fields, None, count)


def _parsed(lines: Iterable[_Line], source: str, fields: Callable[[str], dict[str, Any]]) -> Iterator[Record]:
    for number, text, problem in lines:
        if problem is None and (not text or text.isspace()):
            problem = "blank line"
        if problem is not None:
            yield Record(source, number, {}, problem)
            continue
        try:
            record = Record(source, number, fields(text))
        except RecordError as error:
            record = Record(source, number, {}, str(error))
        yield record


def _json_object(text: str) -> dict[str, Any]:
    """Parse a line of JSON, keeping what orjson refuses or rounds: lone surrogates, integers beyond 64 bits.

    NaN and Infinity, which JSON does not know but many programs write, are read as null.

    Raises:
        RecordError: it is not JSON, not an object, or holds a number that is too large.
    """
    import orjson  # here, because a machine that only trains on prepared text may lack it

    try:
        try:
            value = orjson.loads(text)
            exact = not _may_be_rounded(value)
        except orjson.JSONDecodeError:
            exact = False
        if not exact:
            value = json.loads(text, parse_float=json_items.finite, parse_constant=lambda _: None)
    except json.JSONDecodeError as error:
        raise RecordError(f"invalid JSON at character {error.pos + 1}: {error.msg}") from error
    except (RecursionError, ValueError) as error:
        raise RecordError(f"JSON nested too deeply or with too large a number: {error}") from error
    if not isinstance(value, dict):
        raise RecordError(f"expected a JSON object, found {text if len(text) < 40 else text[:40] + '…'}")
    return value


def _may_be_rounded(value: object) -> bool:
    if isinstance(value, float):
        return abs(value) >= 2**63
    if isinstance(value, dict):
        return any(map(_may_be_rounded, value.values()))
    return isinstance(value, list) and any(map(_may_be_rounded, value))


def _csv_rows(lines: Iterator[_Line], source: str) -> Iterator[_Cells]:
    """Split lines into rows; a row is numbered by its first line.

    Raises:
        InputError: a row goes on for so long that a quote in it must have been left open.
    """
    csv.field_size_limit(2**31 - 1)  # one limit for the whole process; the default refuses long texts
    taken: list[_Line] = []

    def texts() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            if len(taken) > QUOTED:
                what = f"a quote opens in this row and is not closed within {QUOTED:,} lines"
                raise InputError(f"{source}:{taken[0][0]}: {what}; close it, or write it twice where it is text")
            yield line[1] + "\n"

    rows = csv.reader(texts(), strict=True)
    while True:
        cells: list[str] = []
        problem = None
        taken.clear()
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            problem = f"invalid CSV: {error}"
            if len(taken) > 1:
                problem += f", after {len(taken)} lines; is a quote left open here?"
        yield taken[0][0], cells, next((line[2] for line in taken if line[2]), problem)


def _table(rows: Iterable[_Cells], source: str, naming: Naming) -> Iterator[Record]:
    """Name the cells of rows by the columns given, by a header, or by position."""
    columns, names = naming.columns, naming.names
    header, first = columns, True
    for number, cells, problem in _with_known_header(iter(rows), source, naming):
        if problem is None and _is_blank(cells):
            problem = "blank line"
        if problem is None and first:
            first = False
            stripped = [cell.strip() for cell in cells]
            if columns is None and _is_known(stripped, naming):
                _check_unique(stripped, f"{source}:{number}")
                header = stripped
                continue
            if columns is not None and cells == list(columns):
                continue
        if problem is None and header is not None and len(cells) != len(header):
            problem = f"found {_count(cells)}, expected {len(header)} ({', '.join(header)})"
        named = header or [*names, *(f"column_{at + 1}" for at in range(len(names), len(cells)))]
        yield Record(source, number, {} if problem else dict(zip(named, cells, strict=False)), problem)


def _with_known_header(rows: Iterator[_Cells], source: str, naming: Naming) -> Iterator[_Cells]:
    """Hand on the rows, unless the first of them is a header of other fields; see `Naming`.

    Only in a file by its extension is the row below waited for: a pipe may want its first answer now.

    Raises:
        InputError: it is.
    """
    for row in rows:
        if row[2] is not None or _is_blank(row[1]):
            yield row
            continue
        stripped, below = [cell.strip() for cell in row[1]], None
        found = f"{source}:{row[0]}: found the columns {', '.join(naming.columns or stripped)}"
        if naming.needed and naming.needed not in (naming.columns or stripped):
            remedy = "name one of them with --field, or all with --columns where there is no header"
            raise InputError(f"{found}, expected {naming.needed}; {remedy}")
        tells = naming.columns is None and not _is_known(stripped, naming) and _are_columns(stripped)
        if tells and _extension(source) in (".tsv", ".csv"):
            below = next(rows, None)
        if below and not _are_columns(below[1]):
            remedy = "name the text's with --field" if len(naming.names) == 1 else "rename them"
            remedy += ", or give --columns where this is a record"
            raise InputError(f"{found}, expected {', '.join(naming.names)}; {remedy}")
        yield row
        if below:
            yield below
        break
    yield from rows


def _is_blank(cells: Sequence[str]) -> bool:
    return all(not cell or cell.isspace() for cell in cells)


def _is_known(cells: Sequence[str], naming: Naming) -> bool:
    """Tell whether one of the cells is a name that the caller knows."""
    return not {*naming.names, *naming.aliases}.isdisjoint(cells)


def _are_columns(cells: Sequence[str]) -> bool:
    """Tell whether cells look like the names of columns and nothing else."""
    return len(set(cells)) == len(cells) > 0 and all(COLUMN.fullmatch(cell.strip()) for cell in cells)


def _count(cells: Sequence[str]) -> str:
    return f"{len(cells)} column{'s' if len(cells) > 1 else ''}"
