"""Xiangqi on the command line: predict, its picture and its analysis, eval, and converting games."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Nlpk = Callable[..., Any]
PGN = '[Result "1-0"]\n1. 炮二平五 马８进７ 2. 马二进三\n'


@pytest.fixture
def model(xiangqi_models: dict[str, Path]) -> tuple[str, str]:
    return "--model", str(xiangqi_models["moves"])


def test_the_best_moves(nlpk: Nlpk, model: tuple[str, str]) -> None:
    [line] = nlpk("predict", "xiangqi", "--moves", "h2e2 h9g7", "-k", "3", "--search", "1", *model).lines
    told = line["prediction"]
    assert set(told) == {"moves", "side", "fen", "state"}
    assert len(told["moves"]) == 3
    assert set(told["moves"][0]) == {"iccs", "chinese", "probability", "value"}
    assert (told["side"], told["state"]) == ("red", "playing")


def test_a_game_is_analysed_and_drawn(nlpk: Nlpk, model: tuple[str, str], tmp_path: Path) -> None:
    game, picture = tmp_path / "a.pgn", tmp_path / "a.svg"
    game.write_bytes(PGN.encode("gb18030"))
    result = nlpk("predict", "xiangqi", "--game", game, "--analyse", "--svg", picture, *model)
    analysis = result.lines[0]["prediction"]["analysis"]
    assert [one["iccs"] for one in analysis] == ["h2e2", "h9g7", "h0g2"]
    assert set(analysis[0]) == {"ply", "iccs", "chinese", "probability", "rank", "best", "surprising"}
    assert picture.read_text(encoding="utf-8").startswith("<svg")
    assert result.complaint == f"board drawn in {picture}"


def test_games_in_bad_records_are_named(nlpk: Nlpk, model: tuple[str, str]) -> None:
    rows = [{"moves": "h2e2 h2e2"}, {"fen": "9/9"}, {"moves": "h2e2", "result": "2-0"}, {"game": "/no/such.pgn"}]
    result = nlpk("predict", "xiangqi", *model, stdin="".join(json.dumps(row) + "\n" for row in rows))
    errors = [line.get("error") for line in result.lines]
    assert errors[0] == "ply 2: h2e2 is illegal: no piece stands on h2"
    assert errors[1] == "FEN: found 2 ranks, expected 10, separated by /"
    assert errors[2] is None
    assert errors[3].startswith("/no/such.pgn: there is no folder")


def test_games_are_converted_and_bad_ones_named(nlpk: Nlpk, tmp_path: Path) -> None:
    one, two = tmp_path / "a.pgn", tmp_path / "b.pgn"
    one.write_text(PGN, encoding="utf-8")
    two.write_bytes(('[Event "x"]\n1. 炮三平五\n' + PGN).encode("gb18030"))
    result = nlpk("data", "convert", "xiangqi", one, two, "--to", "tsv")
    assert result.out.decode().splitlines() == [
        "result\topening\tdate\tfen\tmoves",
        "1-0\t\t\t\th2e2 h9g7 h0g2",
        "1-0\t\t\t\th2e2 h9g7 h0g2",
    ]
    assert f"{two}:1: game 1: ply 1: '炮三平五': no piece on the board can move so; left out" in result.err
    assert result.status == 1


def test_the_last_record_is_drawn_whatever_its_length(nlpk: Nlpk, model: tuple[str, str], tmp_path: Path) -> None:
    given = "h2e2\nh2e2 h9g7 h0g2 i9h9\nh2e2 h9g7\n"
    drawn, alone = tmp_path / "drawn.svg", tmp_path / "alone.svg"
    assert nlpk("predict", "xiangqi", "--svg", drawn, *model, stdin=given).status == 0
    assert nlpk("predict", "xiangqi", "--svg", alone, "--moves", "h2e2 h9g7", *model).status == 0
    assert drawn.read_text(encoding="utf-8") == alone.read_text(encoding="utf-8")
    refused = nlpk("predict", "xiangqi", "--svg", tmp_path / "no" / "x.svg", *model, stdin=given)
    assert refused.status == 2
    assert f"x.svg: there is no folder {tmp_path / 'no'}" in refused.complaint


def test_a_game_that_cannot_be_scored_is_named_and_the_others_count(nlpk: Nlpk, model: tuple[str, str]) -> None:
    given = "moves\nh2e2 h9g7\nh2e2 h2e2\nh2e2\n"
    result = nlpk("eval", "xiangqi", "-", "--format", "tsv", "--json", *model, stdin=given)
    assert result.status == 1
    assert "stdin:3: ply 2: h2e2 is illegal" in result.err
    assert (result.lines[0]["records"], result.lines[0]["failed"]) == (2, 1)
    assert nlpk("eval", "xiangqi", "-", "--search", "1", *model, stdin=given).status == 2


def test_games_are_scored(nlpk: Nlpk, model: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "a.pgn"
    path.write_text(PGN, encoding="utf-8")
    [made] = nlpk("eval", "xiangqi", path, "--json", *model).lines
    assert made["records"] == 1
    assert {"top1", "top5", "perplexity", "legal", "top1_opening"} <= set(made["scores"])
