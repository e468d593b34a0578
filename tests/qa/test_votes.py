"""Check how the votes of windows and passages are counted."""

from __future__ import annotations

import pytest

from nlptasks.backbone.windows import Window
from nlptasks.qa.examples import Example
from nlptasks.qa.votes import elected, result, surest
from nlptasks.writing.passages import Vote


def test_windows_vote_as_one_passage_which_the_surest_speaks_for() -> None:
    windows = [(0, Window([7], [(0, 1)])), (0, Window([7], [(2, 3)])), (1, Window([7], [(0, 1)]))]
    example = Example([1], windows, ["", ""])
    votes = [Vote(0, 0.2, 0), Vote(1, 0.6, 0), Vote(2, 0.5, 0)]
    assert surest(votes, example) == {0: 0.6, 1: 0.5}
    assert result({0: 0.6, 1: 0.5}) == pytest.approx((0.36 + 0.25) / 2.1)
    ranked = elected([([7], Vote(5, 0.2, 0)), ([], Vote(6, 0.9, None)), ([8], Vote(7, 0.5, 0))], 5, example)
    assert [ids for ids, _ in ranked] == [[8], [7]]
    assert [vote.prompt for _, said in ranked for vote in said] == [2, 0]
