"""A table, and models of both methods on the tiny BERT."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nlptasks.nl2sql import library as libraries
from nlptasks.nl2sql.encoding import Encoder
from nlptasks.nl2sql.library import Library
from nlptasks.nl2sql.tables import Table, of_rows

ROWS = [
    ["中国恒大集团有限公司", "房地产", 250.5, "2019-03-05", 12],
    ["万科企业股份有限公司", "房地产", 4000, "2020-11-01", 30],
    ["蓝鲸软件有限公司", "软件", 1.2, "2019-03-06", 8],
]


@pytest.fixture
def companies() -> Table:
    header = ["企业名称", "行业", "营业收入(亿元)", "成立日期", "负债率(%)"]
    return of_rows("t", header, ROWS, kinds=["text", "text", "real", "text", "real"])


@pytest.fixture
def encoder() -> Encoder:
    from nlptasks.backbone import weights

    text = weights.load().text
    return Encoder(text, limit=256, question_limit=128, types=True, matching=True)


@pytest.fixture
def library() -> Callable[..., Library]:
    def of(*names: Path) -> Library:
        return libraries.Library.of(*map(str, names))

    return of
