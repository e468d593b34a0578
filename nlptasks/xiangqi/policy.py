"""What a model thinks of the moves that the rules allow, for many positions at once."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlptasks.backbone import masks
from nlptasks.backbone.attention import Memory
from nlptasks.backbone.batch import Batch, by_length
from nlptasks.writing.draft import Writer
from nlptasks.xiangqi import rules, sight
from nlptasks.xiangqi.games import Game
from nlptasks.xiangqi.layouts import CHARACTERS_OF, Laid, Layout
from nlptasks.xiangqi.rules import Found, Turns

Floats = NDArray[np.float64]
#: Positions of a game whose moves `chars` spells out at once.
SPELLED = 16
CHARACTERS = np.array(CHARACTERS_OF)


@dataclass(frozen=True)
class Asked:
    """A game with the plies at which the next move is asked for."""

    game: Game
    laid: Laid
    plies: Sequence[int]

    @property
    def places(self) -> list[int]:
        """Give the places of the tokens behind which the moves stand."""
        return [self.laid.first + self.laid.span * (ply - self.laid.start) for ply in self.plies]


@dataclass(frozen=True)
class Opinion:
    """What a model thinks of one position.

    Attributes:
        moves: (M,) int, the legal moves, in order of their numbers.
        logprobs: (M,) of each among all that the model could have said.
    """

    moves: NDArray[np.int64]
    logprobs: Floats

    @property
    def legal(self) -> float:
        """Give the share of the probability that falls to legal moves."""
        return float(np.exp(self.logprobs).sum())

    @property
    def chances(self) -> Floats:
        """Give the probabilities among the legal moves, (M,)."""
        weights = np.exp(self.logprobs - self.logprobs.max()) if len(self.moves) else self.logprobs
        return np.asarray(weights / weights.sum())

    def ranked(self) -> list[tuple[int, float]]:
        """List the moves with their probabilities, the likeliest first."""
        chances = self.chances
        order = np.argsort(-chances, kind="stable")
        return [(int(self.moves[place]), float(chances[place])) for place in order]


@torch.inference_mode()
def opinions(writer: Writer, layout: Layout, asked: Sequence[Asked]) -> list[list[Opinion]]:
    """Ask a model for the next moves.

    Args:
        writer: reads from left to right.
        layout: of the model's method.
        asked: games, in one pass.

    Returns:
        For each game an opinion for each of its plies.
    """
    boards, red = (np.concatenate([one.game.boards[part][list(one.plies)] for one in asked]) for part in (0, 1))
    found = rules.legal_moves(boards, red)
    said = named(writer, asked, found, red) if layout.method == "moves" else spelled(writer, asked, found)
    ends = np.searchsorted(found.boards, np.arange(len(boards) + 1))
    each = [Opinion(found.moves[first:last], said[first:last]) for first, last in pairwise(ends.tolist())]
    rest = iter(each)
    return [[next(rest) for _ in one.plies] for one in asked]


def named(writer: Writer, asked: Sequence[Asked], found: Found, red: Turns) -> Floats:
    """Score moves that are tokens: (M,) logarithms."""
    groups, order = by_length(
        [one.laid.ids for one in asked], [one.laid.beside for one in asked if one.laid.beside is not None]
    )
    states = writer.bert.read([writer.masked(group).to(writer.device) for group in groups])
    rows = iter([row for state in states for row in state])
    by_game = dict(zip(order, rows, strict=True))
    chosen = torch.cat([by_game[number][one.places] for number, one in enumerate(asked)])
    logits = writer.logits(chosen)
    boards = torch.from_numpy(found.boards).to(logits.device)
    moves = torch.from_numpy(sight.move_tokens(found.moves, red[found.boards])).to(logits.device)
    picked = logits[boards, moves] - logits.logsumexp(1)[boards]
    return np.asarray(picked.double().cpu().numpy())


def spelled(writer: Writer, asked: Sequence[Asked], found: Found) -> Floats:
    """Score moves that are four characters each: (M,) logarithms, every game read once."""
    scores = np.zeros(len(found.moves))
    first = 0
    for one in asked:
        memory = Memory()
        ids = torch.tensor([one.laid.ids], device=writer.device)
        states = writer.bert(writer.masked(Batch(ids)).to(writer.device), memory)
        for start in range(0, len(one.plies), SPELLED):
            places = one.places[start : start + SPELLED]
            chosen = np.flatnonzero((found.boards >= first) & (found.boards < first + len(places)))
            part = Found(found.boards[chosen] - first, found.moves[chosen])
            if len(chosen):
                scores[chosen] = Spelling(writer, memory, states[0], places).scores(part)
            first += len(places)
    return scores


class Spelling:
    """Spells moves out behind places of a game: first characters, then pairs, each beginning once."""

    def __init__(self, writer: Writer, memory: Memory, states: Tensor, places: Sequence[int]) -> None:
        """Prepare.

        Args:
            writer: which has read the game.
            memory: of the game; it stays as it is.
            states: (T, H) of the game.
            places: where moves stand behind.
        """
        self.writer, self.memory = writer, Memory()
        self.memory.layers = list(memory.layers)
        self.places = torch.tensor(places, device=writer.device)
        self.logprobs = writer.logits(states[self.places]).log_softmax(1)
        columns = torch.arange(len(states), device=writer.device)
        self.seen = columns <= self.places.unsqueeze(1)  # (nodes, columns) bool, of the beginnings so far

    def scores(self, found: Found) -> Floats:
        """Score moves, whose boards count the places: (M,) logarithms."""
        characters = CHARACTERS[found.moves]
        nodes = found.boards
        total = np.zeros(len(nodes))
        for place in range(characters.shape[1]):
            total += self.logprobs.double().cpu().numpy()[nodes, characters[:, place]]
            if place + 1 == characters.shape[1]:
                break
            _, firsts, new = np.unique(
                nodes * len(CHARACTERS) + characters[:, place], return_index=True, return_inverse=True
            )
            self.read(nodes[firsts], characters[firsts, place], found.boards[firsts], place + 1)
            nodes = new.reshape(len(nodes))
        return total

    def read(self, parents: NDArray[np.int64], tokens: NDArray[np.int64], boards: NDArray[np.int64], step: int) -> None:
        """Read one character more behind each of some beginnings."""
        device = self.writer.device
        own = torch.eye(len(parents), dtype=torch.bool, device=device)
        self.seen = torch.cat([self.seen[torch.from_numpy(parents).to(device)], own], 1)
        positions = (self.places[torch.from_numpy(boards).to(device)] + step).unsqueeze(0)
        ids = torch.from_numpy(tokens).to(device).unsqueeze(0)
        batch = Batch(ids, None, masks.additive(self.seen.unsqueeze(0)), positions)
        states = self.writer.bert(batch, self.memory)[0]
        self.logprobs = self.writer.logits(states).log_softmax(1)


def drawn(ranked: Sequence[tuple[int, float]], temperature: float, top_p: float, dice: random.Random) -> int:
    """Draw a move.

    Args:
        ranked: moves with their probabilities, the likeliest first.
        temperature: flattens above 1, sharpens below; 0 takes the likeliest.
        top_p: draw from the fewest moves whose probabilities together reach this.
        dice: what draws.
    """
    if temperature <= 0:
        return ranked[0][0]
    kept, total = [], 0.0
    for move, chance in ranked:
        kept.append((move, max(chance, 1e-12) ** (1 / temperature)))
        total += chance
        if total >= top_p:
            break
    return dice.choices([move for move, _ in kept], [weight for _, weight in kept])[0]
