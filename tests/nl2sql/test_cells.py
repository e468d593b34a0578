"""Cells that a question mentions."""

import time

from nlptasks.nl2sql.cells import Cells, Mention, folded, stretch

COMPANIES = ["中国恒大集团有限公司", "万科企业股份有限公司", "碧桂园控股有限公司", "远洋集团有限公司"]


def test_whole_cells_are_found_in_any_width_and_case() -> None:
    cells = Cells([["ABC公司", "北京"], ["北京", "北京市"]])
    found = cells.whole("ａｂｃ公司在北京市吗")
    assert [(one.start, one.end, one.column, one.cell) for one in found] == [(0, 5, 0, "ABC公司"), (6, 9, 1, "北京市")]


def test_a_number_or_word_inside_another_is_none() -> None:
    cells = Cells([["12", "app"]])
    assert cells.whole("2012年的apple") == []
    assert len(cells.whole("12月的app")) == 2
    assert Cells([["abc", "xyz"]]).parts("DROP TABLE") == []


def test_parts_that_tell_are_found_and_others_are_not() -> None:
    cells = Cells([COMPANIES])
    found = cells.parts("恒大集团去年的收入是多少")
    assert (found[0].cell, found[0].start, found[0].end) == ("中国恒大集团有限公司", 0, 4)
    assert 0 < found[0].score < 1
    assert cells.parts("哪些公司是有限公司") == []
    nearest = cells.nearest("碧桂园", 0)
    assert nearest is not None
    assert nearest.cell == "碧桂园控股有限公司"
    assert cells.nearest("碧桂园", 1) is None


def test_a_word_that_many_cells_have_mentions_none() -> None:
    names = ["海丝博物馆", "长城砖瓦博物馆", "古籍印刷博物馆", "铁路记忆馆", "茶叶历史馆"]
    cells = Cells([names, ["一级", "二级"]])
    assert cells.parts("想看二级的博物馆") == [Mention(2, 4, 1, "二级", 0.99)]
    assert [one.cell for one in cells.parts("海丝博物馆在哪")] == ["海丝博物馆"]
    assert [one.cell for one in cells.parts("印刷博物馆在哪")] == ["古籍印刷博物馆"]


def test_what_several_cells_begin_with_is_found_and_what_they_end_in_is_not() -> None:
    places = ["江苏南京市", "江苏苏州市", "浙江宁波市", "四川绵阳市", "2024-01", "2024-02"]
    cells = Cells([["江苏", "浙江"], places])
    [found] = cells.starts("江苏的南京市2024年有几家")
    assert (found.start, found.end, found.column, found.cell, found.is_start) == (0, 2, 1, "江苏", True)
    assert Cells([["江苏南京", "江苏苏州", "江苏无锡"]]).starts("江苏的") == []  # all do, so it tells nothing
    assert Cells([["abcd", "abce", "x", "y"]]).starts("TABLE abc") != []
    assert Cells([["abcd", "abce", "x", "y"]]).starts("xabcy") == []


def test_no_cells_and_no_question_give_nothing() -> None:
    assert Cells([[], []]).whole("北京") == Cells([[]]).parts("北京") == Cells([["北京"]]).parts("北") == []
    assert Cells([["北京"]]).whole("") == []


def test_folding_keeps_every_place() -> None:
    text = "ＡＢﬁ㎡İ①北"
    assert len(folded(text)) == len(text)
    assert folded("ＡＢ") == "ab"


def test_a_stretch_may_have_small_gaps() -> None:
    assert stretch("请问恒大的集团收入", "恒大集团") == (2, 7)
    assert stretch("没有", "恒大集团") is None


def test_many_cells_take_little_longer_than_few() -> None:
    cells = Cells([[f"{name}第{number}分店" for number in range(5000) for name in ("恒大超市", "万科书店")]])
    cells.parts("恒大超市第77分店的收入")
    started = time.process_time()
    assert cells.whole("恒大超市第77分店的收入")[0].cell == "恒大超市第77分店"
    assert cells.parts("恒大超市77分店的收入")
    assert time.process_time() - started < 0.05
