"""Write the questions that the model in the package learns beside the samples."""

import json
import subprocess
import sys
from pathlib import Path

from nlptasks import form
from nlptasks.training.data import Source, load
from nlptasks.training.recipes import to_learn

SCRIPT = Path(__file__).parents[2] / "data" / "models" / "nl2sql_questions.py"


def test_every_question_can_be_learnt_and_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("first", "second"):
        subprocess.run([sys.executable, str(SCRIPT), str(tmp_path / name), "--each", "40"], check=True)
    first, second = (
        [(tmp_path / name / f"{part}.jsonl").read_bytes() for part in ("questions", "tables")]
        for name in ("first", "second")
    )
    assert first == second
    asked = [json.loads(line) for line in first[0].splitlines()]
    tables = [json.loads(line)["id"] for line in first[1].splitlines()]
    assert {one["table_id"] for one in asked} == set(tables)
    assert len({(one["table_id"], one["question"]) for one in asked}) == len(asked) > 20 * len(tables)
    texts = [str(one["sql"]) for one in asked]
    for part in ("GROUP BY", "ORDER BY", ">=", " LIMIT 1"):
        assert any(part in text for text in texts)
    assert any(not one["sql"] for one in asked)
    loaded = load(Source(str(tmp_path / "first" / "questions.jsonl")), to_learn(form("nl2sql"), "slots"))
    assert len(loaded.rows) == len(asked)
