from pathlib import Path

import pytest

from nlptasks.backbone.hardware import Machine
from nlptasks.training import checkpoint
from nlptasks.xiangqi.engine import Engine, depth, numbers, seconds
from nlptasks.xiangqi.model import load
from nlptasks.xiangqi.mover import Mover
from nlptasks.xiangqi.row import Options
from nlptasks.xiangqi.settings import Playing

MATED = "3k5/3R5/3R5/9/9/9/9/9/9/4K4 b - - 0 1"


@pytest.fixture
def engine(xiangqi_models: dict[str, Path]) -> Engine:
    found = checkpoint.open_folder(xiangqi_models["moves"], "xiangqi")
    return Engine(
        Mover(load(found, Options(), machine=Machine(device="cpu", dtype="float32")), Playing(search=1, seed=1)), "nlpk"
    )


def talk(engine: Engine, *lines: str) -> list[str]:
    return list(engine.answers(lines))


def test_the_handshake(engine: Engine) -> None:
    said = talk(engine, "uci\n", "isready", "quit", "isready")
    assert said[0] == "id name nlpk"
    assert "option name UCI_Variant type combo default xiangqi var xiangqi" in said
    assert said[-2:] == ["uciok", "readyok"]


def test_a_move_is_legal_and_counts_ranks_from_one(engine: Engine) -> None:
    said = talk(engine, "position startpos moves h3e3 h10g8", "go depth 1", "d")
    assert said[0].startswith("info depth 1 score cp ")
    move = said[1].removeprefix("bestmove ")
    assert talk(engine, f"position startpos moves h3e3 h10g8 {move}") == []
    assert said[2].endswith("RNBAKABNR w - - 2 2")


def test_a_mated_side_has_no_move(engine: Engine) -> None:
    assert talk(engine, f"position fen {MATED}", "go") == ["bestmove (none)"]


def test_go_infinite_waits_for_stop(engine: Engine) -> None:
    said = talk(engine, "go infinite", "isready", "stop", "stop")
    assert said[1] == "readyok"
    assert said[2].startswith("bestmove ")
    assert len(said) == 3


def test_a_new_go_forgets_the_move_that_was_kept(engine: Engine) -> None:
    said = talk(engine, "go infinite", "go depth 1", "stop")
    assert [line.split()[0] for line in said] == ["info", "info", "bestmove"]


def test_a_mate_is_told_as_one(engine: Engine) -> None:
    said = talk(engine, "position fen 3k5/R8/1R7/9/9/9/9/9/9/4K4 w - - 0 1", "go depth 1")
    assert "score mate 1" in said[0]
    said = talk(engine, "position fen 5k3/9/9/9/9/9/9/r8/1r7/3K5 w - - 0 1", "go depth 2")
    assert "score mate -1" in said[0]


@pytest.mark.parametrize("line", ["position foo 9/9", "position startpos move h3e3", "position", "position here"])
def test_a_position_is_one_or_the_other(engine: Engine, line: str) -> None:
    [said] = talk(engine, line)
    assert said.endswith("expected startpos or fen FEN, then moves and moves")


def test_a_number_beyond_all_measure_is_none(engine: Engine) -> None:
    said = talk(engine, f"go movetime {'9' * 5000}", f"position fen 4k4/9/9/9/9/9/9/9/9/3K5 w - - {'9' * 5000} 1", "d")
    assert said[1].startswith("bestmove ")
    assert said[2].startswith("info string 4k4/9/9")


def test_rubbish_changes_nothing(engine: Engine) -> None:
    assert talk(engine, "", "  ", "\ufffd\x00 what", "debug on") == ["info string unknown command '\ufffd\\x00'"]
    assert talk(engine, "position fen nonsense", "go", "d") == [
        "info string FEN: found 1 ranks, expected 10, separated by /",
        "info string no position",
        "bestmove (none)",
        "info string no position",
    ]
    assert talk(engine, "position startpos moves a1a9") == [
        "info string ply 1: a0a8 is illegal: the rook cannot go there (squares in ICCS, whose ranks begin with 0)"
    ]
    assert talk(engine, "position startpos moves zz") == [
        "info string 'zz' is no move in UCI notation; expected one such as h3e3, ranks from 1"
    ]
    assert talk(engine, "ucinewgame", "go movetime 1")[-1].startswith("bestmove ")


def test_options(engine: Engine) -> None:
    assert talk(engine, "setoption name UCI_Variant value xiangqi", "setoption name Search value 0") == []
    assert engine.mover.depth == 0
    assert talk(engine, "setoption name Hash value 16") == ["info string no option 'Hash' with value '16'"]
    assert talk(engine, "setoption name Search value 99") == ["info string no option 'Search' with value '99'"]


def test_how_long_a_move_may_take() -> None:
    told = numbers(["wtime", "60000", "btime", "30000", "winc", "1000", "binc", "0"])
    assert seconds(told, True) == pytest.approx(0.8 * 3)
    assert seconds(told, False) == pytest.approx(0.8 * 1)
    assert seconds(numbers(["movetime", "500"]), True) == pytest.approx(0.4)
    assert seconds(numbers(["infinite"]), True) is None
    assert seconds(numbers(["wtime", "-50"]), True) == 0


def test_how_deep_a_move_may_look() -> None:
    assert depth({"depth": 3}) == 3
    assert depth({"depth": 99}) == 6
    assert depth({"nodes": 1}) == 0
    assert depth({"nodes": 9000}) == 2
    assert depth({}) is None
