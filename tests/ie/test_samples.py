from __future__ import annotations

import importlib.util
import json
from pathlib import Path

from nlptasks import files
from nlptasks.ie import knowledge
from nlptasks.ie.labels import read_schema

FOLDER = Path(__file__).resolve().parents[2] / "data" / "ie"


def test_the_files_are_what_their_script_makes() -> None:
    spec = importlib.util.spec_from_file_location("ie_make", FOLDER / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, content in module.build(FOLDER / "source").items():
        assert (FOLDER / name).read_text(encoding="utf-8") == content, name


def test_training_and_dev_share_no_text_and_say_what_the_schema_has() -> None:
    train, dev = (
        [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]
        for name in ("train.jsonl", "dev.jsonl")
    )
    assert not {row["text"] for row in train} & {row["text"] for row in dev}
    schema = read_schema(str(FOLDER / "schema.jsonl"))
    assert len(schema) == 10
    for row in (*train, *dev):
        assert {one["predicate"] for one in row["triples"]} <= schema.keys()
        for one in row["entities"]:
            assert row["text"][one["start"] : one["end"]] == one["text"]
    names = [{one["text"] for row in rows for one in row["entities"]} for rows in (train, dev)]
    assert names[1] - names[0]


def test_the_other_files_can_be_read() -> None:
    assert knowledge.read(str(FOLDER / "knowledge.tsv")).counts
    found = list(files.read_records(FOLDER / "entities.txt", names=("text", "tags")))
    assert len(found) > 400
    assert not [one for one in found if one.problem]
