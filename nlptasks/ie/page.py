"""A page that shows what was found: one file, nothing from a network, readable on a phone."""

from __future__ import annotations

import html
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files as resources
from itertools import pairwise
from pathlib import Path
from typing import Any

from nlptasks import files

#: Texts that are shown; more would be too much for a browser, and nobody reads them.
MOST = 2000
#: Characters of a text around what was found; the rest of a long one is left out.
AROUND, SHOWN = 40, 1200
#: Colours that a reader can tell apart, by hue; a type has the same one on every page.
HUES = (210, 30, 130, 280, 350, 175, 60, 240, 100, 320, 15, 195)
logger = logging.getLogger(__name__)


class Page:
    """Collects answered texts, and writes them as a page."""

    def __init__(self, path: Path) -> None:
        """Refuse at once where nothing can be written.

        Raises:
            InputError: the file's folder is not there.
        """
        files.check_file(path)
        self.path, self.items, self.left_out = path, [], 0  # type: Path, list[str], int
        self.counts: Counter[str] = Counter()
        self.types: dict[str, int] = {}

    def add(self, text: str, answer: Mapping[str, Any]) -> None:
        """Add a text with what was found in it."""
        if len(self.items) == MOST:
            self.left_out += 1
            return
        labels = sorted({one["predicate"] for one in answer["triples"]})
        kinds = sorted({one["type"] or "" for one in answer["entities"]})
        filters = labels or kinds
        self.counts.update(filters)
        shown = json.dumps(filters, ensure_ascii=False)
        body = self.marked(text, answer["entities"]) + self.table(answer)
        self.items.append(f'<article data-labels="{html.escape(shown)}">{body}</article>')

    def marked(self, text: str, entities: Sequence[Mapping[str, Any]]) -> str:
        """Write a text with its mentions in colour; of overlapping ones each piece has the colour of the shortest."""
        edges = sorted({0, len(text), *(at for one in entities for at in (one["start"], one["end"]))})
        made: list[str] = []
        waiting = sorted(entities, key=lambda one: (one["start"], -one["end"]), reverse=True)
        over: list[Mapping[str, Any]] = []
        for start, end in pairwise(edges):
            over = [one for one in over if one["end"] > start]
            while waiting and waiting[-1]["start"] <= start:
                over.append(waiting.pop())
            piece = html.escape(text[start:end] if over else shortened(text[start:end], start == 0, end == len(text)))
            if not over:
                made.append(piece)
                continue
            kind = min(over, key=lambda one: one["end"] - one["start"])["type"] or ""
            names = ", ".join(dict.fromkeys(one["type"] or "?" for one in over))
            nested = " class=n" if len(over) > 1 else ""
            made.append(f'<mark{nested} style="--h:{self.hue(kind)}" title="{html.escape(names)}">{piece}</mark>')
        return f"<p>{''.join(made)}</p>"

    def table(self, answer: Mapping[str, Any]) -> str:
        """Write the triples as a table, or the entities where there are none."""
        rows = [
            (one["predicate"], one["subject"]["text"], one["predicate"], one["object"]["text"], one["score"])
            for one in answer["triples"]
        ]
        if not rows:
            rows = [(one["type"] or "", one["text"], one["type"] or "", "", one["score"]) for one in answer["entities"]]
        if not rows:
            return "<p class=none>–</p>"
        return "<table>" + "".join(self.line(*row) for row in rows) + "</table>"

    @staticmethod
    def line(label: str, *cells: Any) -> str:  # noqa: ANN401 - texts and a number
        """Write a row of a table."""
        texts = [*map(str, cells[:-1]), f"{cells[-1]:.2f}"]
        shown = "".join(f"<td>{html.escape(text)}</td>" for text in texts)
        return f'<tr data-label="{html.escape(label)}">{shown}</tr>'

    def hue(self, kind: str) -> int:
        """Choose a colour for a type: the same one for the same type on a page."""
        return HUES[self.types.setdefault(kind, len(self.types)) % len(HUES)]

    def write(self) -> None:
        """Write the page; it appears whole."""
        if self.left_out:
            logger.info("%s: shows the first %d texts, %d more were answered", self.path, MOST, self.left_out)
        template = resources("nlptasks.ie").joinpath("page.html").read_text(encoding="utf-8")
        options = "".join(
            f'<option value="{html.escape(name)}">{html.escape(name or "–")} ({count})</option>'
            for name, count in self.counts.most_common()
        )
        legend = "".join(
            f'<mark style="--h:{self.hue(kind)}">{html.escape(kind or "–")}</mark> ' for kind in sorted(self.types)
        )
        parts = {"{{options}}": options, "{{legend}}": legend, "{{count}}": str(len(self.items))}
        head, _, foot = template.partition("{{items}}")
        for name, filling in parts.items():
            head = head.replace(name, filling)
        with files.replaced(self.path) as part, part.open("w", encoding="utf-8") as handle:
            handle.write(head)
            handle.writelines(item + "\n" for item in self.items)
            handle.write(foot)


def shortened(piece: str, is_first: bool, is_last: bool) -> str:
    """Leave out the middle of a long piece in which nothing was found."""
    if len(piece) <= SHOWN:
        return piece
    if is_first and is_last:
        return f"{piece[: 2 * AROUND]} …"
    before, behind = "" if is_first else piece[:AROUND], "" if is_last else piece[-AROUND:]
    return f"{before} … {behind}"
