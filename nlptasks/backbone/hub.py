"""Models named by their hub name: fetched once, and given safetensors weights where they have only a pickle."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from nlptasks import files, places
from nlptasks.errors import ModelError

TOKENIZERS = ("tokenizer.json", "vocab.txt")
PLAIN = ("config.json", "tokenizer_config.json", *TOKENIZERS)
SAFE, PICKLED = "model.safetensors", "pytorch_model.bin"


def fetch(name: str) -> Path:
    """Fetch a model from the hub, or take it from the hub's cache.

    Raises:
        ModelError: there is no network, no such model, or it may not be read.
    """
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        with quiet():
            get = partial(download, name, cached=not answers(name))
            config = get("config.json")
            weights = get(SAFE) or get(PICKLED)
            for other in PLAIN:
                get(other)
    except LocalEntryNotFoundError as error:
        raise ModelError(
            f"{name}: not a local folder, not in the hub's cache, and the hub cannot be reached; "
            "give a local folder, set HF_ENDPOINT to a mirror, or leave the option out"
        ) from error
    except (OSError, ValueError) as error:  # the hub's errors are among them, and so is a name that cannot be one
        raise ModelError(f"{name}: the hub refused it ({first_line(error)}); check the name on the hub") from error
    if config is None or weights is None:
        raise ModelError(f"{name}: no config.json with {SAFE} or {PICKLED} on the hub; expected a BERT for PyTorch")
    return config.parent if weights.name == SAFE else converted(config.parent, name)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the hub's library from complaining in its own words while a block runs."""
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def answers(name: str) -> bool:
    """Ask the hub once whether it is there; without network its library would try for half a minute."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().model_info(name, timeout=10)
    except HfHubHTTPError:  # an answer, too
        return True
    except Exception:  # of the library that connects, which is another one from version to version
        return False
    return True


def download(name: str, file: str, *, cached: bool = False) -> Path | None:
    """Fetch one file of a model, or only look into the hub's cache; none where the model does not have it."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(name, file, local_files_only=cached))
    except LocalEntryNotFoundError:  # without network nobody knows whether the model has it
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
    """Write a model folder again with safetensors weights; it appears whole or not at all.

    The pickle is read with `weights_only=True`, so that nothing in it can run.

    Raises:
        ModelError: the weights cannot be read, there is no tokenizer, or the target exists.
    """
    if target.exists():
        raise ModelError(f"{target}: exists; name a new folder with --out")
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise ModelError(f"{folder}: no {' and no '.join(TOKENIZERS)}; a model folder holds one of them")
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent) as scratch:
        made = Path(scratch) / target.name
        made.mkdir()
        for name in (*PLAIN, SAFE):
            if (folder / name).is_file():
                shutil.copyfile(folder / name, made / name)
        if not (made / SAFE).is_file():
            unpickle(folder / PICKLED, made / SAFE)
        made.rename(target)


def unpickle(source: Path, target: Path) -> None:
    """Turn a PyTorch pickle of tensors into safetensors.

    Raises:
        ModelError: missing, damaged, or something else than tensors by name.
    """
    import torch
    from safetensors.torch import save_file

    if not source.is_file():
        raise ModelError(f"{source}: no such file; a model folder holds its weights there or in {SAFE}")
    try:
        found = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises a dozen classes for damaged and for refused files
        kind = type(error).__name__
        raise ModelError(
            f"{source}: damaged, or more than tensors, which could run code ({kind}); fetch it again"
        ) from error
    if not isinstance(found, Mapping) or not all(isinstance(tensor, torch.Tensor) for tensor in found.values()):
        raise ModelError(f"{source}: not tensors by name; expected the state_dict of a BERT")
    with files.replaced(target) as part:
        save_file({key: tensor.clone().contiguous() for key, tensor in found.items()}, part, metadata={"format": "pt"})
