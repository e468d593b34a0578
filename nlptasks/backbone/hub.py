"""Models named by their hub name: fetched once, converted to safetensors and a ready tokenizer where they are not."""

from __future__ import annotations

import shutil
from pathlib import Path

from nlptasks import places
from nlptasks.errors import ModelError

PLAIN = ("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json")
SAFE, PICKLED = "model.safetensors", "pytorch_model.bin"


def fetch(name: str) -> Path:
    """Fetch a model from the hub, or take it from the hub's cache.

    Raises:
        ModelError: there is no network, no such model, or it may not be read.
    """
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    try:
        config = download(name, "config.json")
        weights = download(name, SAFE) or download(name, PICKLED)
        for other in PLAIN:
            download(name, other)
    except LocalEntryNotFoundError as error:
        raise ModelError(
            f"{name}: not a local folder, not in the hub's cache, and the hub cannot be reached; "
            "give a local folder, set HF_ENDPOINT to a mirror, or leave the option out for the embedded model"
        ) from error
    except (HfHubHTTPError, EntryNotFoundError, ValueError, OSError) as error:
        raise ModelError(f"{name}: the hub refused it ({first_line(error)}); check the name on the hub") from error
    if config is None or weights is None:
        raise ModelError(f"{name}: no config.json with {SAFE} or {PICKLED} on the hub; expected a BERT for PyTorch")
    folder = config.parent
    has_tokenizer = (folder / "tokenizer.json").is_file() or (folder / "vocab.txt").is_file()
    return folder if weights.name == SAFE and has_tokenizer else converted(folder, name)


def download(name: str, file: str) -> Path | None:
    """Fetch one file of a model; none where the model does not have it."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(name, file))
    except LocalEntryNotFoundError:
        if file in ("config.json", PICKLED):
            raise
        return None
    except EntryNotFoundError:
        return None


def first_line(error: Exception) -> str:
    """Shorten an error of a library to its first line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def converted(folder: Path, name: str) -> Path:
    """Give the converted form of a fetched model, made once and kept in the cache."""
    target = places.cache() / "converted" / f"{name.replace('/', '--')}-{folder.name}"
    if not target.is_dir():
        convert(folder, target)
    return target


def convert(folder: Path, target: Path) -> None:
    """Write a model folder again with safetensors weights and a `tokenizer.json`.

    The pickle is read with `weights_only=True`, so that nothing in it can run.

    Raises:
        ModelError: the weights or the tokenizer cannot be read, or the target exists.
    """
    if target.exists():
        raise ModelError(f"{target}: exists; name a new folder with --out")
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name in (*PLAIN, SAFE):
        if (folder / name).is_file():
            shutil.copyfile(folder / name, part / name)
    if not (part / SAFE).is_file():
        unpickle(folder / PICKLED, part / SAFE)
    if not (part / "tokenizer.json").is_file() and not (part / "vocab.txt").is_file():
        foreign_tokenizer(folder, part)
    part.rename(target)


def unpickle(source: Path, target: Path) -> None:
    """Turn a PyTorch pickle of tensors into safetensors."""
    import torch
    from safetensors.torch import save_file

    try:
        tensors = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises a dozen classes for damaged and for refused files
        raise ModelError(f"{source}: not a file of tensors ({first_line(error)}); fetch the model again") from error
    save_file({key: tensor.clone().contiguous() for key, tensor in tensors.items()}, target, metadata={"format": "pt"})


def foreign_tokenizer(folder: Path, target: Path) -> None:
    """Let transformers turn any other tokenizer into a `tokenizer.json`."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # transformers raises ImportError, ValueError, OSError and more
        raise ModelError(f"{folder}: no tokenizer that can be read ({first_line(error)})") from error
    tokenizer.backend_tokenizer.save(str(target / "tokenizer.json"))
