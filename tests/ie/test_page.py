from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest

from nlptasks.errors import InputError
from nlptasks.ie import page
from nlptasks.ie.page import Page, shortened


def entity(text: str, start: int, kind: str) -> dict[str, Any]:
    return {"text": text, "start": start, "end": start + len(text), "type": kind, "score": 0.9}


def answer(*entities: dict[str, Any], predicate: str | None = None) -> dict[str, Any]:
    ends = {"subject": entities[0], "object": entities[-1]} if predicate else {}
    return {"triples": [{**ends, "predicate": predicate, "score": 0.75}] if ends else [], "entities": list(entities)}


def made(tmp_path: Path, *items: tuple[str, dict[str, Any]]) -> str:
    shown = Page(tmp_path / "report.html")
    for text, found in items:
        shown.add(text, found)
    shown.write()
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_page_shows_texts_mentions_and_triples(tmp_path: Path) -> None:
    found = answer(entity("雾江", 1, "图书"), entity("林知远", 5, "人物"), predicate="作者")
    text = made(tmp_path, ("《雾江》是林知远写的", found))
    assert re.search(r"《<mark[^>]*>雾江</mark>》是<mark[^>]*>林知远</mark>写的", text)
    assert "<td>雾江</td><td>作者</td><td>林知远</td><td>0.75</td>" in text
    assert '<option value="作者">作者 (1)</option>' in text
    assert "{{" not in text


def test_a_page_needs_no_network_and_fits_a_phone(tmp_path: Path) -> None:
    text = made(tmp_path, ("a", answer()))
    assert not re.search(r"https?://|src=|@import|<link", text)
    assert 'name="viewport" content="width=device-width' in text


def test_what_a_text_holds_is_text(tmp_path: Path) -> None:
    evil = '<script>alert("1")</script>'
    text = made(tmp_path, (evil, answer(entity(evil, 0, '"><b>'), predicate="<i>")))
    assert evil not in text
    assert "<i>" not in text
    assert "<b>" not in text


def test_nested_mentions_are_all_seen(tmp_path: Path) -> None:
    found = answer(entity("南川市第一中学", 0, "学校"), entity("南川市", 0, "地点"))
    text = made(tmp_path, ("南川市第一中学", found))
    assert re.search(r'<mark class=n [^>]*title="学校, 地点">南川市</mark><mark[^>]*title="学校">第一中学</mark>', text)
    assert "<td>南川市</td><td>地点</td>" in text


def test_long_texts_and_many_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(page, "MOST", 1)
    text = "甲" * 3000 + "乙" + "丙" * 3000
    with caplog.at_level(logging.INFO):
        shown = made(tmp_path, (text, answer(entity("乙", 3000, "字"))), ("丁", answer()))
    assert len(shown) < 6000
    assert "丁" not in shown
    assert "shows the first 1 texts, 1 more were answered" in caplog.text


def test_a_page_without_a_folder_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        Page(tmp_path / "none" / "report.html")


def test_a_long_text_in_which_nothing_was_found_still_shows_its_beginning() -> None:
    assert shortened("字" * 2000, is_first=True, is_last=True).startswith("字字字")
    assert shortened("字" * 2000, is_first=True, is_last=False).startswith(" …")
    assert shortened("字" * 20, is_first=True, is_last=True) == "字" * 20
