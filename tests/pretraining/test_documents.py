import json
import lzma
import random
from pathlib import Path
from typing import Any

import pytest

from nlptasks.errors import InputError, UsageError
from nlptasks.pretraining import documents
from nlptasks.pretraining.documents import LONGEST, Source, read, split


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "c.txt"


def found(path: Path, **options: Any) -> list[str]:  # noqa: ANN401
    return list(read(Source(str(path), **options)))


def test_a_blank_line_stands_between_documents() -> None:
    assert list(split(["\n甲\n乙\n", "\n\n \n丙\n", "丁\n"])) == ["甲\n乙", "丙\n丁"]


def test_without_blank_lines_each_line_is_a_document() -> None:
    assert list(split(["甲\n乙\n丙"])) == ["甲", "乙", "丙"]
    assert list(split(["\n甲\n乙\n\n"])) == ["甲", "乙"]  # blank lines at the ends part nothing


def test_pieces_may_end_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "SAMPLE", 40)
    text = "\n\n".join(f"第{n}篇\n文章" for n in range(50))
    draw = random.Random(1)
    for _ in range(20):
        cuts = sorted(draw.sample(range(1, len(text)), 60))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert list(split(pieces)) == text.split("\n\n")


def test_windows_line_ends_are_line_ends(path: Path) -> None:
    path.write_bytes("甲\r\n乙\r\n\r\n丙\r\n".encode())
    assert found(path) == ["甲\n乙", "丙"]


def test_a_long_line_is_cut(path: Path) -> None:
    path.write_text("长" * (2 * LONGEST + 5) + "\n短\n", encoding="utf-8")
    assert [len(one) for one in found(path)] == [LONGEST, LONGEST, 5, 1]


def test_a_long_line_takes_little_memory() -> None:
    def pieces() -> object:
        for _ in range(4000):
            yield "长" * 5000

    longest = total = 0
    for document in split(pieces()):  # type: ignore[arg-type]
        longest, total = max(longest, len(document)), total + len(document)
    assert (longest, total) == (LONGEST, 20_000_000)


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16"])
def test_other_encodings_are_told(path: Path, encoding: str) -> None:
    path.write_bytes(("今天天气很好，我们去公园玩。\n" * 9).encode(encoding))
    assert found(path) == ["今天天气很好，我们去公园玩。"] * 9


def test_a_field_of_records(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl.xz"
    lines = [{"text": "甲", "body": "乙"}, {"body": " "}, {"body": "丙"}]
    path.write_bytes(lzma.compress("\n".join(map(json.dumps, lines)).encode()))
    assert found(path, field="body") == ["乙", "丙"]
    assert found(path) == ["甲"]


def test_naming_a_field_says_that_there_are_records(path: Path) -> None:
    path.write_text('{"body": "甲"}\n', encoding="utf-8")
    assert found(path, field="body") == ["甲"]
    assert found(path) == ['{"body": "甲"}']
    assert found(path, format="jsonl", field="body") == ["甲"]


def test_records_without_the_field_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text('{"text": "甲"}\n\n{"t": 1}\n{no\n', encoding="utf-8")
    with caplog.at_level("INFO"):
        assert found(path) == ["甲"]
    first = "c.jsonl:3: found the fields t, expected text; name the text's with --field"
    assert caplog.messages[0].endswith(f"{first}; records that cannot be used: 2, this being the first")
    path.write_text('{"t": "甲"}\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"c\.jsonl:1: found the fields t, expected text; name .* with --field"):
        found(path)


def test_half_a_character_spoils_only_its_record(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text('{"text": "甲"}\n{"text": "乙\\ud83d"}\n{"text": [1]}\n{"text": " "}\n', encoding="utf-8")
    with caplog.at_level("INFO"):
        assert found(path) == ["甲"]
    assert "c.jsonl:2: found half a character (a lone surrogate) at 2" in caplog.text
    assert "records that cannot be used: 3" in caplog.text


@pytest.mark.parametrize("content", ['{"text": "甲"}\n{"text": "乙"}\n', '[{"text": "甲"},\n {"text": "乙"}]'])
def test_a_json_file_holds_lines_or_a_list(tmp_path: Path, content: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(content, encoding="utf-8")
    assert found(path) == ["甲", "乙"]


def test_a_table_without_a_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.tsv"
    path.write_text("1\t甲\n2\t乙\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"c\.tsv:1: found the columns 1, 甲, expected text"):
        found(path)
    assert found(path, columns=("id", "text")) == ["甲", "乙"]


def test_only_the_last_ending_tells_the_format() -> None:
    kinds = {name: Source(name).kind for name in ("notes.csv.txt", "a.tsv.gz", "a.json.xz", "b", "v1.jsonl")}
    assert kinds == {"notes.csv.txt": "text", "a.tsv.gz": "tsv", "a.json.xz": "json", "b": "text", "v1.jsonl": "jsonl"}


@pytest.mark.parametrize("tail", ["今天天气很好。\n".encode("gb18030") * 9000, bytes(range(128, 256)) * 900])
def test_text_that_becomes_something_else_on_the_way_is_refused(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "c.txt"
    path.write_bytes("今天天气很好。\n".encode() * 60_000 + tail)
    with pytest.raises(InputError, match=r"c\.txt: \d+% of a part of it is not text in UTF-8 or GB18030; name its"):
        found(path)


def test_a_few_damaged_characters_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "c.txt"
    path.write_bytes(("今天天气很好。\n".encode() * 900 + b"\xff\n") * 99)
    assert len(found(path)) == 901 * 99


def test_what_was_lost_before_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "c.txt"
    path.write_bytes("今天\ufffd\ufffd天气\n".encode() + "天气".encode() + b"\xff\n")
    assert found(path) == ["今天\ufffd\ufffd天气", "天气\ufffd"]


def test_a_bad_stretch_within_good_text_is_refused(tmp_path: Path) -> None:
    path, good = tmp_path / "c.txt", "今天天气很好。\n".encode() * 20_000
    path.write_bytes(good + b"\xff" * 3000 + good)
    with pytest.raises(InputError, match=r"c\.txt: \d+% of a part of it is not text in UTF-8 or GB18030"):
        found(path)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("c.txt", {"columns": ("id", "text")}, "--columns names those of TSV and CSV files"),
        ("c.json", {"columns": ("id", "text")}, "--columns names those of TSV and CSV files"),
        ("c.txt", {"format": "text", "field": "body"}, "plain text has no fields; leave out --field, or --format text"),
    ],
)
def test_what_a_format_has_no_use_for_is_refused(name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=f"{name}: {said}"):
        Source(name, **options).check()


def test_utf_16_without_a_mark_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.txt"
    path.write_bytes("今天\n".encode("utf-16-le"))
    with pytest.raises(InputError, match=r"give --encoding utf-16-le or -be: there is no byte order mark"):
        found(path, encoding="utf-16")


def test_what_is_no_text_is_refused(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 9)
    with pytest.raises(InputError, match="this is a binary file"):
        found(path)
    path.write_bytes(bytes([200, 13, 255, 128]) * 999)
    with pytest.raises(InputError, match=r"neither UTF-8 nor GB18030"):
        found(path)
    with pytest.raises(InputError, match="there is no such file"):
        found(path.with_name("d.txt"))


def test_a_file_that_is_cut_off_is_refused(path: Path) -> None:
    whole = lzma.compress(("今天天气很好\n" * 99_999).encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="data is cut off"):
        found(path)
