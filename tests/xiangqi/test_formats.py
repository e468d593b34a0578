"""PGN, XQF, tables: games in and out."""

import json
from pathlib import Path
from typing import Any

import pytest

from nlptasks import files
from nlptasks.errors import RecordError
from nlptasks.xiangqi import pgn, row, xqf
from nlptasks.xiangqi.board import START
from nlptasks.xiangqi.xqf import ORDER

TEXT = """[Game "Chinese Chess"]
[Event "友谊赛"]
[Red "红方"]
[Date "2020.01.02"]
[Result "1-0"]

1. 炮二平五 {好棋 1. 车一进一} 马８进７ $1
2. 马二进三 (2. 马八进七 (2. 兵三进一) 车９平８) 车９平８ ; 到此为止
3. 车一平二 1-0
"""
MOVES = "h2e2 h9g7 h0g2 i9h9 i0h0"
POSITION = """[FEN "3k5/9/9/9/9/9/9/9/4r4/3K1R3 b - - 0 1"]
1. ... e1e0 2. d0d1
*
========
"""


def good(raw: bytes, name: str = "a.pgn") -> list[dict[str, Any]]:
    records = list(pgn.read(raw, name))
    assert not [record.problem for record in records if record.problem]
    return [record.fields for record in records]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_comments_and_variations_are_left_out_in_any_encoding(encoding: str) -> None:
    fields = good(TEXT.encode(encoding))
    known = {"result": "1-0", "event": "友谊赛", "date": "2020.01.02", "red": "红方", "moves": MOVES}
    assert fields == [known]


def test_big5_is_told_from_gb18030() -> None:
    text = '[Event "友誼賽"]\n1. 炮二平五 馬８進７ 2. 馬二進三 車９平８\n'
    assert good(text.encode("big5"))[0] == {"result": "*", "event": "友誼賽", "moves": "h2e2 h9g7 h0g2 i9h9"}


def test_games_from_a_position_and_several_in_a_file() -> None:
    with pytest.raises(AssertionError):
        good(b"")
    records = list(pgn.read((TEXT + "\n" + TEXT.replace("1-0", "0-1")).encode(), "two.pgn"))
    assert [record.fields["result"] for record in records] == ["1-0", "0-1"]
    assert [record.line for record in records] == [1, 11]


def test_names_tell_big5_where_moves_do_not() -> None:
    text = '[Red "胡榮華"]\n[Black "楊官璘"]\n1. h2e2 h9g7\n'
    assert good(text.encode("big5"))[0]["red"] == "胡榮華"
    simple = '[Red "胡荣华"]\n[Black "杨官璘"]\n1. h2e2 h9g7\n'
    assert good(simple.encode("gb18030"))[0]["red"] == "胡荣华"


@pytest.mark.parametrize(
    "text",
    [
        "1. 炮二平五 马８进７ *\n\n1. 兵七进一 *\n",
        "1. 炮二平五 马８进７ 红胜\n欢迎访问《象棋百科全书网》\n====\n1、兵七进一 和棋\n",
        '[Event "a"]\n1. 炮二平五 {a { b} 马８进７ 1-0\n推荐用《象棋巫师》\n[Event "b"]\n\n1. 兵七进一 0-1',
        '1. 炮二平五 ; see { there\n马８进７ 1-0\n[Event "b"]\n1. 兵七进一 红方认输',
        '[Event "a"]\n1. 炮二平五 (1. 兵三进一 {two\nlines}\n卒７进１) 马８进７\n\n[Event "b"]\n1. 兵七进一',
    ],
)
def test_games_end_at_their_result_and_at_the_next_tags(text: str) -> None:
    assert [one["moves"] for one in good(text.encode())] == ["h2e2 h9g7", "c3c4"]


def test_a_comment_that_is_not_closed_spoils_its_own_game_alone() -> None:
    text = '[Event "a"]\n1. 炮二平五 {open\n\n[Event "b"]\n1. 兵七进一 *\n'
    first, second = pgn.read(text.encode(), "a.pgn")
    assert first.problem == "game 1: a comment that begins with { is never closed; close it"
    assert (second.line, second.fields["moves"]) == (4, "c3c4")


def test_a_position_without_moves_can_be_asked_about_and_not_learnt_from(tmp_path: Path) -> None:
    text = '[FEN "3k5/R8/1R7/9/9/9/9/9/9/4K4 w"]\n\n*\n'
    (tmp_path / "puzzle.pgn").write_text(text, encoding="utf-8")
    fen = good(text.encode())[0]["fen"]
    assert row.arranged({"game": str(tmp_path / "puzzle.pgn")}) == {"game": str(tmp_path / "puzzle.pgn"), "fen": fen}
    with pytest.raises(RecordError, match="field 'moves'"):
        row.converted({"game": str(tmp_path / "puzzle.pgn")}, "tsv")


def test_a_game_may_be_given_as_text_and_says_where_it_starts_itself() -> None:
    assert row.arranged({"game": TEXT})["moves"] == MOVES
    with pytest.raises(RecordError, match="the text given:1: game 1: ply 1"):
        row.arranged({"game": '[Event "a"]\n1. 车一进九'})
    with pytest.raises(RecordError, match="both fen and game: expected one of them"):
        row.arranged({"game": TEXT, "fen": START})
    assert "game" not in json.loads(row.converted({"game": TEXT}, "jsonl")[0])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no game in the file; expected PGN"),
        ('[Event "x"]\n*\n', "game 1: no moves"),
        ("1. 炮二平五 车五进一", "game 1: ply 2: '车五进一': no piece on the board can move so"),
        ("1. h2e2 h9g8", "game 1: ply 2: 'h9g8': no piece ever moves so"),
        ("1. h2e2 hello", "game 1: ply 2: 'hello' is no move"),
        (POSITION, "game 1: FEN"),
    ],
)
def test_a_game_that_cannot_be_used_says_which_and_why(text: str, problem: str) -> None:
    assert (next(iter(pgn.read(text.encode(), "a.pgn"))).problem or "").startswith(problem)


def test_a_wrong_encoding_is_named() -> None:
    assert next(iter(pgn.read("炮".encode("gb18030"), "a.pgn", "ascii"))).problem == (
        "not text in ascii; name another --encoding"
    )


def test_pgn_is_written_as_it_is_read() -> None:
    fields = {"moves": MOVES, "result": "1-0", "red": "红方"}
    text = "\n".join(row.converted(fields, "pgn"))
    assert "1. 炮二平五 马８进７" in text
    assert good(text.encode())[0] == {"result": "1-0", "red": "红方", "moves": MOVES}
    assert text.endswith("1-0\n")  # and a blank line before the next game
    quoted = row.converted({"moves": MOVES, "event": 'a "b"\nc\\'}, "pgn")
    assert good("\n".join([*quoted, *quoted]).encode())[1]["event"] == 'a "b" c\\'
    black = {"moves": "d9e9", "fen": "3k5/9/9/9/9/9/9/9/9/3R1K3 b - - 0 5"}
    text = "\n".join(row.converted(black, "pgn"))
    assert "5. … 将４平５" in text
    assert good(text.encode())[0]["moves"] == "d9e9"


def test_tables_and_lines() -> None:
    fields = {"moves": "炮二平五 马８进７", "result": "", "note": 1}
    assert row.converted(fields, "tsv") == ["*\t\t\t\th2e2 h9g7"]
    assert row.converted(fields, "jsonl") == ['{"moves": "h2e2 h9g7", "result": "*", "note": 1}']
    with pytest.raises(RecordError, match="field 'moves': the game is empty"):
        row.converted({"moves": " "}, "tsv")


def made_xqf(moves: list[tuple[str, str]], version: int, keys: bytes = bytes(16)) -> bytes:
    """Write a game from the usual start as XQF, by the description of the format."""
    header = bytearray(1024)
    header[:16] = b"XQ" + bytes([version]) + keys[3:16]
    own = xqf.Keys.of(bytes(header))
    places = [10 * file + rank for rank, file in [(0, file) for file in range(9)]]
    places += [12, 72, 3, 23, 43, 63, 83]
    black = [9 - place % 10 + 10 * (place // 10) for place in places]
    listed = [(place + own.piece) % 256 for place in (*places, *black)]
    for number, place in enumerate(listed):
        header[16 + ((number - own.piece - 1) % 32 if version >= xqf.TURNED else number)] = place
    header[51] = 1
    header[0x130] = 6
    header[0x131:0x137] = "郑惟桐".encode("gb18030")  # which is UTF-8, too
    body = bytearray()
    for number, (source, target) in enumerate([("a0", "a0"), *moves]):
        last = number == len(moves)
        mark = 0 if last else 0x80 if version >= xqf.KEYED else 0xF0
        spots = [10 * (ord(square[0]) - 97) + int(square[1]) for square in (source, target)]
        node = [(spots[0] + 24 + own.source) % 256, (spots[1] + 32 + own.target) % 256, mark, 0]
        plain = bytes(node) + (bytes(4) if version < xqf.KEYED else b"")
        body += bytes((one + own.stream[(1024 + len(body) + at) % 32]) % 256 for at, one in enumerate(plain))
    return bytes(header) + bytes(body)


KEYS = bytes([0, 0, 0, 255, 0, 0, 0, 0, 3, 5, 7, 9, 11, 13, 17, 19])


def test_the_order_of_pieces_is_that_of_the_board() -> None:
    assert len(ORDER) == 16


@pytest.mark.parametrize(("version", "keys"), [(10, bytes(16)), (11, KEYS), (12, KEYS), (18, KEYS)])
def test_xqf_of_every_kind(version: int, keys: bytes) -> None:
    raw = made_xqf([("h2", "e2"), ("h9", "g7")], version, keys)
    [record] = xqf.read(raw, "a.xqf")
    assert record.problem is None
    assert record.fields == {"result": "1-0", "red": "郑惟桐", "moves": "h2e2 h9g7"}


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"PK", "game 1: not an XQF file"),
        (made_xqf([("h2", "e2")], 18, KEYS)[:1000], "game 1: the XQF file is damaged or cut short"),
        (made_xqf([("h2", "e2")], 18, KEYS)[:-2], "game 1: the XQF file is damaged or cut short"),
        (made_xqf([], 18, KEYS), "game 1: no moves"),
        (made_xqf([("h2", "a9")], 18, KEYS), "game 1: ply 1: no piece ever moves so"),
        (made_xqf([("h2", "h9"), ("a0", "a9")], 10), "game 1: ply 2: a0a9 is illegal"),
    ],
)
def test_a_bad_xqf_says_why(raw: bytes, problem: str) -> None:
    [record] = xqf.read(raw, "a.xqf")
    assert (record.problem or "").startswith(problem)


def test_files_are_told_by_their_endings(tmp_path: Path) -> None:
    path = tmp_path / "a.PGN"
    path.write_bytes(TEXT.encode("gb18030"))
    [record] = files.read_records(path, names=row.COLUMNS_ASKED, readers=row.READERS)
    assert record.fields["moves"] == MOVES
    named = row.Row.arranged({"game": str(path)})
    assert named == {"game": str(path), "moves": MOVES}
    (tmp_path / "b.xqf").write_bytes(made_xqf([("h2", "e2")], 10))
    assert row.first_game(str(tmp_path / "b.xqf")) == {"moves": "h2e2"}


def test_a_file_without_a_game_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.pgn").write_text("1. zzz", encoding="utf-8")
    with pytest.raises(RecordError, match=r"a.pgn:1: game 1: ply 1: 'zzz' is no move"):
        row.first_game(str(tmp_path / "a.pgn"))
    (tmp_path / "a.tsv").write_text("", encoding="utf-8")
    with pytest.raises(RecordError, match="no game in the file"):
        row.first_game(str(tmp_path / "a.tsv"))
    with pytest.raises(RecordError, match="both moves and game"):
        row.arranged({"game": "x", "moves": "h2e2"})


def test_a_record_needs_a_position() -> None:
    with pytest.raises(RecordError, match="field 'moves' is missing; expected moves, fen or game"):
        row.Row.arranged({"id": 8})
    assert row.Row.arranged({"fen": START}) == {"fen": START}
    assert row.Row.arranged({"moves": "", "fen": "", "result": ""}) == {"moves": ""}


def test_what_records_are_fit_for() -> None:
    assert row.fitting({"moves": "h2e2"}, None) == ["moves", "chars", "eval"]
    ending = {"iccs": "e0e1", "fen": "3k5/9/9/9/9/9/9/9/9/4K4 w"}
    assert row.fitting(ending, None) == ["moves", "eval"]
    assert row.traits(ending) == {"plies": 1, "from_a_position": True, "no_result": True}
    with pytest.raises(RecordError, match="chars learns whole games"):
        row.fitting(ending, "chars")
