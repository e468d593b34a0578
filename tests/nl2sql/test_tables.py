"""Tables from rows, TableQA files, and files of every kind."""

import json
import sqlite3
from pathlib import Path

import duckdb
import pytest

from nlptasks.errors import InputError, RecordError, UsageError
from nlptasks.nl2sql import sources, tables
from nlptasks.nl2sql.columns import described, kind_of, unique
from nlptasks.nl2sql.stores import Bounds
from nlptasks.nl2sql.tables import MOST_COLUMNS, Table, of_rows, read_tables

CSV = '小区,面积(㎡), 总 价（万元）,挂牌日期\n翠湖花园,89.5,320,2023-01-05\n金桂苑,"1,120",--,2022-12-31\n'


def run(table: Table, sql: str) -> list[list[object]]:
    return table.store.run(sql, Bounds(2.0, 50)).rows


def check_houses(table: Table) -> None:
    assert [column.header for column in table.columns] == ["小区", "面积", "总 价", "挂牌日期"]
    assert [column.unit for column in table.columns] == ["", "m2", "万元", ""]
    assert [column.kind for column in table.columns] == ["text", "real", "real", "date"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_csv_is_read_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "houses.csv"
    path.write_bytes(CSV.encode(encoding))
    table = sources.open_table(str(path))
    check_houses(table)
    assert table.name == str(path)
    assert [table.distinct(1), table.distinct(2)] == [[89.5, 1120], [320]]


def test_days_of_a_file_sort_as_time_does(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("号,日期,版本\nA,2024/1/5,1.2/3\nB,2024/10/20,\nC,2024/2/11,x\n", encoding="utf-8")
    table = sources.open_table(str(path))
    assert run(table, f'SELECT "日期" FROM "{table.store.table}" ORDER BY "日期"') == [
        ["2024/01/05"],
        ["2024/02/11"],
        ["2024/10/20"],
    ]
    assert table.distinct(2) == ["1.2/3", "x"]


def test_figures_that_duckdb_reads_as_text_are_known(tmp_path: Path) -> None:
    path = tmp_path / "pay.csv"
    path.write_text('名,工资,占比,年龄\n甲,"12,000",8%,30\n乙,9000,30.5%,\n', encoding="utf-8")
    assert sources.open_table(str(path)).foreign == ["工资", "占比"]


def test_tables_as_json_are_not_taken_for_csv(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"id": "x", "header": ["a"], "rows": []}\n' * 2, encoding="utf-8")
    with pytest.raises(UsageError, match=r"JSON, as files of tables are; --tables .*t.jsonl"):
        sources.open_table(str(path))
    with pytest.raises(InputError, match=r"t.jsonl:2: a second table with the id 'x'; give each its own"):
        read_tables(path)


def test_other_schemas_of_a_database_are_left_alone(tmp_path: Path) -> None:
    made = duckdb.connect(str(tmp_path / "d.duckdb"))
    made.execute("CREATE TABLE t (a INT); CREATE SCHEMA s; CREATE TABLE s.t (b INT, c INT); CREATE TABLE s.u (d INT)")
    made.close()
    assert sources.open_database(str(tmp_path / "d.duckdb")).tables == {"t": ["a"]}


def test_tsv_is_read(tmp_path: Path) -> None:
    path = tmp_path / "houses.tsv"
    path.write_text(CSV.replace('"1,120"', "1120").replace(",", "\t"), encoding="utf-8")
    check_houses(sources.open_table(str(path)))


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    path = tmp_path / "o'brien.parquet"
    quoted = str(path).replace("'", "''")
    duckdb.connect().execute(f"COPY (SELECT '甲' AS 车型, 1.5 AS \"销量(万辆)\") TO '{quoted}' (FORMAT parquet)")
    table = sources.open_table(str(path))
    assert [(one.header, one.unit, one.kind) for one in table.columns] == [
        ("车型", "", "text"),
        ("销量", "万辆", "real"),
    ]


def opened(path: Path, table: str | None = None) -> Table:
    store = sources.open_database(str(path)).store(table)
    return tables.of_store(store, store.table)


def test_databases_are_asked_by_table(tmp_path: Path) -> None:
    lite, duck = tmp_path / "shop.db", tmp_path / "shop.duckdb"
    made = sqlite3.connect(lite)
    made.executescript('CREATE TABLE orders ("客户" TEXT, "金额(元)" REAL); INSERT INTO orders VALUES (\'甲\', 3)')
    made.close()
    with duckdb.connect(str(duck)) as connection:
        connection.execute("CREATE TABLE orders AS SELECT '甲' AS 客户, 3.0 AS \"金额(元)\"")
        connection.execute("CREATE TABLE other AS SELECT 1 AS a")
    for path in (lite, duck):
        table = opened(path, "orders")
        assert [(one.header, one.kind) for one in table.columns] == [("客户", "text"), ("金额", "real")]
    assert opened(lite).name == "orders"
    with pytest.raises(UsageError, match="several tables; --table NAME of orders, other"):
        opened(duck)
    with pytest.raises(UsageError, match="no table 'x'; --table NAME of orders"):
        opened(lite, "x")
    with pytest.raises(UsageError, match="a SQLite file, which holds several tables; --db"):
        sources.open_table(str(lite))
    (tmp_path / "no.db").write_text("no")
    with pytest.raises(InputError, match="neither a SQLite nor a DuckDB file"):
        sources.open_database(str(tmp_path / "no.db"))
    with pytest.raises(InputError, match="there is no such file"):
        sources.open_database(str(tmp_path / "none.db"))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "empty; expected a header"),
        ("a,b\n1\n", ":2: found 1 cells, expected 2 as in the first row"),
        ('a,b\n1,"2\n', "invalid CSV|closed"),
        (",".join(f"c{n}" for n in range(10_000)) + "\n", "found 10,000 columns, expected 1 to 2,000"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=complaint):
        sources.open_table(str(path))


def test_a_header_is_told_from_a_row() -> None:
    assert [c.name for c in sources.of_cells("x", [["甲", "3"], ["乙", "4"]]).columns] == ["column0", "column1"]
    assert [c.name for c in sources.of_cells("x", [["省", "2019"], ["甲", "4"]]).columns] == ["省", "2019"]
    assert [c.name for c in sources.of_cells("x", [["省", "市"], ["甲", "乙"]]).columns] == ["省", "市"]
    assert sources.of_cells("x", [["省", "市"]]).is_empty


def test_every_column_has_a_name_of_its_own_as_in_duckdb(tmp_path: Path) -> None:
    header = ["a", "A", "", " b  c ", "a", "a_1", "年\n龄"]
    assert unique(header) == ["a", "A_1", "column2", "b  c", "a_2", "a_1_1", "年 龄"]
    path = tmp_path / "d.csv"
    path.write_text("a,a,, b  c \n1,2,3,4\n")
    named = sources.open_table(str(path)).names
    with duckdb.connect() as connection:
        assert named == [one[0] for one in connection.execute(f"SELECT * FROM '{path}'").description]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2.5", "-3", "1,000", "50%"], "real"),
        (["1", None, "", "--", float("nan")], "real"),
        (["007", "012"], "text"),
        (["1", "x"], "text"),
        ([], "text"),
        ([None], "text"),
        ([True, False], "text"),
        (["1_000"], "text"),
        (["inf"], "text"),
    ],
)
def test_kinds_are_told_by_the_cells(cells: list[object], kind: str) -> None:
    assert kind_of(cells) == kind


def test_mixed_and_missing_cells_do_no_harm() -> None:
    table = of_rows(
        "t", ["a", "b"], [["x", 1], [float("nan"), None], [3.0, "无"], [True, "many"]], kinds=["text", "real"]
    )
    assert [table.distinct(0), table.distinct(1)] == [["x", "3", "True"], [1, "many"]]
    assert run(table, 'SELECT COUNT("a") FROM "table"') == [[3]]
    assert table.extents[1].greatest == 1


def test_only_known_units_are_taken_off() -> None:
    columns = described(["价格（元/㎡）", "编号(新)", "变化百分比(2007年)", "(元)"], ["real", "text", "text", "real"])
    assert [(one.header, one.unit) for one in columns] == [
        ("价格", "元/m2"),
        ("编号(新)", ""),
        ("变化百分比(2007年)", ""),
        ("(元)", "元"),
    ]


# Files of tables


def shelf(tmp_path: Path, *found: object) -> Path:
    path = tmp_path / "tables.json"
    path.write_text("".join(json.dumps(one) + "\n" for one in found), encoding="utf-8")
    return path


def test_tables_are_found_by_id(tmp_path: Path) -> None:
    path = shelf(tmp_path, {"id": "x", "name": "T", "header": ["a"], "types": ["text"], "rows": [["v"]]})
    found = read_tables(path)
    assert (list(found), len(found), found["x"].distinct(0)) == (["x"], 1, ["v"])
    with pytest.raises(RecordError, match=r"no table 'y' in .*tables.json; add it"):
        found["y"]


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        ({"header": ["a"]}, r"tables.json:1: a table without id; expected id, header, types and rows"),
        ({"id": "x"}, "a table without header"),
    ],
)
def test_a_table_without_its_parts_is_refused(tmp_path: Path, found: object, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        read_tables(shelf(tmp_path, found))


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        ({"types": ["text", "real"]}, "2 types for 1 columns"),
        ({"types": 0}, "types is 0, expected a list"),
        ({"types": "t"}, 'types is "t", expected a list'),
        ({"types": [["text"]]}, r"found the type \['text'\], expected text, real or date"),
        ({"header": "ab"}, 'table x: header is "ab", expected a list'),
        ({"header": [{"name": "a"}]}, r'\{"name": "a"\} in header, expected the names of columns'),
        ({"rows": 5}, "rows is 5, expected a list"),
        ({"rows": [["v"], 5]}, "row 2 is 5, expected a list of cells"),
        ({"rows": ["v"]}, 'row 1 is "v", expected a list of cells'),
        ({"types": ["blob"]}, "found the type 'blob', expected text, real or date"),
        ({"types": ["text"], "rows": [[1, 2]]}, "row 1 has 2 cells, its header 1"),
        ({"header": ["a"] * (MOST_COLUMNS + 1)}, "found 2,001 columns, expected 1 to 2,000"),
    ],
)
def test_a_table_that_does_not_fit_together_is_refused(
    tmp_path: Path, found: dict[str, object], complaint: str
) -> None:
    path = shelf(tmp_path, {"id": "x", "header": ["a"], **found})
    with pytest.raises(RecordError, match=complaint):
        read_tables(path)["x"]


def test_a_file_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no tables"):
        read_tables(shelf(tmp_path))
    path = tmp_path / "bad.jsonl"
    path.write_text("{no\n")
    with pytest.raises(InputError, match="invalid JSON"):
        read_tables(path)
