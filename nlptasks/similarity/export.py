"""A similarity model in the form of sentence-transformers: a chain of modules that gives the same vectors there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nlptasks import files
from nlptasks.backbone import weights
from nlptasks.backbone.bert import Config
from nlptasks.errors import ModelError
from nlptasks.similarity.encoder import SentenceEncoder
from nlptasks.similarity.task import Loaded

#: How the tokens are pooled there; what else a pooling needs is done by modules before and behind.
MODES = {"cls": "cls", "pooler": "cls", "last-avg": "mean", "first-last-avg": "mean"}

CARD = """\
---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags:
- sentence-transformers
- sentence-similarity
- feature-extraction
---

# {name}

Turns sentences into vectors of {width} dimensions and length 1. Exported by nlpk: {training}, pooling {pooling},
{whitening}.

```python
from sentence_transformers import SentenceTransformer

vectors = SentenceTransformer("path/to/this/folder").encode(["今天天气很好"])
```

Made for sentence-transformers 3.1 and newer. If transformers reports that weights of the pooler are missing: they are
not used.
"""


@dataclass(frozen=True)
class Module:
    """One module of sentence-transformers, behind its `Transformer`."""

    kind: str
    """Its class there."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What that class is made with."""
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    """Its weights."""


def sentence_transformers(loaded: Loaded, out: Path) -> None:
    """Write the encoder, and behind it pooling, whitening and normalisation as modules; the folder appears whole.

    Args:
        loaded: a float32 model that is not frozen.
        out: a new folder.

    Raises:
        ModelError: the folder exists.
    """
    if out.exists():
        raise ModelError(f"{out}: exists; name a new folder with --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=out.parent) as scratch:
        made = Path(scratch) / out.name
        write_transformer(made, loaded)
        write_modules(made, modules(loaded.embedder.model))
        (made / "README.md").write_text(card(loaded, out.name), encoding="utf-8")
        made.rename(out)


def modules(model: SentenceEncoder) -> list[Module]:
    """List what makes a sentence's vector, of length 1, from the encoder's states."""
    config = model.bert.config
    chain = [Module("Pooling", {"word_embedding_dimension": config.hidden_size, "pooling_mode": MODES[model.pooling]})]
    if model.pooling == "first-last-avg":
        chain.insert(0, first_and_last(config))
    if model.pooling == "pooler" and model.pooler is not None:
        chain.append(dense(model.pooler, nn.Tanh))
    if model.whitening is not None:
        chain.append(dense(model.whitening, nn.Identity))
    return [*chain, Module("Normalize")]


def first_and_last(config: Config) -> Module:
    """Average the states of the first and the last block token by token: its mean is the mean of both means."""
    last = config.num_hidden_layers
    shares = torch.zeros(last + 1)  # layer 0 are the embeddings
    shares[[min(1, last), last]] = 1.0  # the module divides by the sum, also where first and last are one
    settings = {"word_embedding_dimension": config.hidden_size, "num_hidden_layers": last, "layer_start": 0}
    return Module("WeightedLayerPooling", settings, {"layer_weights": shares})


def dense(layer: nn.Linear, activation: type[nn.Module]) -> Module:
    """Turn a linear layer (H, K) into a module, an activation behind it."""
    settings = {
        "in_features": layer.in_features,
        "out_features": layer.out_features,
        "bias": True,
        "activation_function": f"{activation.__module__}.{activation.__qualname__}",
    }
    tensors = {"linear.weight": layer.weight.detach(), "linear.bias": layer.bias.detach()}
    return Module("Dense", settings, tensors)


def write_transformer(folder: Path, loaded: Loaded) -> None:
    """Write encoder, tokenizer and their settings."""
    model = loaded.embedder.model
    weights.save(folder, model.bert, loaded.embedder.text, pooler(model))
    if model.pooling == "first-last-avg":  # only then are the blocks' states handed on to the modules
        config = weights.config_for_others(model.bert.config)
        files.write_json(folder / "config.json", {**config, "output_hidden_states": True})
    # The tokenizer knows by itself whether to lower the case.
    settings = {"max_seq_length": loaded.embedder.limit, "do_lower_case": False}
    files.write_json(folder / "sentence_bert_config.json", settings)


def pooler(model: SentenceEncoder) -> dict[str, Tensor]:
    """Give BERT's own dense layer, where there is one: transformers would start it anew."""
    if model.pooler is None:
        return {}
    layer = model.pooler
    return {"bert.pooler.dense.weight": layer.weight.detach(), "bert.pooler.dense.bias": layer.bias.detach()}


def write_modules(folder: Path, chain: Sequence[Module]) -> None:
    """Write each module's settings and weights into a folder of its own, and the list of all."""
    paths = ["", *(f"{number}_{module.kind}" for number, module in enumerate(chain, 1))]
    for path, module in zip(paths[1:], chain, strict=True):
        (folder / path).mkdir()
        files.write_json(folder / path / "config.json", module.settings)
        if module.tensors:
            with files.replaced(folder / path / weights.WEIGHTS) as part:
                save_file(dict(module.tensors), part, metadata={"format": "pt"})
    # Every release finds the classes under these names, the newer ones by an alias.
    kinds = [f"sentence_transformers.models.{kind}" for kind in ("Transformer", *(module.kind for module in chain))]
    listed = [
        {"idx": number, "name": str(number), "path": path, "type": kind}
        for number, (path, kind) in enumerate(zip(paths, kinds, strict=True))
    ]
    (folder / "modules.json").write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")


def card(loaded: Loaded, name: str) -> str:
    """Write the model card, with that of the trained model, its data and licence, behind it."""
    model = loaded.embedder.model
    whitening = "not whitened" if model.whitening is None else f"whitened to {model.width} dimensions"
    training = f"method {loaded.method}" if "model" in loaded.origin else "a plain BERT"
    about = CARD.format(name=name, width=model.width, training=training, pooling=model.pooling, whitening=whitening)
    source = loaded.folder / "README.md" if "model" in loaded.origin and loaded.folder else None
    if source and source.is_file():
        about += "\n" + source.read_text(encoding="utf-8")
    return about
