"""A WordPiece vocabulary from a corpus: one token for each Chinese character, digits one by one, lower-case."""

from __future__ import annotations

import logging
import re
import string
from collections import Counter
from collections.abc import Iterable, Iterator

from tokenizers import Tokenizer
from tokenizers.decoders import WordPiece as WordPieceDecoder
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer, Digits, PreTokenizer, Sequence
from tokenizers.trainers import WordPieceTrainer

from nlptasks.backbone.text import CJK_BLOCKS, SPECIALS, Text
from nlptasks.errors import UsageError

logger = logging.getLogger(__name__)

UNUSED = tuple(f"[unused{number}]" for number in range(1, 60))
#: Every letter, digit and sign of a keyboard stands by itself, and every letter within a word.
KEYBOARD = tuple(letter for letter in map(chr, range(33, 127)) if not letter.isupper())
WITHIN = tuple(f"##{letter}" for letter in string.ascii_lowercase)
#: Chinese punctuation, which a text may want though the corpus has little of it.
PUNCTUATION = tuple("，。、；：？！“”‘’（）《》〈〉【】「」『』…—·～￥")
FIXED = (*SPECIALS.values(), *UNUSED, *KEYBOARD, *PUNCTUATION, *WITHIN)
#: Characters get tokens by frequency until so many of all are covered; word pieces get what is left.
COVERED = 0.99995
CJK = re.compile("[" + "".join(f"{chr(low)}-{chr(high)}" for low, high in CJK_BLOCKS) + "]")
#: Words that are counted at once; beyond, those seen only once are forgotten.
MOST_WORDS = 2_000_000
#: Letters of a word; a longer one is unknown.
LONGEST_WORD = 64


class Counts:
    """Characters and words of a corpus, as the tokenizer will see them."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.normalizer, self.pre_tokenizer = normalizer(), pre_tokenizer()
        self.cjk: Counter[str] = Counter()
        self.words: Counter[str] = Counter()

    def add(self, document: str) -> None:
        """Count a document."""
        text = self.normalizer.normalize_str(document)
        self.cjk.update("".join(CJK.findall(text)))
        found = (word for word, _ in self.pre_tokenizer.pre_tokenize_str(CJK.sub(" ", text)))
        self.words.update(word for word in found if len(word) <= LONGEST_WORD)
        if len(self.words) > MOST_WORDS:
            self.words = Counter({word: count for word, count in self.words.items() if count > 1})

    def characters(self) -> Counter[str]:
        """Count what would be the tokens if there were no word pieces: `x` where a word begins with it, else `##x`."""
        found = Counter(self.cjk)
        for word, count in self.words.items():
            for place, letter in enumerate(word):
                found[f"##{letter}" if place else letter] += count
        return found


def train(documents: Iterable[str], size: int) -> Text:
    """Make a tokenizer from a corpus; it is the same each time for one corpus.

    Args:
        documents: the corpus.
        size: the most tokens of the vocabulary; it has fewer where the corpus does not give so many.

    Raises:
        UsageError: the size leaves no room for Chinese.
    """
    if size <= len(FIXED):
        raise UsageError(f"--vocab-size {size}: {len(FIXED)} are taken by letters and signs; expected some thousands")
    counts = Counts()
    for document in documents:
        counts.add(document)
    return build(words_of(counts, size))


def words_of(counts: Counts, size: int) -> list[str]:
    """Choose the tokens: what is fixed, then characters by frequency, then pieces of Latin words."""
    characters = counts.characters()
    total = characters.total()
    for token in FIXED:
        characters.pop(token, None)
    ordered = [token for token, _ in sorted(characters.items(), key=lambda item: (-item[1], item[0]))]
    room = size - len(FIXED)
    missing, needed = sum(characters.values()), 0
    while needed < min(room, len(ordered)) and missing > (1 - COVERED) * total:
        missing -= characters[ordered[needed]]
        needed += 1
    pieces = latin_pieces(counts.words, room - needed)
    filled = ordered[: room - len(pieces)]
    return [*FIXED, *filled, *pieces]


def latin_pieces(words: Counter[str], number: int) -> list[str]:
    """Learn pieces of at least two letters from the words of nothing but Latin letters."""
    latin = sorted((word, count) for word, count in words.items() if re.fullmatch("[a-z]{2,}", word))
    if not number or not latin:
        return []
    tokenizer = Tokenizer(WordPiece(unk_token=SPECIALS["unknown"]))
    tokenizer.pre_tokenizer = BertPreTokenizer()
    letters = [*string.ascii_lowercase, *WITHIN]
    # Letters that are named beforehand have fixed numbers, by which ties are broken: the pieces are the same each time.
    trainer = WordPieceTrainer(
        vocab_size=len(letters) + number, min_frequency=2, show_progress=False, special_tokens=letters
    )
    tokenizer.train_from_iterator(repeated(latin), trainer)
    vocabulary = tokenizer.get_vocab()
    pieces = sorted((word for word in vocabulary if len(word.removeprefix("##")) > 1), key=vocabulary.__getitem__)
    return sorted(pieces[:number])


def repeated(counted: Iterable[tuple[str, int]]) -> Iterator[str]:
    """Give each word as often as it was counted, some thousand at once."""
    for word, count in counted:
        for start in range(0, count, 4096):
            yield " ".join([word] * min(4096, count - start))


def build(words: Iterable[str]) -> Text:
    """Build the tokenizer of a vocabulary."""
    vocabulary = {word: number for number, word in enumerate(words)}
    model = WordPiece(vocabulary, unk_token=SPECIALS["unknown"], max_input_chars_per_word=LONGEST_WORD)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer(), pre_tokenizer()
    tokenizer.decoder = WordPieceDecoder()
    tokenizer.add_special_tokens([*SPECIALS.values(), *UNUSED])
    return Text(tokenizer)


def normalizer() -> BertNormalizer:
    """Lower the case, strip accents, and put spaces around Chinese characters."""
    return BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=True, lowercase=True)


def pre_tokenizer() -> PreTokenizer:
    """Split at spaces and punctuation, and between digits."""
    return Sequence([BertPreTokenizer(), Digits(individual_digits=True)])
