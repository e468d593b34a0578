"""Text to token ids, and the vocabulary: whatever tokenizer a checkpoint brings, read without transformers."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.implementations import BertWordPieceTokenizer

from nlptasks.errors import ModelError

SPECIALS = {"pad": "[PAD]", "unknown": "[UNK]", "start": "[CLS]", "end": "[SEP]", "mask": "[MASK]"}
#: Text longer than this many characters a token is cut before it is tokenised: no real text has so long words.
CHARACTERS_PER_TOKEN = 50


class Text:
    """A tokenizer with the five special tokens of BERT by name."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Wrap a tokenizer.

        Raises:
            ModelError: a special token is missing.
        """
        self.tokenizer = tokenizer
        self.tokenizer.no_padding()
        self.special = {name: special_id(tokenizer, token) for name, token in SPECIALS.items()}
        self.cut_texts = 0
        self._limit: int | None = None

    @classmethod
    def load(cls, folder: Path) -> Text:
        """Load `tokenizer.json`, or else build BERT's WordPiece from `vocab.txt`.

        Raises:
            ModelError: neither is there, or it is damaged.
        """
        ready, words = folder / "tokenizer.json", folder / "vocab.txt"
        if ready.is_file():
            try:
                return cls(Tokenizer.from_file(str(ready)))
            except ModelError:
                raise
            except Exception as error:  # tokenizers raises bare Exception
                raise ModelError(f"{ready}: not a tokenizer ({error}); fetch the model again") from error
        if words.is_file():
            return cls(from_words(words, tokenizer_settings(folder)))
        raise ModelError(f"{folder}: no tokenizer.json and no vocab.txt; a model folder holds one of them")

    def __len__(self) -> int:
        """Count the tokens of the vocabulary."""
        return self.tokenizer.get_vocab_size()

    def encode(self, texts: Sequence[str], limit: int) -> list[list[int]]:
        """Turn texts into ids, `[CLS] … [SEP]`, each at most `limit` tokens long.

        What is cut off is counted in `cut_texts`.
        """
        if limit != self._limit:
            self.tokenizer.enable_truncation(limit)
            self._limit = limit
        longest = limit * CHARACTERS_PER_TOKEN
        encoded = self.tokenizer.encode_batch_fast([text[:longest] for text in texts])
        self.cut_texts += sum(
            bool(encoding.overflowing) or len(text) > longest for text, encoding in zip(texts, encoded, strict=True)
        )
        return [encoding.ids for encoding in encoded]

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` and the small settings file that transformers reads beside it."""
        self.tokenizer.no_truncation()
        self._limit = None
        self.tokenizer.save(str(folder / "tokenizer.json"))
        names = ("pad", "unk", "cls", "sep", "mask")
        tokens = {f"{name}_token": token for name, token in zip(names, SPECIALS.values(), strict=True)}
        settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512, **tokens}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")

    def simplified(self) -> tuple[Text, list[int]]:
        """Leave out the tokens that Chinese text never needs: longer than one character and with a CJK stem.

        Specials come first, then all other tokens in their old order (bert4keras, `load_vocab(simplified=True)`).

        Returns:
            The smaller tokenizer, and the old ids of its tokens, by which embeddings are sliced.
        """
        words = sorted(self.tokenizer.get_vocab().items(), key=lambda item: item[1])
        first = list(SPECIALS.values())
        kept = [(word, self.tokenizer.token_to_id(word)) for word in first]
        kept += [(word, old) for word, old in words if word not in first and not is_redundant(word)]
        state = json.loads(self.tokenizer.to_str())
        vocabulary = {word: new for new, (word, _) in enumerate(kept)}
        state["truncation"] = None
        state["model"]["vocab"] = vocabulary
        state["added_tokens"] = [
            {**token, "id": vocabulary[token["content"]]}
            for token in state["added_tokens"]
            if token["content"] in vocabulary
        ]
        renumber(state.get("post_processor"), vocabulary)
        return Text(Tokenizer.from_str(json.dumps(state))), [old for _, old in kept]


def special_id(tokenizer: Tokenizer, token: str) -> int:
    """Look up a special token.

    Raises:
        ModelError: it is not in the vocabulary.
    """
    number = tokenizer.token_to_id(token)
    if number is None:
        raise ModelError(f"the tokenizer has no {token}; expected a BERT vocabulary with {', '.join(SPECIALS.values())}")
    return int(number)


def tokenizer_settings(folder: Path) -> dict[str, Any]:
    """Read `tokenizer_config.json`, or nothing where there is none."""
    path = folder / "tokenizer_config.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def from_words(path: Path, settings: dict[str, Any]) -> Tokenizer:
    """Build BERT's tokenizer from a list of words, one a line."""
    lower = settings.get("do_lower_case", True)
    made = BertWordPieceTokenizer(
        str(path),
        lowercase=lower,
        strip_accents=settings.get("strip_accents"),
        handle_chinese_chars=settings.get("tokenize_chinese_chars", True),
    )
    return Tokenizer.from_str(made.to_str())


def is_redundant(word: str) -> bool:
    """Tell whether a token is longer than one character and has CJK or punctuation in its stem."""
    stem = word.removeprefix("##")
    return len(stem) > 1 and any(is_cjk(letter) or unicodedata.category(letter).startswith("P") for letter in stem)


def is_cjk(letter: str) -> bool:
    """Tell whether a character is in one of the blocks that BERT splits into single tokens."""
    code = ord(letter)
    blocks = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))
    return any(low <= code <= high for low, high in blocks)


def renumber(part: Any, vocabulary: dict[str, int]) -> None:
    """Give the special tokens inside a post-processor their new numbers, in place."""
    if not isinstance(part, dict):
        return
    for name in ("cls", "sep"):
        if isinstance(part.get(name), list):
            part[name][1] = vocabulary[part[name][0]]
    for token in (part.get("special_tokens") or {}).values():
        token["ids"] = [vocabulary[word] for word in token["tokens"]]
    for inner in part.get("processors") or []:
        renumber(inner, vocabulary)
