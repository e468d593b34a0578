"""Tokenizers: read from either file, cut to a limit, made smaller, written again."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel, WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer, Digits, Sequence
from transformers import AutoTokenizer, BertTokenizer

from nlptasks.backbone import weights
from nlptasks.backbone.text import SPECIALS, Text, is_redundant
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import ModelError, UsageError

SENTENCES = ["今天天气很好。", "The PLAYing of 公园 plays!", "", "éab 我\t们\n[MASK]", "龘 unknownword"]


def tokens(text: Text, sentence: str, limit: int = 64) -> list[str]:
    return [str(text.tokenizer.id_to_token(number)) for number in text.encode([sentence], limit)[0]]


def with_words(folder: Path, *words: str) -> Path:
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    return folder


# --- encoding ---


def test_text_becomes_characters_and_pieces(tiny: Backbone) -> None:
    assert tokens(tiny.text, "今天Playing") == ["[CLS]", "今", "天", "play", "##ing", "[SEP]"]
    assert tokens(tiny.text, "") == ["[CLS]", "[SEP]"]
    assert tokens(tiny.text, "龘") == ["[CLS]", "[UNK]", "[SEP]"]


@pytest.mark.parametrize(
    ("limit", "expected", "cut"),
    [(6, "今天天气", 0), (5, "今天天", 1), (3, "今", 1)],
)
def test_the_limit_counts_the_tokens_around_the_text(tiny: Backbone, limit: int, expected: str, cut: int) -> None:
    assert tokens(tiny.text, "今天天气", limit) == ["[CLS]", *expected, "[SEP]"]
    assert tiny.text.cut_texts == cut


def test_cut_texts_add_up_whatever_the_limit(tiny: Backbone) -> None:
    for limit, cut in ((4, 2), (64, 2), (3, 5)):
        rows = tiny.text.encode(["今天天", "今天天气", "今天", "我"], limit)
        assert max(map(len, rows)) <= limit
        assert tiny.text.cut_texts == cut


def test_very_long_text_is_cut_before_it_is_read(tiny: Backbone) -> None:
    assert tokens(tiny.text, " " * 500 + "我", 4) == ["[CLS]", "[SEP]"]
    assert tokens(tiny.text, "我" * 100_000, 4) == ["[CLS]", "我", "我", "[SEP]"]
    assert tiny.text.cut_texts == 2


def words_cut(single_digits: bool) -> Text:
    """Make a tokenizer of a few words, which cuts numbers into digits or leaves them whole."""
    words = [*SPECIALS.values(), "在", "new", "york", "##s", "2", "0", "20", "k", ".", "-"]
    tokenizer = Tokenizer(WordPiece({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    steps = [BertPreTokenizer(), *([Digits(individual_digits=True)] if single_digits else [])]
    tokenizer.normalizer, tokenizer.pre_tokenizer = BertNormalizer(), Sequence(steps)
    return Text(tokenizer)


@pytest.mark.parametrize(
    ("single_digits", "sentence", "expected"),
    [
        (True, "在2020 20在", "在202020在"),
        (True, "20k 2.0-new", "20k2.0-new"),
        (True, "new yorks在new", "new yorks在new"),
        (False, "在20 20在", "在20 20在"),
        (False, "new 20 k", "new 20 k"),
    ],
)
def test_tokens_become_text_with_spaces_between_words(single_digits: bool, sentence: str, expected: str) -> None:
    text = words_cut(single_digits)
    assert text.decode(text.encode([sentence], 64)[0]) == expected


@pytest.mark.parametrize("limit", [-1, 0, 2])
def test_a_limit_without_room_for_text(tiny: Backbone, limit: int) -> None:
    with pytest.raises(UsageError, match=f"a limit of {limit} tokens leaves no room for text; expected 3 or more"):
        tiny.text.encode(["今天"], limit)


def test_no_texts_give_no_ids(tiny: Backbone) -> None:
    assert tiny.text.encode([], 8) == []


# --- reading ---


def test_ids_equal_those_of_transformers(tiny_folder: Path, tiny: Backbone) -> None:
    expected = AutoTokenizer.from_pretrained(tiny_folder)(SENTENCES)["input_ids"]
    assert tiny.text.encode(SENTENCES, 64) == expected


@pytest.mark.parametrize(
    "settings",
    [{}, {"do_lower_case": False}, {"do_lower_case": False, "strip_accents": True, "tokenize_chinese_chars": False}],
)
def test_a_list_of_words_is_read_as_transformers_reads_it(
    tmp_path: Path, tiny_words: tuple[str, ...], settings: dict[str, Any]
) -> None:
    with_words(tmp_path, *tiny_words)
    if settings:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    expected = BertTokenizer(vocab={word: n for n, word in enumerate(tiny_words)}, **settings)(SENTENCES)["input_ids"]
    assert Text.load(tmp_path).encode(SENTENCES, 64) == expected


def test_words_may_be_what_python_takes_for_line_ends(tmp_path: Path) -> None:
    text = Text.load(with_words(tmp_path, *SPECIALS.values(), "\u2028", "\x85", "a"))
    assert text.tokenizer.token_to_id("a") == 7


def test_settings_in_the_file_do_not_change_what_is_read(tiny: Backbone, tmp_path: Path) -> None:
    state = Tokenizer.from_str(tiny.text.tokenizer.to_str())
    state.enable_padding(length=20)
    state.enable_truncation(4)
    state.post_processor = None
    state.save(str(tmp_path / "tokenizer.json"))
    assert Text.load(tmp_path).encode(SENTENCES, 64) == tiny.text.encode(SENTENCES, 64)


def test_no_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no tokenizer\.json and no vocab\.txt; a model folder holds one of them"):
        Text.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer.json", b'{"version": "1.0"'),
        ("tokenizer.json", b"{}"),
        ("vocab.txt", b"[PAD]\n\xff\xfe\n"),
        ("vocab.txt", b""),
    ],
)
def test_a_damaged_tokenizer(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=r"not a tokenizer \(.+\); fetch the model again|the tokenizer has no \[PAD\]"):
        Text.load(tmp_path)


def test_damaged_settings(tmp_path: Path) -> None:
    with_words(tmp_path, *SPECIALS.values())
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(ModelError, match=r"vocab\.txt: not a tokenizer \(.+\); fetch the model again"):
        Text.load(tmp_path)


@pytest.mark.parametrize("missing", SPECIALS.values())
def test_a_vocabulary_without_a_special_token(tmp_path: Path, missing: str) -> None:
    with_words(tmp_path, *(word for word in SPECIALS.values() if word != missing), "我")
    with pytest.raises(
        ModelError, match=rf"the tokenizer has no \{missing}; expected a BERT vocabulary with \[PAD\], "
    ):
        Text.load(tmp_path)


# --- writing ---


def test_what_is_saved_reads_the_same_here_and_in_transformers(tiny: Backbone, tmp_path: Path) -> None:
    tiny.text.save(tmp_path, 32)
    assert Text.load(tmp_path).encode(SENTENCES, 64) == tiny.text.encode(SENTENCES, 64)
    other = AutoTokenizer.from_pretrained(tmp_path)
    assert (other.model_max_length, other.pad_token, other.mask_token) == (32, "[PAD]", "[MASK]")
    assert not list(tmp_path.glob("*.part"))


def test_saving_while_encoding_leaves_the_limit_alone(tiny: Backbone, tmp_path: Path) -> None:
    before = tiny.text.encode(["今天天气"], 4)
    tiny.text.save(tmp_path, 32)
    assert tiny.text.encode(["今天天气"], 4) == before


# --- smaller ---


@pytest.mark.parametrize("word", ["天气", "##天", "...", "[unused1]", "a。", "##+", "3号"])
def test_words_that_chinese_text_never_needs(word: str) -> None:
    assert is_redundant(word)


@pytest.mark.parametrize("word", ["天", "。", "+", "the", "##s", "##é", "2024", "か", "##かな"])
def test_words_that_are_kept(word: str) -> None:
    assert not is_redundant(word)


def test_a_simplified_vocabulary_reads_the_same_tokens(tiny: Backbone) -> None:
    small, old = tiny.text.simplified()
    assert len(small) == len(old) == len(tiny.text) - 6
    assert [small.tokenizer.token_to_id(word) for word in SPECIALS.values()] == [0, 1, 2, 3, 4]
    assert old[5:] == sorted(old[5:])
    for new, number in enumerate(old):
        assert small.tokenizer.id_to_token(new) == tiny.text.tokenizer.id_to_token(number)
    encoded = small.encode(SENTENCES, 64)
    assert [[old[number] for number in row] for row in encoded] == tiny.text.encode(SENTENCES, 64)


def test_a_simplified_vocabulary_is_saved_and_simplified_again(tiny: Backbone, tmp_path: Path) -> None:
    small, _ = tiny.text.simplified()
    small.save(tmp_path, 64)
    again = Text.load(tmp_path)
    assert again.encode(SENTENCES, 64) == small.encode(SENTENCES, 64)
    assert again.simplified()[1] == list(range(len(small)))
    assert AutoTokenizer.from_pretrained(tmp_path)(SENTENCES)["input_ids"] == small.encode(SENTENCES, 64)


def test_only_word_pieces_are_simplified() -> None:
    words = {word: number for number, word in enumerate(SPECIALS.values())}
    text = Text(Tokenizer(WordLevel(words, unk_token="[UNK]")))
    with pytest.raises(ModelError, match="a WordLevel tokenizer has no vocabulary to simplify; expected a WordPiece"):
        text.simplified()


def test_the_embedded_vocabulary_is_read_and_simplified() -> None:
    text = Text.load(weights.DEFAULT)
    small, old = text.simplified()
    assert len(small) < len(text)
    assert [[old[number] for number in row] for row in small.encode(SENTENCES, 64)] == text.encode(SENTENCES, 64)
