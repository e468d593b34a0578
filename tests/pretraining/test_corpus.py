import json
import shutil
from pathlib import Path

import pytest

from nlptasks.backbone import weights
from nlptasks.errors import InputError, UsageError
from nlptasks.pretraining import corpus as module
from nlptasks.pretraining.corpus import Corpus, check_tokenizer, is_prepared, open_folder


def test_a_corpus_is_its_documents_each_with_its_end(corpus: Corpus) -> None:
    ends = corpus.offsets[1:] - 1
    assert (corpus.ids[ends] == corpus.text.special["end"]).all()
    assert (corpus.ids == corpus.text.special["end"]).sum() == corpus.documents == 60
    assert corpus.starts[corpus.offsets[:-1]].all()
    assert corpus.tokens == len(corpus.starts) == corpus.offsets[-1]
    first = corpus.text.tokenizer.decode(corpus.ids[: corpus.offsets[1]].tolist()).replace(" ", "")
    assert first == "今天天气很好，今天天气很好。"


def test_a_folder_is_a_corpus_if_it_says_so(corpus: Corpus, tmp_path: Path) -> None:
    assert is_prepared(corpus.folder)
    assert not is_prepared(tmp_path)


def test_damage_is_named(corpus: Corpus, tmp_path: Path) -> None:
    folder = tmp_path / "c"
    for name in (module.IDS, module.STARTS, module.OFFSETS, module.ABOUT):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(corpus.folder, folder)
        (folder / name).write_bytes((folder / name).read_bytes()[:-40])
        with pytest.raises(InputError, match=r"corpus\.json: damaged .*; prepare the corpus again with --prepare"):
            open_folder(folder)
    shutil.rmtree(folder)
    shutil.copytree(corpus.folder, folder)
    (folder / module.IDS).write_bytes((folder / module.IDS).read_bytes() + b"\0\0")
    with pytest.raises(InputError, match="sizes that do not fit together"):
        open_folder(folder)


def test_a_newer_format_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / module.ABOUT).write_text(json.dumps({**corpus.about, "format": 99}))
    with pytest.raises(InputError, match="format 99, newer than the 1 known here; upgrade nlpk"):
        open_folder(tmp_path)


def test_another_tokenizer_is_refused(corpus: Corpus) -> None:
    check_tokenizer(corpus, open_folder(corpus.folder).text, "the same")
    with pytest.raises(UsageError, match=r"prepared with another tokenizer than that of M; .* --backbone M"):
        check_tokenizer(corpus, weights.load().text, "M")
