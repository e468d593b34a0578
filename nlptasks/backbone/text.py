"""Text to token ids, and the vocabulary: whatever tokenizer a checkpoint brings, read without transformers."""

from __future__ import annotations

import json
import string
import unicodedata
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.decoders import WordPiece as WordPieceDecoder
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing

from nlptasks import files
from nlptasks.errors import ModelError, UsageError

SPECIALS = {"pad": "[PAD]", "unknown": "[UNK]", "start": "[CLS]", "end": "[SEP]", "mask": "[MASK]"}
#: The characters that BERT's tokenizer splits into single tokens.
CJK_BLOCKS = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))
SHORTEST = 3  # tokens: the start, one of the text, the end
#: Text longer than this many characters a token is cut before it is tokenised: no real text has so long words.
CHARACTERS_PER_TOKEN = 50


class Text:
    """A tokenizer with the five special tokens of BERT by name."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Wrap a tokenizer; its own settings for padding, truncation and special tokens are replaced by BERT's.

        Raises:
            ModelError: a special token is missing.
        """
        self.tokenizer = tokenizer
        self.special = {name: special_id(tokenizer, token) for name, token in SPECIALS.items()}
        self.cut_texts = 0
        tokenizer.no_padding()
        tokenizer.no_truncation()
        start, end = ((SPECIALS[name], self.special[name]) for name in ("start", "end"))
        tokenizer.post_processor = BertProcessing(end, start)

    @classmethod
    def load(cls, folder: Path) -> Text:
        """Load `tokenizer.json`, or else build BERT's WordPiece from `vocab.txt`.

        Raises:
            ModelError: neither is there, or it is damaged.
        """
        for path, read in ((folder / "tokenizer.json", from_json), (folder / "vocab.txt", from_words)):
            if not path.is_file():
                continue
            try:
                tokenizer = read(path)
            except Exception as error:  # tokenizers raises bare Exception
                raise ModelError(f"{path}: not a tokenizer ({error}); fetch the model again") from error
            return cls(tokenizer)
        raise ModelError(f"{folder}: no tokenizer.json and no vocab.txt; a model folder holds one of them")

    def __len__(self) -> int:
        """Count the tokens of the vocabulary."""
        return self.tokenizer.get_vocab_size()

    def encode(self, texts: Sequence[str], limit: int) -> list[list[int]]:
        """Turn texts into ids, `[CLS] … [SEP]`.

        Args:
            texts: what is cut is counted in `cut_texts`.
            limit: the most tokens of a text, the two around it included.

        Raises:
            UsageError: the limit leaves no room for text.
        """
        if limit < SHORTEST:
            raise UsageError(f"a limit of {limit} tokens leaves no room for text; expected {SHORTEST} or more")
        longest = limit * CHARACTERS_PER_TOKEN
        encoded = self.tokenizer.encode_batch_fast([text[:longest] for text in texts])
        self.cut_texts += sum(
            len(encoding) > limit or len(text) > longest for text, encoding in zip(texts, encoded, strict=True)
        )
        return [self.clipped(encoding.ids, limit) for encoding in encoded]

    def clipped(self, ids: list[int], limit: int) -> list[int]:
        """Cut ids to a limit and end them properly."""
        return ids if len(ids) <= limit else [*ids[: limit - 1], self.special["end"]]

    def decode(self, ids: Sequence[int]) -> str:
        """Write tokens as text: pieces are joined, and a space stands only between two words of ASCII.

        Where the tokenizer cuts numbers into digits there is none beside a digit either.
        """
        text = ""
        for number in ids:
            word = self.tokenizer.id_to_token(number)
            if word is None or word in SPECIALS.values():
                continue
            if word.startswith("##") and len(word) > 2:
                text += word[2:]
            else:
                text += f" {word}" if self.is_apart(text[-1:], word[0]) else word
        return text

    def is_apart(self, before: str, letter: str) -> bool:
        """Tell whether a space stands between a letter and the one before it, each the end of another token."""
        both = before + letter
        is_number = self.has_single_digits and (before.isdigit() or letter.isdigit())
        return len(both) == 2 and both.isascii() and both.isalnum() and not is_number

    @cached_property
    def has_single_digits(self) -> bool:
        """Tell whether every digit is a token of its own, so that nothing is known of spaces beside it."""
        cutter = self.tokenizer.pre_tokenizer
        return cutter is not None and len(cutter.pre_tokenize_str("00")) == 2

    def save(self, folder: Path, limit: int) -> None:
        """Write `tokenizer.json`, and beside it the small settings file that transformers reads.

        Args:
            folder: of a model.
            limit: the tokens that the model can read.
        """
        with files.replaced(folder / "tokenizer.json") as part:
            self.tokenizer.save(str(part))
        names = ("pad", "unk", "cls", "sep", "mask")
        tokens = {f"{name}_token": token for name, token in zip(names, SPECIALS.values(), strict=True)}
        settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": limit, **tokens}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    def simplified(self) -> tuple[Text, list[int]]:
        """Leave out the tokens that Chinese text never needs: of several characters, with CJK or punctuation in them.

        Specials come first, then all other tokens in their old order (bert4keras, `load_vocab(simplified=True)`).

        Returns:
            The smaller tokenizer, and the old ids of its tokens, by which embeddings are sliced.

        Raises:
            ModelError: the tokenizer is not a WordPiece.
        """
        state = json.loads(self.tokenizer.to_str())
        if (kind := state["model"].get("type")) != "WordPiece":
            raise ModelError(f"a {kind} tokenizer has no vocabulary to simplify; expected a WordPiece")
        old = self.tokenizer.get_vocab()
        special = list(SPECIALS.values())
        others = [word for word in sorted(old, key=old.__getitem__) if word not in special and not is_redundant(word)]
        new = {word: place for place, word in enumerate([*special, *others])}
        state["model"]["vocab"] = new
        added = [token for token in state["added_tokens"] if token["content"] in new]
        state["added_tokens"] = [{**token, "id": new[token["content"]]} for token in added]
        state["post_processor"] = None
        return Text(Tokenizer.from_str(json.dumps(state))), [old[word] for word in new]


def special_id(tokenizer: Tokenizer, token: str) -> int:
    """Look up a special token.

    Raises:
        ModelError: it is not in the vocabulary.
    """
    number = tokenizer.token_to_id(token)
    if number is None:
        expected = ", ".join(SPECIALS.values())
        raise ModelError(f"the tokenizer has no {token}; expected a BERT vocabulary with {expected}")
    return number


def from_json(path: Path) -> Tokenizer:
    """Read a `tokenizer.json`."""
    return Tokenizer.from_file(str(path))


def from_words(path: Path) -> Tokenizer:
    """Build BERT's tokenizer from a list of words, one a line, and the `tokenizer_config.json` beside it, if any."""
    about = path.with_name("tokenizer_config.json")
    settings = json.loads(about.read_text(encoding="utf-8")) if about.is_file() else {}
    with path.open(encoding="utf-8") as lines:  # splitlines() would also split at characters that are words here
        words = {line.rstrip("\n"): number for number, line in enumerate(lines)}
    tokenizer = Tokenizer(WordPiece(words, unk_token=SPECIALS["unknown"]))
    tokenizer.normalizer = BertNormalizer(
        lowercase=settings.get("do_lower_case", True),
        strip_accents=settings.get("strip_accents"),
        handle_chinese_chars=settings.get("tokenize_chinese_chars", True),
    )
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.decoder = WordPieceDecoder()
    tokenizer.add_special_tokens([token for token in SPECIALS.values() if token in words])
    return tokenizer


def is_redundant(word: str) -> bool:
    """Tell whether a token is longer than one character and has CJK or punctuation in its stem."""
    return len(word) > 1 and any(is_cjk(letter) or is_punctuation(letter) for letter in word.removeprefix("##"))


def is_cjk(letter: str) -> bool:
    """Tell whether a character is in one of the blocks that BERT splits into single tokens."""
    return any(low <= ord(letter) <= high for low, high in CJK_BLOCKS)


def is_punctuation(letter: str) -> bool:
    """Tell whether BERT splits words at a character: Unicode's punctuation, and ASCII's signs such as $ and +."""
    return letter in string.punctuation or unicodedata.category(letter).startswith("P")
