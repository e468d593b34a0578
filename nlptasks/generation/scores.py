"""What texts are like: how varied among themselves, and how like their references; all of it by characters.

Sources: distinct-n, Li et al. 2016, arXiv 1510.03055; self-BLEU, Zhu et al. 2018, arXiv 1802.01886; ROUGE-L, Lin 2004.
"""

from __future__ import annotations

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

#: Texts that are compared with one another for self-BLEU, and the longest run of characters that is looked at.
COMPARED, ORDER = 500, 4

logger = logging.getLogger(__name__)


def variety(texts: Sequence[str]) -> dict[str, float]:
    """Measure how varied texts are: the share of distinct runs of 1 and 2 characters, and self-BLEU, low if varied."""
    letters = ["".join(text.split()) for text in texts]
    scores = {f"distinct_{size}": distinct(letters, size) for size in (1, 2)}
    return scores | {"self_bleu": self_bleu(letters[:COMPARED])}


def distinct(texts: Iterable[str], size: int) -> float:
    """Give the number of different runs of so many characters, by the number of all."""
    counts = Counter(run for text in texts for run in runs(text, size))
    return len(counts) / counts.total() if counts else 0.0


def self_bleu(texts: Sequence[str]) -> float:
    """Average the BLEU-4 of each text with all others as its references; nan for fewer than two texts."""
    if len(texts) < 2:
        return math.nan
    counts = [[Counter(runs(text, size)) for text in texts] for size in range(1, ORDER + 1)]
    most = [two_largest(of_size) for of_size in counts]
    lengths = sorted(map(len, texts))
    found = []
    for place, text in enumerate(texts):
        logs = 0.0
        for of_size, largest in zip(counts, most, strict=True):
            own = of_size[place]
            clipped = sum(min(count, beside(largest[run], count)) for run, count in own.items())
            logs += math.log(clipped / own.total()) if clipped else -math.inf
        found.append(math.exp(logs / ORDER) * brevity(len(text), lengths))
    return sum(found) / len(found)


def runs(text: str, size: int) -> Iterable[str]:
    """Give every run of so many characters."""
    return (text[place : place + size] for place in range(len(text) - size + 1))


def two_largest(counts: Iterable[Counter[str]]) -> dict[str, tuple[int, int]]:
    """Give for each run the largest and the second largest of its counts in several texts."""
    found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for one in counts:
        for run, count in one.items():
            first, second = found[run]
            found[run] = (count, first) if count > first else (first, max(second, count))
    return found


def beside(largest: tuple[int, int], own: int) -> int:
    """Give the largest count in the other texts."""
    return largest[1] if own == largest[0] else largest[0]


def brevity(length: int, lengths: Sequence[int]) -> float:
    """Compute BLEU's penalty for a text that is shorter than the other text nearest to it in length.

    Args:
        length: of the text.
        lengths: of all texts, the text's own among them once.
    """
    others = list(lengths)
    others.remove(length)
    nearest = min(others, key=lambda other: (abs(other - length), other))
    return 1.0 if length >= nearest else math.exp(1 - nearest / length) if length else 0.0


def likeness(texts: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Measure how like its reference each text is, from 0 to 1: ROUGE-L's F1, and by sacrebleu BLEU and chrF."""
    pairs = list(zip(texts, references, strict=True))
    scores = {"rouge_l": sum(rouge_l(*pair) for pair in pairs) / len(pairs)}
    try:
        from sacrebleu import BLEU, CHRF
    except ImportError:
        logger.info("no bleu and no chrf: pip install 'nlpk[scores]'")
        return scores
    found = {"bleu": BLEU(tokenize="zh"), "chrf": CHRF()}
    others = {name: one.corpus_score(list(texts), [list(references)]).score / 100 for name, one in found.items()}
    return others | scores


def rouge_l(text: str, reference: str) -> float:
    """Compute the F1 of the longest common subsequence of characters, blanks and case aside."""
    left, right = ("".join(one.lower().split()) for one in (text, reference))
    total = len(left) + len(right)
    return 2 * common(left, right) / total if total else 1.0


def common(left: str, right: str) -> int:
    """Count the characters of the longest common subsequence (Hyyrö 2004, bits of an integer as a row of the table)."""
    places: dict[str, int] = defaultdict(int)
    for place, letter in enumerate(left):
        places[letter] |= 1 << place
    full = (1 << len(left)) - 1
    row = full
    for letter in right:
        held = row & places[letter]
        row = ((row + held) | (row - held)) & full
    return len(left) - row.bit_count()
