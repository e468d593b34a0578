import lzma
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from nlptasks import places
from nlptasks.backbone import weights
from nlptasks.errors import InputError, UsageError
from nlptasks.pretraining import corpus as module
from nlptasks.pretraining import preparing, words
from nlptasks.pretraining.corpus import Corpus
from nlptasks.pretraining.documents import Source
from nlptasks.pretraining.preparing import prepare


def same(one: Corpus, other: Corpus) -> bool:
    names = (module.IDS, module.STARTS, module.OFFSETS, "tokenizer.json")
    return all((one.folder / name).read_bytes() == (other.folder / name).read_bytes() for name in names)


def killed(documents: list[str]) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def caches() -> int:
    return len(list((places.cache() / "corpora").glob("*")))


def test_the_result_does_not_depend_on_the_number_of_workers(
    text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "CHUNK", 100)
    monkeypatch.setattr(preparing, "SMALL", 400)
    made = [prepare([Source(str(text_file))], 300, out=tmp_path / str(n), workers=n) for n in (1, 2)]
    assert same(*made)
    assert made[0].about == made[1].about


@pytest.mark.usefixtures("by_pairs")
def test_a_corpus_is_prepared_once(text_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = [Source(str(text_file)), Source(str(text_file))]
    one = prepare(sources, 300)
    monkeypatch.setattr(preparing, "write", None)
    assert prepare(sources, 300).folder == one.folder
    with pytest.raises(TypeError):
        prepare(sources[:1], 300)


@pytest.mark.usefixtures("by_pairs")
def test_a_corpus_is_named_as_its_files_are_now(text_file: Path, tmp_path: Path) -> None:
    prepare([Source(str(text_file))], 311)
    copy = tmp_path / "copy.txt"
    copy.write_bytes(text_file.read_bytes())
    assert prepare([Source(str(copy))], 311).name == "copy.txt"


@pytest.mark.usefixtures("by_pairs")
def test_the_current_folder_and_a_link_may_be_filled(
    text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "behind")
    (tmp_path / "behind").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    made = [prepare([Source(str(text_file))], 300, out=Path(out)) for out in (".", "../link", "../new/one")]
    assert same(*made[:2])
    assert same(*made[1:])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["behind", "here", "link", "new"]


@pytest.mark.usefixtures("by_pairs")
def test_where_a_corpus_cannot_be_put_is_said_before_any_work(text_file: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be made or written"):
        prepare([Source("no such file")], 300, out=tmp_path / "file" / "x")


@pytest.mark.usefixtures("by_pairs")
def test_how_far_it_is_is_told(
    text_file: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "NOTED", -1.0)
    with caplog.at_level("INFO"):
        prepare([Source(str(text_file))], 310)
    told = [message for message in caplog.messages if message.endswith("so far")]
    assert told[0].startswith("counting for the vocabulary: 0.0 M characters")
    assert told[-1].startswith("preparing: 0.0 M tokens")


@pytest.mark.usefixtures("by_pairs")
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, write, before = tmp_path / "c.txt", preparing.write, caches()
    path.write_text("今天天气很好。\n" * 99, encoding="utf-8")

    def grow(*arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - those of what it stands for
        with path.open("a", encoding="utf-8") as more:
            more.write("北京是首都。\n")
        return write(*arguments)

    monkeypatch.setattr(preparing, "write", grow)
    with pytest.raises(InputError, match=r"c\.txt: changed while it was read; wait until it is whole"):
        prepare([Source(str(path))], 300)
    assert caches() == before


def test_a_worker_that_is_killed_is_told(text_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "CHUNK", 100)
    monkeypatch.setattr(preparing, "SMALL", 400)
    monkeypatch.setattr(words, "encode", killed)
    with pytest.raises(InputError, match=r"a process that prepares the corpus was killed, .*; lower --workers"):
        prepare([Source(str(text_file))], 303, workers=2)


@pytest.mark.usefixtures("by_pairs")
def test_two_processes_may_prepare_the_same_at_once(text_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources, write, made = [Source(str(text_file))], preparing.write, list[Corpus]()

    def be_slower(*arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - those of what it stands for
        monkeypatch.setattr(preparing, "write", write)
        made.append(prepare(sources, 299))
        return write(*arguments)

    monkeypatch.setattr(preparing, "write", be_slower)
    assert prepare(sources, 299).folder == made[0].folder
    assert not [path for path in made[0].folder.parent.iterdir() if path.name.startswith(f"{made[0].folder.name}.")]


@pytest.mark.usefixtures("by_pairs")
def test_corpora_that_nobody_asked_for_are_removed(text_file: Path) -> None:
    folders = [prepare([Source(str(text_file))], size).folder for size in (301, 302, 303)]
    for folder in folders:
        os.utime(folder / module.ABOUT, (0, 0))
    prepare([Source(str(text_file))], 302)  # used again
    assert [folder.is_dir() for folder in folders] == [True, True, True]
    made = prepare([Source(str(text_file))], 304).folder
    assert [folder.is_dir() for folder in (*folders, made)] == [False, True, False, True]


@pytest.mark.usefixtures("by_pairs")
def test_a_tokenizer_may_be_given(text_file: Path, tmp_path: Path) -> None:
    text = weights.load().text
    made = prepare([Source(str(text_file))], text, out=tmp_path / "c")
    module.check_tokenizer(made, text, "embedded")


@pytest.mark.usefixtures("by_pairs")
def test_unknown_tokens_and_languages_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "c.txt"
    path.write_text("the cat\nsat there ᚠ\n")
    with caplog.at_level("INFO"):
        made = prepare([Source(str(path))], weights.load().text)
    assert made.about["unknown"] == pytest.approx(1 / (made.tokens - 2))
    assert "2 documents" in caplog.text
    assert "c.txt: only 0 % of the tokens are Chinese characters" in caplog.text


@pytest.mark.usefixtures("by_pairs")
def test_a_large_vocabulary_takes_wider_numbers(
    text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = weights.load().text
    monkeypatch.setattr(type(text), "__len__", lambda text: 70_000)
    assert prepare([Source(str(text_file))], text, out=tmp_path / "c").ids.dtype == "uint32"


@pytest.mark.usefixtures("by_pairs")
@pytest.mark.parametrize("content", [b"", b"\n \n\n", "\u200b\n".encode()])
def test_nothing_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"c\.txt: no text; expected some, with a blank line"):
        prepare([Source(str(path))], 300)


@pytest.mark.usefixtures("by_pairs")
def test_of_a_file_that_is_cut_off_nothing_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "c.txt.xz"
    whole = lzma.compress(os.urandom(99_999).hex().encode())
    path.write_bytes(whole[: len(whole) // 2])
    before = caches()
    with pytest.raises(InputError, match="data is cut off"):
        prepare([Source(str(path))], weights.load().text)
    assert caches() == before


@pytest.mark.usefixtures("by_pairs")
def test_a_place_that_is_taken_is_refused(text_file: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path, tmp_path / "file"):
        with pytest.raises(UsageError, match="not an empty folder; choose another for --prepare"):
            prepare([Source(str(text_file))], 300, out=out)
    (tmp_path / "empty").mkdir()
    assert prepare([Source(str(text_file))], 300, out=tmp_path / "empty").documents == 60
