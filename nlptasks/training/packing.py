"""A trained model made small: its weights in eight bits or four, on those of the backbone that it was trained from."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save_file

from nlptasks import files
from nlptasks.backbone import deltas, sums, weights
from nlptasks.backbone.text import Text
from nlptasks.errors import UsageError
from nlptasks.training import checkpoint
from nlptasks.training.checkpoint import Checkpoint

#: Beside weights, tokenizer and what a model says of itself.
COPIED = ("config.json", checkpoint.CARD)
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
MODEL = (*COPIED, *TOKENIZER, weights.WEIGHTS, checkpoint.ABOUT)


@dataclass(frozen=True)
class Packed:
    """What packing did.

    Attributes:
        size: of the new folder in bytes.
        before: of the old one.
        error: the largest difference of a weight.
    """

    size: int
    before: int
    error: float


def pack(found: Checkpoint, out: Path, base: str | None, *, bits: int = 8) -> Packed:
    """Write a small copy of a model.

    Args:
        found: the model.
        out: a new folder, made here.
        base: a backbone by folder or name, which must be there whenever the copy is loaded; none for none.
        bits: of a weight that the base has, too, 8 or 4, of others 8; or 16 for all.

    Raises:
        UsageError: the folder is there already.
        ModelError: the model or the base cannot be read.
    """
    if bits not in (4, 8, deltas.HALF):
        raise UsageError(f"--bits {bits}: expected 4, 8 or 16")
    if out.exists():
        raise UsageError(f"{out}: already there; choose another --out")
    tensors, named = weights.read_whole(found.folder)
    under = None if base is None else weights.locate(base)
    beneath = {} if under is None else weights.read_whole(under)[0]
    small = deltas.packed(tensors, beneath, bits=bits)
    with new_folder(out) as part:
        with files.replaced(part / weights.WEIGHTS) as whole:  # readable for all, as it is installed for all
            save_file({name: tensor.contiguous() for name, tensor in small.items()}, whole)
        for name in COPIED:
            shutil.copyfile(found.folder / name, part / name)
        if under is None or not is_same(named, under):
            for name in TOKENIZER:
                shutil.copyfile(named / name, part / name)
        about = {name: value for name, value in found.about.items() if name != "base"}
        if under is not None:
            about["base"] = {"name": lasting(str(base)), "sha256": files.fingerprint(under / weights.WEIGHTS)}
        files.write_json(part / checkpoint.ABOUT, about)
        sums.write_sums(part)
    again = deltas.unpacked(small, beneath)
    error = max(float((again[name].float() - tensor.float()).abs().max()) for name, tensor in tensors.items())
    return Packed(size_of(out), size_of(found.folder), error)


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give a folder to fill, which becomes `out` when it is whole, and is gone where something fails."""
    files.check_folder(out)
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def lasting(base: str) -> str:
    """Name a base so that it is found from any folder."""
    folder = Path(base).expanduser()
    return str(folder.resolve()) if folder.is_dir() else base


def is_same(one: Path, other: Path) -> bool:
    """Tell whether two folders have the same tokenizer."""
    first, second = (Text.load(folder).tokenizer.to_str() for folder in (one, other))
    return bool(first == second)


def size_of(folder: Path) -> int:
    """Add up a model's files in bytes; a run's state beside them does not count."""
    return sum((folder / name).stat().st_size for name in MODEL if (folder / name).is_file())
