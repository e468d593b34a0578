import numpy as np
import pytest

from nlptasks.errors import RecordError
from nlptasks.xiangqi import lessons, rules
from nlptasks.xiangqi.games import read_game

START = "rnbakabnr/9/1c5c1/p1p1p1p1p/9/9/P1P1P1P1P/1C5C1/9/RNBAKABNR w - - 0 1"


def test_moves_in_both_notations_make_one_game() -> None:
    game = read_game("炮二平五 h9g7, 马二进三")
    assert game.iccs == "h2e2 h9g7 h0g2"
    assert game.now.red is False
    boards, red = game.boards
    assert boards.shape == (4, 90)
    assert red.tolist() == [True, False, True, False]
    again, _ = rules.laid_out(game.positions)
    assert np.array_equal(boards, again)


@pytest.mark.parametrize(
    ("moves", "fen", "complaint"),
    [
        ("h2e2 h2e2", None, "ply 2: h2e2 is illegal: no piece stands on h2"),
        ("h9g7", None, "ply 1: h9g7 is illegal: the piece on h9 is not Red's, whose turn it is"),
        ("a0a3", None, "ply 1: a0a3 is illegal: a piece of Red's own stands on a3"),
        ("b0d1", None, "ply 1: b0d1 is illegal: the horse cannot go there"),
        ("h2e2 炮九平五", None, "ply 2: '炮九平五': no piece on the board"),
        ("e0d0", "3k5/9/9/9/9/9/9/9/9/4K4 w", "ply 1: e0d0 is illegal: Red's king would be attacked"),
        ("a0a1", "3k5/9/9/9/9/9/9/9/9/R3K3r w", "ply 1: a0a1 is illegal: Red's king stays attacked"),
        ("h2e2", "9/9", "FEN: found 2 ranks"),
    ],
)
def test_an_illegal_game_is_refused_with_its_ply_and_why(moves: str, fen: str | None, complaint: str) -> None:
    with pytest.raises(RecordError, match=complaint):
        read_game(moves, fen)


def test_lessons_are_a_game_its_image_and_what_follows_positions() -> None:
    moves = "h2e2 h9g7 h0g2 i9h9 i0h0 b9c7 c3c4 g6g5 b2d2 g7h5 h0h5 i6i5"
    whole = mirrored = 0
    for more in ("", " a3a4", " e3e4", " f0e1", " b0a2", " a0a1"):
        game, *parts = lessons.of("moves", moves + more, None, "1-0")
        assert game[:2] == (moves + more, "")
        whole += game[2] == "*"
        for text, fen, _ in parts:
            part = read_game(text, fen)
            assert 4 <= len(part.moves) < len(moves.split()) + 1
            assert not text.startswith("b2e2")  # no game begins on the left that did not
        assert sorted(result for *_, result in (game, *parts)) == ["*", "*", "1-0", "1-0"]
        assert (moves + more).endswith(parts[1][0])
        mirrored += not (moves + more).endswith(parts[0][0])
    assert 0 < whole < 6
    assert mirrored == 6
    assert lessons.of("moves", "h2e2 h9g7", None, "0-1") == [("h2e2 h9g7", "", "0-1"), ("h2e2 h9g7", "", "*")]


def test_chars_learns_whole_games_only() -> None:
    assert lessons.of("chars", "h2e2", START, "*") == [("h2e2", "", "*")]
    with pytest.raises(RecordError, match="field 'fen': the game starts from a position, and chars learns whole games"):
        lessons.of("chars", "e0e1", "3k5/9/9/9/9/9/9/9/9/4K4 w", "*")
