from typing import Any

import pytest

from nlptasks.errors import UsageError
from nlptasks.pretraining.settings import ELSEWHERE, Settings, Shape, shares


def test_shares_are_scaled_to_one() -> None:
    assert shares("mlm=3, lm=1") == {"mlm": 0.75, "lm": 0.25, "unilm": 0.0}
    assert shares("mlm") == {"mlm": 1.0, "lm": 0.0, "unilm": 0.0}
    assert shares("lm,mlm=3") == shares("mlm=3,lm=1")


@pytest.mark.parametrize(
    "given", ["mlm=x", "mlm=", "gpt", "mlm,mlm", "mlm=1,gpt=1", "mlm=-1", "mlm=inf", "mlm=nan", ""]
)
def test_what_are_no_shares_is_refused(given: str) -> None:
    with pytest.raises(UsageError, match=r"expected shares such as mlm=0\.7"):
        Settings(objectives=given)


def test_shares_of_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="add up to 0"):
        Settings(objectives="mlm=0,lm=0")


@pytest.mark.parametrize("name", ELSEWHERE)
def test_settings_of_other_training_are_refused(name: str) -> None:
    other: dict[str, Any] = {name: 7}
    with pytest.raises(UsageError, match=f"setting {name}: not for pre-training; use "):
        Settings(**other)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("tokens", 0, "more than 0"),
        ("long_share", 1.1, "0 to 1"),
        ("mask_rate", 0, "more than 0, below 1"),
        ("dropout", 1, "0 or more, below 1"),
        ("length", 7, "8 or more"),
        ("long_length", 7, "8 or more"),
        ("epochs", -1, "0 or more"),
    ],
)
def test_a_number_out_of_range_is_refused(name: str, value: float, expected: str) -> None:
    given: dict[str, Any] = {name: value}
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} .*: expected {expected}"):
        Settings(**given)


def test_an_update_holds_a_row() -> None:
    assert Settings(batch_tokens=128, length=128, long_share=0.0).longest == 128
    assert Settings(batch_tokens=64, length=128, long_length=64, long_share=1.0).longest == 64
    with pytest.raises(UsageError, match="--batch-tokens 128: expected at least one row of 512"):
        Settings(batch_tokens=128)


def test_heads_are_64_wide_by_default() -> None:
    assert Shape(width=384).number_of_heads == 6
    assert Shape(width=32).number_of_heads == 1
    with pytest.raises(UsageError, match="--width 100: 3 heads do not divide it"):
        Shape(width=100, heads=3)
    with pytest.raises(UsageError, match="--width 65: a head would be 65 wide, which is no multiple of 8 and"):
        Shape(width=65)
    with pytest.raises(UsageError, match="--layers 0: expected 1 or more"):
        Shape(layers=0)
