import gzip
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nlptasks import places
from nlptasks.errors import InputError, RecordError
from nlptasks.qa import row as qa
from nlptasks.similarity import row as form
from nlptasks.training import data
from nlptasks.training.data import Source, Table, load
from nlptasks.training.recipes import Recipe, to_learn, to_score

COSENT, SIMCSE, TRIPLETS = (to_learn(form, method) for method in ("cosent", "simcse", "supervised-simcse"))
GOOD = "a\tb\tscore\n今天\t明天\t3\n你\t我\t0\n"


@pytest.fixture(autouse=True)
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NLPK_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "cache" / "data"


def read(folder: Path, name: str, content: str | bytes, recipe: Recipe = COSENT, **how: Any) -> Table:  # noqa: ANN401
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load(Source(str(path), **how), recipe)


def test_rows_come_out_as_the_method_wants_them(tmp_path: Path) -> None:
    table = read(tmp_path, "rows.tsv", GOOD)
    assert list(table.rows) == [{"a": "今天", "b": "明天", "score": 3.0}, {"a": "你", "b": "我", "score": 0.0}]
    assert table.about() == {"name": "rows.tsv", "rows": 2, "bad": 0, "sha256": table.sha256}


def test_a_pair_is_two_sentences_to_learn_from_and_missing_columns_are_none(tmp_path: Path) -> None:
    table = read(tmp_path, "rows.tsv", GOOD, SIMCSE)
    assert [row["text"] for row in table.rows] == ["今天", "明天", "你", "我"]
    assert table.rows[0] == {"text": "今天", "a": None, "b": None}


@pytest.mark.parametrize(
    ("name", "content", "how"),
    [
        ("rows.jsonl", '{"a": "今天", "b": "明天", "score": 3}\n{"a": "你", "b": "我", "score": "0"}\n', {}),
        (
            "rows.jsonl",
            '{"sentence1": "今天", "sentence2": "明天", "label": 3}\n{"a": "你", "b": "我", "score": 0}\n',
            {},
        ),
        ("bare.tsv", "今天\t明天\t3\n你\t我\t0\n", {}),
        ("odd.tsv", "3\t今天\t明天\n0\t你\t我\n", {"columns": ("score", "a", "b")}),
        ("rows", GOOD, {"format": "tsv"}),
        ("gbk.tsv", GOOD.encode("gbk"), {}),
        ("gbk.tsv", GOOD.encode("gbk"), {"encoding": "gbk"}),
        ("rows.tsv.gz", gzip.compress(GOOD.encode(), mtime=0), {}),
        ("marked.tsv", "\ufeff" + GOOD.replace("\n", "\r\n"), {}),
    ],
)
def test_every_format_gives_the_same_rows(
    tmp_path: Path, name: str, content: str | bytes, how: Mapping[str, Any]
) -> None:
    table = read(tmp_path, name, content, **how)
    assert [tuple(row.values()) for row in table.rows] == [("今天", "明天", 3.0), ("你", "我", 0.0)]


def test_bad_records_are_counted_and_the_first_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bad = "".join(f"只有{number}\t\tx\n" for number in range(7))
    with caplog.at_level(logging.INFO, "nlptasks"):
        table = read(tmp_path, "rows.tsv", GOOD + bad)
    assert (len(table.rows), table.bad) == (2, 7)
    (message,) = caplog.messages
    places = f"{tmp_path}/rows.tsv:4, 5, 6, 7, 8"  # they have the same problem
    assert message.startswith(f"{tmp_path}/rows.tsv: 7 of 9 records cannot be used: {places}: field 'b'")
    assert message.endswith("; …")


def test_bad_records_are_named_again_when_the_table_is_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "nlptasks"):
        for _ in range(2):
            read(tmp_path, "rows.jsonl", '{"a": "x", "b": "y", "score": 1}\n{"a": 1}\n{oops\n')
    assert len(caplog.messages) == 2
    assert caplog.messages[0] == caplog.messages[1]
    assert "2 of 3 records cannot be used" in caplog.messages[0]


def test_none_of_the_records_can_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"rows\.jsonl: none of 2 records can be used: .*:1: field 'b' is .*:2: field"):
        read(tmp_path, "rows.jsonl", '{"a": "x"}\n{"b": "y"}\n')


def test_dev_rows_need_a_score(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none of 2 records can be used: .*:2, 3: field 'score' is missing"):
        read(tmp_path, "rows.tsv", "a\tb\n今天\t明天\n你\t我\n", to_score(form))


@pytest.mark.parametrize("name", ["empty.tsv", "empty.jsonl", "empty.txt"])
def test_an_empty_file_says_so(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: the file is empty; expected records"):
        read(tmp_path, name, "")


def test_a_file_that_is_cut_off_is_refused_and_leaves_nothing(tmp_path: Path, fresh_cache: Path) -> None:
    with pytest.raises(InputError, match=r"rows\.tsv\.gz: get the file again: its \.gz data is"):
        read(tmp_path, "rows.tsv.gz", gzip.compress(GOOD.encode() * 100, mtime=0)[:-20])
    assert list(fresh_cache.iterdir()) == []


def test_a_file_that_is_not_there_is_named_and_the_hub_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "hub_records", lambda name: pytest.fail(f"asked the hub for {name}"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    for name in ("no.tsv", "nowhere/no.tsv", "nowhere/no.jsonl.gz", "./no", "here/no", "../no", str(tmp_path / "no")):
        with pytest.raises(InputError, match="there is no "):
            load(Source(name), COSENT)


def test_a_hub_name_without_network_gives_one_line_with_a_remedy() -> None:
    complaint = (
        r"nobody/nothing:train: no such file, and not to be had from the hub \(.*\); check the name and the network"
    )
    with pytest.raises(InputError, match=complaint) as caught:
        load(Source("nobody/nothing:train"), COSENT)
    assert "\n" not in str(caught.value)


def test_a_hub_data_set_is_read_by_its_split(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    import huggingface_hub

    def load_dataset(name: str, split: str, streaming: bool) -> list[dict[str, Any]]:
        assert (name, split, streaming) == ("someone/pairs", "validation", True)
        return [{"sentence1": "今天", "sentence2": "明天", "label": 4, "id": 7}, {"sentence1": "今天", "id": 8}]

    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda self, name, timeout: None)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    table = load(Source("someone/pairs:validation"), COSENT)
    assert list(table.rows) == [{"a": "今天", "b": "明天", "score": 4.0}]
    assert table.bad == 1


def counted(calls: list[str]) -> Recipe:
    """Unfold as CoSENT does, and count."""

    def unfold(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
        calls.append("x")
        return COSENT.unfold(fields)

    return Recipe("count", COSENT.names, COSENT.kind, unfold)


def test_the_same_bytes_are_read_once(tmp_path: Path) -> None:
    calls: list[str] = []
    recipe = counted(calls)
    first, second = read(tmp_path, "rows.tsv", GOOD, recipe), read(tmp_path, "rows.tsv", GOOD, recipe)
    assert len(calls) == 2
    assert (list(first.rows), first.sha256) == (list(second.rows), second.sha256)
    read(tmp_path, "rows.tsv", GOOD + "他\t她\t1\n", recipe)
    assert len(calls) == 5
    read(tmp_path, "rows.tsv", GOOD, recipe, columns=("a", "b", "score"))
    assert len(calls) > 5


def test_rows_are_made_again_where_the_code_that_makes_them_is_another() -> None:
    found = {f"{path.parent.name}/{path.name}" for path in data.makers(qa.METHODS["mlm"].row)}
    assert {"qa/row.py", "qa/spans.py", "files/__init__.py", "nlptasks/rows.py", "training/data.py"} <= found
    assert "similarity/row.py" in {f"{path.parent.name}/{path.name}" for path in data.makers(COSENT.kind)}
    assert all(path.is_file() for path in data.makers(Odd))


def test_one_file_read_for_two_purposes_gives_two_tables(tmp_path: Path) -> None:
    twice = Recipe("twice", COSENT.names, COSENT.kind, lambda fields: COSENT.unfold(fields) * 2)
    assert [len(read(tmp_path, "rows.tsv", GOOD, recipe).rows) for recipe in (COSENT, twice, COSENT)] == [2, 4, 2]


def test_tables_not_used_for_long_are_removed_when_a_new_one_is_made(tmp_path: Path, fresh_cache: Path) -> None:
    read(tmp_path, "old.tsv", GOOD)
    (old,) = fresh_cache.iterdir()
    read(tmp_path, "used.tsv", GOOD)
    (used,) = set(fresh_cache.iterdir()) - {old}
    long_ago = time.time() - 40 * 86_400
    for folder in (old, used):
        os.utime(folder / data.REPORT, (long_ago, long_ago))
    read(tmp_path, "used.tsv", GOOD)
    read(tmp_path, "new.tsv", GOOD)
    assert not old.exists()
    assert used.exists()
    assert len(list(fresh_cache.iterdir())) == 2


def test_what_another_process_is_making_may_vanish_while_old_tables_are_looked_for(
    tmp_path: Path, fresh_cache: Path
) -> None:
    read(tmp_path, "old.tsv", GOOD)
    (fresh_cache / "gone").symlink_to(fresh_cache / "renamed")  # listed, and not there when it is looked at
    assert len(read(tmp_path, "new.tsv", GOOD).rows) == 2


def test_rows_of_many_blocks_stay_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "BLOCK", 10)
    table = read(tmp_path, "rows.txt", "".join(f"句子{number}\n" for number in range(35)), SIMCSE)
    assert [row["text"] for row in table.rows] == [f"句子{number}" for number in range(35)]


@dataclass(frozen=True)
class Odd:
    """A row of every type that a table has a place for."""

    text: str
    """Text."""
    count: int = 0
    """A number."""
    share: float | None = None
    """A number or nothing."""
    fine: bool = True
    """Yes or no."""
    spans: tuple[tuple[int, int], ...] = ()
    """Lists of lists."""
    answers: list[str] | None = None
    """A list or nothing."""


@dataclass(frozen=True)
class Shapeless:
    """A row that no table can hold."""

    anything: dict[str, int]
    """A mapping."""


def as_it_is(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [dict(fields)]


def test_rows_may_hold_lists_and_numbers(tmp_path: Path) -> None:
    row = {"text": "x", "count": 3, "share": 0.5, "fine": False, "spans": [[1, 2], [3, 4]], "answers": ["p", "q"]}
    table = read(tmp_path, "rows.jsonl", json.dumps(row), Recipe("odd", ("text",), Odd, as_it_is))
    assert table.rows[0] == row


def test_a_type_without_a_place_in_a_table_is_a_mistake_of_the_task(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"a training row cannot have the type dict\[str, int\]"):
        read(tmp_path, "rows.jsonl", '{"anything": {}}', Recipe("odd", ("anything",), Shapeless, as_it_is))


def test_a_row_with_a_column_too_many_is_a_mistake_of_the_task(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a row has \['more', 'text'\], its table \['text'"):
        read(tmp_path, "rows.jsonl", '{"text": "x", "more": 1}', Recipe("odd", ("text",), Odd, as_it_is))


def test_nothing_of_the_datasets_library_reaches_the_user(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    from datasets import concatenate_datasets

    table = read(tmp_path, "rows.tsv", GOOD)
    assert len(concatenate_datasets([table.rows, table.rows])) == 4
    assert capfd.readouterr() == ("", "")
    assert not list(recwarn)


def test_the_cache_is_where_the_user_wants_it(tmp_path: Path, fresh_cache: Path) -> None:
    read(tmp_path, "rows.tsv", GOOD)
    assert places.cache() / "data" == fresh_cache
    assert len(list(fresh_cache.iterdir())) == 1


def test_two_processes_may_make_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write: Callable[..., dict[str, Any]] = data.write

    def overtaken(path: Path, found: Any, recipe: Recipe) -> dict[str, Any]:  # noqa: ANN401
        monkeypatch.setattr(data, "write", write)
        read(tmp_path, "rows.tsv", GOOD)  # the other process is first
        return write(path, found, recipe)

    monkeypatch.setattr(data, "write", overtaken)
    assert len(read(tmp_path, "rows.tsv", GOOD).rows) == 2


def test_a_record_error_names_the_place(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def unfold(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
        if fields["text"] == "b":
            raise RecordError("no b here")
        return [{"text": fields["text"]}]

    with caplog.at_level(logging.INFO, "nlptasks"):
        read(tmp_path, "rows.txt", "a\nb\nc\n", Recipe("odd", ("text",), Odd, unfold))
    assert caplog.messages == [f"{tmp_path}/rows.txt: 1 of 3 records cannot be used: {tmp_path}/rows.txt:2: no b here"]
