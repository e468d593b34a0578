"""Every line gives one record, whatever it is made of, and says where it stands."""

import bz2
import gzip
import hashlib
import io
import itertools
import json
import logging
import lzma
import os
import random
import signal
import stat
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pytest
import zstandard

from nlptasks import files
from nlptasks.errors import InputError
from nlptasks.files import Record, read_records, read_stream

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.compress,
}


def read(data: bytes, **options: Any) -> list[Record]:  # noqa: ANN401
    return list(read_stream(io.BytesIO(data), **options))


def texts(data: bytes, **options: Any) -> list[Any]:  # noqa: ANN401
    """Read the text of each record, or its problem."""
    return [record.problem or record.fields["text"] for record in read(data, **options)]


def saved(folder: Path, name: str, data: bytes) -> Path:
    folder.joinpath(name).write_bytes(data)
    return folder / name


@pytest.fixture
def pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Give the reading and the writing end of a pipe; a read that would wait for ever ends the test."""
    ends = os.pipe()
    with os.fdopen(ends[0], "rb") as reading, os.fdopen(ends[1], "wb", buffering=0) as writing:
        before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("waited for more than was needed"))
        signal.alarm(5)
        yield reading, writing
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# Lines


def test_one_record_per_line() -> None:
    assert read(b'{"text": "a"}\n\n{"text": 1}', source="f.jsonl") == [
        Record("f.jsonl", 1, {"text": "a"}),
        Record("f.jsonl", 2, {}, "blank line"),
        Record("f.jsonl", 3, {"text": 1}),
    ]


def test_a_place_is_file_and_line() -> None:
    assert [record.place for record in read(b"a\nb\n", source="x/f.txt")] == ["x/f.txt:1", "x/f.txt:2"]


def test_only_lf_and_crlf_end_a_line() -> None:
    ends = "a\x85b\u2028c\u2029d\x0be\x0cf\x1cg\rh"
    assert texts(f"{ends}\r\nb\n \t\n\r\nc".encode()) == [ends, "b", "blank line", "blank line", "c"]


def test_nothing_comes_from_nothing() -> None:
    assert [read(b"", format=format) for format in (None, *files.FORMATS)] == [[]] * (1 + len(files.FORMATS))


@pytest.mark.parametrize("size", [10_000_000, 100_000_000])
def test_a_long_line(size: int) -> None:
    record, after = read(b'{"text": "' + b"a" * size + b'"}\n{"text": "b"}\n')
    assert (len(record.fields["text"]), after.fields["text"], after.line) == (size, "b", 2)


def test_a_long_cell_of_csv() -> None:
    assert [len(text) for text in texts(b"text\n" + b"a" * 10_000_000 + b"\nb\n", format="csv")] == [10_000_000, 1]


# Pipes


def test_a_line_of_a_pipe_comes_as_it_arrives(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reading, writing = pipe
    records = read_stream(reading)
    for number, line in enumerate(["早\n".encode(), b"b\n", "上".encode() * 9999 + b"\n"], 1):
        writing.write(line[:1])
        writer = threading.Timer(0.05, writing.write, [line[1:]])
        writer.start()
        assert next(records) == Record("stdin", number, {"text": line.decode()[:-1]})
        writer.join()
    writing.write(b"last")
    writing.close()
    assert [record.fields["text"] for record in records] == ["last"]


@pytest.mark.parametrize("name", ["-", "fifo"])
def test_a_compressed_pipe_comes_as_it_arrives(
    name: str, pipe: tuple[BinaryIO, BinaryIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = pipe
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=reading))
    records = read_records("-" if name == "-" else f"/dev/fd/{reading.fileno()}")
    for line in (b"a\n", b"b\n"):
        for byte in gzip.compress(line):
            writing.write(bytes([byte]))
        assert next(records).fields == {"text": line.decode().strip()}


def test_csv_and_utf_16_of_a_pipe_come_as_they_arrive(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reading, writing = pipe
    records = read_stream(reading, format="csv", columns=["a", "b"])
    writing.write("\ufeff1,2\n".encode("utf-16-le"))
    assert next(records).fields == {"a": "1", "b": "2"}
    writing.write("中,4\n".encode("utf-16-le"))
    assert next(records).fields == {"a": "中", "b": "4"}


def test_what_opens_like_compressed_data_need_not_be(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    assert texts(b"BZh9 is a text\n") == ["BZh9 is a text"]
    reading, writing = pipe
    records = read_records(f"/dev/fd/{reading.fileno()}", format="text")
    writing.write(b"B\n")
    assert next(records).fields == {"text": "B"}


def test_stdin_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b"a\n"))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert list(read_records("-")) == [Record("stdin", 1, {"text": "a"})]
    assert not stdin.buffer.closed


def test_no_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match=r"^stdin: it is closed; name a file instead of -$"):
        read_records("-")


def test_an_unbuffered_stream() -> None:
    ends = os.pipe()
    with os.fdopen(ends[0], "rb", buffering=0) as reading:
        os.write(ends[1], b"a\nb\n")
        os.close(ends[1])
        assert [record.fields["text"] for record in read_stream(reading)] == ["a", "b"]


# Encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_that_are_found_out(encoding: str, end: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    lines = ["镕基与朱镕", "ASCII", "二○○二年"] * 9
    assert texts(end.join(lines).encode(encoding), source="f") == lines
    name = {"gb18030": "GB18030", "utf-16": "UTF-16-LE", "utf-32": "UTF-32-LE"}.get(encoding)
    assert caplog.messages == ([f"f: read as {name}; --encoding overrides"] if name else [])


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-32-be", "utf-16-le", "gb18030"])
def test_a_byte_order_mark_is_removed(encoding: str) -> None:
    assert texts("\ufeff中\n\ufeff文\n".encode(encoding)) == ["中", "\ufeff文"]


def test_a_header_after_a_byte_order_mark() -> None:
    assert read("text\tid\n好\t1\n".encode("utf-8-sig"), format="tsv")[0].fields == {"text": "好", "id": "1"}


@pytest.mark.parametrize("encoding", ["utf-16-le", "UTF8", "big5", "shift_jis", "utf-8-sig", "GBK"])
def test_a_given_encoding(encoding: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert texts("中文\n日本\n".encode(encoding), encoding=encoding) == ["中文", "日本"]
    assert caplog.messages == []


def test_gb2312_is_seldom_only_that() -> None:
    assert texts("朱镕基\n".encode("gb18030"), encoding="gb2312") == ["朱镕基"]


def test_a_file_whose_first_mib_ends_within_a_character(tmp_path: Path) -> None:
    for shift in range(3):
        text = "a" * shift + "中" * 400_000
        assert texts(text.encode()) == [text]
        assert next(read_records(saved(tmp_path, "f", text.encode()))).fields == {"text": text}


def test_a_few_damaged_lines_do_not_change_the_encoding() -> None:
    lines = [f"第{number}行，好".encode() for number in range(9)]
    lines[3:5] = [b"\xff\xfe\x80", "第四行".encode("gb18030")]
    found = texts(b"\n".join(lines))
    assert found[2] == "第2行，好"
    assert found[5] == "第5行，好"
    assert found[3] == "byte 1 is not UTF-8 text; --encoding names another encoding"
    assert found[4].startswith("byte 1 is not UTF-8 text")


def test_a_damaged_line_of_gb18030() -> None:
    lines = ["今天天气很好".encode("gb18030")] * 20
    lines[7] = b"abc\xff"
    found = texts(b"\n".join(lines))
    assert found[7] == "byte 4 is not GB18030 text; --encoding names another encoding"
    assert found[8] == "今天天气很好"


def test_after_a_mib_of_ascii_a_line_settles_the_encoding(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    ascii = (b"a line " * 99 + b"\n") * 1600
    assert texts(ascii + "中文\n".encode() + "中文\n".encode("gbk"))[-2:] == [
        "中文",
        "byte 1 is not UTF-8 text; --encoding names another encoding",
    ]
    assert caplog.messages == []
    assert texts(ascii + b"\xff\n" + "中文\n文\n".encode("gbk"))[-3:] == [
        "byte 1 is not UTF-8 text; --encoding names another encoding",
        "中文",
        "文",
    ]
    assert caplog.messages == ["stdin: read as GB18030; --encoding overrides"]


def test_a_pipe_that_starts_with_half_a_character_of_gbk(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reading, writing = pipe
    records = read_stream(reading)
    line = "中文".encode("gbk")
    writing.write(b"id\n" + line[:1])
    assert next(records).fields == {"text": "id"}
    writing.write(line[1:] + b"\n")
    assert next(records).fields == {"text": "中文"}


def test_half_a_surrogate_pair_of_utf_16_spoils_its_line_alone() -> None:
    data = "\ufeffa\n\ud800\nb\n".encode("utf-16-le", "surrogatepass")
    assert texts(data) == ["a", "byte 1 is not UTF-8 text; --encoding names another encoding", "b"]


def test_utf_16_that_ends_within_a_character() -> None:
    with pytest.raises(InputError, match=r"^f: give the right --encoding: this is not UTF-16-LE text after line 2$"):
        read("\ufeffa\nb\n".encode("utf-16-le") + b"c", source="f")


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-32", "give the right --encoding: this is not UTF-32 text in the first line"),
        ("utf-16", "give --encoding utf-16-le or -be: there is no byte order mark in the first line"),
    ],
)
def test_what_is_not_the_encoding_given_from_the_start(encoding: str, said: str) -> None:
    with pytest.raises(InputError, match=f"^f: {said}$"):
        read(b"abc\ndef\n", source="f", encoding=encoding)


def test_wide_text_is_given_up_to_the_line_that_is_damaged() -> None:
    lines = [f"第{number}行" for number in range(5000)]
    data = "\n".join(lines).encode("utf-32-be")
    whole = data.rfind("\n".encode("utf-32-be"), 0, 40_000) + 4
    expected = data[:whole].decode("utf-32-be").splitlines()
    records = read_stream(io.BytesIO(data[:whole] + b"\xff" * 4 + data[whole:]), source="f", encoding="utf-32-be")
    assert [record.fields["text"] for record in itertools.islice(records, len(expected))] == expected
    with pytest.raises(InputError, match=f"this is not UTF-32-BE text after line {len(expected)}$"):
        next(records)


def test_binary_files() -> None:
    with pytest.raises(
        InputError, match=r"^f.png: this is a binary file, expected text; .* give --encoding utf-16-le$"
    ):
        read(b"\x89PNG\r\n\x00\x00", source="f.png")


def test_neither_utf_8_nor_gb18030() -> None:
    with pytest.raises(InputError, match=r"^f: the text is neither UTF-8 nor GB18030; name its encoding with"):
        read("déjà vu, café\n".encode("latin-1"), source="f")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("gb18300", r"did you mean gb18030\?"),
        ("?!", "utf-8, gb18030 and utf-16"),
        ("base64", "utf-8, gb18030 and utf-16"),
    ],
)
def test_unknown_encodings(name: str, hint: str) -> None:
    with pytest.raises(InputError, match=rf"^unknown encoding '{'[?]!' if name == '?!' else name}'; {hint}"):
        read_stream(io.BytesIO(), encoding=name)


# Formats


@pytest.mark.parametrize(
    ("name", "line", "fields"),
    [
        ("f.jsonl", '{"text": "a"}', {"text": "a"}),
        ("f.NDJSON.gz", '{"text": "a"}', {"text": "a"}),
        ("f.json", '{"text": "a"}', {"text": "a"}),
        ("f.txt", '{"text": "a"}', {"text": '{"text": "a"}'}),
        ("f.txt.xz", "a\tb", {"text": "a\tb"}),
        ("f.tsv.zst", "a\tb", {"text": "a", "column_2": "b"}),
        ("f.csv", '"a",b', {"text": "a", "column_2": "b"}),
        ("f", '\n {"text": "a"} ', {"text": "a"}),
        ("f", "a\tb", {"text": "a\tb"}),
        ("f", "a,b", {"text": "a,b"}),
        ("f", "[1]", {"text": "[1]"}),
    ],
)
def test_the_format_is_told_by_the_extension_or_the_first_line(name: str, line: str, fields: dict[str, str]) -> None:
    assert read(line.encode(), source=name)[-1].fields == fields


def test_tabs_mean_a_table_where_more_than_one_field_is_known() -> None:
    assert read(b"a\tb", names=("x", "y"))[0].fields == {"x": "a", "y": "b"}
    assert read(b"a\tb", columns=("x", "y"))[0].fields == {"x": "a", "y": "b"}
    assert read(b"a b", names=("x", "y"))[0].fields == {"x": "a b"}


def test_a_given_format_overrides() -> None:
    assert read(b'{"a": 1}', source="f.jsonl", format="text")[0].fields == {"text": '{"a": 1}'}


def test_an_unknown_format() -> None:
    with pytest.raises(InputError, match=r"^unknown format 'xml'; choose one of jsonl, json, tsv, csv, text, bio$"):
        read_stream(io.BytesIO(), format="xml")


def test_a_json_file_is_not_text() -> None:
    with pytest.raises(InputError, match=r"^f.json: expected one JSON object per line, a list of them, or an object"):
        read(b"text\n", source="f.json")


# JSON documents


@pytest.mark.parametrize("source", ["f.json", "stdin"])
@pytest.mark.parametrize(
    ("document", "lines"),
    [
        (b'[{"text": "a"}, {"text": "b"}]', (1, 1)),
        (b'[\n  {"text": "a"},\n  {"text": "b"}\n]\n', (2, 3)),
        (b'{"data": [{"text": "a"}, {"text": "b"}], "more": {}}', (1, 1)),
        (b'{"version": "1.0", "n": 1.5, "data": [{"text": "a"}, {"text": "b"}]}\n\n', (1, 1)),
        (b'\xef\xbb\xbf\n{\n"version": [],\n"data":\n[{"text": "a"},\n{"text": "b"}]}', (5, 6)),
    ],
)
def test_a_document_is_told_by_its_content(document: bytes, lines: tuple[int, int], source: str) -> None:
    found = [
        Record(source, line, {"text": text}, None, at)
        for at, (line, text) in enumerate(zip(lines, "ab", strict=True), 1)
    ]
    assert read(document, source=source) == found
    assert read(document, source=source, format="json") == found


def test_lines_with_lists_are_lines() -> None:
    lines = b'{"data": [1], "text": "a"}\n\n{"data": [2], "text": "b"}\n'
    assert [record.line for record in read(lines)] == [1, 2, 3]
    assert [record.number for record in read(lines)] == [0, 0, 0]
    assert read(b'{"text": "[{"}')[0].fields == {"text": "[{"}
    assert read(b'{"data": [{"text": "a"}]}', source="f.jsonl")[0].fields == {"data": [{"text": "a"}]}


def test_a_text_in_brackets_is_text() -> None:
    assert read("[图片] 你好".encode())[0].fields == {"text": "[图片] 你好"}
    assert read("{名字}你好".encode())[0].fields == {"text": "{名字}你好"}


def test_items_are_taken_apart() -> None:
    document = b'[{"texts": ["a", "b"]}, {"texts": []}, 3, {"texts": ["c"]}]'
    found = read(document, parts=lambda item: [{"text": text} for text in item["texts"]])
    assert [record.fields.get("text") for record in found] == ["a", "b", None, "c"]
    assert [record.number for record in found] == [1, 2, 3, 4]
    assert found[2].problem == "expected a JSON object in the list"
    assert found[2].place == "stdin:1 (record 3)"


def test_a_document_that_breaks_off_gives_what_stands_before() -> None:
    found = read_stream(io.BytesIO(b'[\n{"text": "a"},\n{"te'))
    assert next(found).fields == {"text": "a"}
    with pytest.raises(InputError, match=r"^stdin:3: invalid JSON: Invalid control character"):
        next(found)


def test_a_document_in_another_encoding() -> None:
    document = '[{"text": "中文"}]'.encode("gb18030")
    assert read(document)[0].fields == {"text": "中文"}
    with pytest.raises(InputError, match=r"^stdin:1: byte 12 is not UTF-8 text; --encoding names another encoding$"):
        read(document, encoding="utf-8")


# JSON


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('"\\ud800"', "\ud800"),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("[[-123456789012345678901234567890]]", [[-123456789012345678901234567890]]),
        ('{"b": 18446744073709551616}', {"b": 18446744073709551616}),
        ("1e300", 1e300),
        ("[1, 1.5, true, null]", [1, 1.5, True, None]),
    ],
)
def test_json_values_are_kept(line: str, value: object) -> None:
    assert read(f'{{"a": {line}}}'.encode())[0].fields == {"a": value}


def test_nan_is_read_as_null() -> None:
    assert read(b'{"a": NaN, "b": [-Infinity, 1.5]}')[0].fields == {"a": None, "b": [None, 1.5]}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"text": "a}', "invalid JSON at character 10: Unterminated string starting at"),
        (b'{"text": 1} x', "invalid JSON at character 13: Extra data"),
        (b"[1, 2]", "expected a JSON object, found [1, 2]"),
        (b'"' + b"a" * 99 + b'"', 'expected a JSON object, found "' + "a" * 39 + "…"),
        (b'{"a":' * 100_000, "JSON nested too deeply or with too large a number: "),
        (
            b'{"a": [-1e999]}',
            "JSON nested too deeply or with too large a number: the number -1e999 is too large",
        ),
        (b'{"a": ' + b"9" * 5000 + b"}", "JSON nested too deeply or with too large a number: "),
        (b'{"a": "\xff"}', "byte 8 is not UTF-8 text; --encoding names another encoding"),
    ],
)
def test_a_bad_line_of_json_is_a_problem_of_its_own(line: bytes, problem: str) -> None:
    before, bad, after = read('{"text": "好"}\n'.encode() + line + b'\n{"text": "b"}\n')
    assert (before.problem, after.problem, after.line, bad.fields) == (None, None, 3, {})
    assert bad.problem
    assert bad.problem.startswith(problem)


# Tables


def test_a_header_is_known_by_a_name_in_it() -> None:
    options: dict[str, Any] = {"format": "tsv", "names": ("a", "b", "score")}
    assert read(b"\nid\t b \nx\ty\n", **options)[1:] == [Record("stdin", 3, {"id": "x", "b": "y"})]
    assert [record.fields for record in read(b"id\tc\nx\ty\n", **options)] == [
        {"a": "id", "b": "c"},
        {"a": "x", "b": "y"},
    ]


def test_columns_say_that_there_is_no_header_and_skip_one_that_says_the_same() -> None:
    options: dict[str, Any] = {"format": "csv", "columns": ("a", "c")}
    assert [record.fields for record in read(b"a,c\n1,2\na,c\n", **options)] == [
        {"a": "1", "c": "2"},
        {"a": "a", "c": "c"},
    ]
    assert read(b"a,b\n", **options)[0].fields == {"a": "a", "c": "b"}


def test_a_header_is_known_by_an_alias_too() -> None:
    found = read(b"id\tsentence\n1\tx\n", format="tsv", aliases=("sentence",))
    assert [record.fields for record in found] == [{"id": "1", "sentence": "x"}]


@pytest.mark.parametrize("source", ["f.tsv", "f.csv.gz"])
def test_a_header_of_other_fields_is_refused(source: str) -> None:
    table = "\nquestion,label_2\n你好,1\n".replace(",", "," if "csv" in source else "\t").encode()
    said = r"^f\.[a-z.]+:2: found the columns question, label_2, expected a, b; rename them, or give --columns"
    with pytest.raises(InputError, match=said):
        read(table, source=source, names=("a", "b"))
    with pytest.raises(InputError, match=r"expected text; name the text's with --field, or give --columns"):
        read(table, source=source)
    assert len(read(table, source=source, columns=("x", "y"))) == 3


@pytest.mark.parametrize(
    ("source", "table"),
    [
        ("f.tsv", "hello\tworld\ngood\tbye\n"),
        ("f.tsv", "hello\tworld\n"),
        ("f.tsv", "same\tsame\n你好\tx\n"),
        ("f.tsv", "问题\t回答\n你好\tx\n"),
        ("f.tsv", "hello there\tworld\n你好\tx\n"),
        ("stdin", "hello\tworld\n你好\tx\n"),
    ],
)
def test_what_may_be_a_row_is_one(source: str, table: str) -> None:
    first = read(table.encode(), source=source, format="tsv", names=("a", "b"))[0]
    assert list(first.fields.values()) == table.split("\n")[0].split("\t")


def test_a_field_asked_for_must_be_there() -> None:
    options: dict[str, Any] = {"names": ("titel",), "needed": "titel", "format": "csv"}
    with pytest.raises(
        InputError, match=r"^stdin:1: found the columns id, title, expected titel; name one of them with"
    ):
        read("id,title\n1,你好\n".encode(), **options)
    with pytest.raises(InputError, match=r"^stdin:1: found the columns x, y, expected titel"):
        read("1,你好\n".encode(), columns=("x", "y"), **options)
    assert read(b"titel\nx\n", **options)[0].fields == {"titel": "x"}


def test_plain_text_may_be_another_field_than_the_first() -> None:
    assert read(b"x\n", names=("a", "b"), main="b")[0].fields == {"b": "x"}


def test_rows_by_position_may_differ_in_length() -> None:
    found = read(b"1\t2\t3\t4\n1\n", format="tsv", names=("a", "b"))
    assert [record.fields for record in found] == [{"a": "1", "b": "2", "column_3": "3", "column_4": "4"}, {"a": "1"}]


@pytest.mark.parametrize("columns", [None, ("a", "b")])
def test_rows_under_names_may_not(columns: tuple[str, ...] | None) -> None:
    found = read(b"a\tb\n1\n\t\n1\t2\t3\n1\t\n", format="tsv", names=("a",), columns=columns)
    assert [(record.line, record.fields, record.problem) for record in found] == [
        (2, {}, "found 1 column, expected 2 (a, b)"),
        (3, {}, "blank line"),
        (4, {}, "found 3 columns, expected 2 (a, b)"),
        (5, {"a": "1", "b": ""}, None),
    ]


def test_tsv_has_no_quotes() -> None:
    assert read(b'"a\t b"\n"\n', format="tsv", names=("a", "b"))[0].fields == {"a": '"a', "b": ' b"'}


def test_csv_has_quotes_and_lines_within_them() -> None:
    data = 'text,id\r\n"a ""b"",\r\nc",1\r\n\r\n好,2\r\n'.encode()
    assert read(data, format="csv") == [
        Record("stdin", 2, {"text": 'a "b",\nc', "id": "1"}),
        Record("stdin", 4, {}, "blank line"),
        Record("stdin", 5, {"text": "好", "id": "2"}),
    ]


def test_bad_rows_of_csv() -> None:
    found = read('text\n好\n"a" b\nc\n"x\n\xff\n'.encode() + b'y\xff"\nz\n"open\n', format="csv")
    assert [(record.line, record.problem) for record in found] == [
        (2, None),
        (3, "invalid CSV: ',' expected after '\"'"),
        (4, None),
        (5, "byte 2 is not UTF-8 text; --encoding names another encoding"),
        (8, None),
        (9, "invalid CSV: unexpected end of data"),
    ]
    open_quote = read(b'text\n"open\nb\nc\n', format="csv")
    assert [(record.line, record.problem) for record in open_quote] == [
        (2, "invalid CSV: unexpected end of data, after 3 lines; is a quote left open here?")
    ]


def test_a_quote_that_is_never_closed_ends_the_reading() -> None:
    lines = b'text\na\n"open\n' + b"b\n" * 20_000
    records = read_stream(io.BytesIO(lines), source="f.csv")
    assert next(records).fields == {"text": "a"}
    with pytest.raises(InputError, match=r"^f.csv:3: a quote opens in this row and is not closed within 10,000 lines"):
        next(records)


def test_a_column_that_is_there_twice() -> None:
    with pytest.raises(
        InputError, match=r"^--columns: the column 'a' is there twice; give each column a name of its own"
    ):
        read_stream(io.BytesIO(), columns=["a", "b", "a"])
    with pytest.raises(InputError, match=r"^f.tsv:1: the column 'text' is there twice"):
        read(b"text\ttext \n", source="f.tsv")


# Files


@pytest.mark.parametrize("kind", COMPRESS)
def test_compressed_files_of_several_members(kind: str, tmp_path: Path) -> None:
    members = [COMPRESS[kind](data) for data in (b'{"a": 1}\n{"a"', b"", b": 2}\n")]
    path = saved(tmp_path, "f.jsonl" + kind, members[0] + bytes(8) + b"".join(members[1:]) + bytes(4))
    assert [record.fields for record in read_records(path)] == [{"a": 1}, {"a": 2}]
    assert next(read_records(saved(tmp_path, "no_extension", path.read_bytes()))).fields == {"a": 1}
    assert list(read_records(saved(tmp_path, "empty", COMPRESS[kind](b"")))) == []


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize("size", [10, 800_000])
def test_truncated_files_give_what_is_whole(kind: str, size: int, tmp_path: Path) -> None:
    noise = random.Random(0).randbytes(size).hex()
    lines = [json.dumps({"text": noise[at : at + 1000]}) for at in range(0, len(noise), 1000)]
    path = saved(tmp_path, "f.jsonl" + kind, COMPRESS[kind]("\n".join(lines).encode())[:-3])
    found = []
    with pytest.raises(InputError) as caught:  # noqa: PT012 - what came before the error counts
        for record in read_records(path):
            found.append(json.dumps(record.fields))
    place = f"after line {len(found)}" if found else "in the first line"
    assert str(caught.value) == f"{path}: get the file again: its {kind} data is cut off {place}"
    assert found == lines[: len(found)]
    assert len(found) >= 0.4 * len(lines) - 1


@pytest.mark.parametrize("kind", COMPRESS)
def test_damaged_files(kind: str, tmp_path: Path) -> None:
    whole = COMPRESS[kind](b"text\n" * 999)
    damaged = saved(tmp_path, "f" + kind, whole[:10] + b"\xff" * 30)
    with pytest.raises(InputError, match=f"f{kind}: get the file again: its {kind} data is damaged (in the f|after )"):
        list(read_records(damaged))
    with pytest.raises(InputError, match=f"its {kind} data is damaged after line "):
        list(read_records(saved(tmp_path, "f" + kind, whole + b"garbage after it")))


def test_memory_stays_the_same_however_long_a_file_is(tmp_path: Path) -> None:
    path = saved(tmp_path, "f.txt.gz", gzip.compress(b"a line of text\n" * 4_000_000, 1))
    tracemalloc.start()
    with files.open_bytes(path) as stream:
        assert sum(map(len, iter(lambda: stream.read(1 << 16), b""))) == 60_000_000
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


def test_a_file_is_closed_after_the_last_record(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    assert len(list(read_records(saved(tmp_path, "f.txt", b"a\nb\n")))) == 2
    assert not recwarn.list


@pytest.mark.parametrize(
    ("check", "name", "said"),
    [
        (files.check_folder, "file/x", "x: cannot be made or written, .*file is no folder; choose another place"),
        (files.check_folder, "shut/deep/x", "x: cannot be made or written, .*shut may not be written into; choose"),
        (files.check_folder, "shut", "shut may not be written into"),
        (files.check_file, "shut/x", "shut: cannot be made or written, .*shut may not be"),
        (files.check_file, "no/x", "x: there is no folder .*no; make it, or choose another place"),
        (files.check_file, "shut", "shut: this is a folder; name a file in it"),
    ],
)
def test_a_place_that_could_not_be_written_is_known_before(
    check: Callable[[Path], None], name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "shut").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("shut"))
    with pytest.raises(InputError, match=said):
        check(tmp_path / name)
    files.check_folder(tmp_path / "new" / "x")
    files.check_file(tmp_path / "file")
    files.check_file("/dev/null")


def test_files_that_are_not_there(tmp_path: Path) -> None:
    saved(tmp_path, "train.jsonl", b"")
    with pytest.raises(InputError, match=r"train.jsnl: there is no such file; did you mean .*/train.jsonl\?$"):
        read_records(tmp_path / "train.jsnl")
    with pytest.raises(InputError, match=r"zzz: there is no such file in .*; check the name$"):
        read_records(str(tmp_path / "zzz"))
    with pytest.raises(InputError, match=r"there is no folder .*/none; check the path$"):
        read_records(tmp_path / "none" / "train.jsonl")


def test_what_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"this is a folder; name a file in it$"):
        read_records(tmp_path)
    with pytest.raises(InputError, match=r"cannot be opened \(.*null.*\); check the name$"):
        read_records("a\0b")


class Broken(io.RawIOBase):
    """A stream on a disk that fails after the first line."""

    def __init__(self) -> None:
        self.given = iter([b"a\n"])

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401
        data = next(self.given, None)
        if data is None:
            raise OSError(5, "Input/output error")
        buffer[: len(data)] = data
        return len(data)


def test_a_disk_that_fails() -> None:
    records = read_stream(io.BufferedReader(Broken()), source="f")
    assert next(records).fields == {"text": "a"}
    with pytest.raises(InputError, match=r"^f: check the file or its disk: reading failed \(.*\) after line 1$"):
        next(records)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    path = saved(tmp_path, "f", b"a")
    path.chmod(0)
    with pytest.raises(InputError, match="you have no permission to read this file; ask its owner"):
        read_records(path)


def test_fingerprint(tmp_path: Path) -> None:
    assert files.fingerprint(saved(tmp_path, "f", b"abc")) == hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(InputError, match=r"there is no such file; did you mean .*f\?"):
        files.fingerprint(tmp_path / "ff")


# Writing


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = saved(tmp_path, "out", b"before")
    with files.write_beside(path) as handle:
        handle.write(b"after")
        assert path.read_bytes() == b"before"
        assert files.part_of(path) == tmp_path / "out.part"
        assert files.part_of(path).exists()
    assert path.read_bytes() == b"after"
    assert os.listdir(tmp_path) == ["out"]


def break_off(path: Path, data: bytes, failure: BaseException, keep: bool = False) -> None:
    with files.write_beside(path, keep=keep) as handle:
        handle.write(data)
        raise failure


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_a_failure(failure: type[BaseException], tmp_path: Path) -> None:
    path = saved(tmp_path, "out", b"before")
    with pytest.raises(failure, match="stop"):
        break_off(path, b"half", failure("stop"))
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["out"]


def test_what_is_kept_can_be_resumed(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with pytest.raises(ValueError, match="stop"):
        break_off(path, b"one\ntw", ValueError("stop"), keep=True)
    assert os.listdir(tmp_path) == ["out.part"]
    with files.write_beside(path, keep=True, resume=True) as handle:
        assert handle.tell() == 6
        handle.seek(0)
        handle.truncate(handle.seek(handle.read().rfind(b"\n") + 1))
        handle.write(b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"
    assert os.listdir(tmp_path) == ["out"]


def test_without_resume_a_partial_file_starts_afresh(tmp_path: Path) -> None:
    saved(tmp_path, "out.part", b"long ago")
    with files.write_beside(tmp_path / "out") as handle:
        handle.write(b"new")
    assert tmp_path.joinpath("out").read_bytes() == b"new"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(saved(tmp_path, "f.txt", b"a"))
    with files.write_beside(tmp_path / "link") as handle:
        handle.write(b"b")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "f.txt").read_bytes() == b"b"


def test_a_device_is_written_to(tmp_path: Path, pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reading, writing = pipe
    with files.write_beside(f"/dev/fd/{writing.fileno()}") as handle:
        handle.write(b"a\n")
    assert reading.readline() == b"a\n"
    with files.write_beside("/dev/null") as handle:
        handle.write(b"a")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"this is a folder; name a file in it to write to$"),
        files.write_beside(tmp_path),
    ):
        pass
    with (
        pytest.raises(InputError, match=r"none/out: this file cannot be written \(No such .*\); choose another place$"),
        files.write_beside(tmp_path / "none" / "out"),
    ):
        pass


FULL = OSError(28, "No space left on device")


@pytest.mark.parametrize(("keep", "remedy"), [(False, "make room"), (True, "make room and go on with --resume")])
def test_a_full_disk_is_named_with_the_file(keep: bool, remedy: str, tmp_path: Path) -> None:
    said = rf"^{tmp_path}/out: cannot be written \(No space left on device\); {remedy}$"
    with pytest.raises(InputError, match=said):
        break_off(tmp_path / "out", b"half", FULL, keep)
    assert os.listdir(tmp_path) == (["out.part"] if keep else [])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_device_is_named() -> None:
    said = r"^/dev/full: cannot be written \(No space left on device\); make room$"
    with pytest.raises(InputError, match=said), files.write_beside("/dev/full") as handle:
        handle.write(b"a")


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), FileNotFoundError(2, "No such file", "other")])
def test_what_is_no_refusal_of_this_file_stays_what_it_is(error: OSError, tmp_path: Path) -> None:
    with pytest.raises(type(error)), files.write_beside(tmp_path / "out"):
        raise error


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_file_of_a_library_gets_the_usual_permissions(umask: int, mode: int, tmp_path: Path) -> None:
    path = saved(tmp_path, "out", b"before")
    saved(tmp_path, "out.part", b"long ago").chmod(0o400)
    old = os.umask(umask)
    try:
        with files.replaced(path) as part:
            part.unlink()  # as a library does that makes a file of its own and renames it
            saved(tmp_path, part.name, b"after").chmod(0o600)
            assert path.read_bytes() == b"before"
    finally:
        os.umask(old)
    assert path.read_bytes() == b"after"
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert os.listdir(tmp_path) == ["out"]


def test_nothing_is_left_of_a_library_that_fails(tmp_path: Path) -> None:
    path = saved(tmp_path, "out", b"before")
    with pytest.raises(IsADirectoryError), files.replaced(path) as part:
        part.write_bytes(tmp_path.read_bytes())
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["out"]


def test_text_comes_in_pieces_however_long_a_line_is(tmp_path: Path) -> None:
    path = tmp_path / "long.txt.gz"
    whole = "\ufeff" + "长" * 500_000 + "\r\n短\n"
    path.write_bytes(gzip.compress(whole.encode()))
    pieces = list(files.read_text(path))
    assert "".join(pieces) == "长" * 500_000 + "\n短\n"
    assert len(pieces) > 10
    path.write_bytes("天气很好\n".encode("gb18030") * 9)
    assert "".join(files.read_text(path)) == "天气很好\n" * 9
    assert "".join(files.read_text(path, encoding="latin-1")) != "天气很好\n" * 9


def test_what_is_no_text_is_refused_as_text_too(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(bytes(999))
    with pytest.raises(InputError, match="this is a binary file"):
        list(files.read_text(path))
    with pytest.raises(InputError, match="unknown encoding 'x'"):
        files.read_text(path, encoding="x")
    with pytest.raises(InputError, match="there is no such file"):
        files.read_text(tmp_path / "y.txt")
