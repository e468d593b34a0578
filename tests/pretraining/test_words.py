import logging
import signal
import sys

import pytest

from nlptasks import places
from nlptasks.errors import UsageError
from nlptasks.pretraining import vocabulary, words
from nlptasks.pretraining.words import Encoder

TEXT = vocabulary.build([*vocabulary.FIXED, *"今天气很好龙", "pla", "##yi", "##ng"])


def encoder(*cut: str) -> Encoder:
    """Make an encoder for which a text is these words."""
    return Encoder(TEXT.tokenizer.to_str(), TEXT.special["end"], "uint16", lambda text: list(cut))


def shown(encoder: Encoder, document: str) -> list[str]:
    """Write the tokens, a bar before each word."""
    found = encoder([document])
    tokens = [str(TEXT.tokenizer.id_to_token(int(number))) for number in found.ids]
    return [("|" if start else "") + token for token, start in zip(tokens, found.starts, strict=True)]


def test_a_word_begins_at_its_first_token() -> None:
    assert shown(encoder("今天", "天气", "很", "好"), "今天天气很好") == [
        "|今",
        "天",
        "|天",
        "气",
        "|很",
        "|好",
        "|[SEP]",
    ]


def test_offsets_are_those_of_the_text_as_it_was() -> None:
    """Spaces, accents, case and characters that the normalizer drops do not move the words."""
    text = ["\ufeff", "Ä", " ", "B", "\u00ad", "今天"]
    assert shown(encoder(*text), "".join(text)) == ["|a", "|b", "|今", "天", "|[SEP]"]


def test_a_token_belongs_to_the_word_in_which_it_starts() -> None:
    assert shown(encoder("pl", "ayi", "ng"), "playing") == ["|pla", "|##yi", "|##ng", "|[SEP]"]
    assert shown(encoder("playi", "ng"), "playing") == ["|pla", "##yi", "|##ng", "|[SEP]"]
    assert shown(encoder("playin", "g"), "playing") == ["|pla", "##yi", "##ng", "|[SEP]"]


def test_a_number_is_one_word_of_many_tokens() -> None:
    assert shown(encoder("2026", "今天"), "2026今天") == ["|2", "0", "2", "6", "|今", "天", "|[SEP]"]


def test_names_of_special_tokens_are_text() -> None:
    assert shown(encoder("[SEP]"), "[SEP]") == ["|[", "s", "##e", "##p", "]", "|[SEP]"]


def test_documents_are_counted() -> None:
    made = encoder("今天")(["今天", "\u200b", "今天"])
    assert made.lengths.tolist() == [3, 3]
    assert (made.characters, made.left_out, len(made.ids), str(made.ids.dtype)) == (5, 1, 6, "uint16")
    nothing = encoder()([" "])
    assert (len(nothing.ids), len(nothing.lengths)) == (0, 0)


def test_jieba_is_quiet_and_keeps_its_cache_with_ours(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    cut = words.jieba_words()
    assert cut("我们去北京大学玩") == ["我们", "去", "北京大学", "玩"]
    assert list((places.cache() / "jieba").glob("*.cache"))
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("jieba").level == logging.WARNING


def test_without_jieba_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jieba", None)
    with pytest.raises(UsageError, match="jieba, which finds the words, is not installed; pip install jieba"):
        words.jieba_words()


def test_a_worker_is_prepared_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_encoder", None)
    monkeypatch.setattr(words, "jieba_words", lambda: list)
    with pytest.raises(RuntimeError, match="encode was called before start_worker"):
        words.encode(["今"])
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    ignored = list[object]()
    monkeypatch.setattr("signal.signal", lambda *what: ignored.append(what))
    words.start_worker(TEXT.tokenizer.to_str(), TEXT.special["end"], "uint16")
    assert ignored == [(signal.SIGINT, signal.SIG_IGN)]
    assert len(words.encode(["今天"]).ids) == 3
