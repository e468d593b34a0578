"""How good answers are: CMRC 2018's exact match and F1, Sogou's accuracy and F1, and the F1 of saying "no answer".

An answer is a text, "" where the passages hold none; a reference is a list of texts, empty where they hold none. Of
several texts in a reference the best counts. None of the official scripts knows questions without an answer: such a
question scores 1 where the answer is "", and 0 otherwise.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

from nlptasks.backbone.width import NARROW
from nlptasks.training.metrics import auroc

#: What CMRC 2018's evaluation takes for punctuation.
MARKS = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
#: What stands for itself in CMRC 2018's F1; the text between such characters is split into words.
HAN = re.compile("[\u4e00-\u9fa5]")
#: The F1 from which an answer counts as right.
RIGHT = 0.5
WORD = re.compile(r"\w+(?:(?:\.\w|,\d)\w*)*|\S")


def scored(
    answers: Sequence[str], references: Sequence[Sequence[str]], confidences: Sequence[float] | None = None
) -> dict[str, float]:
    """Score answers, each between 0 and 1; `no_answer_f1` is left out where every question has an answer.

    Args:
        answers: one for each question.
        references: what is right.
        confidences: how sure each answer is, for `score_auroc`, which needs right answers and wrong ones.

    Raises:
        ValueError: not one answer for each reference, or none at all.
    """
    pairs = list(zip(answers, references, strict=True))
    if not pairs:
        raise ValueError("no answers to score")
    measures = {"exact_match": exact_match, "f1": f1, "sogou_accuracy": sogou_accuracy, "sogou_f1": sogou_f1}
    scores = {name: sum(measure(*pair) for pair in pairs) / len(pairs) for name, measure in measures.items()}
    scores["sogou_final"] = (scores["sogou_accuracy"] + scores["sogou_f1"]) / 2
    if not all(references):
        scores["no_answer_f1"] = no_answer_f1(answers, references)
    if confidences and not math.isnan(told := score_auroc(answers, references, confidences)):
        scores["score_auroc"] = told
    return scores


def exact_match(answer: str, reference: Sequence[str]) -> float:
    """Compare without case and punctuation (CMRC 2018's evaluation)."""
    return best(answer, reference, lambda one: float(bare(answer) == bare(one)))


def f1(answer: str, reference: Sequence[str]) -> float:
    """Measure the longest run of characters or words in common (CMRC 2018's evaluation)."""
    found = segments(answer)

    def of(one: str) -> float:
        right = segments(one)
        return harmonic(longest_run(found, right), len(found), len(right))

    return best(answer, reference, of)


def sogou_accuracy(answer: str, reference: Sequence[str]) -> float:
    """Compare without case, width, blanks and punctuation; the parts of an answer may stand in any order."""
    whole, parts = joined(answer), set(spaced(answer).split())
    return best(answer, reference, lambda one: float(whole == joined(one) or parts == set(spaced(one).split())))


def sogou_f1(answer: str, reference: Sequence[str]) -> float:
    """Measure the characters in common, wherever they stand."""
    found = Counter(joined(answer))

    def of(one: str) -> float:
        right = Counter(joined(one))
        return harmonic((found & right).total(), found.total(), right.total())

    return best(answer, reference, of)


def no_answer_f1(answers: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Compute the F1 of finding the questions that have no answer."""
    pairs = [(not answer.strip(), not reference) for answer, reference in zip(answers, references, strict=True)]
    said, true, both = (sum(one) for one in zip(*((a, b, a and b) for a, b in pairs), strict=True))
    return harmonic(both, said, true)


def score_auroc(answers: Sequence[str], references: Sequence[Sequence[str]], confidences: Sequence[float]) -> float:
    """Give the share of pairs of a right answer and a wrong one in which the right one is the surer one.

    An answer is right from an F1 of 0.5 on; saying that there is none is no answer.
    """
    found: tuple[list[float], list[float]] = ([], [])
    for answer, reference, confidence in zip(answers, references, confidences, strict=True):
        if answer.strip():
            found[f1(answer, reference) < RIGHT].append(confidence)
    return auroc(*found)


def best(answer: str, reference: Sequence[str], measure: Callable[[str], float]) -> float:
    """Take the best over the texts of a reference; where one side is empty, both have to be."""
    if not answer.strip() or not reference:
        return float(not answer.strip() and not reference)
    return max(measure(one) for one in reference)


def harmonic(common: int, found: int, right: int) -> float:
    """Compute F1 of counts."""
    return 2 * common / (found + right) if common else 0.0


def bare(text: str) -> str:
    """Take away what CMRC 2018's exact match does not compare."""
    return "".join(letter for letter in text.lower().strip() if letter not in MARKS)


def segments(text: str) -> list[str]:
    """Cut a text into Chinese characters and the words between them, without punctuation, as CMRC 2018's F1 does.

    The official script splits words by NLTK's tokenizer, which differs in rare cases, such as English contractions.
    """
    spread = "".join(f" {letter} " if HAN.match(letter) else letter for letter in bare(text))
    return WORD.findall(spread)


def longest_run(left: Sequence[str], right: Sequence[str]) -> int:
    """Count the segments of the longest run that stands in both."""
    longest, above = 0, [0] * (len(right) + 1)
    for one in left:
        row = [0] * (len(right) + 1)
        for at, other in enumerate(right):
            if one == other:
                row[at + 1] = above[at] + 1
        longest, above = max(longest, *row), row
    return longest


def spaced(text: str) -> str:
    """Narrow a text, put it in lower case, and put a space for each mark of punctuation."""
    narrow = text.translate(NARROW).lower()
    return "".join(" " if unicodedata.category(letter)[0] == "P" or letter in MARKS else letter for letter in narrow)


def joined(text: str) -> str:
    """Narrow a text, put it in lower case, and take blanks and punctuation away."""
    return "".join(spaced(text).split())
