"""Sentences with a tag for each character or word, one a line, a blank line between them: BIO and its kin."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nlptasks.files.lines import Line
from nlptasks.files.record import Record

#: A token and its tag: a tab, else blanks, stand between; columns between them are passed over.
TAGGED = re.compile(r"(?P<token>[^\t]*)\t(?:.*\t)?(?P<tag>\S+)\s*|(?P<word>\S+) +(?:.* )?(?P<mark>\S+)\s*")
TAG = re.compile(r"O|[BIEMSLU]-\S+")


def is_tagged(line: str) -> bool:
    """Tell whether a line is a token with a tag, and cannot well be a sentence: it has a tab, or just two columns."""
    found = TAGGED.fullmatch(line)
    if "\t" not in line and len(line.split()) != 2:
        return False
    return found is not None and TAG.fullmatch(found["tag"] or found["mark"]) is not None


def tagged(lines: Iterator[Line], source: str) -> Iterator[Record]:
    """Read sentences as records with `tokens` and `tags`; one with a line that is not both is a record with a problem.

    A token that is a tab or nothing is read as a space.
    """
    sentence = Sentence(source)
    for number, text, problem in lines:
        if problem is None and not text.strip(" \r") and "\t" not in text:
            yield from sentence.end()
            continue
        sentence.add(number, text, problem)
    yield from sentence.end()


class Sentence:
    """The lines of a sentence, as far as they have come."""

    def __init__(self, source: str) -> None:
        """Start with none."""
        self.source = source
        self.forget()

    def forget(self) -> None:
        """Start a new sentence."""
        self.first, self.problem = 0, None  # type: int, tuple[int, str] | None
        self.tokens: list[str] = []
        self.tags: list[str] = []

    def add(self, number: int, text: str, problem: str | None) -> None:
        """Take in a line; the first problem is kept."""
        self.first = self.first or number
        found = TAGGED.fullmatch(text)
        tag = (found["tag"] or found["mark"]) if found else ""
        if problem is None and not TAG.fullmatch(tag):
            shown = text if len(text) < 40 else text[:40] + "…"
            problem = f"found {shown!r}, expected a token, a tab, and a tag: O, or B-TYPE, I-TYPE (also E-, M-, S-)"
        if problem is not None:
            self.problem = self.problem or (number, problem)
            return
        token = (found["token"] if found and found["tag"] else found["word"] if found else "") or " "
        self.tokens.append(token)
        self.tags.append(tag)

    def end(self) -> Iterator[Record]:
        """Give the record of the sentence, if there is one."""
        if self.first:
            fields = {"tokens": self.tokens, "tags": self.tags}
            if self.problem:
                yield Record(self.source, self.problem[0], {}, self.problem[1])
            else:
                yield Record(self.source, self.first, fields)
        self.forget()
