"""Texts drawn at random: top-k, top-p, temperature, runs that do not repeat; each prompt draws for itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nlptasks.writing.beam import OPEN_SHARE, Written
from nlptasks.writing.draft import Growing
from nlptasks.writing.judges import repeats

#: Numbers that a token is drawn by: two, and two more where top-p draws again.
DRAWS = 4
#: Tokens whose probabilities are added up together.
BLOCK = 128


@dataclass(frozen=True)
class Drawing:
    """How tokens are drawn and when a text ends."""

    count: int = 1
    """Texts of each prompt."""
    limit: int = 64
    """Tokens of a text at most, its end included."""
    shortest: int = 0
    """Tokens of a text at least, its end not included."""
    top_k: int | None = None
    """Draw from so many of the likeliest tokens."""
    top_p: float | None = None
    """Draw from the fewest likeliest tokens whose probabilities together reach this."""
    temperature: float = 1.0
    """What the scores are divided by."""
    no_repeat: int = 0
    """Never write a run of so many tokens twice; 0 for no bound."""


def sample(
    draft: Growing,
    end: int,
    drawing: Drawing,
    generators: Sequence[torch.Generator],
    watch: Callable[[Tensor, Tensor], None] | None = None,
) -> list[list[Written]]:
    """Draw texts.

    Args:
        draft: the prompts read.
        end: the token that ends a text.
        drawing: how to draw.
        generators: of each prompt its own, on the CPU, so that no text depends on the other prompts.
        watch: told of each step the numbers of the texts that are open, and the tokens drawn for them, (N,) int each.

    Returns:
        For each prompt its texts; `logprob` is that of the model without filters and temperature.

    Raises:
        ValueError: the limit leaves the model's positions.
    """
    if drawing.limit - 1 > draft.room:
        raise ValueError(f"{drawing.limit} tokens do not fit, where there is room for {draft.room + 1}")
    device, count = draft.logits.device, drawing.count
    draws = torch.cat([torch.rand(count, drawing.limit, DRAWS, generator=one) for one in generators]).to(device)
    rows = torch.arange(len(draws), device=device)  # of all texts, those that are still open
    if count > 1:
        draft.keep(rows // count)
    ids = torch.full(draws.shape[:2], end, device=device)
    logprobs = torch.zeros(len(draws), device=device)
    lengths = torch.full_like(rows, drawing.limit)
    is_open = torch.ones_like(rows, dtype=torch.bool)  # of the rows in the draft
    for step in range(drawing.limit):
        tokens, gained = draw(draft.logits[:, 0], ids[rows, :step], draws[rows, step], drawing, end)
        ids[rows[is_open], step] = tokens[is_open]
        if watch:
            watch(rows[is_open], tokens[is_open])
        logprobs[rows[is_open]] += gained[is_open]
        lengths[rows[is_open & (tokens == end)]] = step
        is_open &= tokens != end
        left = int(is_open.sum())
        if not left or step + 1 == drawing.limit:
            break
        if left <= OPEN_SHARE * len(rows):
            kept = is_open.nonzero().flatten()
            draft.keep(kept)
            rows, tokens, is_open = rows[kept], tokens[kept], is_open[kept]
        draft.write(tokens.unsqueeze(1))
    texts = [
        Written(row[:length], total, length < drawing.limit)
        for row, length, total in zip(ids.tolist(), lengths.tolist(), logprobs.tolist(), strict=True)
    ]
    return [texts[at : at + count] for at in range(0, len(texts), count)]


def draw(logits: Tensor, written: Tensor, draws: Tensor, drawing: Drawing, end: int) -> tuple[Tensor, Tensor]:
    """Draw one token for each row.

    Args:
        logits: (P, V) float32.
        written: (P, T) int, the text so far.
        draws: (P, DRAWS) from 0 to 1.
        drawing: how.
        end: the token that ends a text.

    Returns:
        The tokens, (P,) int, and their log-probabilities before any filter, (P,).
    """
    allowed = logits
    if drawing.no_repeat:
        banned = repeats(written.unsqueeze(1), drawing.no_repeat, logits.unsqueeze(1)).squeeze(1)
        banned[:, end] = False
        allowed = logits.masked_fill(banned, -torch.inf)
    if written.shape[1] < drawing.shortest:
        allowed = allowed.index_fill(1, torch.tensor([end], device=logits.device), -torch.inf)
    if drawing.temperature != 1:
        allowed = allowed / drawing.temperature
    chosen = among(allowed, draws, drawing.top_k, drawing.top_p)
    return chosen.squeeze(1), logits.log_softmax(1).gather(1, chosen).squeeze(1)


def among(scores: Tensor, draws: Tensor, top_k: int | None, top_p: float | None) -> Tensor:
    """Draw among the likeliest tokens.

    For top-p a token is drawn from all and kept if it is one of the likeliest; only where it is not, these are looked
    for, and two more numbers draw from them alone. That gives them the chances that putting all in order would, and
    is ten times as fast.

    Args:
        scores: (P, V), divided by the temperature.
        draws: (P, DRAWS) from 0 to 1.
        top_k: how many, or all.
        top_p: the fewest whose probabilities, of all that `top_k` left, together reach this, or all; what is exactly
            as likely as the last of them counts, too.

    Returns:
        (P, 1) int.
    """
    tokens = None
    if top_k is not None and top_k < scores.shape[1]:
        scores, tokens = scores.topk(top_k)
    chances = scores.softmax(1)
    places = picked(chances, draws[:, :2])
    if top_p is not None:
        above = mass(chances, chances > chances.gather(1, places))
        wrong = (above >= top_p).flatten().nonzero().flatten()
        if len(wrong):
            few = chances[wrong]
            places[wrong] = picked(few.where(few >= least(few, top_p), 0), draws[wrong, 2:])
    return places if tokens is None else tokens.gather(1, places)


def picked(chances: Tensor, draws: Tensor) -> Tensor:
    """Choose places by two numbers from 0 to 1 each: by the first a block of tokens, by the second one in it.

    A number that falls next to the edge between two tokens chooses otherwise where the batch, and with it the last bits
    of the scores, is another. Of one running sum over all tokens every token is an edge; this way there are few.

    Args:
        chances: (P, V), at least one of each row more than 0.
        draws: (P, 2).

    Returns:
        (P, 1) int.
    """
    blocks = F.pad(chances, (0, -chances.shape[1] % BLOCK)).view(len(chances), -1, BLOCK)
    block = fallen_on(blocks.sum(2), draws[:, :1])
    inside = blocks.gather(1, block.unsqueeze(2).expand(-1, -1, BLOCK)).squeeze(1)
    return (block * BLOCK + fallen_on(inside, draws[:, 1:])).clamp_max(chances.shape[1] - 1)


def fallen_on(chances: Tensor, draws: Tensor) -> Tensor:
    """Find the part of a row's sum that a number from 0 to 1 falls on: (P, N) and (P, 1) to (P, 1) int."""
    sums = chances.cumsum(1)
    # Below the last sum, so that rounding never draws what was filtered out.
    aims = (draws * sums[:, -1:]).minimum(sums[:, -1:] * (1 - 1e-6))
    # Where nothing is left to draw, as behind a text's end, no number is in reach.
    return torch.searchsorted(sums, aims, right=True).clamp_max(sums.shape[1] - 1)


def least(chances: Tensor, top_p: float) -> Tensor:
    """Find the largest probability that, with all that are as large, reaches a sum: (P, V) float32 to (P, 1).

    Positive numbers are in the order of their bits, and so it is found bit by bit.
    """
    bits = torch.zeros(len(chances), 1, dtype=torch.int32, device=chances.device)
    for place in reversed(range(31)):
        tried = bits | 1 << place
        reached = mass(chances, chances >= tried.view(torch.float32)) >= top_p
        bits = tried.where(reached, bits)
    return bits.view(torch.float32)


def mass(chances: Tensor, kept: Tensor) -> Tensor:
    """Add up the probabilities that are kept: two of (P, V) to (P, 1)."""
    return chances.where(kept, 0).sum(1, keepdim=True)
