import random

import numpy as np
import pytest

from nlptasks.xiangqi import rules, tables
from nlptasks.xiangqi.board import (
    ADVISOR,
    CANNON,
    ELEPHANT,
    FILES,
    HORSE,
    KING,
    PAWN,
    RANKS,
    ROOK,
    SQUARES,
    START,
    Position,
)
from nlptasks.xiangqi.games import read_game
from nlptasks.xiangqi.rules import start_of
from nlptasks.xiangqi.tables import ICCS

#: Positions in common use and how many sequences of legal moves there are, by length.
PERFT = [
    (START, [44, 1920]),
    ("r1ba1a3/4kn3/2n1b4/pNp1p1p1p/4c4/6P2/P1P2R2P/1CcC5/9/2BAKAB2 w", [38, 1128]),
    ("1cbak4/9/n2a5/2p1p3p/5cp2/2n2N3/6PCP/3AB4/2C6/3A1K1N1 w", [7, 281, 8620]),
    ("5a3/3k5/3aR4/9/5r3/5n3/9/3A1A3/5K3/2BC2B2 w", [25, 424, 9850]),
    ("CRN1k1b2/3ca4/4ba3/9/2nr5/9/9/4B4/4A4/4KA3 w", [28, 516]),
]


Ways = tuple[tuple[int, int], ...]
WAYS: Ways = ((0, 1), (1, 0), (0, -1), (-1, 0))
SLANTS: Ways = ((1, 1), (1, -1), (-1, 1), (-1, -1))


def legal(fen: str) -> set[str]:
    found = rules.legal_moves(*rules.laid_out([start_of(fen)]))
    return {ICCS[move] for move in found.moves.tolist()}


def from_square(fen: str, square: str) -> set[str]:
    return {move[2:] for move in legal(fen) if move.startswith(square)}


@pytest.mark.parametrize(("fen", "counts"), PERFT)
def test_as_many_moves_as_others_count(fen: str, counts: list[int]) -> None:
    position = start_of(fen)
    assert [rules.perft(position, depth) for depth in range(1, len(counts) + 1)] == counts


def test_no_boards_have_no_moves() -> None:
    none = rules.legal_moves(np.zeros((0, SQUARES), dtype=np.int8), np.zeros(0, dtype=bool))
    assert len(none.moves) == 0


def test_there_are_as_many_moves_as_pieces_can_ever_make() -> None:
    assert len(tables.MOVES) == 2086
    assert len(set(ICCS)) == 2086
    assert (tables.NUMBERS[tables.SOURCES, tables.TARGETS] == np.arange(2086)).all()
    assert (tables.MIRRORED[tables.MIRRORED] == np.arange(2086)).all()


def test_kings_never_face_each_other() -> None:
    fen = "3k5/9/9/9/9/9/9/9/9/4K4 w"
    assert from_square(fen, "e0") == {"e1", "f0"}
    assert from_square("4k4/9/9/9/9/4N4/9/9/9/4K4 w", "e4") == set()


def test_a_leg_stops_a_horse_and_an_eye_an_elephant() -> None:
    fen = "3k5/9/9/9/9/9/9/1P7/1N7/4K4 w".replace("1P7", "9")
    assert from_square(fen, "b1") == {"a3", "c3", "d0", "d2"}
    blocked = "3k5/9/9/9/9/9/9/1R7/1N7/4K4 w"
    assert from_square(blocked, "b1") == {"d0", "d2"}
    elephant = "3k5/9/9/9/9/2B6/9/9/9/4K4 w"
    assert from_square(elephant, "c4") == {"a2", "e2"}
    assert from_square("3k5/9/9/9/9/2B6/1R7/9/9/4K4 w", "c4") == {"e2"}


def test_a_cannon_takes_over_one_piece_alone() -> None:
    fen = "3k5/1n7/9/1r7/9/9/9/1C7/9/4K4 w"
    assert {"b3", "b4", "b5", "b8"} <= from_square(fen, "b2")
    assert not {"b6", "b7", "b9"} & from_square(fen, "b2")


def test_a_pawn_steps_aside_only_across_the_river() -> None:
    assert from_square("3k5/9/9/9/9/2P6/9/9/9/4K4 w", "c4") == {"c5"}
    assert from_square("3k5/9/9/9/2P6/9/9/9/9/4K4 w", "c5") == {"c6", "b5", "d5"}
    assert from_square("3k5/9/9/9/9/9/2p6/9/9/4K4 b", "c3") == {"c2", "b3", "d3"}


def test_a_screen_between_a_cannon_and_the_king_is_no_legal_move() -> None:
    fen = "3k5/4c4/9/9/9/9/9/R8/9/4K4 w"
    assert "a2e2" not in legal(fen)
    assert "a2d2" in legal(fen)


def test_a_horse_may_not_be_given_way_to_the_king() -> None:
    fen = "3k5/9/9/9/9/9/9/3n5/3R5/4K4 w"
    assert rules.state_of([start_of(fen)]) == "playing"
    assert "d1d2" in legal(fen)
    assert "d1a1" not in legal(fen)


@pytest.mark.parametrize(
    ("fen", "state"),
    [
        (START, "playing"),
        ("3k5/9/9/9/9/9/9/9/9/3R1K3 b", "check"),
        ("3k5/3R5/3R5/9/9/9/9/9/9/4K4 b", "checkmate"),
        ("3k5/9/4P4/9/9/9/9/9/9/4K4 b", "playing"),
        ("3k5/2P1P4/9/9/9/9/9/9/9/4K4 b", "stalemate"),
        ("5k3/4P4/9/9/9/9/9/9/9/4K4 b", "stalemate"),
        ("3k5/5P3/4P4/9/9/9/9/4C4/9/4K4 b", "playing"),
        ("3k5/1R7/9/9/9/9/9/9/9/4K4 b", "stalemate"),
    ],
)
def test_how_a_game_stands(fen: str, state: str) -> None:
    assert rules.state_of([start_of(fen)]) == state


def test_a_position_that_comes_back_is_reported() -> None:
    once = "b0c2 b9c7 c2b0 c7b9"
    assert read_game(once).state == "playing"
    assert read_game(f"{once} {once}").state == "repetition"


def naive_attacked(position: Position, red: bool) -> bool:
    """Tell by walking over the board whether a king can be taken: another way to the same answer."""
    sign = 1 if red else -1
    king = position.squares.index(sign * KING)
    return any(
        king in naive_reach(position, square) for square, piece in enumerate(position.squares) if piece * sign < 0
    )


def naive_reach(position: Position, square: int) -> set[int]:
    """List what the piece on a square attacks or reaches, by its own rule."""
    board, piece = position.squares, position.squares[square]
    walks = {
        HORSE: hops(board, square, WAYS, (1, -1)),
        ELEPHANT: hops(board, square, SLANTS, (0,)),
        ADVISOR: {target for way in SLANTS for target in walk(square, way)[:1]},
        KING: {target for way in WAYS for target in walk(square, way)[:1]} | facing(board, square),
        ROOK: {target for way in WAYS for target in seen(board, walk(square, way))[0]},
        CANNON: {target for way in WAYS for target in cannon_sees(board, walk(square, way))},
        PAWN: {target for way in pawn_ways(square, piece > 0) for target in walk(square, way)[:1]},
    }
    kind = abs(piece)
    return {
        target
        for target in walks[kind]
        if board[target] * piece <= 0
        and (tables.may_stand(kind, target, red=piece > 0) or (kind == KING and board[target] == -piece))
    }


def walk(square: int, way: tuple[int, int]) -> list[int]:
    rank, file = divmod(square, FILES)
    found = []
    while 0 <= (rank := rank + way[0]) < RANKS and 0 <= (file := file + way[1]) < FILES:
        found.append(rank * FILES + file)
    return found


def seen(board: tuple[int, ...], line: list[int]) -> tuple[list[int], list[int]]:
    """Cut a line behind its first piece."""
    first = next((place for place, target in enumerate(line) if board[target]), len(line))
    return line[: first + 1], line[first + 1 :]


def cannon_sees(board: tuple[int, ...], line: list[int]) -> list[int]:
    near, far = seen(board, line)
    return [target for target in near if not board[target]] + [one for one in seen(board, far)[0] if board[one]]


def facing(board: tuple[int, ...], square: int) -> set[int]:
    """Find the other king on an open file."""
    ends = [seen(board, walk(square, way))[0][-1:] for way in ((1, 0), (-1, 0))]
    return {target for end in ends for target in end if board[target] == -board[square]}


def hops(board: tuple[int, ...], square: int, ways: Ways, turns: tuple[int, ...]) -> set[int]:
    """Go one step where nothing stands and from there on: straight on, and to the side by so much."""
    found = set()
    for rank, file in ways:
        if (leg := walk(square, (rank, file))[:1]) and not board[leg[0]]:
            found |= {to for turn in turns for to in walk(square, (2 * rank + turn * file, 2 * file + turn * rank))[:1]}
    return found


def pawn_ways(square: int, red: bool) -> list[tuple[int, int]]:
    forward = (1, 0) if red else (-1, 0)
    return [forward, *([(0, 1), (0, -1)] if (square // FILES > 4) == red else [])]


def naive_legal(position: Position) -> set[str]:
    found = set()
    for square, piece in enumerate(position.squares):
        if piece and (piece > 0) == position.red:
            for target in naive_reach(position, square):
                if not naive_attacked(position.after(square, target), position.red):
                    found.add(ICCS[tables.NUMBERS[square, target]])
    return found


def test_many_boards_at_once_have_the_moves_that_a_walk_over_each_board_finds() -> None:
    draw, positions = random.Random(5), []
    for _ in range(4):
        position = start_of(START)
        for ply in range(90):
            found = rules.legal_moves(*rules.laid_out([position])).moves.tolist()
            if not found:
                break
            captures = [move for move in found if position.squares[tables.TARGETS[move]]]
            move = draw.choice(captures if captures and draw.random() < 0.5 else found)
            position = position.after(*tables.MOVES[move].tolist())
            if ply % 5 == 0:
                positions.append(position)
    boards, red = rules.laid_out(positions)
    found = rules.legal_moves(boards, red)
    for row, position in enumerate(positions):
        mine = {ICCS[move] for move in found.moves[found.boards == row].tolist()}
        assert mine == naive_legal(position), position.fen
        assert bool(rules.in_check(boards[row : row + 1], red[row : row + 1])[0]) == naive_attacked(
            position, position.red
        )
    taking = rules.legal_moves(boards, red, captures=True)
    is_taken = boards[found.boards, tables.TARGETS[found.moves]] != 0
    assert taking.moves.tolist() == found.moves[is_taken].tolist()
    assert taking.boards.tolist() == found.boards[is_taken].tolist()
    mask = rules.legal_mask(boards, red)
    assert mask.sum() == len(found.moves)
    assert boards.shape == (len(positions), SQUARES)
