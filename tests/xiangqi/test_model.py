"""What a model says of moves, against asking it move by move; layouts, vocabulary, look ahead."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nlptasks.backbone import weights
from nlptasks.backbone.hardware import Machine
from nlptasks.backbone.language import LanguageModel
from nlptasks.errors import ModelError, RecordError, UsageError
from nlptasks.training import checkpoint
from nlptasks.xiangqi import policy, rules, search, sight, vocabulary
from nlptasks.xiangqi.answers import Answerer, wanted
from nlptasks.xiangqi.board import START
from nlptasks.xiangqi.games import Game, read_game
from nlptasks.xiangqi.layouts import KEPT, Layout
from nlptasks.xiangqi.model import Loaded, choice_loss, choice_losses, load
from nlptasks.xiangqi.mover import Mover
from nlptasks.xiangqi.policy import Asked, Opinion, drawn, opinions
from nlptasks.xiangqi.row import METHODS, Options, Row, Settings
from nlptasks.xiangqi.rules import start_of
from nlptasks.xiangqi.settings import Playing, check_goal
from nlptasks.xiangqi.tables import ICCS
from nlptasks.xiangqi.task import Task
from nlptasks.xiangqi.vocabulary import FIRST_MOVE

MOVES = "h2e2 h9g7 h0g2 i9h9 i0h0 b9c7"
ENDING = "3k5/9/9/9/9/9/9/r8/9/R4K3 w"
Open = Callable[..., Loaded]


@pytest.fixture
def opened(xiangqi_models: dict[str, Path]) -> Open:
    """Give what loads a tiny model of a method."""

    def loaded(method: str = "moves", **options: object) -> Loaded:
        found = checkpoint.open_folder(xiangqi_models[method], "xiangqi", method)
        return load(found, Options(**options), machine=Machine(device="cpu", dtype="float32"))  # type: ignore[arg-type]

    return loaded


def said(loaded: Loaded, game: Game, plies: list[int]) -> list[Opinion]:
    layout = Layout(loaded.method)
    return opinions(loaded.player, layout, [Asked(game, layout.laid(game), plies)])[0]


@torch.inference_mode()
def one_by_one(loaded: Loaded, game: Game, move: int) -> float:
    """Read a game and one move more, all anew, and add up what was said of its tokens."""
    layout = Layout(loaded.method)
    before, after = layout.laid(game), layout.laid(game.after(move))
    total = 0.0
    for length in range(len(before.ids), len(after.ids)):
        seen = None if after.beside is None else [after.beside[:length]]
        draft = loaded.player.begin([after.ids[:length]], beside=seen)
        total += float(draft.logits[0, 0].log_softmax(0)[after.ids[length]])
    return total


@pytest.mark.parametrize("method", list(METHODS))
def test_a_move_gets_what_reading_it_token_by_token_gives(opened: Open, method: str) -> None:
    loaded = opened(method)
    whole = read_game(MOVES)
    for ply, opinion in zip([0, 3, 6], said(loaded, whole, [0, 3, 6]), strict=True):
        game = Game(whole.start, whole.moves[:ply])
        legal = rules.legal_moves(*rules.laid_out([game.now])).moves
        assert opinion.moves.tolist() == legal.tolist()
        for place in (0, 7, len(legal) - 1):
            assert opinion.logprobs[place] == pytest.approx(one_by_one(loaded, game, int(legal[place])), abs=1e-4)
        assert 0 < opinion.legal < 1
        assert opinion.chances.sum() == pytest.approx(1)
        ranked = opinion.ranked()
        assert ranked == sorted(ranked, key=lambda one: -one[1])


def test_many_positions_of_a_long_game_are_spelled_out_in_parts(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, game = opened("chars"), read_game(MOVES)
    plies = list(range(len(game.moves) + 1))
    whole = said(loaded, game, plies)
    monkeypatch.setattr(policy, "SPELLED", 2)
    for one, other in zip(whole, said(loaded, game, plies), strict=True):
        assert np.allclose(one.logprobs, other.logprobs, atol=1e-4)


def test_a_lost_side_has_no_moves_to_rank(opened: Open) -> None:
    game = read_game("", "3k5/3R5/3R5/9/9/9/9/9/9/4K4 b")
    [opinion] = said(opened(), game, [0])
    assert opinion.ranked() == []
    answerer = Answerer(opened(analyse=True))
    [answer] = answerer.answer(
        [one for one in answerer.read([Row(fen=game.start.fen)]) if not isinstance(one, RecordError)]
    )
    assert (answer["moves"], answer["state"], answer["analysis"]) == ([], "checkmate", [])


def test_a_game_is_laid_out_behind_its_result_with_the_board_beside_each_move() -> None:
    words = vocabulary.words("moves")
    laid = Layout("moves").laid(read_game("h2e2 h9g7"), "1-0")
    assert [words[token] for token in laid.ids] == ["[1-0]", "h2e2", "b0c2"]  # Black's move as Black sees it
    ending = Layout("moves").laid(read_game("a0a2", ENDING))
    assert [words[token] for token in ending.ids] == ["[*]", "a0a2"]
    assert ending.beside is not None
    assert ending.first == 0
    seen = {words[token] for token in ending.beside[1].tolist() if token}
    assert {"[black]", "Kf0", "kd9", "ri7", "f0f1", "!ra7", "!rh7", "!kd8"} <= seen
    assert not {"ke9", "e0d0", "!ri7", "Ra0"} & seen


def test_what_there_is_to_see_of_a_board() -> None:
    words = vocabulary.words("moves")
    boards, red = rules.laid_out([start_of("3k5/9/9/9/9/9/9/r8/9/5K3 b")])
    [seen] = sight.beside(boards, red)
    assert {words[token] for token in seen[1:33] if token} == {"Kf0", "Ri7", "kd9"}
    assert {words[token] for token in seen[sight.LEGAL] if token} >= {"f0f1", "f0e0", "i7i0", "i7a7"}
    assert {words[token] for token in seen[153:] if token} == {"!kd8", "!ke9"}


def test_both_sides_see_the_start_alike() -> None:
    boards, _ = rules.laid_out([start_of(START)] * 2)
    red, black = sight.beside(boards, np.array([True, False]))
    assert sorted(red[1:]) == sorted(black[1:])
    assert [vocabulary.words("moves")[token] for token in (red[0], black[0])] == ["[red]", "[black]"]
    assert (sight.TURNED[sight.TURNED] == np.arange(len(ICCS))).all()


def test_the_loss_of_a_choice() -> None:
    scores, legal, made = torch.randn(3, 9), torch.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6]]), torch.tensor([2, 3, 4])
    whole = torch.nn.functional.cross_entropy(scores, made, reduction="none")
    assert torch.allclose(choice_losses(scores, legal, made, 1.0), whole)
    chosen = choice_losses(scores, legal, made, 0.0)
    assert chosen[1] == pytest.approx(0, abs=1e-6)
    assert chosen[2] == pytest.approx(float(-scores[2, 4:7].log_softmax(0)[0]), abs=1e-6)


def test_of_a_game_too_long_the_last_moves_are_read() -> None:
    there_and_back = "b0c2 b9c7 c2b0 c7b9 "
    game = read_game(there_and_back * 70)
    laid = Layout("moves").laid(game)
    assert laid.start == len(game.moves) - KEPT
    assert laid.ids[-1] == FIRST_MOVE + sight.TURNED[game.moves[-1]]
    assert len(laid.ids) == laid.first + 1 + KEPT
    with pytest.raises(RecordError, match="280 plies; a model of method chars reads 127"):
        Layout("chars").laid(game)


def test_chars_is_laid_out_as_in_the_article() -> None:
    words = vocabulary.words("chars")
    assert [words[token] for token in Layout("chars").laid(read_game("h2e2")).ids] == ["[PAD]", "h", "2", "e", "2"]
    with pytest.raises(RecordError, match="knows games from the usual start only"):
        Layout("chars").laid(read_game("", ENDING))


@pytest.mark.parametrize("method", list(METHODS))
def test_targets_are_the_tokens_behind_their_places(method: str) -> None:
    lessons = [(read_game(MOVES), "1-0"), (read_game("h2e2"), "*")]
    work = Layout(method).work(lessons, 512)
    assert work.targets is not None
    ids = work.groups[0].ids
    places, targets = work.targets
    span = Layout(method).span
    assert len(targets) == 7 * span
    follow = torch.cat([ids[:, 1:], torch.full((2, 1), -1)], 1).reshape(-1)[places]
    inner = follow == targets
    assert int(inner.sum()) >= len(targets) - 2  # the last of each row stands in no place
    short = Layout(method).work(lessons, 2 * span)
    assert short.groups[0].ids.shape[1] == 2 * span


def test_of_a_long_game_chars_learns_and_scores_what_it_has_room_for() -> None:
    layout, long = Layout("chars"), read_game("b0c2 b9c7 c2b0 c7b9 " * 40)
    assert layout.readable(long).moves == long.moves[:127]
    assert layout.work([(long, "*")], 512).groups[0].ids.shape == (1, 508)
    assert Layout("moves").readable(long) is long


def test_the_curriculum_learns_from_the_first_moves_first() -> None:
    text = vocabulary.text("chars")
    task = Task("chars", Settings(length=512, curriculum=True), text)
    lengths = []
    for share in (0.0, 0.2, 0.4, 0.9):
        task.stage(share)
        lengths.append(task.length)
    assert lengths == [64, 128, 256, 512]
    plain = Task("moves", Settings(length=192), text)
    plain.stage(0.0)
    assert plain.length == 192


def test_a_backbone_keeps_its_layers_and_the_words_that_both_know() -> None:
    backbone = weights.load()
    old = backbone.bert.tokens.weight.detach().clone()
    known = backbone.text.tokenizer.token_to_id("e")
    vocabulary.taught(backbone, "chars", Settings(start="backbone"))
    assert len(backbone.text) == backbone.bert.config.vocab_size == 24
    place = backbone.text.tokenizer.token_to_id("e")
    assert torch.equal(backbone.bert.tokens.weight[place], old[known])
    assert vocabulary.is_own("chars", backbone.text)
    assert not vocabulary.is_own("moves", backbone.text)


def test_training_needs_targets() -> None:
    work = Layout("moves").work([(read_game(MOVES), "*")], 64)
    with pytest.raises(ValueError, match="training needs targets"):
        choice_loss(LanguageModel.new(weights.load()), replace(work, targets=None), 1.0)


def test_without_a_model_only_boards_are_drawn(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model for xiangqi yet; make one: nlpk train xiangqi"):
        load(None, Options())
    with pytest.raises(ModelError, match="a plain BERT knows no moves"):
        load(None, Options(), backbone="embedded")
    loaded = load(None, Options(svg=str(tmp_path / "b.svg")), machine=Machine(device="cpu"))
    assert loaded.fingerprint == "rules"
    with pytest.raises(ModelError, match="no model for xiangqi yet"):
        loaded.player  # noqa: B018
    with pytest.raises(ModelError, match="no model for xiangqi yet"):
        Mover(loaded, Playing())
    answerer = Answerer(loaded)
    examples = [one for one in answerer.read([Row("h2e2")]) if not isinstance(one, RecordError)]
    assert answerer.answer(examples)[0]["moves"] == []
    answerer.report()
    picture = (tmp_path / "b.svg").read_text(encoding="utf-8")
    assert picture.count("<circle") == 32
    assert "炮" in picture


def test_a_model_of_another_vocabulary_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    backbone = weights.load(tiny_folder)
    checkpoint.save(
        tmp_path, backbone.bert, backbone.text, {}, {"nlpk": "0", "task": "xiangqi", "method": "moves", "settings": {}}
    )
    with pytest.raises(ModelError, match="not the tokens of method moves; train it again"):
        load(checkpoint.open_folder(tmp_path), Options(), machine=Machine(device="cpu"))


def test_goals() -> None:
    assert [wanted("win", red) for red in (True, False)] == ["1-0", "0-1"]
    assert [wanted("loss", red) for red in (True, False)] == ["0-1", "1-0"]
    assert wanted("draw", True) == "1/2-1/2"
    assert wanted("any", True) == "*"
    with pytest.raises(UsageError, match="--goal win: a model of method chars knows no results"):
        check_goal("win", "chars")
    check_goal("any", "chars")


def test_the_look_ahead_takes_what_hangs_and_sees_what_is_taken_back(opened: Open) -> None:
    found = search.values(opened(), read_game("", ENDING), 2)
    best = max(found, key=lambda move: found[move])
    assert ICCS[best] == "a0a2"
    assert found[best] == pytest.approx(9, abs=0.1)
    covered = read_game("", "3k5/9/9/9/9/9/r8/n8/9/R3K4 w")
    values = search.values(opened(), covered, 1)
    taking = next(value for move, value in values.items() if ICCS[move] == "a0a2")
    assert taking < -8


def test_an_answer_tells_what_was_looked_ahead(opened: Open) -> None:
    rows = [Row(fen=ENDING)]
    plain, ahead = (Answerer(opened(search=plies, top_k=50)) for plies in (0, 1))
    [[without], [told]] = ([*one.answer(one.read(rows))] for one in (plain, ahead))  # type: ignore[arg-type]
    assert told["moves"][0] == {
        **next(one for one in without["moves"] if one["iccs"] == "a0a2"),
        "value": pytest.approx(9, abs=0.1),
    }
    assert "value" not in without["moves"][0]
    assert {one["iccs"] for one in told["moves"]} == {one["iccs"] for one in without["moves"]}


def test_the_look_ahead_mates(opened: Open) -> None:
    game = read_game("", "3k5/9/R8/1R7/9/9/9/9/9/4K4 w")
    found = search.values(opened(), game, 1)
    mating = [ICCS[move] for move, value in found.items() if value > 500]
    for move in mating:
        assert game.after(list(found)[[ICCS[one] for one in found].index(move)]).state in ("checkmate", "stalemate")
    with pytest.raises(UsageError, match="--search 2: needs a model of method moves"):
        search.values(opened("chars"), read_game(""), 2)


def test_the_look_ahead_reads_a_line_as_a_game_is_read(opened: Open) -> None:
    loaded, game = opened(), read_game(MOVES)
    laid = Layout("moves").laid(game)
    draft = loaded.player.begin([laid.ids], beside=[laid.beside])  # type: ignore[list-item]
    found = rules.legal_moves(*rules.laid_out([game.now]))
    last = [game.after(int(move)) for move in found.moves[:2]]
    boards, red = rules.laid_out([one.now for one in last])
    search.write(draft, found.moves[:2], np.zeros(2, dtype=np.int64), sight.beside(boards, red), red)
    for one, logits in zip(last, draft.logits[0], strict=True):
        again = Layout("moves").laid(one)
        anew = loaded.player.begin([again.ids], beside=[again.beside]).logits[0, 0]  # type: ignore[list-item]
        assert torch.allclose(logits, anew, atol=1e-4)


def test_moves_come_by_value_and_probability_together() -> None:
    ranked = [(1, 0.6), (2, 0.3), (3, 0.1)]
    assert [move for move, _ in search.merged(ranked, {1: 0.0, 2: 1.0, 3: 5.0})] == [3, 2, 1]
    assert [move for move, _ in search.merged(ranked, {1: 0.0, 2: 0.1, 3: 0.1})] == [1, 2, 3]


def test_drawing_moves() -> None:
    ranked = [(1, 0.6), (2, 0.3), (3, 0.1)]
    dice = random.Random(1)
    assert {drawn(ranked, 0, 1, dice) for _ in range(20)} == {1}
    assert {drawn(ranked, 1, 0.7, dice) for _ in range(200)} == {1, 2}
    counts = [drawn(ranked, 1, 1, dice) for _ in range(2000)]
    assert counts.count(1) / 2000 == pytest.approx(0.6, abs=0.05)


def test_the_same_seed_plays_the_same_game(opened: Open) -> None:
    def played(seed: int) -> list[int]:
        mover, game = Mover(opened(), Playing(search=0, temperature=1, seed=seed)), Game(start_of(START))
        for _ in range(6):
            game = game.after(mover.choice(game).move)
        return list(game.moves)

    assert played(3) == played(3)
    assert played(3) != played(4)


def test_a_look_ahead_keeps_to_its_time(opened: Open) -> None:
    mover, game = Mover(opened(), Playing(search=2, seed=1)), Game(start_of(START))
    assert mover.choice(game).plies == 2
    assert mover.choice(game, seconds=0.0).plies == 0
    assert mover.choice(game, depth=1).plies == 1
    assert Mover(opened("chars"), Playing(search=2)).choice(game).value is None
