"""Peak memory of whitening 200,000 and 2,000,000 lines on disk.

    python tests/benchmarks/memory.py $NLPK_DATA/similarity/lcqmc_valid.tsv

Lines are made from the sentences of the file, each with its number in front, so that all differ. Of each only the first
8 tokens are read: what could grow is what is kept for a line, and that does not depend on its length.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def write(path: Path, sentences: list[str], count: int) -> None:
    """Write so many different lines."""
    lines = zip(range(count), itertools.cycle(sentences), strict=False)
    with path.open("w", encoding="utf-8") as out:
        out.writelines(f"{number} {sentence}\n" for number, sentence in lines)


def peak(folder: Path, sentences: list[str], count: int) -> tuple[float, float]:
    """Embed and whiten so many lines; give the peak of the resident memory in MB, and the seconds."""
    write(folder / "lines.txt", sentences, count)
    out = str(folder / "x.npy")
    command = [sys.executable, "-m", "nlpk", "embed", str(folder / "lines.txt"), "--limit", "8"]
    started = time.monotonic()
    process = subprocess.Popen([*command, "--whiten", "--dims", "128", "--out", out])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"nlpk ended with {status}")
    return usage.ru_maxrss / 1024, time.monotonic() - started


def main() -> None:
    """Measure both and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--lines", type=int, nargs=2, default=(200_000, 2_000_000))
    chosen = parser.parse_args()
    sentences = [line.split("\t")[0] for line in chosen.file.read_text("utf-8").splitlines()]
    peaks = []
    for count in chosen.lines:
        with tempfile.TemporaryDirectory() as folder:
            memory, seconds = peak(Path(folder), sentences, count)
        peaks.append(memory)
        print(f"{count:,} lines: {memory:,.0f} MB, {seconds:,.0f} s", flush=True)
    print(f"ratio {peaks[1] / peaks[0]:.3f}")


if __name__ == "__main__":
    main()
