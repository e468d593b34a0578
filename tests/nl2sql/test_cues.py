"""Words that tell operators, aggregates and orders."""

import pytest

from nlptasks.nl2sql import cues
from nlptasks.nl2sql.encoding import Encoder
from nlptasks.nl2sql.features import COLUMN_OWN, PAIR_OWN
from nlptasks.nl2sql.tables import Table


@pytest.mark.parametrize(
    ("question", "operator"),
    [
        ("面积超过<100>的", ">"),
        ("数学<不及格>的", "<"),
        ("数学<及格>的", ">="),
        ("增长率是<负的>", "<"),
        ("面积不超过<100>的", "<="),
        ("比<100>高的", ">"),
        ("比<100>还便宜的", "<"),
        ("<100>及以上的", ">="),
        ("<2020年>以来", ">="),
        ("床位数比<200>张高的", ">"),
        ("<2018年>到2020年入职", ">="),
        ("2018年到<2020年>入职", "<="),
        ("面积<80>平到120平的", ">="),
        ("面积80平到<120>平的", "<="),
        ("藏品有<20万>件以上的", ">="),
        ("造价不超出<100>的", "<="),
        ("截至<2020年>", "<="),
        ("<2020年>之后", ">"),
        ("上映晚于<2020年>的", ">"),
        ("最多<100>元", "<="),
        ("除了<朝南>以外的", "!="),
        ("名称里有<恒大>两个字的", "like"),
        ("没到<三十亿>的", "<"),
    ],
)
def test_words_around_a_value_tell_its_operator(question: str, operator: str) -> None:
    start, end = question.index("<"), question.index(">") - 1
    assert cues.operators(question.replace("<", "").replace(">", ""), start, end) == {operator}


def test_a_value_alone_tells_none() -> None:
    assert cues.operators("面积是100的", 3, 6) == set()


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("每个省的平均人口", {"AVG", "group"}),
        ("总价最便宜的", {"MIN", "SUM"}),
        ("最便捷的线路是哪条", {"which"}),
        ("哪家最宜居", {"which"}),
        ("从便宜到贵排列", {"up"}),
        ("面积最大的是谁", {"MAX", "which"}),
        ("按省份统计有多少座", {"COUNT", "group", "how much"}),
        ("面积排名前3的", {"top"}),
        ("倒数两名", {"last"}),
        ("按面积从大到小列出", {"down"}),
        ("按面积升序", {"up"}),
        ("出现过的区域", {"distinct"}),
        ("翠湖花园的完整记录", {"all"}),
        ("朝南或者朝东的有谁", {"or", "which"}),
        ("面积100平以上或更大的", set()),
        ("既朝南又向阳的", {"and"}),
    ],
)
def test_words_of_a_question_tell_aggregates_and_orders(question: str, told: set[str]) -> None:
    assert {name for name, found in zip(cues.WHOLE_CUES, cues.whole(question), strict=True) if found} == told


def test_they_are_left_out_where_asked(companies: Table, encoder: Encoder) -> None:
    without = Encoder(encoder.text, limit=256, question_limit=128, types=True, matching=True, cues=False)
    for reader, has in ((encoder, True), (without, False)):
        example = reader.read("平均收入超过300亿的", companies)
        assert example.column_features[:, COLUMN_OWN:].any() == has
        assert example.pair_features[:, :, PAIR_OWN:].any() == has
