"""The forms in which collections write questions: WebQA and SogouQA, SQuAD and its kin, JSON lines.

A record goes through `arranged`, whatever it comes from, before it is parsed into a row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from nlptasks.errors import RecordError
from nlptasks.qa import spans

#: What stands where a passage has no answer.
NO_ANSWER = ("", "no_answer")
#: Names of the text in an object that stands for a passage.
TEXTS = ("passage", "context", "text", "passage_text")
#: Names of the passage in a paragraph: SQuAD's, and that of CMRC 2018's own files.
CONTEXTS = ("context", "context_text")
#: Names that other collections give to the fields of a row.
ALIASES = {
    **dict.fromkeys(("query", "query_text"), "question"),
    **dict.fromkeys(("context", "context_text"), "passage"),
    "answer": "answers",
    "query_id": "id",
}
#: Fields of what is no question but holds some: what it is, and what is to be done with it.
WHOLE = {
    "data": ("document", "give it a file of its own"),
    **dict.fromkeys(("paragraphs", "qas"), ("article", "put articles into one document: jq -s '{data: .}' FILE")),
}
#: What a question's own keys here and in the other formats are; all others are handed on as they came.
KNOWN = ("id", "question", "passage", "passages", "answers", "starts", "is_impossible")
#: What stands before and behind the items of a format that is one document.
FRAMES = {"webqa": ("[\n", "\n]\n"), "squad": ('{"version": "2.0", "data": [\n', "\n]}\n")}


def parts(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the questions of an item of a JSON document: of a SQuAD article or paragraph each; else the item is one.

    A question keeps its keys; the title of its article and its `passage` come in. What is no object where one should
    be stays as a record without fields, to be complained of.
    """
    about = {"title": item["title"]} if item.get("title") else {}
    if isinstance(item.get("paragraphs"), list):
        return [{**about, **question} for one in item["paragraphs"] for question in parts(objects(one))]
    if isinstance(item.get("qas"), list):
        about |= next(({"passage": item[name]} for name in CONTEXTS if name in item), {})
        return [{**about, **objects(one)} for one in item["qas"]]
    return [dict(item)]


def objects(value: object) -> Mapping[str, Any]:
    """Take an object for what it is, and anything else for an empty one."""
    return value if isinstance(value, Mapping) else {}


def named(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Call a record's fields by their names here."""
    return {ALIASES.get(name, name): value for name, value in fields.items()}


def arranged(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Put passages and answers into lists of texts; what cannot be, stays for the parser to complain of.

    Passages may be one text, or objects with an answer each, answers may be one text or SQuAD's objects, and
    `is_impossible` means that there is none.

    Raises:
        RecordError: it is a whole article or document.
    """
    for name, (found, remedy) in WHOLE.items():
        if name in fields and "question" not in fields:
            raise RecordError(f"found a SQuAD {found} (field {name!r}), expected a question; {remedy}")
    known = dict(fields)
    passages, own = unwritten(known.get("passages")), known.get("passage")
    if isinstance(passages, str):
        passages = [passages]
    if isinstance(own, list) and (passages is None or isinstance(passages, list)):  # several under the name of one
        passages = [*own, *(passages or [])]
        del known["passage"]
    if isinstance(passages, list):
        known["passages"] = [text_of(one) for one in passages]
        if known.get("answers") is None and any(isinstance(one, Mapping) and "answer" in one for one in passages):
            known["answers"] = [one["answer"] for one in passages if isinstance(one, Mapping) and "answer" in one]
    if known.get("is_impossible") is True:
        known["answers"] = []
    if known.get("answers") is not None:
        known["answers"] = texts_of(known["answers"])
    return known


def text_of(passage: object) -> object:
    """Take the text of a passage out of its object."""
    if not isinstance(passage, Mapping):
        return passage
    return next((passage[name] for name in TEXTS if name in passage), passage)


def texts_of(answers: object) -> object:
    """Give the answers as distinct texts; those that say that there is none are left out."""
    answers = unwritten(answers)
    if isinstance(answers, Mapping) and "text" in answers:  # as the hub's data sets have them, a list for each key
        answers = answers["text"]
    if isinstance(answers, str):
        answers = [answers]
    if not isinstance(answers, list):
        return answers
    texts = [one["text"] if isinstance(one, Mapping) and "text" in one else one for one in answers]
    distinct: list[Any] = []
    for text in texts:
        blank = text is None or (isinstance(text, str) and text.strip() in NO_ANSWER)
        if not blank and text not in distinct:
            distinct.append(text)
    return distinct


def starts_of(fields: Mapping[str, Any]) -> dict[str, int]:
    """Give where in their passage the answers start, as far as SQuAD's objects or a list `starts` say so."""
    answers: Any = unwritten(fields.get("answers"))
    starts: Any = fields.get("starts")
    if isinstance(answers, Mapping):
        answers, starts = answers.get("text"), answers.get("answer_start")
    if not isinstance(answers, list):
        return {}
    told = [(one.get("text"), one.get("answer_start")) for one in answers if isinstance(one, Mapping)]
    if not told and isinstance(starts, list):
        told = list(zip(answers, starts, strict=False))
    return {text: start for text, start in reversed(told) if isinstance(text, str) and type(start) is int}


def unwritten(value: object) -> object:
    """Read a list or object that stands as JSON in a cell of a table."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    return value


@dataclass(frozen=True)
class Question:
    """A question as all formats can write it; answers are none where they are not known.

    Attributes:
        question: its text.
        texts: its passages.
        answers: what counts as right; none where that is not known.
        id: its name, where it has one.
        starts: where answers start in their passage, where that is known.
        others: further keys of the record.
    """

    question: str
    texts: Sequence[str]
    answers: Sequence[str] | None
    id: str | None
    starts: Mapping[str, int]
    others: Mapping[str, Any]

    def as_line(self) -> dict[str, Any]:
        """Write a line of its own: one passage or a list of them, and the answers as texts."""
        texts = {"passage": self.texts[0]} if len(self.texts) == 1 else {"passages": list(self.texts)}
        return {**self.head(), **texts, **self.references(), **self.others}

    def as_webqa(self) -> dict[str, Any]:
        """Write an item of WebQA or SogouQA, each passage with the first answer that it holds.

        Where that does not say all that is known of the answers, they follow in a list.
        """
        passages: list[dict[str, Any]] = [{"passage": text} for text in self.texts]
        if self.answers is not None:
            passages = [{**one, "answer": spans.held(self.answers, one["passage"]) or ""} for one in passages]
        said = texts_of([one["answer"] for one in passages if "answer" in one])
        more = self.references() if self.starts or said != list(self.answers or ()) else {}
        return {"id": self.name(), "question": self.question, "passages": passages, **more, **self.others}

    def as_squad(self) -> dict[str, Any]:
        """Write an article, each passage as a paragraph that is asked the question; of several each has its own id.

        Raises:
            RecordError: the answers are known, but no passage writes one of them in one piece.
        """
        found = [list(spans.standing(self.answers or (), text, self.starts)) for text in self.texts]
        if self.answers and not any(found):
            found_none = f"no passage holds the answer {self.answers[0][:40]!r} in one piece"
            raise RecordError(f"{found_none}, and SQuAD has places for answers; mend it, or use --to webqa")
        others = {name: value for name, value in self.others.items() if name != "title"}
        paragraphs = []
        for number, (text, spots) in enumerate(zip(self.texts, found, strict=True)):
            name = self.name() if len(self.texts) == 1 else f"{self.name()}_{number}"
            asked: dict[str, Any] = {"id": name, "question": self.question, **others}
            if self.answers is not None:
                asked["answers"] = [{"text": answer, "answer_start": start} for answer, start in spots]
                asked["is_impossible"] = not spots
            paragraphs.append({"context": text, "qas": [asked]})
        return {"title": self.others.get("title", ""), "paragraphs": paragraphs}

    def head(self) -> dict[str, Any]:
        """Write what a question is called, if it is, and what it asks."""
        return {**({} if self.id is None else {"id": self.id}), "question": self.question}

    def name(self) -> str:
        """Give its id; one that has none is named by what it says, always the same."""
        return self.id or sha256("\n".join([self.question, *self.texts]).encode()).hexdigest()[:16]

    def references(self) -> dict[str, Any]:
        """Write the answers, if they are known, and where they start, if that is."""
        if self.answers is None:
            return {}
        starts = {"starts": [self.starts.get(answer) for answer in self.answers]} if self.starts else {}
        return {"answers": list(self.answers), **starts}
