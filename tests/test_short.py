"""Cut passages short as the recipes of the QA models do."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "data" / "models" / "qa_short.py"
TEXTS = [
    f"第{number}号楼建于19{number}年。楼里住着{number}户人家；大家都认识！院子里有一棵老槐树。谁也不知道它有多老。"
    for number in range(10, 60)
]


def document() -> dict[str, Any]:
    data = []
    for number, text in enumerate(TEXTS, 10):
        answer = f"{number}户"
        right = {"text": answer, "answer_start": text.index(answer)}
        wrong = {"text": "老槐树", "answer_start": 0}
        qas = [
            {"id": f"{number}-0", "question": "住着几户人家", "answers": [right]},
            {"id": f"{number}-1", "question": "有什么树", "answers": [wrong]},
        ]
        data.append({"title": str(number), "paragraphs": [{"context": text, "qas": qas}]})
    return {"data": data}


def cut(path: Path, *options: str) -> list[str]:
    command = [sys.executable, str(SCRIPT), str(path), *options]
    return subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout.splitlines()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("short") / "squad.json"
    path.write_text(json.dumps(document()), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in cut(path)]


def test_the_same_file_gives_the_same_records_and_some_of_them_may_be_drawn(path: Path) -> None:
    every, drawn = cut(path), cut(path, "--rows", "20")
    assert cut(path) == every
    assert len(drawn) == 20
    assert not Counter(drawn) - Counter(every)
    assert drawn != every[:20]


def test_passages_are_cut_at_sentences_around_the_answer(records: list[dict[str, Any]]) -> None:
    asked = [one for one in records if one["question"] == "住着几户人家" and one["answers"]]
    assert len(asked) == len(TEXTS)
    for one in asked:
        whole = TEXTS[int(one["answers"][0].removesuffix("户")) - 10]
        assert one["answers"][0] in one["passage"]
        assert one["passage"] in whole
        start = whole.index(one["passage"])
        assert start == 0 or whole[start - 1] in "。！；"
        assert one["passage"][-1] in "。！；"
    lengths = {len(one["passage"]) for one in asked}
    assert len(lengths) > 3
    assert 0.3 < sum(one["passage"] in TEXTS for one in asked) / len(asked) < 0.7


def test_some_are_asked_of_other_sentences_too(records: list[dict[str, Any]]) -> None:
    empty = [one for one in records if not one["answers"]]
    assert 5 < len(empty) < 25
    assert all(any(one["passage"] in text for text in TEXTS) for one in empty)
    assert all(one["passage"] not in TEXTS for one in empty)


def test_where_an_answer_does_not_stand_where_it_should_the_passage_stays_whole(records: list[dict[str, Any]]) -> None:
    wrong = [one for one in records if one["question"] == "有什么树"]
    assert sorted(one["passage"] for one in wrong) == sorted(TEXTS)
