"""CPU seconds that commands cost beyond what they do, each in processes of its own; medians.

python tests/benchmarks/startup.py
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

RUNS = 7
NLPK = [sys.executable, "-m", "nlpk"]
COMMANDS = {
    "nlpk --help": [*NLPK, "--help"],
    "nlpk train --help": [*NLPK, "train", "--help"],
    "nlpk predict similarity --help": [*NLPK, "predict", "similarity", "--help"],
    "python -c 'import torch'": [sys.executable, "-c", "import torch"],
    "echo 你好 | nlpk embed": [*NLPK, "embed"],
}


def cost(command: list[str]) -> float:
    """Run a command on one line of input; give its CPU seconds, those of its threads included."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if process.stdin is None:
        raise SystemExit("no pipe")
    process.stdin.write("你好\n".encode())
    process.stdin.close()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command} ended with {status}")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Print the medians."""
    for name, command in COMMANDS.items():
        print(f"{name}: {statistics.median(cost(command) for _ in range(RUNS)):.2f} s", flush=True)


if __name__ == "__main__":
    main()
