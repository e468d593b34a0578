"""How well a model foretells the moves of games: of all plies, and of the opening, the middle and the end."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from nlptasks.backbone.batch import Budget
from nlptasks.errors import InputError
from nlptasks.task import paired
from nlptasks.writing.draft import Writer
from nlptasks.xiangqi.games import read_game
from nlptasks.xiangqi.layouts import Layout
from nlptasks.xiangqi.policy import Asked, Opinion, opinions
from nlptasks.xiangqi.row import Row
from nlptasks.xiangqi.tables import BY_ICCS

#: The first and the last ply of each part of a game, from 1.
PHASES = {"opening": (1, 10), "middle": (11, 40), "end": (41, math.inf)}
WITHIN = 5
#: A probability that is as good as none.
TINY = 1e-12


@dataclass(frozen=True)
class Guess:
    """How a model foretold one move."""

    ply: int
    rank: int
    logprob: float
    legal: float


def scored(guesses: Iterable[Guess]) -> dict[str, float]:
    """Add up guesses; a phase without a ply has no scores."""
    every = list(guesses)
    found = summed(every) | {"legal": float(np.mean([guess.legal for guess in every])) if every else math.nan}
    for name, (first, last) in PHASES.items():
        some = [guess for guess in every if first <= guess.ply <= last]
        if some:
            found |= {f"{score}_{name}": value for score, value in summed(some).items()}
    return found


def summed(guesses: Sequence[Guess]) -> dict[str, float]:
    """Give the shares of moves that were first and among the first five, and the perplexities.

    `perplexity` counts what falls to illegal moves, `perplexity_legal` is that among the legal ones.
    """
    if not guesses:
        return dict.fromkeys(("top1", "top5", "perplexity", "perplexity_legal"), math.nan)
    ranks = np.array([guess.rank for guess in guesses])
    every = np.array([guess.logprob for guess in guesses])
    legal = np.log([max(guess.legal, TINY) for guess in guesses])
    return {
        "top1": float(np.mean(ranks == 1)),
        "top5": float(np.mean(ranks <= WITHIN)),
        "perplexity": math.exp(-every.mean()),
        "perplexity_legal": math.exp((legal - every).mean()),
    }


def guesses_of(asked: Asked, said: Sequence[Opinion]) -> list[Guess]:
    """Compare a game's moves with what was thought of them."""
    found = []
    for ply, opinion in zip(asked.plies, said, strict=True):
        place = int(np.searchsorted(opinion.moves, asked.game.moves[ply]))
        rank = 1 + int((opinion.logprobs > opinion.logprobs[place]).sum())
        found.append(Guess(ply + 1, rank, float(opinion.logprobs[place]), opinion.legal))
    return found


def scores_of(writer: Writer, method: str, budget: Budget, labelled: Sequence[Row]) -> dict[str, float]:
    """Ask a model for every move of games, knowing those before it, and score what it says."""
    layout = Layout(method)
    asked = []
    for row in labelled:
        game = layout.readable(read_game(row.moves, row.fen))
        laid = layout.laid(game)
        asked.append(Asked(game, laid, range(laid.start, len(game.moves))))

    def answer(some: Sequence[Asked]) -> list[list[Guess]]:
        found = opinions(writer, layout, some)
        return [guesses_of(one, said) for one, said in zip(some, found, strict=True)]

    guesses: list[Guess] = []
    for answered in budget.run(asked, lambda one: len(one.laid.ids), answer):
        if isinstance(answered, Exception):
            raise answered
        guesses += answered
    return scored(guesses)


def compared(predictions: Sequence[object], labelled: Sequence[Row]) -> dict[str, float]:
    """Score what any system predicts for the last move of each game, of which it saw the moves before.

    What a list of moves leaves out is unknown: there is no share of legal moves, and no perplexity where a move that
    was made is not listed.

    Args:
        predictions: objects with `moves`, the likeliest first, each with `iccs` and `probability`.
        labelled: the games.

    Raises:
        InputError: a prediction is no such object, or there is not one for each game.
    """
    guesses = []
    for prediction, row in paired(predictions, labelled):
        game = read_game(row.moves, row.fen)
        try:
            ranked = [(BY_ICCS[one["iccs"]], float(one["probability"])) for one in prediction["moves"]]
        except (KeyError, TypeError, ValueError) as error:
            expected = '{"prediction": {"moves": [{"iccs": move, "probability": number}]}}'
            raise InputError(f"a prediction without moves; expected lines with {expected}") from error
        guesses.append(foretold(ranked, game.moves[-1], len(game.moves)))
    return {name: value for name, value in scored(guesses).items() if "legal" not in name and value != math.inf}


def foretold(ranked: Sequence[tuple[int, float]], move: int, ply: int) -> Guess:
    """Compare a list of moves with the one that was made; one that is not listed comes behind all of them."""
    for rank, (one, chance) in enumerate(ranked, 1):
        if one == move:
            return Guess(ply, rank, math.log(max(chance, TINY)), 1.0)
    return Guess(ply, 1 << 20, -math.inf, 1.0)
