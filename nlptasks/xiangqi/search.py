"""A small look ahead: the model's best moves some plies deep, captures behind them, pieces counted at the end.

All positions of a ply are asked at once, each as one token more behind the same game, so that a tree of some hundred
positions costs a few passes of the model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nlptasks.errors import UsageError
from nlptasks.writing.draft import Draft
from nlptasks.xiangqi import rules, sight
from nlptasks.xiangqi.board import ADVISOR, CANNON, ELEPHANT, FILES, HORSE, PAWN, RANKS, ROOK, SQUARES
from nlptasks.xiangqi.games import Game
from nlptasks.xiangqi.layouts import Layout
from nlptasks.xiangqi.model import Loaded
from nlptasks.xiangqi.rules import Boards, Found, Turns
from nlptasks.xiangqi.tables import SOURCES, TARGETS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
#: Moves of each position that are followed, by the ply, at first all; on the first two plies captures come beside them.
BREADTHS = (128, 6, 4, 3, 2, 2)
CAPTURES = 2
#: Plies of nothing but captures at the end of each line.
EXCHANGES = 3
#: Pieces in pawns; a pawn is worth twice as much across the river.
WORTH = {PAWN: 1.0, ADVISOR: 2.0, ELEPHANT: 2.0, HORSE: 4.0, CANNON: 4.5, ROOK: 9.0}
LOST = 1000.0
#: What a mate is worth a ply later: it is better sooner, and worse for the other side.
LATER = 0.999
#: Pawns that a move's probability, e times as high, makes up for.
TRUST = 0.25


@dataclass
class Level:
    """Positions of one ply of the tree."""

    boards: Boards
    red: Turns
    parents: Ints
    """For each position the one that it comes from, in the level above."""
    dead: NDArray[np.bool_]
    """Which of them are lost, having no move."""
    may_stop: bool
    """Whether the side to move need not take part in an exchange."""


def values(loaded: Loaded, game: Game, plies: int, result: str = "*") -> dict[int, float]:
    """Give moves their values in pawns, for the side to move.

    Args:
        loaded: a model of method moves.
        game: which goes on.
        plies: to look ahead with the model.
        result: that the model is to follow moves for.

    Returns:
        The value of every legal move.

    Raises:
        UsageError: the model is of another method.
    """
    if loaded.method != "moves":
        raise UsageError(f"--search {plies}: needs a model of method moves; leave it out")
    laid = Layout(loaded.method).laid(game, result)
    draft = loaded.player.begin([laid.ids], beside=None if laid.beside is None else [laid.beside])
    boards, red = game.boards[0][-1:], game.boards[1][-1:]
    levels: list[Level] = []
    moves = first = np.zeros(0, dtype=np.int64)
    parents = np.zeros(1, dtype=np.int64)
    for ply in range(plies + EXCHANGES):
        found = rules.legal_moves(boards, red, captures=ply > plies)
        if 0 < ply < plies:
            write(draft, moves, parents, sight.beside(boards, red, found), red)
        dead = (np.bincount(found.boards, minlength=len(boards)) == 0) & (ply <= plies)  # later moves are not all known
        levels.append(Level(boards, red, parents, dead, ply >= plies))
        kept = chosen(found, boards, red, draft, ply) if ply < plies else captures(found, boards)
        if not kept.any():
            break
        parents, moves = found.boards[kept], found.moves[kept]
        first = moves if ply == 0 else first
        boards = rules.moved(boards[parents], SOURCES[moves], TARGETS[moves])
        red = ~red[parents]
    else:
        levels.append(Level(boards, red, parents, np.zeros(len(boards), dtype=bool), True))
    return dict(zip(first.tolist(), backed_up(levels).tolist(), strict=True))


def write(draft: Draft, moves: Ints, parents: Ints, beside: Ints, red: Turns) -> None:
    """Let the model read one move more on each line, and see what there is behind it, where `red` is to move."""
    device = draft.logits.device
    parts = (sight.move_tokens(moves, ~red), parents, beside)
    draft.write(*(torch.from_numpy(part).to(device).unsqueeze(0) for part in parts))


def chosen(found: Found, boards: Boards, red: Turns, draft: Draft, ply: int) -> NDArray[np.bool_]:
    """Choose the model's best moves of each position, and on the first plies the captures: (M,) bool."""
    tokens = sight.move_tokens(found.moves, red[found.boards])
    logits = draft.logits[0].float().cpu().numpy()[found.boards, tokens]
    order = np.lexsort((-logits, found.boards))
    starts = np.searchsorted(found.boards, np.arange(len(boards)))
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.arange(len(order)) - starts[found.boards]  # rows of a board stay together
    kept = ranks < BREADTHS[ply]
    return np.asarray(kept | captures(found, boards) if ply < CAPTURES else kept)


def captures(found: Found, boards: Boards) -> NDArray[np.bool_]:
    """Tell which moves take a piece: (M,) bool."""
    return np.asarray(boards[found.boards, TARGETS[found.moves]] != 0)


def backed_up(levels: Sequence[Level]) -> Floats:
    """Give the values of the first moves, for the side that makes them, from the last level up."""
    above = standing(levels[-1])
    for level, below in zip(reversed(levels[:-1]), reversed(levels[1:]), strict=True):
        result = -above
        if level is levels[0]:
            return np.asarray(result)
        best = standing(level) if level.may_stop else np.full(len(level.boards), -math.inf)
        best[level.dead] = -LOST
        np.maximum.at(best, below.parents, result)
        above = np.where(np.isinf(best), standing(level), best)
        above = np.where(np.abs(above) > LOST / 2, above * LATER, above)
    return np.zeros(0)


def standing(level: Level) -> Floats:
    """Count the pieces of each position, in pawns, for the side to move; a position without a move is lost."""
    total = WORTHS[level.boards + PAWN, np.arange(SQUARES)].sum(1)
    return np.where(level.dead, -LOST, np.where(level.red, total, -total))


def worths() -> Floats:
    """Give the worth of each piece, from Black's pawn to Red's, on each square: (15, 90)."""
    table = np.zeros((2 * PAWN + 1, SQUARES))
    for kind, worth in WORTH.items():
        table[PAWN + kind], table[PAWN - kind] = worth, -worth
    across = np.arange(SQUARES) // FILES >= RANKS // 2
    table[2 * PAWN, across] *= 2
    table[0, ~across] *= 2
    return table


WORTHS = worths()


def merged(ranked: Sequence[tuple[int, float]], found: Mapping[int, float]) -> list[tuple[int, float]]:
    """Put moves in the order of their values and probabilities."""
    return sorted(ranked, key=lambda one: found[one[0]] + TRUST * math.log(max(one[1], 1e-9)), reverse=True)
