"""What a model folder's files add up to: a name for its answers, and a check that nothing has changed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from nlptasks import files
from nlptasks.errors import ModelError

DEFAULT = Path(__file__).parent / "default"
WEIGHTS = "model.safetensors"
#: Says what a model is for; `base` in it names what its weights are put on.
ABOUT = "nlpk.json"
SUMMED = ("config.json", WEIGHTS, ABOUT, "tokenizer.json", "tokenizer_config.json")


def fingerprint(folder: Path) -> str:
    """Hash what decides a model's answers: its configuration, tokenizer and weights, and those they are put on."""
    digest = hashlib.sha256()
    for name in ("config.json", "tokenizer.json", "vocab.txt", WEIGHTS):
        path = folder / name
        if path.is_file():
            digest.update(name.encode())
            with path.open("rb") as handle:
                digest.update(hashlib.file_digest(handle, "sha256").digest())
    if base := base_of(folder):
        digest.update("".join(base).encode())
    return digest.hexdigest()


def base_of(folder: Path) -> tuple[str, str] | None:
    """Tell the base that a folder's weights are put on, by its name and the sum of its weights; none for most.

    Raises:
        ModelError: what is said of it cannot be read.
    """
    path = folder / ABOUT
    if not path.is_file():
        return None
    try:
        base = json.loads(path.read_text(encoding="utf-8")).get("base")
        return None if base is None else (str(base["name"]), str(base["sha256"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: damaged ({error!r}); train or fetch the model again") from error


def check_base(folder: Path, expected: str) -> None:
    """Make sure that a base is the one that weights were made for.

    Raises:
        ModelError: it has other weights.
    """
    found = files.fingerprint(folder / WEIGHTS) if (folder / WEIGHTS).is_file() else "nothing"
    if found != expected:
        wanted = f"found sha256 {found[:12]}, expected {expected[:12]}"
        raise ModelError(f"{folder}: not the base that the model was made on ({wanted}); train the model again")


def check_sums(folder: Path) -> None:
    """Compare a folder's files with the sums in its `SHA256SUMS`, where it has one.

    Raises:
        ModelError: a file is missing or is not what it was.
    """
    sums = folder / "SHA256SUMS"
    for line in sums.read_text(encoding="ascii").splitlines() if sums.is_file() else ():
        expected, _, name = line.partition("  ")
        path = folder / name
        found = files.fingerprint(path) if path.is_file() else "nothing"
        if found != expected:
            what = f"damaged (found sha256 {found[:12]}, expected {expected[:12]})"
            raise ModelError(f"{path}: {what}; install nlpk again, or make the model again")


def write_sums(folder: Path) -> None:
    """Write `SHA256SUMS` of what decides a model's answers; its card may be edited."""
    lines = [f"{files.fingerprint(folder / name)}  {name}\n" for name in SUMMED if (folder / name).is_file()]
    with files.replaced(folder / "SHA256SUMS") as part:
        part.write_text("".join(lines), encoding="ascii")


def check_header(path: Path) -> None:
    """Make sure that a safetensors file is there and as long as its header says, without reading it.

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
        with safe_open(path, framework="np"):
            pass
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: damaged ({error}); fetch or train the model again") from error
