"""Texts drawn at random: top-k, top-p, temperature, runs that do not repeat; each prompt draws for itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nlptasks.writing.beam import OPEN_SHARE, Written
from nlptasks.writing.draft import Draft
from nlptasks.writing.judges import repeats

#: Tokens that are put in order for top-p at first; all of them only where these do not reach p.
ORDERED = 1024


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
    draft: Draft,
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
    draws = torch.cat([torch.rand(count, drawing.limit, generator=one) for one in generators]).to(device)
    rows = torch.arange(len(draws), device=device)  # of all texts, those that are still open
    if count > 1:
        draft.keep(rows // count)
    ids = torch.full(draws.shape, end, device=device)
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
        draws: (P,) from 0 to 1.
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
    chances, tokens = filtered(allowed / drawing.temperature, drawing.top_k, drawing.top_p)
    sums = chances.cumsum(1)
    # Below the last sum, so that rounding never draws what was filtered out.
    aims = (draws.unsqueeze(1) * sums[:, -1:]).minimum(sums[:, -1:] * (1 - 1e-6))
    places = torch.searchsorted(sums, aims, right=True).clamp_max(sums.shape[1] - 1)
    chosen = places if tokens is None else tokens.gather(1, places)
    return chosen.squeeze(1), logits.log_softmax(1).gather(1, chosen).squeeze(1)


def filtered(logits: Tensor, top_k: int | None, top_p: float | None) -> tuple[Tensor, Tensor | None]:
    """Keep the likeliest tokens.

    Args:
        logits: (P, V), divided by the temperature.
        top_k: how many, or all.
        top_p: the fewest whose probabilities, of all that `top_k` left, together reach this, or all.

    Returns:
        Probabilities (P, K), 0 for what is left out, and their tokens (P, K) int, none where they stand in order.
    """
    chances = logits.softmax(1)
    if top_k is None and top_p is None:
        return chances, None
    count = chances.shape[1]
    first = min(top_k or ORDERED, count)
    best, tokens = chances.topk(first)
    if top_p is None:
        return best, tokens
    if top_k is not None:
        best = best / best.sum(1, keepdim=True)
    elif bool((best.sum(1) < top_p).any()):
        best, tokens = chances.sort(1, descending=True)
    before = best.cumsum(1) - best
    return best.masked_fill(before >= top_p, 0), tokens
