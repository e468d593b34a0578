"""What the tests of pointers share."""

import pytest
import torch

from nlptasks.backbone.copying import Copier


@pytest.fixture
def copier() -> Copier:
    """Make a pointer for states of 8 numbers that never copies tokens 0 to 2; its share hangs on the state."""
    torch.manual_seed(5)
    made = Copier(8, [0, 1, 2])
    torch.nn.init.normal_(made.gate.weight)
    return made.requires_grad_(False)
