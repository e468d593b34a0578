"""Cut passages short around their answers, so that QA reads notices as well: `python data/models/qa_short.py FILE`.

    python data/models/qa_short.py cmrc2018_train.json > short.jsonl

Passages of the public data are paragraphs of encyclopaedias, of hundreds of characters; what people ask of is often a
sentence or two. Of a bit more than half of the questions the passage is cut to the sentences of the answer, and up to
two before and behind. Beside four in ten of those stands the same question without an answer, asked of other sentences
of the passage or of another passage. FILE is a SQuAD document.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nlptasks.qa.formats import parts

SENTENCE = re.compile("[^。！？；]*[。！？；]?")
#: Share of the passages that stay whole, and of the others that are asked of without an answer, too.
WHOLE, EMPTY = 0.45, 0.4
#: Sentences beside those of the answer, and behind the first of another passage.
BESIDE, BEHIND = [0, 0, 0, 1, 2], [0, 1, 2]


def sentences(text: str) -> list[tuple[int, int]]:
    """Give the places of the sentences of a text."""
    return [match.span() for match in SENTENCE.finditer(text) if match[0].strip()]


def bounds(spans: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int] | None:
    """Give the first and the last sentence that an answer has a part in, if there are such."""
    first = next((number for number, (low, high) in enumerate(spans) if low <= start < high), None)
    last = next((number for number, (low, high) in enumerate(spans) if low < end <= high), None)
    return None if first is None or last is None else (first, last)


def records(asked: Sequence[dict[str, Any]], seed: int) -> Iterator[dict[str, Any]]:
    """Make records of questions, each with a `passage` and `answers` of SQuAD's form."""
    drawn, passages = random.Random(seed), [one["passage"] for one in asked]
    for one in asked:
        question, passage = one["question"], one["passage"]
        answer, start = one["answers"][0]["text"], one["answers"][0]["answer_start"]
        spans = sentences(passage)
        whole = {"question": question, "passage": passage, "answers": [answer]}
        stands = passage[start : start + len(answer)] == answer and drawn.random() >= WHOLE
        found = bounds(spans, start, start + len(answer)) if stands else None
        if found is None:
            yield whole
            continue
        low = max(0, found[0] - drawn.choice(BESIDE))
        high = min(len(spans) - 1, found[1] + drawn.choice(BESIDE))
        yield {**whole, "passage": passage[spans[low][0] : spans[high][1]]}
        if drawn.random() < EMPTY:
            other = elsewhere(passage, spans, found, passages, drawn)
            if other.strip() and answer not in other:
                yield {"question": question, "passage": other, "answers": []}


def elsewhere(
    passage: str,
    spans: Sequence[tuple[int, int]],
    found: tuple[int, int],
    passages: Sequence[str],
    drawn: random.Random,
) -> str:
    """Draw sentences of another passage, or one beside those of the answer; nothing where there is none."""
    if drawn.random() < 0.5:
        other = drawn.choice(passages)
        cut = sentences(other)
        first = drawn.randrange(len(cut))
        return other[cut[first][0] : cut[min(first + drawn.choice(BEHIND), len(cut) - 1)][1]]
    beside = [span for number, span in enumerate(spans) if not found[0] <= number <= found[1]]
    return passage[slice(*drawn.choice(beside))] if beside else ""


def main() -> None:
    """Write the records in random order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--rows", type=int, help="draw so many of the records")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    document = json.loads(chosen.file.read_text(encoding="utf-8"))
    made = list(records([one for item in document["data"] for one in parts(item)], chosen.seed))
    random.Random(chosen.seed).shuffle(made)
    if chosen.rows is not None:  # a draw of its own: the model in the package learnt from this one
        random.Random(chosen.seed).shuffle(made)
    for record in made[: chosen.rows]:
        sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
