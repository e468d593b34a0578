"""Workbooks, made here as plain archives of XML."""

from __future__ import annotations

import zipfile
from datetime import date, datetime
from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from nlptasks.errors import InputError, UsageError
from nlptasks.nl2sql import excel, sources
from nlptasks.nl2sql.tables import Table

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
Sheet = tuple[list[list[object]], list[str]]
#: A title over all columns, units in a row of their own, a province merged over its cities, and a note below.
YEARBOOK: Sheet = (
    [
        ["2023年各城市经济情况"],
        ["省份", "城市", "2023年", None],
        [None, None, "生产总值", "人口"],
        [None, None, "(亿元)", "(万人)"],
        ["江南省", "临山市", 1820.5, 620],
        [None, "白河市", 960, 410],
        ["岭北省", "青屿市", 2210, 715],
        [],
        ["注：人口为常住人口"],
    ],
    ["A1:D1", "A2:A3", "B2:B3", "C2:D2", "A5:A6", "A9:D9"],
)


def cell(value: object) -> str:
    if value is None:
        return "<c/>"
    if isinstance(value, int | float):
        return f"<c><v>{value}</v></c>"
    return f'<c t="inlineStr"><is><t>{escape(str(value))}</t></is></c>'


def workbook(path: Path, **sheets: Sheet) -> Path:
    """Write a workbook of some sheets: their rows and what is merged."""
    with zipfile.ZipFile(path, "w") as archive:
        kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Default Extension="xml" ContentType="{kind}.worksheet+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/></Types>',
        )
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{PACKAGE}"><Relationship Id="r1" Type="{OFFICE}/officeDocument" '
            f'Target="xl/workbook.xml"/></Relationships>',
        )
        listed = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(sheets, 1))
        archive.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{listed}</sheets></workbook>'
        )
        links = "".join(
            f'<Relationship Id="r{n}" Type="{OFFICE}/worksheet" Target="worksheets/s{n}.xml"/>'
            for n in range(1, len(sheets) + 1)
        )
        archive.writestr("xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{PACKAGE}">{links}</Relationships>')
        for number, (rows, merged) in enumerate(sheets.values(), 1):
            data = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
            merges = "".join(f'<mergeCell ref="{one}"/>' for one in merged)
            merges = f"<mergeCells>{merges}</mergeCells>" if merged else ""
            archive.writestr(
                f"xl/worksheets/s{number}.xml",
                f'<worksheet xmlns="{MAIN}"><sheetData>{data}</sheetData>{merges}</worksheet>',
            )
    return path


def broken(path: str) -> str:
    """Break the first sheet of a workbook, and no other."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part[: len(part) // 2] if name.endswith("s1.xml") else part)
    return path


def columns(table: Table) -> list[tuple[str, str, str]]:
    return [(one.header, one.unit, one.kind) for one in table.columns]


def test_a_yearbook_with_title_merged_cells_and_units_is_a_table(tmp_path: Path) -> None:
    table = sources.open_table(str(workbook(tmp_path / "x.xlsx", 封面=([], []), 数据=YEARBOOK)))
    assert columns(table) == [
        ("省份", "", "text"),
        ("城市", "", "text"),
        ("2023年 生产总值", "亿元", "real"),
        ("2023年 人口", "万人", "real"),
    ]
    assert [table.distinct(0), table.distinct(2)] == [["江南省", "岭北省"], [1820.5, 960, 2210]]


def test_a_sheet_is_asked_by_its_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    second: Sheet = ([[None, None], [None, "名称", "数量(件)"], [None, "甲", 3], [None, "乙", 4]], [])
    path = str(workbook(tmp_path / "x.xlsx", 一=YEARBOOK, 二=second))
    assert columns(sources.open_table(path, "二")) == [("名称", "", "text"), ("数量", "件", "real")]
    with caplog.at_level("INFO"):
        assert len(sources.open_table(path).columns) == 4
    assert "sheet 一 is asked; --sheet NAME asks another of 一, 二" in caplog.text
    assert columns(sources.open_table(broken(path), "二"))[0] == ("名称", "", "text")
    with pytest.raises(InputError, match="not an Excel file that can be read"):
        sources.open_table(path, "一")
    with pytest.raises(UsageError, match=r"--sheet 三: .* has 一, 二; name one of them"):
        sources.open_table(path, "三")
    with pytest.raises(UsageError, match=r"--sheet 一: x\.csv is no workbook"):
        sources.open_table("x.csv", "一")


def test_an_empty_workbook_and_what_is_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="empty; expected a header"):
        sources.open_table(str(workbook(tmp_path / "x.xlsx", 一=([], []))))
    (tmp_path / "no.xlsx").write_bytes(b"no")
    with pytest.raises(InputError, match="not an Excel file that can be read"):
        sources.open_table(str(tmp_path / "no.xlsx"))


def test_a_table_of_one_column_has_no_title() -> None:
    assert excel.table_of([["名称"], ["甲"], ["乙"]], []) == [["名称"], ["甲"], ["乙"]]


@pytest.mark.parametrize(
    "rows",
    [
        [["城市", "省"], ["广州", "广东"], ["北京", "北京"], ["上海", "上海"]],
        [["姓名", "备注"], ["张三", "好"], ["李四", None]],
        [["证书", "年限"], ["会计证", "三年"], ["注册会计师", None]],
    ],
)
def test_last_rows_of_a_table_are_no_notes(rows: excel.Grid) -> None:
    assert excel.table_of(rows, []) == rows


@pytest.mark.parametrize(
    ("below", "merges"),
    [
        ([["注：截至年底", None]], []),
        ([["数据来源于统计局", None], ["不含外地", None]], []),
        ([[None, None], ["截至年底", None]], []),
        ([["截至年底", None]], [((3, 0), (3, 1))]),
    ],
)
def test_notes_below_a_table_are_left_out_and_told(
    below: excel.Grid, merges: list[excel.Merge], caplog: pytest.LogCaptureFixture
) -> None:
    rows: excel.Grid = [["姓名", "备注"], ["张三", "好"], ["李四", None]]
    with caplog.at_level("INFO"):
        assert excel.table_of([*rows, *below], merges) == rows
    assert f"left out as notes below the table: {next(row[0] for row in below if row[0])}" in caplog.text


def test_what_is_merged_beside_the_data_is_nothing() -> None:
    rows: excel.Grid = [["a", "b"], [1, 2]]
    assert excel.table_of(rows, [((0, 4), (0, 5)), ((7, 0), (8, 0)), ((0, 1), (0, 3)), ((1, 1), (4, 1))]) == rows


def test_columns_that_are_merged_in_every_row_are_one() -> None:
    rows: excel.Grid = [["名称", None, "数量"], ["甲", None, 1], ["乙", None, 2]]
    merges = [((at, 0), (at, 1)) for at in range(3)]
    assert excel.table_of(rows, merges) == [["名称", "数量"], ["甲", 1], ["乙", 2]]
    assert excel.table_of([row[:2] for row in rows], merges) == [["名称"], ["甲"], ["乙"]]


def test_rows_below_a_header_that_is_merged_sideways_stay_rows() -> None:
    wide = ((0, 0), (0, 1))
    rows: excel.Grid = [["地区", None, "人口"], ["华东", "上海", 2400], ["华南", "广州", 1500]]
    assert excel.table_of(rows, [wide]) == [["地区", "地区", "人口"], *rows[1:]]
    rows = [["地区", None, "简称"], ["上海", None, "沪"], ["华南", "广州", "穗"]]
    assert excel.table_of(rows, [wide, ((1, 0), (1, 1))])[1:] == [["上海", "上海", "沪"], rows[2]]
    years: excel.Grid = [["省", "人口", None], [None, 2020, 2021], ["甲", 3, 4]]
    assert excel.table_of(years, [((0, 1), (0, 2))]) == [["省", "人口 2020", "人口 2021"], ["甲", 3, 4]]


def test_a_header_has_three_rows_at_most() -> None:
    rows: excel.Grid = [[f"{at}", None, "x"] for at in range(4)] + [["a", "b", "c"]]
    found = excel.table_of(rows, [((at, 0), (at, 1)) for at in range(4)])
    assert len(found) == 5
    deep: excel.Grid = [["x", None, None, None], ["y", None, "z", None], ["a", "b", "c", "d"], ["e", "f", "g", "h"]]
    merges = [((0, 0), (0, 3)), ((1, 0), (1, 1)), ((1, 2), (1, 3)), ((2, 0), (2, 1))]
    assert excel.table_of(
        [["名", *deep[0]], ["甲", *deep[1]], ["乙", *deep[2]], ["丙", *deep[3]]],
        [((top, left + 1), (bottom, right + 1)) for (top, left), (bottom, right) in merges],
    ) == [["名 甲 乙", "x y a", "x y a", "x z c", "x z d"], ["丙", "e", "f", "g", "h"]]


def test_cells_are_plain() -> None:
    found = [excel.plain(one) for one in (3.0, 3.5, "", None, "x", datetime(2020, 1, 2), date(2020, 1, 2), True)]
    assert found == [3, 3.5, None, None, "x", "2020-01-02", "2020-01-02", True]


def test_excel_needs_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "python_calamine", None)
    (tmp_path / "x.xlsx").write_bytes(b"x")
    with pytest.raises(InputError, match=r"needs python-calamine; pip install 'nlpk\[excel\]'"):
        sources.open_table(str(tmp_path / "x.xlsx"))
