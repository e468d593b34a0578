"""Playing on the board in the terminal, and as an engine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Nlpk = Callable[..., Any]


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NLPK_HOME", str(tmp_path / "home"))


def test_two_people_need_no_model(nlpk: Nlpk) -> None:
    result = nlpk("play", "--side", "both", stdin="炮二平五\nh9g7\n\nmoves\nundo\nfen\nquit\n马八进七\n")
    out = result.out.decode()
    assert (result.status, result.err) == (0, "")
    assert "Red: 炮二平五 (h2e2)" in out
    assert "Black: 马８进７ (h9g7)" in out
    assert "h2e2 h9g7" in out
    assert "1C2C4/9/RNBAKABNR b - - 1 1" in out
    assert "俥 傌 相 仕 帅" in out  # without colours, the sides have characters of their own
    assert "車 馬 象 士 将" in out
    assert "马八进七" not in out


def test_what_is_no_legal_move_is_refused(nlpk: Nlpk) -> None:
    result = nlpk("play", "--side", "both", stdin="zzz\nh2h8\na0b9\n炮二进八\nundo\nsave\nsave /no/such/x.pgn\n")
    assert result.status == 0
    complaints = result.err.splitlines()
    assert len(complaints) == 7
    assert "'zzz' is no move" in complaints[0]
    assert "ply 1: h2h8 is illegal: the cannon cannot go there" in complaints[1]
    assert "no piece ever moves so" in complaints[2]
    assert "nothing to take back" in complaints[4]
    assert "save where?" in complaints[5]
    assert "/no/such/x.pgn: cannot be written" in complaints[6]


def test_a_game_ends_with_mate(nlpk: Nlpk) -> None:
    result = nlpk("play", "--side", "both", "--fen", "3k5/R8/1R7/9/9/9/9/9/9/4K4 w", stdin="b7b9\n")
    assert "checkmate: 1-0" in result.out.decode()


@pytest.mark.parametrize(("name", "holds"), [("g.pgn", "炮二平五"), ("g.svg", "<svg"), ("g.tsv", "h2e2")])
def test_a_game_is_saved(nlpk: Nlpk, tmp_path: Path, name: str, holds: str) -> None:
    path = tmp_path / name
    result = nlpk("play", "--side", "both", "--traditional", stdin=f"炮二平五\nsave {path}\nflip\nhelp\n")
    assert f"game saved in {path}" in result.err
    assert holds in path.read_text(encoding="utf-8")
    assert "undo" in result.out.decode()


def test_a_game_that_is_over_can_be_saved_and_taken_back(nlpk: Nlpk, tmp_path: Path) -> None:
    start = ("--side", "both", "--fen", "3k5/R8/1R7/9/9/9/9/9/9/4K4 w")
    won, again = tmp_path / "won game.pgn", tmp_path / "end.pgn"
    given = f"b7b9\nsave {won}\nundo\na8a5\n"
    result = nlpk("play", *start, "--save", again, stdin=given)
    assert result.status == 0
    assert "checkmate: 1-0" in result.out.decode()
    assert '[Result "1-0"]' in won.read_text(encoding="utf-8")
    assert '[Result "*"]' in again.read_text(encoding="utf-8")


def test_nothing_is_written_over_but_the_game_itself(nlpk: Nlpk, tmp_path: Path) -> None:
    kept, own = tmp_path / "kept.tsv", tmp_path / "own.tsv"
    kept.write_text("precious", encoding="utf-8")
    given = f"h2e2\nsave {kept}\nsave {tmp_path}/x.png\nsave {own}\nh9g7\nsave {own}\n"
    result = nlpk("play", "--side", "both", stdin=given)
    assert kept.read_text(encoding="utf-8") == "precious"
    assert "kept.tsv: already there; choose another name" in result.err
    assert "found the ending '.png', expected .pgn, .svg, .tsv" in result.err
    assert "h2e2 h9g7" in own.read_text(encoding="utf-8")
    refused = nlpk("play", "--side", "both", "--save", kept)
    assert refused.status == 2
    assert "kept.tsv: already there" in refused.complaint


def test_what_the_model_cannot_go_on_with_is_told_and_can_be_saved(
    nlpk: Nlpk, xiangqi_models: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "a.pgn"
    given = f"save {path}\nquit\n"
    start = ("--fen", "3k5/9/9/9/9/9/9/9/9/4K4 b")
    result = nlpk("play", *start, "--model", xiangqi_models["chars"], stdin=given)
    assert result.status == 0
    assert "chars" in result.err
    assert path.is_file()


def test_against_the_model(nlpk: Nlpk, xiangqi_models: dict[str, Path]) -> None:
    model = ("--model", xiangqi_models["moves"], "--seed", "1")
    result = nlpk("play", *model, stdin="炮二平五\nhint\nmoves\nundo\nmoves\n")
    out = result.out.decode()
    assert (result.status, result.err) == (0, "")
    assert "Black: " in out
    assert "%" in out
    assert "none yet" in out
    black = nlpk("play", *model, "--side", "black", stdin="").out.decode()
    assert "Red: " in black
    alone = nlpk("play", *model, "--side", "none", "--limit", "3").out.decode()
    assert alone.count("Red: ") == 2
    assert "the end: *" in alone


def test_an_engine_answers_line_by_line(nlpk: Nlpk, xiangqi_models: dict[str, Path]) -> None:
    given = b"uci\nisready\n\xff\xfe\nposition startpos\ngo depth 1\n"
    result = nlpk("uci", "--model", xiangqi_models["moves"], "--seed", "1", stdin=given)
    lines = result.out.decode().splitlines()
    assert (result.status, result.err) == (0, "")
    assert lines[0].startswith("id name nlpk")
    assert "readyok" in lines
    assert lines[-1].startswith("bestmove ")


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--search", "9"), "--search 9: expected 0 to 6"),
        (("--temperature", "-1"), "--temperature -1: expected 0 or more"),
        (("--fen", "9/9"), "FEN: found 2 ranks"),
        (("--moves", "h2h3 h2h3"), "ply 2: h2h3 is illegal"),
    ],
)
def test_bad_options_are_one_line(nlpk: Nlpk, flags: tuple[str, ...], complaint: str) -> None:
    result = nlpk("play", "--side", "both", *flags)
    assert result.status == 2
    assert complaint in result.complaint


def test_a_game_that_is_interrupted_is_kept(nlpk: Nlpk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = iter(["炮二平五", "h9g7"])

    def typed() -> str:
        line = next(lines, None)
        if line is None:
            raise KeyboardInterrupt
        return line

    monkeypatch.setattr("nlpk.play.asked", typed)
    result = nlpk("play", "--side", "both", "--save", tmp_path / "kept.tsv")
    assert result.status == 130
    assert "h2e2 h9g7" in (tmp_path / "kept.tsv").read_text(encoding="utf-8")


def test_a_hint_looks_as_far_ahead_as_the_model_plays(nlpk: Nlpk, xiangqi_models: dict[str, Path]) -> None:
    start = ("--fen", "3k5/9/9/9/9/9/9/r8/9/R4K3 w", "--model", xiangqi_models["moves"])
    out = nlpk("play", *start, "--search", "1", stdin="hint\n").out.decode()
    assert "(a0a2)" in out.split("type a move, or help")[1].splitlines()[1]
