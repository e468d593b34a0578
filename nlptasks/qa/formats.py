"""The forms in which collections write questions: WebQA and SogouQA, SQuAD and its kin, JSON lines.

A record goes through `arranged`, whatever it comes from, before it is parsed into a row.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

#: What stands where a passage has no answer.
NO_ANSWER = ("", "no_answer")
#: Names of the text in an object that stands for a passage.
TEXTS = ("passage", "context", "text", "passage_text")


def parts(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give the questions of an item of a JSON document: of a SQuAD article or paragraph each; else the item is one.

    A question keeps its keys; the title of its article and its `passage` come in.
    """
    if isinstance(item.get("paragraphs"), list):
        about = {key: item[key] for key in ("title",) if key in item}
        found = [parts(one) for one in item["paragraphs"] if isinstance(one, Mapping)]
        return [{**about, **question} for questions in found for question in questions]
    if isinstance(item.get("qas"), list):
        passage = {"passage": item["context"]} if "context" in item else {}
        return [{**one, **passage} for one in item["qas"] if isinstance(one, Mapping)]
    return [dict(item)]


def arranged(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Put passages and answers into lists of texts; what cannot be, stays for the parser to complain of.

    Passages may be objects with an answer each, answers may be one text or SQuAD's objects, and `is_impossible` means
    that there is none.
    """
    known = dict(fields)
    passages = unwritten(known.get("passages"))
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


def starts_of(answers: object) -> dict[str, int]:
    """Give where in the passage the answers start, as far as SQuAD's objects say so."""
    if isinstance(answers, Mapping):
        texts, starts = answers.get("text"), answers.get("answer_start")
        if not (isinstance(texts, list) and isinstance(starts, list)):
            return {}
        answers = [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=False)]
    if not isinstance(answers, list):
        return {}
    told = [one for one in answers if isinstance(one, Mapping) and type(one.get("answer_start")) is int]
    return {str(one["text"]): one["answer_start"] for one in reversed(told) if "text" in one}


def unwritten(value: object) -> object:
    """Read a list or object that stands as JSON in a cell of a table."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    return value
