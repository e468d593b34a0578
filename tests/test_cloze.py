"""Cut questions out of a text as the recipe of the QA models does."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "data" / "models" / "qa_cloze.py"
KEPT = (
    "雾江大学是一所位于江南省雾江市的综合性大学，创办于1921年，首任校长为林知远。"
    "学校现有四个校区，占地面积为320公顷，在校学生23000人，图书馆又称白鹭楼，藏书包括古籍、地图、手稿和善本。"
    "由于江水上涨，旧校舍于1954年7月3日拆除，新校舍建在北山下，面积扩大了35%。"
)
LEFT_OUT = KEPT.replace("雾江", "青河").replace("1921", "1931")


def test_questions_are_cut_out_of_paragraphs_that_are_not_reserved(tmp_path: Path) -> None:
    corpus, reserved = tmp_path / "corpus.txt", tmp_path / "trial.json"
    corpus.write_text(f"{KEPT}\n\n{LEFT_OUT}\n\n太短。\n", encoding="utf-8")
    reserved.write_text("。" + LEFT_OUT.split("。")[0] + "。", encoding="utf-8")
    command = [sys.executable, str(SCRIPT), str(corpus), "--without", str(reserved)]
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(records) == 3
    for one in records:
        assert one["passage"] in (KEPT, *(KEPT.replace(part + "。", "") for part in KEPT.split("。")))
        for answer, start in zip(one["answers"], one.get("starts", []), strict=True):
            assert one["passage"][start : start + len(answer)] == answer
            assert answer not in one["question"]
        assert any(word in one["question"] for word in ("哪", "什么", "谁", "多少", "几", "何时", "百分之几"))
