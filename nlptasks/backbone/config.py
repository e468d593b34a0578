"""The shape of a BERT as `config.json` has it, read without torch."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlptasks.errors import ModelError

#: The activations that `bert.py` can compute.
KNOWN_ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish")


@dataclass(frozen=True, kw_only=True)
class Config:
    """The shape of a BERT, under Hugging Face's names."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    initializer_range: float = 0.02
    pad_token_id: int = 0


def read_config(folder: Path) -> Config:
    """Read `config.json`.

    Raises:
        ModelError: missing, damaged, or of another architecture.
    """
    path = folder / "config.json"
    try:
        found: dict[str, Any] = dict(json.loads(path.read_text(encoding="utf-8")))
        kind = found.get("model_type", "bert")
        if kind != "bert":
            raise ModelError(f"{folder}: a {kind} model; expected BERT's architecture (BERT, RoBERTa-wwm, MacBERT, …)")
        known = {field.name for field in dataclasses.fields(Config)}
        config = Config(**{name: value for name, value in found.items() if name in known and value is not None})
        if config.hidden_size % config.num_attention_heads:
            raise ValueError(f"{config.num_attention_heads} heads do not divide a width of {config.hidden_size}")
    except FileNotFoundError as error:
        raise ModelError(f"{folder}: no config.json; expected a model folder in Hugging Face form") from error
    except (ValueError, TypeError) as error:
        raise ModelError(f"{path}: not a BERT's configuration ({error}); fetch the model again") from error
    if found.get("position_embedding_type", "absolute") != "absolute":
        raise ModelError(f"{folder}: {found['position_embedding_type']} positions; expected absolute ones as in BERT")
    if config.hidden_act not in KNOWN_ACTIVATIONS:
        raise ModelError(f"{folder}: activation {config.hidden_act}; expected one of {', '.join(KNOWN_ACTIVATIONS)}")
    return config
