"""A similarity model in the form of sentence-transformers: modules that give the same vectors there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from nlptasks.backbone import weights
from nlptasks.errors import ModelError
from nlptasks.similarity.encoder import SentenceEncoder
from nlptasks.similarity.task import Loaded

MODES = {"cls": "cls", "last-avg": "mean"}


def sentence_transformers(loaded: Loaded, out: Path) -> None:
    """Write encoder, pooling, the whitening as a dense layer, and normalisation; the folder appears whole.

    Args:
        loaded: a float32 model that is not frozen.
        out: a new folder.

    Raises:
        ModelError: the folder exists, or the pooling has no module there.
    """
    model = loaded.embedder.model
    if model.pooling not in MODES:
        known = ", ".join(MODES)
        raise ModelError(f"pooling {model.pooling}: sentence-transformers has no module for it; train with {known}")
    if out.exists():
        raise ModelError(f"{out}: exists; name a new folder with --out")
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    weights.save(part, model.bert, loaded.embedder.text, pooler(model))
    limit = model.bert.config.max_position_embeddings
    weights.write_json(part / "sentence_bert_config.json", {"max_seq_length": limit, "do_lower_case": False})
    modules = [("", "Transformer"), ("1_Pooling", "Pooling")]
    write_pooling(part / "1_Pooling", model)
    if model.whitening is not None:
        modules.append(("2_Dense", "Dense"))
        write_dense(part / "2_Dense", model.whitening)
    modules.append((f"{len(modules)}_Normalize", "Normalize"))
    (part / modules[-1][0]).mkdir()
    listed = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (path, kind) in enumerate(modules)
    ]
    (part / "modules.json").write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")
    part.rename(out)


def pooler(model: SentenceEncoder) -> dict[str, torch.Tensor]:
    """Give BERT's own dense layer, where there is one: transformers would start it anew."""
    if model.pooler is None:
        return {}
    return {"bert.pooler.dense.weight": model.pooler.weight.data, "bert.pooler.dense.bias": model.pooler.bias.data}


def write_pooling(folder: Path, model: SentenceEncoder) -> None:
    """Write the pooling's settings."""
    folder.mkdir()
    settings = {"word_embedding_dimension": model.bert.config.hidden_size, "pooling_mode": MODES[model.pooling]}
    weights.write_json(folder / "config.json", settings)


def write_dense(folder: Path, layer: torch.nn.Linear) -> None:
    """Write an affine map as a dense layer without an activation."""
    folder.mkdir()
    settings = {
        "in_features": layer.in_features,
        "out_features": layer.out_features,
        "bias": True,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    weights.write_json(folder / "config.json", settings)
    tensors = {"linear.weight": layer.weight.data.contiguous(), "linear.bias": layer.bias.data.contiguous()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
