"""The plainest writer there can be: one text at a time, everything read again for every token."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nlptasks.backbone import masks
from nlptasks.backbone.batch import Batch
from nlptasks.backbone.copying import Copier
from nlptasks.writing.draft import Writer


def logits(writer: Writer, prompt: Sequence[int], written: Sequence[int]) -> Tensor:
    """Score the next token: (V,)."""
    ids = torch.tensor([[*prompt, *written]])
    segments = torch.tensor([[0] * len(prompt) + [1] * len(written)])
    kept = torch.ones_like(ids).bool()
    mask = masks.left_to_right(kept) if writer.causal else masks.prefix(segments, kept)
    with torch.inference_mode():
        *_, below, last = writer.bert.states(
            [Batch(ids, segments if writer.segment else None, mask)], matcher=writer.matcher
        )
        named = writer.logits(last[None, -1:])[0, 0]
        if writer.copier is None:
            return named
        return copied(writer.copier, named, below[: len(prompt)], last[-1], prompt, written)


def copied(
    copier: Copier, named: Tensor, below: Tensor, state: Tensor, prompt: Sequence[int], written: Sequence[int] = ()
) -> Tensor:
    """Mix what the head says with a pointer into the prompt, which goes on with what was written: (V,) logarithms."""
    share = copier.gate(state).sigmoid()
    places = [place for place, token in enumerate(prompt) if token not in copier.special.tolist()]
    runs = [run_before(prompt, place, written) for place in places]
    bias = torch.tensor([copier.follow[min(run, len(copier.follow)) - 1] if run else 0.0 for run in runs])
    chances = (copier.key(below[places]) @ copier.query(state) / len(state) ** 0.5 + bias).softmax(-1)
    copied = torch.tensor([prompt[place] for place in places])
    mixed: Tensor = (named.softmax(-1) * (1 - share)).index_add(0, copied, share * chances)
    return mixed.log()


def run_before(prompt: Sequence[int], place: int, written: Sequence[int]) -> int:
    """Count the tokens before a place that are the last ones written."""
    run = 0
    while run < min(place, len(written)) and prompt[place - 1 - run] == written[-1 - run]:
        run += 1
    return run


def beam(writer: Writer, prompt: Sequence[int], end: int, width: int, limit: int) -> list[int]:
    """Search as bert4keras does, and give the best text."""
    beams: list[tuple[float, list[int]]] = [(0.0, [])]
    for _ in range(limit):
        ways = []
        for total, ids in beams:
            found = logits(writer, prompt, ids).log_softmax(-1)
            ways += [(total + float(p), [*ids, token]) for token, p in enumerate(found.tolist())]
        beams = sorted(ways, key=lambda way: -way[0])[:width]
        if beams[0][1][-1] == end:
            return beams[0][1][:-1]
        beams = [way for way in beams if way[1][-1] != end]
        width = len(beams)
    return beams[0][1]


def council(
    writer: Writer,
    prompts: Sequence[Sequence[int]],
    passages: Sequence[Sequence[int]],
    end: int,
    width: int,
    limit: int,
    abstain: float | None = None,
) -> list[int]:
    """Answer with several passages, as kexue.fm/archives/7115 describes."""
    beams: list[tuple[float, list[int]]] = [(0.0, [])]
    voting = list(range(len(prompts)))
    for step in range(limit):
        ways = []
        for total, answer in beams:
            chances = {k: logits(writer, prompts[k], answer).softmax(-1) for k in voting}
            if step == 0:
                voting = voters(chances, end, abstain)
            if not voting:
                return []
            allowed = ({end} if answer or abstain is None else set()) | {
                token for k in voting for token in following(passages[k], answer)
            }
            p = torch.stack([chances[k] for k in voting])
            vote = (p.square().sum(0) / (p.sum(0) + 1) + 1e-12).log()
            ways += [(total + float(vote[token]), [*answer, token]) for token in sorted(allowed)]
        beams = sorted(ways, key=lambda way: -way[0])[:width]
        if beams[0][1][-1] == end:
            return beams[0][1][:-1]
        unfinished = [way for way in beams if way[1][-1] != end]
        width -= len(beams) - len(unfinished)
        beams = unfinished
    return beams[0][1]


def voters(chances: dict[int, Tensor], end: int, abstain: float | None) -> list[int]:
    """List the passages that do not say at their first token that they have no answer."""
    if abstain is None:
        return [k for k, one in chances.items() if int(one.argmax()) != end]
    sure = [k for k, one in chances.items() if float(one[end]) < min(abstain, 0.5)]
    surest = min(chances, key=lambda k: float(chances[k][end]))
    return sure or ([surest] if abstain >= 1 or float(chances[surest][end]) < abstain else [])


def following(passage: Sequence[int], answer: Sequence[int]) -> set[int]:
    """List what stands behind an answer wherever it stands in a passage."""
    size = len(answer)
    return {passage[at + size] for at in range(len(passage) - size) if list(passage[at : at + size]) == list(answer)}
