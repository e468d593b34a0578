import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nlptasks.errors import InputError, ModelError, RecordError
from nlptasks.similarity import index_store
from nlptasks.similarity.index import Index
from nlptasks.similarity.index_store import locked

WIDTH = 8
TEXTS = ["怎么改密码", "忘记密码怎么办", "𠮷野家在哪里", "line\nbreak \u2028 and \x00", "", "Überraschung 🎉"]


def random_vectors(count: int, width: int = WIDTH, *, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def items(count: int) -> list[dict[str, Any]]:
    return [{"text": f"句子{number}"} for number in range(count)]


def build(
    folder: Path,
    vectors: NDArray[np.float32],
    *,
    exact_below: int = 100_000,
    overwrite: bool = False,
    threads: int = 2,
) -> Index:
    with Index.create(
        folder,
        width=vectors.shape[1],
        model="abc",
        about={"model": "models/tiny", "pooling": "mean"},
        exact_below=exact_below,
        overwrite=overwrite,
        threads=threads,
    ) as writer:
        for start in range(0, len(vectors), 1000):
            writer.add(items(len(vectors))[start : start + 1000], vectors[start : start + 1000])
    return Index.open(folder)


def extend(folder: Path, vectors: NDArray[np.float32]) -> Index:
    with Index.extend(
        folder, threads=1
    ) as writer:  # a graph of several threads is another each time, near but not equal
        writer.add(items(len(vectors)), vectors)
    return Index.open(folder)


def brute_force(vectors: NDArray[np.float32], queries: NDArray[np.float32], k: int) -> list[list[int]]:
    rows, asked = unit(vectors), unit(queries)
    return [[int(place) for place in np.argsort(-(rows @ query), kind="stable")[:k]] for query in asked]


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    short: NDArray[np.float32] = (wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float32)
    return short.astype(np.float64)


def positions(index: Index, queries: NDArray[np.float32], k: int) -> list[list[int]]:
    return [[hit.position for hit in hits] for hits in index.query(queries, k)]


def data_folder(folder: Path) -> Path:
    (data,) = folder.glob("data-*")
    return data


def graphs(folder: Path) -> list[str]:
    return sorted(path.name for path in data_folder(folder).glob("graph-*"))


def change_manifest(folder: Path, **changes: object) -> None:
    path = folder / "index.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    vectors = random_vectors(len(TEXTS))
    with Index.create(tmp_path / "index", width=WIDTH, model="abc", about={"pooling": "mean"}) as writer:
        writer.add([{"text": text, "部门": [1, None]} for text in TEXTS[:4]], vectors[:4])
        writer.add([{"text": text, "部门": [1, None]} for text in TEXTS[4:]], vectors[4:] * 1e30)
        assert writer.count == len(TEXTS)
    index = Index.open(tmp_path / "index")
    assert (index.count, index.width, index.model, index.about) == (6, WIDTH, "abc", {"pooling": "mean"})
    for number, (hit, *_) in enumerate(index.query(vectors, k=1)):
        assert hit.item == {"id": number, "text": TEXTS[number], "部门": [1, None]}
        assert hit.position == number
        assert hit.cosine == pytest.approx(1, abs=1e-6)
        assert hit.cosine <= 1


def test_an_item_keeps_an_id_of_its_own(tmp_path: Path) -> None:
    with Index.create(tmp_path / "index", width=WIDTH, model="abc", about={}) as writer:
        writer.add([{"id": "Q7", "text": "你好"}], random_vectors(1))
    (hit,) = Index.open(tmp_path / "index").query(random_vectors(1), k=1)[0]
    assert (hit.item, hit.position) == ({"id": "Q7", "text": "你好"}, 0)


def test_exact_search_equals_brute_force_over_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nlptasks.similarity.index.ROWS_AT_ONCE", 97)
    monkeypatch.setattr("nlptasks.similarity.index.QUERIES_AT_ONCE", 7)
    vectors, queries = random_vectors(2500), random_vectors(30, seed=1)
    index = build(tmp_path / "index", vectors)
    assert not graphs(tmp_path / "index")
    for k in (1, 10, 300):
        assert positions(index, queries, k) == brute_force(vectors, queries, k)
    wide = vectors[5].astype(np.float64)
    expected = wide @ queries[0] / np.linalg.norm(wide) / np.linalg.norm(queries[0])
    (cosine,) = (hit.cosine for hit in index.query(queries[:1], k=2500)[0] if hit.position == 5)
    assert cosine == pytest.approx(expected, abs=1e-6)


def test_a_question_gets_the_same_answer_alone_and_among_others(tmp_path: Path) -> None:
    index = build(tmp_path / "index", random_vectors(500))
    queries = random_vectors(9, seed=1)
    assert index.query(queries, k=5) == [index.query(queries[[row]], k=5)[0] for row in range(9)]


@pytest.mark.parametrize("exact_below", [10**6, 1])
def test_equally_near_items_come_in_the_order_they_were_added(tmp_path: Path, exact_below: int) -> None:
    vectors = random_vectors(3)[np.arange(45) % 3]
    index = build(tmp_path / "index", vectors, exact_below=exact_below)
    assert positions(index, vectors[1:2], 15) == [list(range(1, 45, 3))]


@pytest.mark.parametrize("exact_below", [10**6, 1])
def test_asking_for_more_than_there_are_gives_all(tmp_path: Path, exact_below: int) -> None:
    vectors, queries = random_vectors(20), random_vectors(2, seed=1)
    index = build(tmp_path / "index", vectors, exact_below=exact_below)
    assert positions(index, queries, 1000) == brute_force(vectors, queries, 20)


@pytest.mark.parametrize("exact_below", [10**6, 0])
def test_an_empty_index_answers_and_grows(tmp_path: Path, exact_below: int) -> None:
    index = build(tmp_path / "index", random_vectors(0), exact_below=exact_below)
    assert (index.count, index.query(random_vectors(2), k=3)) == (0, [[], []])
    assert extend(tmp_path / "index", random_vectors(0)).count == 0
    assert positions(extend(tmp_path / "index", random_vectors(4)), random_vectors(4)[2:3], 1) == [[2]]


def test_no_questions_give_no_answers(tmp_path: Path) -> None:
    assert build(tmp_path / "index", random_vectors(4)).query(random_vectors(0), k=3) == []


def test_a_vector_of_zeros_is_like_nothing(tmp_path: Path) -> None:
    index = build(tmp_path / "index", np.zeros((2, WIDTH), np.float32))
    assert [hit.cosine for hit in index.query(random_vectors(1), k=2)[0]] == [0, 0]


@pytest.mark.parametrize("sort", [False, True])
def test_the_graph_finds_what_is_near(tmp_path: Path, sort: bool) -> None:
    generator = np.random.default_rng(3)
    centres = generator.normal(size=(300, 32))
    cluster = generator.integers(300, size=8_300)
    cluster[:8_000] = np.sort(cluster[:8_000]) if sort else cluster[:8_000]
    points = (centres[cluster] + 0.4 * generator.normal(size=(8_300, 32))).astype(np.float32)
    vectors, queries = points[:8_000], points[8_000:]
    index = build(tmp_path / "index", vectors, exact_below=1000)
    assert graphs(tmp_path / "index") == ["graph-8000.usearch"]
    expected = brute_force(vectors, queries, 10)
    found = positions(index, queries, 10)
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, expected, strict=True)]) >= 0.95


def test_the_graph_is_asked_and_its_finds_are_scored_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, queries = random_vectors(3000), random_vectors(20, seed=1)
    exact = build(tmp_path / "exact", vectors)
    index = build(tmp_path / "graph", vectors, exact_below=10, threads=1)
    expected = exact.query(queries, k=5)
    monkeypatch.delattr("nlptasks.similarity.index._scan")
    assert index.query(queries, k=5) == expected


def test_one_thread_builds_the_same_graph_again(tmp_path: Path) -> None:
    for name in ("one", "two"):
        build(tmp_path / name, random_vectors(2000), exact_below=10, threads=1)
    one, two = (data_folder(tmp_path / name) / "graph-2000.usearch" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_adding_extends_the_graph_without_building_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = random_vectors(2000)
    build(tmp_path / "index", vectors[:900], exact_below=1000, threads=1)
    assert not graphs(tmp_path / "index")
    extend(tmp_path / "index", vectors[900:1500])
    assert graphs(tmp_path / "index") == ["graph-1500.usearch"]
    before = Index.open(tmp_path / "index")
    monkeypatch.delattr("nlptasks.similarity.index_writer._new_graph")
    index = extend(tmp_path / "index", vectors[1500:])
    assert graphs(tmp_path / "index") == ["graph-2000.usearch"]
    queries = random_vectors(20, seed=1)
    assert positions(index, queries, 5) == brute_force(vectors, queries, 5)
    assert positions(before, queries, 5) == brute_force(vectors[:1500], queries, 5)


def test_adding_nothing_changes_nothing(tmp_path: Path) -> None:
    build(tmp_path / "index", random_vectors(50), exact_below=10)
    before = (tmp_path / "index" / "index.json").read_bytes()
    extend(tmp_path / "index", random_vectors(0))
    assert (tmp_path / "index" / "index.json").read_bytes() == before
    assert graphs(tmp_path / "index") == ["graph-50.usearch"]


IN_ANOTHER_PROCESS = """
import json, os, signal, shutil, sys
from pathlib import Path
import numpy as np
from nlptasks.similarity.index import Index

def vectors(count, seed):
    return np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)

def add(folder):
    with Index.extend(folder, threads=1) as writer:
        writer.add([{"text": "新"}] * 7, vectors(7, 1))

def create(folder):
    options = {"width": 8, "model": "new", "about": {}, "exact_below": 3, "overwrite": True, "threads": 1}
    with Index.create(folder, **options) as writer:
        writer.add([{"text": "新"}] * 7, vectors(7, 1))

def killed_at(step, action, folder):
    done = 0
    def fatal(original):
        def call(*arguments, **options):
            nonlocal done
            if done == step:
                os.kill(os.getpid(), signal.SIGKILL)
            done += 1
            return original(*arguments, **options)
        return call
    for name in ("fsync", "replace", "rename", "unlink"):
        setattr(os, name, fatal(getattr(os, name)))
    action(folder)
"""


def in_another_process(script: str, *arguments: object) -> str:
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS + script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_another_process_adds_and_asks(tmp_path: Path) -> None:
    old = build(tmp_path / "index", random_vectors(5))
    script = "add(Path(sys.argv[1])); print(Index.open(Path(sys.argv[1])).query(vectors(5, 0), 1)[3][0].position)"
    assert in_another_process(script, tmp_path / "index") == "3\n"
    assert (old.count, Index.open(tmp_path / "index").count) == (5, 12)
    assert Index.open(tmp_path / "index").query(random_vectors(7, seed=1), k=1)[6][0].item == {"id": 11, "text": "新"}


KILLED_AT_EVERY_STEP = """
start, action = Path(sys.argv[1]), globals()[sys.argv[2]]
for step in range(100):
    folder = start.with_name(f"killed-{step:02}")
    if start.exists():
        shutil.copytree(start, folder)
    child = os.fork()
    if not child:
        killed_at(step, action, folder)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    print(status)
    if status == 0:
        break
"""


def old_or_new(folder: Path, old: int | None) -> str:
    if not folder.exists():
        assert old is None
        return "old"
    index = Index.open(folder)
    assert len(index.query(random_vectors(1), k=100)[0]) == index.count
    return "old" if index.count == old else "new"


@pytest.mark.parametrize(
    ("action", "old", "new"), [("add", 5, 12), ("add", 0, 7), ("create", 5, 7), ("create", None, 7)]
)
def test_a_process_killed_anywhere_leaves_the_old_or_the_new_state(
    tmp_path: Path, action: str, old: int | None, new: int
) -> None:
    start = tmp_path / "start"
    if old is not None:
        build(start, random_vectors(old), exact_below=3)
    statuses = [int(line) for line in in_another_process(KILLED_AT_EVERY_STEP, start, action).splitlines()]
    assert set(statuses[:-1]) == {signal.SIGKILL}
    assert len(statuses) > 7
    states = [old_or_new(tmp_path / f"killed-{step:02}", old) for step in range(len(statuses))]
    assert set(states) == {"old", "new"}
    assert states == sorted(states, reverse=True)
    for step, state in enumerate(states):
        folder = tmp_path / f"killed-{step:02}"
        if state == "old":
            in_this_process(action, folder)
            assert len(list(folder.glob("data-*"))) == 1
        index = extend(folder, random_vectors(1, seed=2))
        assert (index.count, graphs(folder)) == (new + 1, [f"graph-{new + 1}.usearch"])
        assert positions(index, random_vectors(7, seed=1), 1) == [[new - 7 + row] for row in range(7)]


def in_this_process(action: str, folder: Path) -> None:
    if action == "add":
        extend(folder, random_vectors(7, seed=1))
    else:
        build(folder, random_vectors(7, seed=1), exact_below=3, overwrite=True)


def test_what_an_interrupted_adder_left_is_not_seen_and_cut_off(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    build(folder, random_vectors(5))
    for name in ("vectors.f32", "items.jsonl", "items.offsets"):
        with (data_folder(folder) / name).open("ab") as file:
            file.write(b"half a ro")
    assert positions(Index.open(folder), random_vectors(5), 1) == [[0], [1], [2], [3], [4]]
    index = extend(folder, random_vectors(2, seed=1))
    assert positions(index, random_vectors(2, seed=1), 1) == [[5], [6]]
    assert (data_folder(folder) / "vectors.f32").stat().st_size == 7 * WIDTH * 4


def test_an_addition_whose_manifest_was_not_replaced_never_happened(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    build(folder, random_vectors(5), exact_below=3)
    manifest = (folder / "index.json").read_bytes()
    graph = (data_folder(folder) / "graph-5.usearch").read_bytes()
    extend(folder, random_vectors(9, seed=1))
    (folder / "index.json").write_bytes(manifest)
    (data_folder(folder) / "graph-5.usearch").write_bytes(graph)
    assert Index.open(folder).count == 5
    index = extend(folder, random_vectors(2, seed=2))
    assert positions(index, random_vectors(2, seed=2), 1) == [[5], [6]]
    assert graphs(folder) == ["graph-7.usearch"]


def test_an_addition_that_fails_never_happened(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    build(folder, random_vectors(5))

    def fail() -> None:
        with Index.extend(folder) as writer:
            writer.add(items(3), random_vectors(3))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert Index.open(folder).count == 5
    assert extend(folder, random_vectors(1)).count == 6


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(*, overwrite: bool = False) -> None:
        with Index.create(tmp_path / "index", width=WIDTH, model="new", about={}, overwrite=overwrite) as writer:
            writer.add(items(3), random_vectors(3))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not list(tmp_path.iterdir())
    build(tmp_path / "index", random_vectors(5))
    with pytest.raises(KeyError):
        fail(overwrite=True)
    assert Index.open(tmp_path / "index").count == 5
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_a_reader_that_comes_between_the_steps_of_an_adder_sees_the_new_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "index"
    build(folder, random_vectors(5), exact_below=3)

    def overtaken(folder: Path, manifest: index_store.Manifest) -> None:
        monkeypatch.undo()
        extend(folder, random_vectors(2))
        index_store.check_files(folder, manifest)

    monkeypatch.setattr(index_store, "check_files", overtaken)
    assert Index.open(folder).count == 7


def test_a_second_adder_is_refused(tmp_path: Path) -> None:
    build(tmp_path / "index", random_vectors(5))
    with Index.extend(tmp_path / "index") as writer:
        writer.add(items(1), random_vectors(1))
        with pytest.raises(InputError, match="another process is writing this index; try again"):
            extend(tmp_path / "index", random_vectors(1))
        with pytest.raises(InputError, match="another process is writing"):
            build(tmp_path / "index", random_vectors(1), overwrite=True)
        with pytest.raises(subprocess.CalledProcessError) as failed:
            in_another_process("add(Path(sys.argv[1]))", tmp_path / "index")
        assert "InputError" in failed.value.stderr
    assert Index.open(tmp_path / "index").count == 6


def test_a_second_builder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    building = Index.create(folder, width=WIDTH, model="abc", about={})
    with building, pytest.raises(InputError, match="another process is writing"):
        build(folder, random_vectors(1))
    assert Index.open(tmp_path / "index").count == 0


def test_a_lock_that_moved_away_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "part"
    folder.mkdir()
    monkeypatch.setattr("fcntl.flock", lambda *_: shutil.move(folder, tmp_path / "index"))
    with pytest.raises(InputError, match="another process is writing"), locked(folder):
        pytest.fail("the lock was given")


def test_a_lock_needs_a_folder_that_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with (
        pytest.raises(InputError, match=r"cannot be written \(Is a directory\); check its permissions"),
        locked(tmp_path),
    ):
        pytest.fail("the lock was given")


def test_building_where_something_else_is(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    assert build(other, random_vectors(1)).count == 1
    with pytest.raises(InputError, match=r"the folder is not empty; name another, or replace .* --overwrite"):
        build(other, random_vectors(2))
    assert build(other, random_vectors(2), overwrite=True).count == 2
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a file is in the way"):
        build(tmp_path / "file", random_vectors(2), overwrite=True)
    with pytest.raises(InputError, match="cannot be created"):
        build(tmp_path / "file" / "index", random_vectors(2))


@pytest.mark.parametrize(("name", "content"), [("index.json", '{"a": 1}'), ("index.json", "[]"), ("diary.txt", "")])
def test_overwriting_spares_what_is_not_an_index(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match="not a search index"):
        build(tmp_path, random_vectors(2), overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_that_was_filled_while_building_stays(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    building = Index.create(folder, width=WIDTH, model="abc", about={})
    building.__enter__()
    folder.mkdir()
    (folder / "diary.txt").write_text("")
    with pytest.raises(InputError, match=r"cannot take the new index \(Directory not empty\)"):
        building.__exit__(None, None, None)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["index", "index/diary.txt"]


def test_opening_what_is_no_index(tmp_path: Path) -> None:
    for enter in (Index.open, lambda folder: Index.extend(folder).__enter__()):
        with pytest.raises(InputError, match="missing: no such folder; build an index with `nlpk search build"):
            enter(tmp_path / "missing")
        with pytest.raises(InputError, match=r"not a search index \(it has no index\.json\)"):
            enter(tmp_path)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"kind": "book"}, "not a search index"),
        ({"format": 2}, "index of format 2, but this version reads up to 1; upgrade nlpk"),
        ({"count": 4}, "index.json is damaged; build the index again"),
        ({"count": "5"}, "index.json is damaged"),
        ({"width": 0}, "index.json is damaged"),
        ({"lengths": None}, "index.json is damaged"),
        ({"lengths": {}}, "index.json is damaged"),
        ({"graph": "../other"}, "index.json is damaged"),
        ({"data": "../data"}, "index.json is damaged"),
        ({"data": 7}, "index.json is damaged"),
        ({"about": []}, "index.json is damaged"),
        ({"data": "data-0"}, "vectors.f32 is missing; build the index again"),
    ],
)
def test_a_manifest_that_cannot_be_right(tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    build(tmp_path / "index", random_vectors(5))
    change_manifest(tmp_path / "index", **changes)
    with pytest.raises(InputError, match=complaint):
        Index.open(tmp_path / "index")
    with pytest.raises(InputError, match=complaint):
        extend(tmp_path / "index", random_vectors(1))


def test_a_manifest_without_a_key_or_not_json(tmp_path: Path) -> None:
    build(tmp_path / "index", random_vectors(5))
    manifest = tmp_path / "index" / "index.json"
    content = json.loads(manifest.read_text("utf-8"))
    del content["model"]
    manifest.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"index\.json is damaged; build the index again"):
        Index.open(tmp_path / "index")
    manifest.write_text('{"kind"')
    with pytest.raises(InputError, match=r"index\.json is damaged; delete the folder and build"):
        Index.open(tmp_path / "index")


@pytest.mark.parametrize("name", ["vectors.f32", "items.jsonl", "items.offsets", "graph-5.usearch"])
def test_a_file_that_is_too_short_or_missing(tmp_path: Path, name: str) -> None:
    build(tmp_path / "index", random_vectors(5), exact_below=3)
    path = data_folder(tmp_path / "index") / name
    path.write_bytes(path.read_bytes()[:-1])
    for enter in (Index.open, lambda folder: extend(folder, random_vectors(1))):
        with pytest.raises(InputError, match=rf"{name} is damaged \(\d+ bytes of \d+\); build the index again"):
            enter(tmp_path / "index")
    path.unlink()
    for enter in (Index.open, lambda folder: extend(folder, random_vectors(1))):
        with pytest.raises(InputError, match=f"{name} is missing; build the index again"):
            enter(tmp_path / "index")


def test_files_whose_content_is_wrong(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    build(folder, random_vectors(5), exact_below=3)
    graph, texts, ends = (data_folder(folder) / name for name in ("graph-5.usearch", "items.jsonl", "items.offsets"))
    texts.write_bytes(texts.read_bytes().replace(b"{", b"["))
    with pytest.raises(InputError, match="item 3 is damaged; build the index again"):
        Index.open(folder).query(random_vectors(5)[3:4], k=1)
    sound = graph.read_bytes()
    graph.write_bytes(bytes(len(sound)))
    with pytest.raises(InputError, match="the search graph is damaged; build the index again"):
        Index.open(folder)
    build(tmp_path / "smaller", random_vectors(4), exact_below=3)
    smaller = (data_folder(tmp_path / "smaller") / "graph-4.usearch").read_bytes()
    graph.write_bytes(smaller.ljust(len(sound), b"\0"))
    with pytest.raises(InputError, match="the search graph is damaged"):
        Index.open(folder)
    ends.write_bytes(bytes(5 * 8))
    with pytest.raises(InputError, match=r"items\.offsets is damaged; build the index again"):
        Index.open(folder)


def test_vectors_and_items_that_are_refused_leave_the_writer_usable(tmp_path: Path) -> None:
    not_finite = random_vectors(2)
    not_finite[1, 3] = np.nan
    with Index.create(tmp_path / "index", width=WIDTH, model="abc", about={"model": "models/tiny"}) as writer:
        with pytest.raises(ValueError, match="not finite"):
            writer.add(items(2), not_finite)
        with pytest.raises(ValueError, match="3 items came with 2 vectors"):
            writer.add(items(3), random_vectors(2))
        with pytest.raises(ValueError, match=r"an array \(N, K\), not of shape \(8,\)"):
            writer.add(items(1), random_vectors(2)[0])
        with pytest.raises(ModelError, match=r"width 9 do not fit an index of width 8; use .* \(models/tiny\)"):
            writer.add(items(2), random_vectors(2, 9))
        with pytest.raises(RecordError, match="item 1 cannot be written as JSON"):
            writer.add([{"text": "a"}, {"text": {1, 2}}], random_vectors(2))
        writer.add(items(1), random_vectors(1))
    assert Index.open(tmp_path / "index").count == 1


def test_questions_that_are_refused(tmp_path: Path) -> None:
    index = build(tmp_path / "index", random_vectors(2))
    with pytest.raises(ValueError, match="k must be 1 or more, not 0"):
        index.query(random_vectors(1), k=0)
    with pytest.raises(ValueError, match="not finite"):
        index.query(np.full((1, WIDTH), np.inf, np.float32), k=1)
    with pytest.raises(ModelError, match="width 3 do not fit an index of width 8"):
        index.query(random_vectors(1, 3), k=1)


def test_a_width_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a width of 1 or more, not 0"):
        build(tmp_path / "index", random_vectors(1, 0))
    assert not list(tmp_path.iterdir())


def test_another_model_is_refused(tmp_path: Path) -> None:
    complaint = "built with the model models/tiny, and that one has changed since, or another was given; give the model"
    index = build(tmp_path / "index", random_vectors(2))
    index.check("abc")
    with pytest.raises(ModelError, match=complaint):
        index.check("xyz")
    with pytest.raises(ModelError, match="built with the model models/tiny, and other is another; give the model"):
        index.check("xyz", "other")
    with Index.extend(tmp_path / "index") as writer:
        writer.check("abc")
        with pytest.raises(ModelError, match=complaint):
            writer.check("xyz")


def test_a_large_index_gets_the_usual_permissions(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        build(tmp_path / "index", random_vectors(20), exact_below=3)
        extend(tmp_path / "index", random_vectors(3, seed=1))
    finally:
        os.umask(before)
    made = [path for path in (tmp_path / "index").rglob("*") if path.is_file()]
    assert any(path.suffix == ".usearch" for path in made)
    assert {path.stat().st_mode & 0o777 for path in made} == {0o644}
