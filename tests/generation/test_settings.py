"""Tests of what generation can be told."""

from __future__ import annotations

from typing import Any

import pytest

from nlptasks.errors import UsageError
from nlptasks.generation.row import METHODS
from nlptasks.generation.settings import Options, Settings, Sweep


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ({"n": 0}, "--n 0: expected 1 or more"),
        ({"top_p": 0.0}, "--top-p 0: expected more than 0, at most 1"),
        ({"top_p": 1.5}, "--top-p 1.5"),
        ({"top_k": 0}, "--top-k 0"),
        ({"temperature": 0.0}, "--temperature 0: expected more than 0; for the likeliest text: --beam 1"),
        ({"temperature": float("inf")}, "--temperature inf"),
        ({"guidance": -1.0}, "--guidance -1: expected 0 or more; 1 for none"),
        ({"beam": 0}, "--beam 0"),
        ({"limit": 0}, "--limit 0"),
        ({"seed": -1}, "--seed -1"),
        ({"limit": 8, "shortest": 8}, "--shortest 8: expected less than the 8 tokens"),
        ({"beam": 2, "top_p": 0.9}, "--beam 2 with --top-p: a search draws nothing"),
        ({"beam": 2, "temperature": 0.5}, "--beam 2 with --temperature"),
        ({"beam": 2, "n": 3}, "-n 3 with --beam 2: a search finds at most as many"),
    ],
)
def test_what_cannot_be_written_is_refused(told: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        Options(**told)


def test_cln_draws_and_seq2seq_searches_unless_told_otherwise() -> None:
    assert Options().draws("cln")
    assert not Options(beam=1).draws("cln")
    assert not Options().draws("seq2seq")
    assert all(one.draws("seq2seq") for one in (Options(n=2), Options(top_p=0.9), Options(temperature=2.0)))
    assert not Options(n=2, beam=2).draws("seq2seq")


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ({"limit": 3}, "--limit 3: expected 4 or more"),
        ({"rank": -1}, "--rank -1"),
        ({"condition_width": 0}, "--condition-width 0"),
        ({"max_rows": 1}, "--max-rows 1"),
        ({"conditions": "source"}, "--conditions source: a field with a meaning of its own"),
        ({"source_field": "a", "text_field": "a"}, "--source-field and --text-field are both a"),
    ],
)
def test_what_cannot_be_trained_with_is_refused(told: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        Settings(**told)


def test_a_negative_number_of_samples_is_refused() -> None:
    with pytest.raises(UsageError, match="--samples -1"):
        Sweep(samples=-1)


def test_methods_have_settings_of_their_own() -> None:
    assert all(Settings(**method.defaults) for method in METHODS.values())
