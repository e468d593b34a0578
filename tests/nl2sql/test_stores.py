"""Running queries: read-only and bounded, even where what is run did not come from a tree."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from nlptasks.errors import InputError, RecordError
from nlptasks.nl2sql import duck, sources, stores
from nlptasks.nl2sql.duck import DuckDB
from nlptasks.nl2sql.stores import Bounds, Rows, SQLiteFile, Store

BOUNDS = Bounds(2.0, 3)
EVIL = [
    'DROP TABLE "table"',
    'DELETE FROM "table"',
    'INSERT INTO "table" VALUES (1, 2)',
    "CREATE TABLE x (a)",
    'UPDATE "table" SET a = 1',
    'SELECT 1; DROP TABLE "table"',
]
EVIL_SQLITE = [
    *EVIL,
    "ATTACH DATABASE '/tmp/x.db' AS y",
    "PRAGMA writable_schema = 1",
    "SELECT load_extension('/tmp/x.so')",
    "SELECT readfile('/etc/passwd')",
    "SELECT randomblob(1000000000)",
    "VACUUM INTO '/tmp/x.db'",
]
EVIL_DUCKDB = [
    "ATTACH '/tmp/x.db' AS y",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM parquet_scan('/etc/passwd')",
    "COPY (SELECT 1) TO '/tmp/nl2sql-evil.csv'",
    "CREATE TABLE x (a INTEGER)",
    "PRAGMA database_list",
    "CALL pragma_version()",
    'SELECT 1; DROP VIEW "table"',
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "SET memory_limit = '100GB'",
]


@pytest.fixture(params=["rows", "sqlite", "duckdb", "parquet"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    rows = [[number, f"城市{number}"] for number in range(5)]
    if request.param == "rows":
        return Rows(["a", "b"], rows, ["real", "text"])
    if request.param == "sqlite":
        made = sqlite3.connect(tmp_path / "t.db")
        made.execute('CREATE TABLE "table" (a, b)')
        made.executemany('INSERT INTO "table" VALUES (?, ?)', rows)
        made.commit()
        made.close()
        return SQLiteFile(stores.Locked(stores.open_sqlite(tmp_path / "t.db")), "table", ["a", "b"])
    path = tmp_path / ("t.duckdb" if request.param == "duckdb" else "t.parquet")
    made_duck = duckdb.connect(str(path) if request.param == "duckdb" else ":memory:")
    made_duck.execute("CREATE TABLE \"table\" AS SELECT i AS a, '城市' || i AS b FROM range(5) r(i)")
    if request.param == "parquet":
        made_duck.execute(f"COPY \"table\" TO '{path}' (FORMAT parquet)")
    made_duck.close()
    opened = duck.open_duckdb(path) if request.param == "duckdb" else duck.open_parquet(path)
    return DuckDB(opened, "table", ["a", "b"])


def test_a_query_gives_names_rows_and_whether_there_are_more(store: Store) -> None:
    found = store.run('SELECT "b" FROM "table" WHERE "a" >= 2 ORDER BY "a"', Bounds(2.0, 2))
    assert (found.columns, found.rows, found.truncated) == (["b"], [["城市2"], ["城市3"]], True)
    assert store.run('SELECT COUNT(*) FROM "table"', BOUNDS).rows == [[5]]
    assert sorted(store.distinct(0, 9)) == [0, 1, 2, 3, 4]
    assert len(store.distinct(1, 2)) == 2
    assert store.extremes(0) == (0, 4)


def test_nothing_but_reading_is_allowed(store: Store) -> None:
    evil = EVIL_SQLITE if store.dialect == "sqlite" else EVIL_DUCKDB
    for sql in evil:
        with pytest.raises(RecordError, match="the database refuses the query"):
            store.run(sql, BOUNDS)
    assert store.run('SELECT COUNT(*) FROM "table"', BOUNDS).rows == [[5]]


def test_a_parquet_file_is_not_written_to_and_may_be_called_as_it_likes(tmp_path: Path) -> None:
    path = tmp_path / "a[1]*'?.parquet"
    with duckdb.connect() as made:
        made.execute(f"COPY (SELECT 1 AS a) TO '{tmp_path}/x.parquet' (FORMAT parquet)")
    (tmp_path / "x.parquet").rename(path)
    store, before = DuckDB(duck.open_parquet(path), "table", ["a"]), path.read_bytes()
    assert store.run('SELECT "a" FROM "table"', BOUNDS).rows == [[1]]
    name = str(path).replace("'", "''")
    with pytest.raises(RecordError, match="only one SELECT may run"):
        store.run(f"COPY (SELECT 2 AS a) TO '{name}' (FORMAT parquet, USE_TMP_FILE false)", BOUNDS)
    assert path.read_bytes() == before


def test_a_huge_cross_join_runs_out_of_time(store: Store) -> None:
    joins = ", ".join(f'"table" t{number}' for number in range(24))
    with pytest.raises(RecordError, match=r"ran for more than 0\.3 s; allow more with --seconds"):
        store.run(f"SELECT COUNT(*) FROM {joins} WHERE t0.a + t23.a > 3", Bounds(0.3, 3))


def test_a_duckdb_file_is_not_written_to(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    with duckdb.connect(str(path)) as made:
        made.execute("CREATE TABLE t AS SELECT 1 AS a")
    for sql in EVIL:
        with pytest.raises(RecordError, match="refuses"):
            DuckDB(duck.open_duckdb(path), "t", ["a"]).run(sql.replace('"table"', "t"), BOUNDS)


def test_files_that_are_something_else_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_text("no")
    with pytest.raises(InputError, match="DuckDB cannot read it"):
        duck.open_parquet(path)
    with pytest.raises(InputError, match="not a SQLite database that can be read"):
        stores.open_sqlite(path)


def test_duckdb_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "duckdb", None)
    with pytest.raises(InputError, match="needs DuckDB; pip install duckdb"):
        duck.open_parquet(tmp_path / "x.parquet")


def test_cells_of_all_kinds_are_kept() -> None:
    store = Rows(["a"], [[2**70], [True], [None], ["x"], [["list"]]], ["text"])
    assert store.run('SELECT "a" FROM "table"', Bounds(1, 9)).rows == [
        [str(2**70)],
        ["true"],
        [None],
        ["x"],
        ["['list']"],
    ]


def test_views_may_compute_and_no_more(tmp_path: Path) -> None:
    made = sqlite3.connect(tmp_path / "v.db")
    made.executescript(
        "CREATE TABLE a (k, v); INSERT INTO a VALUES (' x ', -1.26);"
        "CREATE VIEW w AS SELECT upper(trim(k)) AS u, round(abs(v), 1) AS r, strftime('%Y', '2020-01-02') AS y FROM a;"
        "CREATE VIEW evil AS SELECT hex(randomblob(9)) AS u FROM a"
    )
    made.close()
    database = sources.open_database(str(tmp_path / "v.db"))
    assert database.store("w").run("SELECT u, r, y FROM w", BOUNDS).rows == [["X", 1.3, "2020"]]
    with pytest.raises(RecordError, match="not authorized to use function"):
        database.store("evil").run("SELECT u FROM evil", BOUNDS)


#: Asks two tables of a file from two threads at once; in a process of its own, which can be ended where it hangs.
TWO_THREADS = """
import sys, threading
from nlptasks.nl2sql.sources import open_database
from nlptasks.nl2sql.stores import Bounds

database = open_database(sys.argv[1])
a, b = database.store("a"), database.store("b")
asked = lambda: [a.run("SELECT k FROM a WHERE v > 1000000", Bounds(5, 100)) for _ in range(100)]
other = threading.Thread(target=asked)
other.start()
while other.is_alive():
    assert len(b.distinct(0, 1000)) == 1000
"""


def test_two_tables_of_a_file_are_asked_from_two_threads(tmp_path: Path) -> None:
    made = sqlite3.connect(tmp_path / "two.db")
    for name in "ab":
        made.execute(f"CREATE TABLE {name} (k, v)")
        made.executemany(f"INSERT INTO {name} VALUES (?, ?)", ((f"k{n}", n) for n in range(20_000)))
    made.commit()
    made.close()
    subprocess.run([sys.executable, "-c", TWO_THREADS, str(tmp_path / "two.db")], check=True, timeout=30)
