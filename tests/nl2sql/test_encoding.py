"""Questions and tables as tokens, features and lessons."""

import numpy as np
import pytest

from nlptasks.nl2sql import parsing
from nlptasks.nl2sql.encoding import Encoder
from nlptasks.nl2sql.features import COLUMN_FEATURES, PAIR_FEATURES, place_of
from nlptasks.nl2sql.inputs import put_together
from nlptasks.nl2sql.lessons import NOT_SELECTED, lesson, taught
from nlptasks.nl2sql.query import ALL_OPERATORS, Condition, Order, Query
from nlptasks.nl2sql.tables import Table, of_rows


def test_every_column_is_read_with_its_mark(companies: Table, encoder: Encoder) -> None:
    example = encoder.read("恒大集团的收入是多少", companies)
    (block,) = example.blocks
    assert block.columns == [0, 1, 2, 3, 4, 5]
    marks = [block.ids[mark] for mark in block.marks]
    assert marks == [encoder.marks[kind] for kind in ("text", "text", "real", "date", "real", "all")]
    assert example.column_features.shape == (6, COLUMN_FEATURES)
    assert example.pair_features.shape == (len(example.candidates), 6, PAIR_FEATURES)
    text = encoder.text.decode(block.ids)
    assert "中国恒大集团有限公司" in text


def test_a_wide_table_is_read_in_blocks_and_nothing_is_cut(encoder: Encoder) -> None:
    header = [f"第{number}个很长的列名" for number in range(200)]
    table = of_rows("wide", header, [[str(number) for number in range(200)]])
    example = encoder.read("第7个很长的列名是多少", table)
    assert len(example.blocks) > 5
    assert [column for block in example.blocks for column in block.columns] == list(range(201))
    assert all(len(block.ids) <= encoder.limit for block in example.blocks)
    question = example.blocks[0].ids[: len(example.offsets) + 2]
    assert all(block.ids[: len(question)] == question for block in example.blocks)
    groups, inputs = put_together([example])
    laid = np.concatenate([group.ids.numpy().ravel() for group in groups])
    assert {laid[mark] for mark in inputs.marks[:-1].tolist()} == {encoder.marks["real"]}
    assert {laid[end] for end in inputs.ends.tolist()} == {encoder.text.special["end"]}


def test_the_column_that_names_the_rows_is_read_first(encoder: Encoder) -> None:
    rows = [["销售", name, pay] for name, pay in zip("甲乙丙丁", (3, 4, 5, 6), strict=True)]
    staff = of_rows("staff", ["部门", "姓名", "工资"], rows, kinds=["text", "text", "real"])
    assert staff.naming == 1
    (block,) = encoder.read("每个部门的平均工资", staff).blocks
    assert block.columns == [1, 0, 2, 3]
    assert block.marks == sorted(block.marks)
    swapped = [[b, a, c] for a, b, c in rows]
    turned = of_rows("staff", ["姓名", "部门", "工资"], swapped, kinds=["text", "text", "real"])
    assert encoder.read("每个部门的平均工资", turned).blocks[0].ids == block.ids
    assert of_rows("pairs", ["a", "b"], [["一", "二"], ["三", "四"]], kinds=["text", "text"]).naming == 0
    assert of_rows("numbers", ["a", "b"], [[1, "二"], [1, "四"]], kinds=["real", "text"]).naming == 0


def test_without_types_all_columns_look_alike(companies: Table, encoder: Encoder) -> None:
    plain = Encoder(encoder.text, limit=256, question_limit=128, types=False, matching=False)
    example = plain.read("恒大集团的收入", companies)
    assert {example.blocks[0].ids[mark] for mark in example.blocks[0].marks[:-1]} == {plain.marks["text"]}
    assert not example.column_features[:, 4:9].any()
    assert example.candidates == []


def test_a_long_question_is_counted_as_cut(companies: Table, encoder: Encoder) -> None:
    encoder.question_limit = 8
    example = encoder.read("请问一下营业收入超过三百亿元的恒大集团", companies)
    assert len(example.offsets) == 8
    assert encoder.counts["cut"] == 1
    assert all(one.start < example.offsets[-1][1] for one in example.candidates)


@pytest.mark.parametrize(
    ("question", "header", "found"),
    [
        ("请问营业收入", "营业收入", (2, 6, 1.0)),
        ("总收入", "营业收入", (1, 3, 0.5)),
        ("没有", "营业收入", (-1, -1, 0.0)),
        ("x列", "x", (0, 1, 1.0)),
    ],
)
def test_headers_are_found_by_their_longest_piece(question: str, header: str, found: tuple[int, int, float]) -> None:
    place = place_of(question, header)
    assert (place.start, place.end, place.share) == found


# What examples teach


def test_every_slot_is_taught(companies: Table, encoder: Encoder) -> None:
    query = Query(
        (("AVG", 2), ("", 1)),
        (Condition(0, "!=", "中国恒大集团有限公司"), Condition(4, ">=", "12")),
        "and",
        group=(1,),
        order=Order(2, "AVG", True),
        limit=3,
    )
    question = "除了恒大集团，负债率至少百分之十二的，平均收入最高的3个行业"
    example = encoder.read(question, companies)
    select, group, sort, whole, pair, tags = lesson(example, query)
    assert select.tolist() == [NOT_SELECTED, 0, 1, NOT_SELECTED, NOT_SELECTED, NOT_SELECTED]
    assert group.tolist() == [0, 1, 0, 0, 0, 0]
    assert sort.tolist() == [0, 0, 2, 0, 0, 0]
    assert whole.tolist() == [[1, 2, 0, 1, 1]]
    width = len(ALL_OPERATORS)
    wanted = {
        "恒大集团": 1 + ALL_OPERATORS.index("!="),
        "百分之十二": 1 + 4 * width + ALL_OPERATORS.index(">="),
        "3": 1 + 5 * width + ALL_OPERATORS.index("=="),
    }
    taught_here = {one.text: int(target) for one, target in zip(example.candidates, pair, strict=True) if target}
    assert taught_here == wanted
    assert (
        next(question[start:end] for (start, end), tag in zip(example.offsets, tags, strict=True) if tag == 1) == "恒"
    )


def test_a_question_that_the_table_cannot_answer_teaches_only_that(companies: Table, encoder: Encoder) -> None:
    example = encoder.read("今天天气如何", companies)
    targets = taught([example], [None])
    assert targets.whole.tolist() == [[-100, -100, -100, 0, -100]]
    assert set(targets.select.tolist()) == {-100}


def test_sql_text_teaches_what_tableqa_teaches(companies: Table, encoder: Encoder) -> None:
    text = 'SELECT "行业" FROM t WHERE "企业名称" = \'蓝鲸软件有限公司\''
    example = encoder.read("蓝鲸软件有限公司是哪个行业", companies)
    one, other = (
        lesson(example, query)
        for query in (parsing.read(text, companies.names), Query((("", 1),), (Condition(0, "==", "蓝鲸软件有限公司"),)))
    )
    assert all((left == right).all() for left, right in zip(one, other, strict=True))
