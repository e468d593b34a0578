"""Checkpoints in Hugging Face form: found, fetched, loaded into `Bert` and written again under the same names."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nlptasks import files, places
from nlptasks.backbone import deltas, sums
from nlptasks.backbone.bert import Bert
from nlptasks.backbone.config import Config
from nlptasks.backbone.config import read_config as read_config  # as others know it
from nlptasks.backbone.linear import Linear
from nlptasks.backbone.matching import Matcher
from nlptasks.backbone.sums import DEFAULT as DEFAULT
from nlptasks.backbone.sums import WEIGHTS as WEIGHTS
from nlptasks.backbone.sums import check_header
from nlptasks.backbone.text import Text
from nlptasks.errors import ModelError

WAYS_OUT = "give a local folder, a name that is already in the hub's cache, or leave the option out"

#: Our names and Hugging Face's; query, key and value are one matrix here and three there.
NAMES = {
    "tokens": ["embeddings.word_embeddings"],
    "positions": ["embeddings.position_embeddings"],
    "segments": ["embeddings.token_type_embeddings"],
    "norm": ["embeddings.LayerNorm"],
    "query_key_value": ["attention.self.query", "attention.self.key", "attention.self.value"],
    "attention_out": ["attention.output.dense"],
    "attention_norm": ["attention.output.LayerNorm"],
    "feed_in": ["intermediate.dense"],
    "feed_out": ["output.dense"],
    "feed_norm": ["output.LayerNorm"],
}
#: A name on the hub, which no path such as ./x, ../x, ~/x or /x looks like.
HUB = re.compile(r"(?!\.)[\w.-]+(/[\w.-]+)?")
#: What a matcher knows of each token.
RARITY = f"{Matcher.FRONT}rarity"
#: A constant that older files carry.
SURPLUS = "embeddings.position_ids"


@dataclass
class Backbone:
    """A BERT with its tokenizer, and the weights of the checkpoint that are not the encoder's."""

    bert: Bert
    text: Text
    rest: dict[str, Tensor]
    name: str

    def simplify_vocabulary(self) -> None:
        """Drop the tokens that Chinese text never needs, from the tokenizer and from the embeddings."""
        self.text, kept = self.text.simplified()
        tokens = self.bert.tokens
        tokens.weight, tokens.num_embeddings = torch.nn.Parameter(tokens.weight.detach()[kept]), len(kept)
        self.bert.config = dataclasses.replace(
            self.bert.config, vocab_size=len(kept), pad_token_id=self.text.special["pad"]
        )
        for key in (*(f"cls.predictions.{name}" for name in ("bias", "decoder.bias", "decoder.weight")), RARITY):
            if key in self.rest:
                self.rest[key] = self.rest[key][kept]


def load(source: str | Path | None = None) -> Backbone:
    """Load a backbone in float32: the embedded one, a local folder, or a name on the hub.

    Raises:
        ModelError: not found, not a BERT, damaged, or weights missing.
    """
    folder = locate(source)
    sums.check_sums(folder)
    config = read_config(folder)
    tensors, named = read_whole(folder)
    text = Text.load(named)
    if len(text) > config.vocab_size:
        raise ModelError(
            f"{folder}: the tokenizer has {len(text)} tokens, the model {config.vocab_size}; fetch both again"
        )
    with torch.device("meta"):
        bert = Bert(config, condition=condition_of(tensors))
    rest = fill(bert, tensors, folder)
    return Backbone(bert, text, rest, places.EMBEDDED if folder == DEFAULT else str(source))


def condition_of(tensors: Mapping[str, Tensor]) -> int | None:
    """Tell how wide the condition is that a checkpoint's norms listen to; none where they listen to nothing."""
    return next((tensor.shape[1] for name, tensor in tensors.items() if name.endswith(".gain_shift.weight")), None)


def locate(source: str | Path | None) -> Path:
    """Find the folder of a backbone; only what can be no local path asks the hub.

    Raises:
        ModelError: a path that does not exist, or a hub name that cannot be fetched.
    """
    if source is None or str(source) == places.EMBEDDED:
        return DEFAULT
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise ModelError(f"{source}: a file; expected a model folder with config.json and {WEIGHTS}")
    if HUB.fullmatch(str(source)) and (folder.parent == Path() or not folder.parent.is_dir()):
        from nlptasks.backbone.hub import fetch

        return fetch(str(source))
    raise ModelError(f"{source}: no such folder, and not taken for a name on the hub (owner/name); {WAYS_OUT}")


def read_whole(folder: Path) -> tuple[dict[str, Tensor], Path]:
    """Read a folder's weights, put on their base where they have one.

    Returns:
        The weights, and the folder that the tokenizer is in.

    Raises:
        ModelError: missing or damaged, or the base is not the one they were made on.
    """
    tensors, base = read_tensors(folder / WEIGHTS), sums.base_of(folder)
    under = None if base is None else locate(base[0])
    if under is not None and base is not None:
        sums.check_base(under, base[1])
    try:
        whole = deltas.unpacked(tensors, {} if under is None else read_whole(under)[0])
    except (KeyError, RuntimeError, IndexError) as error:
        raise ModelError(f"{folder / WEIGHTS}: damaged ({error!r}); train or fetch the model again") from error
    if under is None or any((folder / name).is_file() for name in ("tokenizer.json", "vocab.txt")):
        return whole, folder
    return whole, under


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file; never a pickle.

    Raises:
        ModelError: missing or damaged.
    """
    check_header(path)
    return load_file(path)


def fill(bert: Bert, tensors: Mapping[str, Tensor], folder: Path) -> dict[str, Tensor]:
    """Put a checkpoint's tensors into a Bert, in float32.

    Args:
        bert: on any device; gets new tensors.
        tensors: as in the file, with or without `bert.` in front, LayerNorm as weight/bias or gamma/beta.
        folder: for the messages.

    Returns:
        The tensors that are not the encoder's.

    Raises:
        ModelError: weights are missing, unexpected or of another shape.
    """
    given = {
        canonical(key): tensor.float() if tensor.is_floating_point() else tensor for key, tensor in tensors.items()
    }
    given.pop(SURPLUS, None)
    expected = to_theirs(bert)
    for name in expected.keys() - given.keys():
        if "_shift." in name:  # a condition that the checkpoint did not have moves nothing
            given[name] = torch.zeros(expected[name].shape)
    check(given, expected, folder / WEIGHTS)
    names = {name: theirs(name) for name in bert.state_dict()}
    bert.load_state_dict({name: torch.cat([given[key] for key in keys]) for name, keys in names.items()}, assign=True)
    return {key: tensor for key, tensor in given.items() if key not in expected}


def check(given: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Compare a checkpoint's encoder with what its configuration describes.

    Raises:
        ModelError: weights are missing, unexpected or of another shape.
    """
    missing = [name for name in expected if name not in given]
    surplus = [name for name in given if name.startswith(("embeddings.", "encoder.")) and name not in expected]
    wrong = [name for name in expected if name in given and given[name].shape != expected[name].shape]
    for problem, names in (("lacks", missing), ("has unexpected", surplus), ("has wrong shapes for", wrong)):
        if names:
            listed = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
            raise ModelError(f"{path}: {problem} {listed}; expected the weights of its config.json")


def canonical(key: str) -> str:
    """Reduce the known layouts to one: no `bert.` in front, LayerNorm's gamma and beta as weight and bias."""
    key = key.removeprefix("bert.")
    key = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", key)
    return re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", key)


def theirs(name: str) -> list[str]:
    """Give Hugging Face's names of one of our tensors, without `bert.` in front."""
    layer = re.match(r"layers\.(\d+)\.", name)
    front, inner = (f"encoder.layer.{layer[1]}.", name[layer.end() :]) if layer else ("", name)
    module, _, kind = inner.partition(".")
    return [f"{front}{other}.{kind}" for other in NAMES[module]]


def to_theirs(bert: Bert) -> dict[str, Tensor]:
    """Name an encoder's tensors as Hugging Face does, without `bert.` in front."""
    named: dict[str, Tensor] = {}
    for name, tensor in bert.state_dict().items():
        keys = theirs(name)
        named.update(zip(keys, tensor.chunk(len(keys)), strict=True))
    return named


def config_for_others(config: Config) -> dict[str, Any]:
    """Give the content of a `config.json` that transformers reads."""
    return {"architectures": ["BertModel"], "model_type": "bert", **dataclasses.asdict(config)}


def save(folder: Path, bert: Bert, text: Text, rest: Mapping[str, Tensor]) -> None:
    """Write `config.json`, `tokenizer.json` and the weights; each file is replaced whole, the weights last.

    Args:
        folder: made where it is not there.
        bert: the encoder, not frozen.
        text: its tokenizer.
        rest: further tensors under names of their own.

    Raises:
        ValueError: the encoder is frozen; its weights can no longer be stored.
    """
    if any(isinstance(module, Linear) and module.packed is not None for module in bert.modules()):
        raise ValueError("a frozen model cannot be stored; load it again")
    folder.mkdir(parents=True, exist_ok=True)
    text.save(folder, bert.config.max_position_embeddings)
    files.write_json(folder / "config.json", config_for_others(bert.config))
    encoder = {f"bert.{name}": tensor.contiguous() for name, tensor in to_theirs(bert).items()}
    with files.replaced(folder / WEIGHTS) as part:
        save_file({**encoder, **rest}, part, metadata={"format": "pt"})
