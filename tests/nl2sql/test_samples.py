"""The samples: what their generator makes, and enough of everything to be a test of a model."""

from __future__ import annotations

import importlib
import json
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from nlptasks.nl2sql.library import Library
from nlptasks.nl2sql.query import AGGREGATES, ALL_OPERATORS, CONNECTIVES, Condition, Query
from nlptasks.nl2sql.row import reference

FOLDER = Path(__file__).resolve().parents[2] / "data" / "nl2sql"
Question = tuple[str, str, Query | None]


def asked(split: str) -> list[Question]:
    """Read the questions of a split: the question, its table, and the right query."""
    library, found = Library.of(), []
    for line in (FOLDER / f"{split}.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        text = row["sql"] if isinstance(row["sql"], str) else json.dumps(row["sql"])
        table = library.table(row["table_id"], None)
        found.append((row["question"], row["table_id"], reference(text, table.names)))
    return found


def is_converted(question: str, one: Condition) -> bool:
    """Tell whether a value stands in other words in its question; yes and no are no conversions."""
    return one.value not in ("是", "否", "有", "无") and one.value.strip("%") not in question


@pytest.fixture(scope="module")
def dev() -> list[Question]:
    return asked("dev")


def test_the_samples_are_what_their_generator_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "make", raising=False)
    made = importlib.import_module("make").build(FOLDER / "source")
    assert set(made) == {"train.jsonl", "dev.jsonl", "tables.jsonl"}
    for name, content in made.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == content, name


def test_training_and_dev_share_no_table_no_question_and_no_phrase(dev: list[Question]) -> None:
    train = asked("train")
    assert not {table for _, table, _ in train} & {table for _, table, _ in dev}
    assert not {question for question, _, _ in train} & {question for question, _, _ in dev}
    phrases = tomllib.loads((FOLDER / "source" / "phrases.toml").read_text(encoding="utf-8"))
    shared = {
        (name, phrase) for name, told in phrases["train"].items() for phrase in told if phrase in phrases["dev"][name]
    }
    assert {name for name, _ in shared} <= {"named", "yes"}  # a bare value or column has no other words


def test_dev_has_enough_of_everything(dev: list[Question]) -> None:
    queries = [query for _, _, query in dev if query is not None]
    conditions = [one for query in queries for one in query.conditions]
    assert len(dev) >= 1000
    assert len(dev) - len(queries) >= 100
    assert sum(is_converted(question, one) for question, _, query in dev if query for one in query.conditions) >= 300
    aggregates = Counter(aggregate for query in queries for aggregate, _ in query.select)
    operators = Counter(one.operator for one in conditions)
    connectives = Counter(query.connective for query in queries)
    for found, names in ((aggregates, AGGREGATES), (operators, ALL_OPERATORS), (connectives, CONNECTIVES)):
        assert {name: found[name] for name in names if found[name] < 25} == {}
    for part in ("group", "order", "limit", "distinct"):
        assert sum(bool(getattr(query, part)) for query in queries) >= 25
