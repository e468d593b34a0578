import pytest

from nlptasks.errors import RecordError
from nlptasks.xiangqi import board, rules
from nlptasks.xiangqi.board import START, read_fen

KINGS = "3k5/9/9/9/9/9/9/9/9/4K4"


def test_the_start_is_read_and_written() -> None:
    position = read_fen(START)
    assert position.fen == START
    assert position.squares[0] == board.ROOK
    assert position.squares[board.turned(0)] == -board.ROOK
    assert position.squares[4] == board.KING


def test_other_letters_and_missing_fields_are_understood() -> None:
    other = START.split()[0].replace("n", "h").replace("N", "H").replace("b", "e").replace("B", "E")
    assert read_fen(other).squares == read_fen(START).squares
    assert read_fen(f"{KINGS} b").red is False
    assert read_fen(f"{KINGS} r").red is True
    assert read_fen(f"{KINGS} w - - 7 12").fen == f"{KINGS} w - - 7 12"


def test_a_move_counts_plies_since_a_capture_and_moves() -> None:
    position = read_fen("3k5/9/9/9/9/9/9/9/p8/R3K4 w - - 4 9")
    quiet = position.after(4, 5)
    assert (quiet.red, quiet.quiet, quiet.number) == (False, 5, 9)
    taken = position.after(0, 9)
    assert (taken.quiet, taken.number, taken.squares[0], taken.squares[9]) == (0, 9, 0, board.ROOK)
    assert quiet.after(84, 85).number == 10


def test_squares_are_named_and_mirrored() -> None:
    assert board.square_name(4) == "e0"
    assert board.square_name(89) == "i9"
    assert board.mirrored(0) == 8
    assert board.mirrored(board.mirrored(31)) == 31
    assert board.turned(1) == 88


@pytest.mark.parametrize(
    ("fen", "complaint"),
    [
        ("", "FEN '': expected a position"),
        ("9/9", "found 2 ranks, expected 10"),
        ("x8/9/9/9/9/9/9/9/9/9", "found 'x' on rank 9, expected a piece"),
        ("8/9/9/9/9/9/9/9/9/9", "found 8 squares on rank 9, expected 9"),
        ("9/9/9/9/9/9/9/9/9/4K4", "Black has no king"),
        ("3k5/9/9/9/9/9/9/9/9/9", "Red has no king"),
        ("3k5/9/9/9/9/9/9/9/9/3KK4", "Red has 2 of K, expected at most 1"),
        ("3k5/9/9/9/9/9/9/9/9/R1R1K1R2", "Red has 3 of R, expected at most 2"),
        ("3k5/9/9/9/2B6/9/9/9/9/4K4", "Red's elephant stands on c5, where it can never come"),
        ("3k5/9/9/9/9/9/9/9/9/A3K4", "Red's advisor stands on a0"),
        ("9/9/9/3k5/9/9/9/9/9/4K4", "Black's king stands on d6"),
        ("3k5/9/9/9/9/9/9/P8/9/4K4", "Red's pawn stands on a2"),
        ("3k5/9/9/9/9/9/1P7/9/9/4K4", "Red's pawn stands on b3"),
        (f"{KINGS} x", "found 'x' for the side to move, expected w or b"),
    ],
)
def test_a_position_that_no_game_comes_to_is_refused(fen: str, complaint: str) -> None:
    with pytest.raises(RecordError, match=complaint):
        read_fen(fen)


def test_a_king_that_could_be_taken_is_refused() -> None:
    with pytest.raises(RecordError, match="Black's king can be taken, but it is not Black's turn"):
        rules.start_of("3k5/9/9/9/9/9/9/9/9/3RK4 w")
    with pytest.raises(RecordError, match="Red's king can be taken"):
        rules.start_of("4k4/9/9/9/9/9/9/9/9/4K4 b")
    assert rules.start_of("3k5/9/9/9/9/9/9/9/9/3RK4 b").red is False
