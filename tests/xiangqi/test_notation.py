import random

import pytest

from nlptasks.errors import RecordError
from nlptasks.xiangqi import notation, rules, tables
from nlptasks.xiangqi.board import START
from nlptasks.xiangqi.notation import chinese, read_move, read_uci, uci
from nlptasks.xiangqi.rules import start_of
from nlptasks.xiangqi.tables import BY_ICCS, ICCS

PAIR = "3k5/9/9/9/9/9/9/4C4/4C4/3K5 w".replace("3k5", "5k3")
PAWNS = "3k5/9/2P6/2P6/2P6/9/9/9/9/4K4 w"
FOUR = "3k5/2P6/2P6/2P6/2P6/9/9/9/9/4K4 w"
TWO_FILES = "3k5/9/2P3P2/2P3P2/9/9/9/9/9/4K4 w"


@pytest.mark.parametrize(
    ("fen", "move", "text"),
    [
        (START, "h2e2", "炮二平五"),
        (START, "b0c2", "马八进七"),
        (START, "c0e2", "相七进五"),
        (START, "i0i1", "车一进一"),
        (START.replace(" w ", " b "), "h9g7", "马８进７"),
        (START.replace(" w ", " b "), "h7h3", "炮８进４"),
        (START.replace(" w ", " b "), "f9e8", "士６进５"),
        (PAIR, "e2e5", "前炮进三"),
        (PAIR, "e1c1", "后炮平七"),
        (PAWNS, "c6b6", "中兵平八"),
        (PAWNS, "c7c8", "前兵进一"),
        (PAWNS, "c5d5", "后兵平六"),
        (FOUR, "c6d6", "三兵平六"),
        (FOUR, "c8b8", "一兵平八"),
        (TWO_FILES, "g7h7", "一兵平二"),
        (TWO_FILES, "c6d6", "四兵平六"),
    ],
)
def test_a_move_in_chinese_and_back(fen: str, move: str, text: str) -> None:
    position = start_of(fen)
    assert chinese(position, BY_ICCS[move]) == text
    assert ICCS[read_move(text, position)] == move


@pytest.mark.parametrize(
    ("fen", "text", "move"),
    [
        (START, "炮2平5", "h2e2"),
        (START, "砲二平五", "h2e2"),
        (START, "傌八進七", "b0c2"),
        (START, "C2=5", "h2e2"),
        (START, "Ｈ８＋７", "b0c2"),
        (START, "N8+7", "b0c2"),
        (START, "H2-E2", "h2e2"),
        (START, "h2e2!", "h2e2"),
        (START.replace(" w ", " b "), "馬8進7", "h9g7"),
        (START.replace(" w ", " b "), "卒３进１", "c6c5"),
        (PAIR, "前砲進三", "e2e5"),
        (PAIR, "C+.7", "e2c2"),
        (PAIR, "+C.7", "e2c2"),
        (PAIR, "後炮平七", "e1c1"),
        (PAWNS, "前七平八", "c7b7"),
        (TWO_FILES, "前兵三平二", "g7h7"),
        (TWO_FILES, "后七平六", "c6d6"),
    ],
)
def test_other_ways_to_write_a_move(fen: str, text: str, move: str) -> None:
    assert ICCS[read_move(text, start_of(fen))] == move


def test_traditional_characters() -> None:
    position = start_of(START)
    assert chinese(position, BY_ICCS["b0c2"], traditional=True) == "馬八進七"
    assert chinese(position, BY_ICCS["e0e1"], traditional=True) == "帥五進一"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("炮三平五", "'炮三平五': no piece on the board can move so"),
        ("马八平七", "no piece on the board"),
        ("车一进九九", "is no move; expected one such as h2e2 or 炮二平五"),
        ("hello", "is no move"),
        ("a0b9", "no piece ever moves so"),
    ],
)
def test_what_is_no_move_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(RecordError, match=complaint):
        read_move(text, start_of(START))


def test_a_move_that_several_pieces_can_make_is_refused() -> None:
    with pytest.raises(RecordError, match="'前兵进一': several pieces on the board can move so"):
        read_move("前兵进一", start_of(TWO_FILES))


def test_uci_counts_ranks_from_one() -> None:
    assert uci(BY_ICCS["h2e2"]) == "h3e3"
    assert uci(BY_ICCS["a9b9"]) == "a10b10"
    assert all(read_uci(uci(move)) == move for move in range(len(ICCS)))
    for text in ("h0e0", "h2", "a1b10", "z3e3"):
        with pytest.raises(RecordError, match="is no move in UCI notation"):
            read_uci(text)


def test_every_legal_move_of_random_games_comes_back() -> None:
    draw, position = random.Random(2), start_of(START)
    for _ in range(120):
        found = rules.legal_moves(*rules.laid_out([position])).moves.tolist()
        texts = [chinese(position, move) for move in found]
        assert len(set(texts)) == len(found)
        for move, text in zip(found, texts, strict=True):
            assert read_move(text, position) == move
            assert read_move(chinese(position, move, traditional=True), position) == move
            assert read_move(notation.iccs(move), position) == move
        if not found:
            break
        position = position.after(*tables.MOVES[draw.choice(found)].tolist())
