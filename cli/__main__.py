"""The entry of the command, which an interrupt may reach while everything else is still being imported."""

import os
import sys


def main() -> None:
    """Run nlpk and end with its status."""
    try:
        from nlpk.app import main as run

        run()
    except KeyboardInterrupt:
        if sys.stderr is not None:
            print("nlpk: interrupted", file=sys.stderr, flush=True)
        os._exit(130)  # as `run` ends: quickly, and with no complaint of a library that was half imported


if __name__ == "__main__":
    main()
