"""Finding the table of a record."""

import json
import sqlite3
from pathlib import Path

import pytest

from nlptasks.errors import RecordError
from nlptasks.nl2sql.library import Library
from nlptasks.nl2sql.row import Options
from nlptasks.nl2sql.stores import Bounds

OWN = {"header": ["小区"], "rows": [["翠湖"]]}


def test_the_samples_stand_in_where_no_file_is_named() -> None:
    assert Library.of().table("train-0", None).columns[0].header == "小区"


def test_a_record_may_bring_its_own_table() -> None:
    library = Library.of()
    table = library.table(None, json.dumps(OWN))
    assert table.names == ["小区"]
    assert library.table("train-0", json.dumps(OWN)) is table


@pytest.mark.parametrize("inline", ["{no", "[]", "{}", '{"header": 3}'])
def test_what_is_no_table_is_refused(inline: str) -> None:
    with pytest.raises(RecordError, match="field 'inline'"):
        Library.of().table(None, inline)


def test_a_table_that_does_not_fit_together_is_refused() -> None:
    with pytest.raises(RecordError, match="row 1 has 2 cells"):
        Library.of().table(None, json.dumps({"header": ["a"], "rows": [[1, 2]]}))


def test_no_table_at_all_is_told() -> None:
    with pytest.raises(RecordError, match="no table to ask: name one with --table FILE"):
        Library.of().table(None, None)


def test_the_only_table_of_a_file_needs_no_name(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({"id": "x", **OWN}) + "\n", encoding="utf-8")
    assert Library.asked(Options(tables=[str(path)])).table(None, None).id == "x"
    path.write_text("".join(json.dumps({"id": id, **OWN}) + "\n" for id in "xyzw"), encoding="utf-8")
    with pytest.raises(RecordError, match="or by its table_id, such as x, y, z"):
        Library.asked(Options(tables=[str(path)])).table(None, None)


def test_a_file_is_asked_whatever_the_record_names(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("城市,人口\n甲,3\n", encoding="utf-8")
    assert Library.asked(Options(table=str(path))).table("any", None).names == ["城市", "人口"]


def test_tables_of_tableqa_are_asked_in_their_database(tmp_path: Path) -> None:
    tables, db = tmp_path / "t.json", tmp_path / "t.db"
    tables.write_text(json.dumps({"id": "x", "name": "Table_x", "types": ["text"], **OWN}) + "\n", encoding="utf-8")
    made = sqlite3.connect(db)
    made.executescript("CREATE TABLE Table_x (col_1 TEXT); INSERT INTO Table_x VALUES ('另一个')")
    made.close()
    table = Library.asked(Options(tables=[str(tables)], db=str(db))).table("x", None)
    assert (table.names, table.header, table.columns[0].header) == (["col_1"], ["小区"], "小区")
    assert table.store.run('SELECT "col_1" FROM "Table_x"', Bounds()).rows == [["另一个"]]


def test_a_database_alone_is_asked_by_its_table(tmp_path: Path) -> None:
    made = sqlite3.connect(tmp_path / "shop.db")
    made.executescript("CREATE TABLE orders (a TEXT)")
    made.close()
    assert Library.asked(Options(db=str(tmp_path / "shop.db"), table="orders")).table(None, None).name == "orders"


def test_several_files_of_tables_are_looked_through(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / f"{name}.json").write_text(json.dumps({"id": name, **OWN}), encoding="utf-8")
    library = Library.asked(Options(tables=[str(tmp_path / "x.json"), str(tmp_path / "y.json")]))
    assert [library.table(name, None).id for name in ("x", "y")] == ["x", "y"]
    with pytest.raises(RecordError, match=r"no table 'z' in .*x\.json; add it, or name the file it is in"):
        library.table("z", None)
