import json
import subprocess
import sys
from pathlib import Path

import pytest

from nlptasks.backbone import weights
from nlptasks.errors import UsageError
from nlptasks.pretraining import vocabulary
from nlptasks.pretraining.vocabulary import FIXED, Counts, train, words_of

DOCUMENTS = ["今天天气很好 playing the player plays", "天气好 THE Playing", "第２天 naïve カナ カカナ", "玩"] * 3


def tokens(text: str, size: int = 400) -> list[str]:
    found: list[str] = train(DOCUMENTS, size).tokenizer.encode(text, add_special_tokens=False).tokens
    return found


def test_one_token_for_each_chinese_character_and_digit() -> None:
    assert tokens("今天12天气") == ["今", "天", "1", "2", "天", "气"]


def test_case_and_accents_are_dropped() -> None:
    assert tokens("NAÏVE") == tokens("naive")


def test_pieces_of_latin_words_are_learned() -> None:
    assert tokens("the playing") == ["the", "playing"]
    assert all(token.removeprefix("##") in "zyx" for token in tokens("zyx"))


def test_other_scripts_are_put_together_from_their_characters() -> None:
    assert "[UNK]" not in tokens("カカナ")
    assert len(tokens("カカナ")) == 3


def test_what_is_frequent_comes_first_and_the_size_is_kept() -> None:
    counts = Counts()
    for document in DOCUMENTS:
        counts.add(document)
    few = words_of(counts, len(FIXED) + 3)
    assert few[: len(FIXED)] == list(FIXED)
    assert few[len(FIXED) :] == ["天", "##ナ", "カ"]
    assert len(set(words_of(counts, 1000))) == len(words_of(counts, 1000)) < 1000


def test_it_has_the_form_of_the_embedded_one() -> None:
    ours = json.loads(train(DOCUMENTS, 400).tokenizer.to_str())
    theirs = json.loads((weights.DEFAULT / "tokenizer.json").read_text("utf-8"))
    for part in ("normalizer", "pre_tokenizer", "decoder"):
        assert ours[part] == theirs[part]
    assert ours["added_tokens"] == theirs["added_tokens"]
    assert {**ours["model"], "vocab": 0} == {**theirs["model"], "vocab": 0}


def test_it_is_the_same_each_time(tmp_path: Path) -> None:
    """Hashes differ from process to process, so it takes two processes to see."""
    many = [f"{chr(97 + n % 7)}{chr(97 + n % 11)}{chr(97 + n % 13)}{chr(97 + n % 17)}" for n in range(3000)]
    (tmp_path / "words.txt").write_text(" ".join(many))
    code = (
        "import sys, pathlib; from nlptasks.pretraining.vocabulary import train;"
        "print(train([pathlib.Path(sys.argv[1]).read_text()], 500).tokenizer.to_str())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "words.txt")]
    one, other = (subprocess.run(command, capture_output=True, check=True).stdout for _ in range(2))
    assert one == other
    assert b"##" in one


def test_a_flood_of_words_is_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "MOST_WORDS", 3)
    counts = Counts()
    counts.add("aa aa bb cc dd")
    assert counts.words == {"aa": 2}


def test_a_word_that_is_too_long_is_none() -> None:
    counts = Counts()
    counts.add("a" * 64 + " " + "b" * 65)
    assert counts.words == {"a" * 64: 1}


def test_a_vocabulary_without_room_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--vocab-size 50: \d+ are taken by letters and signs"):
        train(DOCUMENTS, 50)
