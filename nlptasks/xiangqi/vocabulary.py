"""The tokens of both methods, as a tokenizer that a model folder can hold.

For `moves`: results, sides, pieces on squares, enemies that reach a square (`!ra4`), and every possible move, in this
order behind the special tokens, all as the side to move sees them (see `sight`). For `chars`: the ten digits and the
nine letters of files. Words stand between spaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from torch import Tensor, nn

from nlptasks.backbone.bert import Bert, Config
from nlptasks.backbone.text import SPECIALS, Text
from nlptasks.backbone.weights import Backbone
from nlptasks.xiangqi.board import SQUARES, letter_of, square_name
from nlptasks.xiangqi.games import RESULTS
from nlptasks.xiangqi.settings import Settings
from nlptasks.xiangqi.tables import ICCS, may_stand

SIDES = ("[red]", "[black]")
CHARACTERS = tuple("0123456789abcdefghi")
PLACED = {
    (piece, square): letter_of(piece) + square_name(square)
    for piece in (*range(1, 8), *range(-7, 0))
    for square in range(SQUARES)
    if may_stand(abs(piece), square, red=piece > 0)
}
THREATS = [f"!{letter_of(-kind)}{square_name(square)}" for kind in range(1, 8) for square in range(SQUARES)]
#: Numbers of the first token of each part.
FIRST_RESULT = len(SPECIALS)
FIRST_SIDE = FIRST_RESULT + len(RESULTS)
FIRST_PLACED = FIRST_SIDE + len(SIDES)
FIRST_THREAT = FIRST_PLACED + len(PLACED)
FIRST_MOVE = FIRST_THREAT + len(THREATS)
FIRST_CHARACTER = len(SPECIALS)
PLACED_TOKENS = {key: FIRST_PLACED + number for number, key in enumerate(PLACED)}
POSITIONS, HEAD_WIDTH = 512, 64
BIAS = "cls.predictions.bias"


@cache
def words(method: str) -> tuple[str, ...]:
    """List a method's tokens in order."""
    if method == "chars":
        return (*SPECIALS.values(), *CHARACTERS)
    results = (f"[{result}]" for result in RESULTS)
    return (*SPECIALS.values(), *results, *SIDES, *PLACED.values(), *THREATS, *ICCS)


def text(method: str) -> Text:
    """Make a method's tokenizer."""
    table = {word: number for number, word in enumerate(words(method))}
    tokenizer = Tokenizer(WordLevel(table, unk_token=SPECIALS["unknown"]))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.add_special_tokens(list(SPECIALS.values()))
    return Text(tokenizer)


def is_own(method: str, given: Text) -> bool:
    """Tell whether a tokenizer is a method's own."""
    known = words(method)
    return len(given) == len(known) and given.tokenizer.id_to_token(len(known) - 1) == known[-1]


def taught(backbone: Backbone, method: str, settings: Settings) -> None:
    """Give a backbone a method's tokens instead of its own.

    Args:
        backbone: changed in place; from scratch, nothing of it is left.
        method: of the task.
        settings: where the weights start, and the size of new ones.
    """
    made = text(method)
    if settings.start == "scratch":
        config = Config(
            vocab_size=len(made),
            hidden_size=settings.width,
            num_hidden_layers=settings.layers,
            num_attention_heads=settings.width // HEAD_WIDTH,
            intermediate_size=4 * settings.width,
            max_position_embeddings=POSITIONS,
            hidden_dropout_prob=0.0,  # no game is seen often enough to be learnt by heart
            attention_probs_dropout_prob=0.0,
        )
        backbone.bert, backbone.text, backbone.rest = Bert(config), made, {}
        return
    known = [backbone.text.tokenizer.token_to_id(word) for word in words(method)]
    old, bert = backbone.bert.tokens.weight.detach(), backbone.bert
    bert.tokens.weight = nn.Parameter(chosen(old, known, bert.config.initializer_range))
    bert.tokens.num_embeddings = len(known)
    bert.config = Config(**{**vars(bert.config), "vocab_size": len(known), "pad_token_id": made.special["pad"]})
    if BIAS in backbone.rest:
        backbone.rest[BIAS] = chosen(backbone.rest[BIAS], known, 0.0)
    for name in ("cls.predictions.decoder.bias", "cls.predictions.decoder.weight"):
        backbone.rest.pop(name, None)
    backbone.text = made


def chosen(old: Tensor, places: Sequence[int | None], spread: float) -> Tensor:
    """Take rows of a table by their places, new ones where there is no place."""
    new = torch.randn(len(places), *old.shape[1:]) * spread
    for row, place in enumerate(places):
        if place is not None:
            new[row] = old[place]
    return new
