"""Decoding: lines of text, or pieces of it, from a stream of bytes whose encoding is told by its first ones."""

from __future__ import annotations

import codecs
import io
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import chain
from typing import BinaryIO

from nlptasks.errors import InputError
from nlptasks.files.streams import arriving, stream

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
SAMPLE = 1 << 20

#: Stands in pieces of text for what could not be decoded; no text can hold it.
LOST = "\udcff"
MARKED = "nlpk.marked"  # the name of the error handler that puts it there
codecs.register_error(MARKED, lambda error: (LOST, error.end))  # type: ignore[attr-defined]

log = logging.getLogger(__name__)

#: Number, text without its end, problem.
Line = tuple[int, str, str | None]


def lines_of(handle: BinaryIO, source: str, encoding: str | None) -> Iterator[Line]:
    """Decode a stream line by line; a line ends with LF or CRLF and nothing else."""
    head = b"" if encoding else head_of(handle, source)
    decode = Decoder(source, encoding, head)
    below = stream(chain([head], arriving(handle, source)), handle)
    if "\n".encode(decode.encoding) != b"\n":
        below = stream(as_utf8(below, decode.encoding, source), handle)
        decode = Decoder(source, "utf-8", b"")
    number = 0
    try:
        for number, raw in enumerate(below, 1):
            text, problem = decode(raw.removesuffix(b"\n").removesuffix(b"\r"))
            yield number, text.removeprefix("\ufeff") if number == 1 else text, problem
    except InputError as error:
        raise InputError(f"{error} {f'after line {number}' if number else 'in the first line'}") from error


def pieces_of_text(stream: BinaryIO, source: str, encoding: str | None) -> Iterator[str]:
    """Decode a stream piece by piece, line ends as LF, LOST for what is no text in the encoding, and close it."""
    with closing(stream):
        head = b"" if encoding else head_of(stream, source)
        name = Decoder(source, encoding, head).encoding
        decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(name)(MARKED), translate=True)
        try:
            yield decoder.decode(head).removeprefix("\ufeff")
            for piece in arriving(stream, source):
                yield decoder.decode(piece)
            yield decoder.decode(b"", final=True)
        except UnicodeError as error:
            raise without_mark(source, name) from error


def head_of(handle: BinaryIO, source: str) -> bytes:
    """Read the sample by which an encoding is told: of a file the first MiB, of a pipe what is there, a line at least.

    An error on the way is left to whoever reads on.
    """
    patient, head = is_file(handle), bytearray()
    with suppress(InputError):
        for piece in arriving(handle, source):
            head += piece
            if len(head) >= SAMPLE or (b"\n" in piece and not patient):
                break
    return bytes(head)


def is_file(handle: BinaryIO) -> bool:
    """Tell whether all of a stream can be read without waiting."""
    try:
        return stat.S_ISREG(os.fstat(handle.fileno()).st_mode)
    except OSError:  # no file descriptor: bytes in memory
        return handle.seekable()


def as_utf8(handle: BinaryIO, encoding: str, source: str) -> Iterator[bytes]:
    """Turn an encoding whose line end is not the byte of LF into one where it is."""
    # Half a surrogate pair passes here and spoils only its own line later, where UTF-8 refuses it.
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    for piece in chain(arriving(handle, source), [b""]):
        before = decoder.getstate()
        try:
            text = decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            decoder.setstate(before)  # to give the lines that are right: the first that is not is counted from them
            text = decoder.decode(piece[: max(0, error.start - len(before[0]))])
            yield text.encode("utf-8", "surrogatepass")
            raise InputError(f"{source}: give the right --encoding: this is not {encoding.upper()} text") from error
        except UnicodeError as error:
            raise without_mark(source, encoding) from error
        yield text.encode("utf-8", "surrogatepass")


def without_mark(source: str, encoding: str) -> InputError:
    """Say what is wrong where a mark has to tell the byte order, and there is none."""
    return InputError(f"{source}: give --encoding {encoding}-le or -be: there is no byte order mark")


class Decoder:
    """Decodes lines; while all of them were ASCII, the first one that is not settles the encoding."""

    def __init__(self, source: str, encoding: str | None, head: bytes) -> None:
        self._source = source
        name = codecs.lookup(encoding).name if encoding else self._detect(head)
        self.encoding = WIDER.get(name, name)
        self._settled = encoding is not None or not whole_lines(head).isascii()

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
            if share(whole_lines(head), encoding) >= least:
                return self._chosen(encoding)
        raise InputError(f"{self._source}: the text is neither UTF-8 nor GB18030; name its encoding with --encoding")

    def _chosen(self, encoding: str) -> str:
        if encoding != "utf-8":
            log.info("%s: read as %s; --encoding overrides", self._source, encoding.upper())
        return encoding


def whole_lines(sample: bytes) -> bytes:
    """Cut what follows the last line end: half a character there would be taken for a start of another encoding's."""
    return sample[: sample.rfind(b"\n") + 1] or sample


def share(sample: bytes, encoding: str) -> float:
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
