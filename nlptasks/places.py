"""Where the user's models, runs and caches live."""

from __future__ import annotations

import os
from pathlib import Path

#: What stands for the model in the package where a folder or a name is expected; `./embedded` is a folder.
EMBEDDED = "embedded"


def home() -> Path:
    """Give the folder of the user's models and runs; `NLPK_HOME` overrides the system's place."""
    chosen = os.environ.get("NLPK_HOME")
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_data_path  # here, because a machine with NLPK_HOME may lack it

    return user_data_path("nlpk", appauthor=False)


def cache() -> Path:
    """Give the folder of what can be made again: converted checkpoints, Arrow tables."""
    chosen = os.environ.get("NLPK_HOME")
    if chosen:
        return Path(chosen).expanduser() / "cache"
    from platformdirs import user_cache_path

    return user_cache_path("nlpk", appauthor=False)
