"""Checkpoints in Hugging Face form: found, fetched, loaded into `Bert` and written again under the same names."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nlptasks.backbone.bert import ACTIVATIONS, Bert, Config
from nlptasks.backbone.text import Text
from nlptasks.errors import ModelError

DEFAULT = Path(__file__).parent / "default"
WEIGHTS = "model.safetensors"
WAYS_OUT = "give a local folder, a name that is already in the hub's cache, or leave the option out"

#: Hugging Face's names and ours; query, key and value are one matrix here and three there.
NAMES = {
    "embeddings.word_embeddings": "tokens",
    "embeddings.position_embeddings": "positions",
    "embeddings.token_type_embeddings": "segments",
    "embeddings.LayerNorm": "norm",
    "attention.output.dense": "attention_out",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "feed_in",
    "output.dense": "feed_out",
    "output.LayerNorm": "feed_norm",
}
PARTS = ("query", "key", "value")
#: What other checkpoints carry and an encoder does not need.
SURPLUS = re.compile(r"cls\.|pooler\.|embeddings\.position_ids$|lm_head\.|seq_relationship\.")


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
        self.bert.tokens = torch.nn.Embedding.from_pretrained(self.bert.tokens.weight.detach()[kept], freeze=False)
        self.bert.config = dataclasses.replace(
            self.bert.config, vocab_size=len(kept), pad_token_id=self.text.special["pad"]
        )
        for key in ("cls.predictions.bias", "cls.predictions.decoder.bias", "cls.predictions.decoder.weight"):
            if key in self.rest:
                self.rest[key] = self.rest[key][kept]


def load(source: str | Path | None = None) -> Backbone:
    """Load a backbone in float32: the embedded one, a local folder, or a name on the hub.

    Raises:
        ModelError: not found, not a BERT, damaged, or weights missing.
    """
    folder = locate(source)
    config = read_config(folder)
    tensors = read_tensors(folder / WEIGHTS)
    with torch.device("meta"):
        bert = Bert(config)
    rest = fill(bert, tensors, folder)
    return Backbone(bert, Text.load(folder), rest, "embedded" if folder == DEFAULT else str(source))


def locate(source: str | Path | None) -> Path:
    """Find the folder of a backbone; only a name that is no local folder asks the hub.

    Raises:
        ModelError: a path that does not exist, or a hub name that cannot be fetched.
    """
    if source is None:
        return DEFAULT
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise ModelError(f"{source}: a file; expected a model folder with config.json and {WEIGHTS}")
    if re.fullmatch(r"[\w.-]+(/[\w.-]+)?", str(source)) and not str(source).startswith("."):
        from nlptasks.backbone.hub import fetch

        return fetch(str(source))
    raise ModelError(f"{source}: no such folder, and not a name on the hub (owner/name); {WAYS_OUT}")


def read_config(folder: Path) -> Config:
    """Read `config.json`.

    Raises:
        ModelError: missing, damaged, or of another architecture.
    """
    path = folder / "config.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        kind = found.get("model_type", "bert")
        if kind != "bert":
            raise ModelError(f"{folder}: a {kind} model; expected the BERT architecture (BERT, RoBERTa-wwm, MacBERT, …)")
        known = {field.name for field in dataclasses.fields(Config)}
        config = Config(**{name: value for name, value in found.items() if name in known and value is not None})
    except FileNotFoundError as error:
        raise ModelError(f"{folder}: no config.json; expected a model folder in Hugging Face form") from error
    except (ValueError, TypeError) as error:
        raise ModelError(f"{path}: not a BERT's configuration ({error}); fetch the model again") from error
    if found.get("position_embedding_type", "absolute") != "absolute":
        raise ModelError(f"{folder}: {found['position_embedding_type']} positions; expected absolute ones as in BERT")
    if config.hidden_act not in ACTIVATIONS:
        raise ModelError(f"{folder}: activation {config.hidden_act}; expected one of {', '.join(ACTIVATIONS)}")
    return config


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file; never a pickle.

    Raises:
        ModelError: missing or damaged.
    """
    if not path.is_file():
        pickled = path.with_name("pytorch_model.bin")
        if pickled.is_file():
            folder = path.parent
            raise ModelError(
                f"{pickled}: a pickle, which can run code; convert it once: nlpk models convert {folder} --out NEW"
            )
        raise ModelError(f"{path}: no such file; a model folder holds its weights there")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: damaged ({error}); fetch or train the model again") from error


def fill(bert: Bert, tensors: Mapping[str, Tensor], folder: Path, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Put a checkpoint's tensors into a Bert.

    Args:
        bert: on any device; gets new tensors.
        tensors: as in the file, with or without `bert.` in front, LayerNorm as weight/bias or gamma/beta.
        folder: for the messages.
        dtype: of the weights from here on.

    Returns:
        The tensors that are not the encoder's.

    Raises:
        ModelError: weights are missing, unexpected or of another shape.
    """
    ours, rest = to_ours({canonical(key): tensor for key, tensor in tensors.items()})
    expected = {name: value.shape for name, value in bert.state_dict().items()}
    missing = [name for name in expected if name not in ours and "_shift" not in name]
    surplus = [name for name in ours if name not in expected]
    wrong = [name for name in expected if name in ours and ours[name].shape != expected[name]]
    for problem, names in (("lacks", missing), ("has unexpected", surplus), ("has wrong shapes for", wrong)):
        if names:
            listed = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
            raise ModelError(f"{folder / WEIGHTS}: {problem} {listed}; expected the weights of its config.json")
    for name in expected.keys() - ours.keys():
        ours[name] = torch.zeros(expected[name])
    bert.load_state_dict({name: tensor.to(dtype) for name, tensor in ours.items()}, assign=True)
    return {key: tensor.to(dtype) for key, tensor in rest.items()}


def canonical(key: str) -> str:
    """Reduce the known layouts to one: no `bert.` in front, LayerNorm's gamma and beta as weight and bias."""
    key = key.removeprefix("bert.")
    key = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", key)
    return re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", key)


def to_ours(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Rename Hugging Face's tensors to ours and join query, key and value; what is not the encoder's comes apart."""
    ours: dict[str, Tensor] = {}
    rest: dict[str, Tensor] = {}
    joined: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if SURPLUS.match(key) or not key.startswith(("embeddings.", "encoder.")):
            rest[key] = tensor
            continue
        module, _, kind = key.rpartition(".")
        if kind == "weight" and module.endswith("_shift"):
            module, _, shift = module.rpartition(".")
            kind = f"{shift}.weight"
        layer = re.match(r"encoder\.layer\.(\d+)\.", module)
        front, inner = (f"layers.{layer[1]}.", module[layer.end() :]) if layer else ("", module)
        if inner.startswith("attention.self."):
            joined.setdefault(f"{front}query_key_value.{kind}", {})[inner.rpartition(".")[2]] = tensor
        else:
            ours[f"{front}{NAMES.get(inner, inner)}.{kind}"] = tensor
    for name, parts in joined.items():
        if set(parts) == set(PARTS):
            ours[name] = torch.cat([parts[part] for part in PARTS])
    return ours, rest


def to_theirs(bert: Bert) -> dict[str, Tensor]:
    """Name an encoder's tensors as Hugging Face does, `bert.` in front."""
    back = {ours: theirs for theirs, ours in NAMES.items()}
    named: dict[str, Tensor] = {}
    for name, tensor in bert.state_dict().items():
        pieces = name.split(".")
        front = ""
        if pieces[0] == "layers":
            front, pieces = f"encoder.layer.{pieces[1]}.", pieces[2:]
        module, kind = pieces[0], ".".join(pieces[1:])
        if module == "query_key_value":
            for part, piece in zip(PARTS, tensor.chunk(3), strict=True):
                named[f"bert.{front}attention.self.{part}.{kind}"] = piece.contiguous()
        else:
            named[f"bert.{front}{back[module]}.{kind}"] = tensor.contiguous()
    return named


def config_for_others(config: Config) -> dict[str, Any]:
    """Give the content of a `config.json` that transformers reads."""
    return {"architectures": ["BertModel"], "model_type": "bert", **dataclasses.asdict(config)}


def save(folder: Path, bert: Bert, text: Text, rest: Mapping[str, Tensor]) -> None:
    """Write `config.json`, `tokenizer.json` and the weights; each file is replaced whole, the weights last.

    Args:
        folder: made where it is not there.
        bert: the encoder.
        text: its tokenizer.
        rest: further tensors under names of their own.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text.save(folder)
    write_json(folder / "config.json", config_for_others(bert.config))
    part = folder / f"{WEIGHTS}.part"
    save_file({**to_theirs(bert), **rest}, part, metadata={"format": "pt"})
    part.replace(folder / WEIGHTS)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    part.replace(path)


def fingerprint(folder: Path) -> str:
    """Hash what decides a model's answers: its configuration, tokenizer and weights."""
    digest = hashlib.sha256()
    for name in ("config.json", "tokenizer.json", "vocab.txt", WEIGHTS):
        path = folder / name
        if path.is_file():
            digest.update(name.encode())
            with path.open("rb") as handle:
                digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()


def check_sums(folder: Path) -> None:
    """Compare a folder's files with the sums in its `SHA256SUMS`, where it has one.

    Raises:
        ModelError: a file is missing or is not what it was.
    """
    sums = folder / "SHA256SUMS"
    for line in sums.read_text(encoding="ascii").splitlines() if sums.is_file() else ():
        expected, _, name = line.partition("  ")
        path = folder / name
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "nothing"
        if found != expected:
            raise ModelError(f"{path}: damaged (found sha256 {found[:12]}, expected {expected[:12]}); install nlpk again")
