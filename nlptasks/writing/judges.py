"""What may come next: anything, or only what a trie of texts or the n-grams of passages allow."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Anything:
    """Lets every token follow; with `no_repeat`, none that would repeat a run of so many tokens."""

    stale = False

    def __init__(self, prompts: int, end: int, *, no_repeat: int = 0, device: torch.device | None = None) -> None:
        """Judge each prompt by itself; `end` is the token that ends a text."""
        self.owner = torch.arange(prompts, device=device)
        self.end, self.no_repeat = end, no_repeat
        self.ids = torch.zeros(prompts, 1, 0, dtype=torch.long, device=device)

    def scores(self, logits: Tensor) -> Tensor:
        """Give log-probabilities: (P, W, V) to the same."""
        found = logits.log_softmax(-1)
        return found if not self.no_repeat else found.masked_fill(repeats(self.ids, self.no_repeat, logits), -torch.inf)

    def follow(self, parents: Tensor, columns: Tensor) -> Tensor:
        """Go on with what was chosen; columns are tokens."""
        before = self.ids.gather(1, parents.unsqueeze(2).expand(-1, -1, self.ids.shape[2]))
        self.ids = torch.cat([before, columns.unsqueeze(2)], 2)
        return columns

    def note(self, question: int, branch: int, length: int) -> None:
        """Know nothing more."""

    def keep(self, questions: Tensor) -> Tensor:
        """Go on with some prompts alone."""
        self.ids, self.owner = self.ids[questions], self.owner[: len(questions)]
        return questions


def repeats(ids: Tensor, size: int, logits: Tensor) -> Tensor:
    """Tell which tokens would make a run of `size` tokens that a text has already.

    Args:
        ids: (P, W, T) int, what was written.
        size: tokens of a run, 1 or more.
        logits: (P, W, V), for the shape.

    Returns:
        (P, W, V) bool.
    """
    banned = torch.zeros_like(logits, dtype=torch.bool)
    if ids.shape[2] < size:
        return banned
    runs = ids.unfold(2, size, 1)  # (P, W, runs, size)
    last = ids[:, :, ids.shape[2] - size + 1 :].unsqueeze(2)
    same = (runs[..., :-1] == last).all(-1)
    row, branch, run = same.nonzero(as_tuple=True)
    banned[row, branch, runs[row, branch, run, -1]] = True
    return banned


class Tries:
    """The texts that may be written, as tries laid out in three tables; each prompt starts at a root of its own.

    Attributes:
        tokens: (nodes, U) int, the tokens that may follow a node; column 0 is the end.
        children: (nodes, U) int, the nodes that they lead to.
        allowed: (nodes, U) bool, False where a node has fewer than U.
    """

    def __init__(self, texts: Sequence[Sequence[Sequence[int]]], end: int, device: torch.device | None = None) -> None:
        """Build a trie for each prompt from its texts, the end not included; no texts allow only the end."""
        nodes: list[dict[int, int]] = []
        final: set[int] = set()
        self.roots = []
        for allowed in texts:
            self.roots.append(len(nodes))
            nodes.append({})
            for text in allowed:
                final.add(added(nodes, self.roots[-1], text))
            if not allowed:
                final.add(self.roots[-1])
        columns = 1 + max(map(len, nodes))
        self.tokens = torch.full((len(nodes), columns), end, device=device)
        self.children = torch.zeros_like(self.tokens)
        self.allowed = torch.zeros(len(nodes), columns, dtype=torch.bool, device=device)
        for number, node in enumerate(nodes):
            self.allowed[number, 0] = number in final
            if node:
                self.tokens[number, 1 : len(node) + 1] = torch.tensor(list(node), device=device)
                self.children[number, 1 : len(node) + 1] = torch.tensor(list(node.values()), device=device)
                self.allowed[number, 1 : len(node) + 1] = True


def added(nodes: list[dict[int, int]], root: int, text: Sequence[int]) -> int:
    """Add a text to a trie, and give the node at which it ends."""
    node = root
    for token in text:
        if token not in nodes[node]:
            nodes[node][token] = len(nodes)
            nodes.append({})
        node = nodes[node][token]
    return node


class Listed:
    """Lets each prompt write one of its texts alone."""

    stale = False

    def __init__(self, tries: Tries) -> None:
        """Start at the roots."""
        self.tries, self.end = tries, 0
        device = tries.tokens.device
        self.owner = torch.arange(len(tries.roots), device=device)
        self.at = torch.tensor(tries.roots, device=device).unsqueeze(1)  # (P, W) int, the node of each branch

    def scores(self, logits: Tensor) -> Tensor:
        """Give the log-probabilities of what may follow each branch: (P, W, V) to (P, W, U)."""
        chosen = logits.gather(2, self.tries.tokens[self.at]) - logits.logsumexp(2, keepdim=True)
        return chosen.masked_fill(~self.tries.allowed[self.at], -torch.inf)

    def follow(self, parents: Tensor, columns: Tensor) -> Tensor:
        """Go down the tries."""
        at = self.at.gather(1, parents)
        self.at = self.tries.children[at, columns]
        return self.tries.tokens[at, columns]

    def note(self, question: int, branch: int, length: int) -> None:
        """Know nothing more."""

    def keep(self, questions: Tensor) -> Tensor:
        """Go on with some prompts alone."""
        self.at, self.owner = self.at[questions], self.owner[: len(questions)]
        return questions
