"""Set up every test run: one thread, no network, a home of its own, and the GPU tests' way out."""

import os
from collections.abc import Iterator

import pytest

# torch and the tokenizer read these when they are imported, so they are set before any test module is.
os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1")


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the models and choices of whoever runs the tests out of them, in subprocesses too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NLPK_HOME", str(tmp_path_factory.mktemp("home")))
        yield


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `gpu` where there is none."""
    if item.get_closest_marker("gpu") is None:
        return
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
