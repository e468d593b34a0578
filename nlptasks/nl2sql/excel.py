"""Workbooks as people make them: a title above the table, merged cells, headers of two rows, notes below it."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from datetime import datetime, time
from pathlib import Path
from typing import Any

from nlptasks.errors import InputError, UsageError

#: A row below a header that holds nothing but units.
UNIT = re.compile(r"[(（\[][^()（）\[\]]{1,12}[)）\]]")
Grid = list[list[Any]]
Merge = tuple[tuple[int, int], tuple[int, int]]

logger = logging.getLogger(__name__)


def rows(path: Path, sheet: str | None) -> Grid:
    """Read a sheet's table, its header first.

    Raises:
        InputError: it cannot be read, or what reads it is not installed.
        UsageError: there is no such sheet.
    """
    try:
        import python_calamine
    except ImportError as error:
        raise InputError(f"{path}: reading Excel needs python-calamine; pip install 'nlpk[excel]'") from error
    try:
        workbook = python_calamine.CalamineWorkbook.from_path(str(path))
    except Exception as error:  # its own classes, and those of the formats below it
        raise InputError(f"{path}: not an Excel file that can be read ({error})") from error
    if sheet is not None and sheet not in workbook.sheet_names:
        raise UsageError(f"--sheet {sheet}: {path} has {', '.join(workbook.sheet_names[:8])}; name one of them")
    full = [name for name in workbook.sheet_names if workbook.get_sheet_by_name(name).height]
    chosen = sheet or next(iter(full), workbook.sheet_names[0])
    if sheet is None and len(full) > 1:
        logger.info("%s: sheet %s is asked; --sheet NAME asks another of %s", path, chosen, ", ".join(full[:8]))
    found = workbook.get_sheet_by_name(chosen)
    return table_of(found.to_python(skip_empty_area=False), found.merged_cell_ranges or [])


def table_of(cells: Sequence[Sequence[Any]], merges: Sequence[Merge]) -> Grid:
    """Find the table on a sheet.

    Args:
        cells: of the sheet, from its first row and column on.
        merges: first and last row and column of what is merged; the value stands in the first cell.
    """
    width = max(map(len, cells), default=0)
    grid = [[plain(cell) for cell in row] + [None] * (width - len(row)) for row in cells]
    for (top, left), (bottom, right) in merges:
        for row in grid[top : bottom + 1]:
            row[left : right + 1] = [grid[top][left]] * (right + 1 - left)
    kept = [column for column in range(width) if any(row[column] is not None for row in grid)]
    grid = [[row[column] for column in kept] for row in grid]
    first = next((at for at, row in enumerate(grid) if not is_note(row)), len(grid))
    depth = depth_of_header(grid, first, merges)
    body = [row for row in grid[first + depth :] if any(cell is not None for cell in row)]
    while body and is_note(body[-1]):
        body.pop()
    header = [joined(row[column] for row in grid[first : first + depth]) for column in range(len(kept))]
    return [header, *body] if depth > 1 else [*grid[first : first + depth], *body]


def is_note(row: Sequence[Any]) -> bool:
    """Tell a title or a note from a row of a table: one text, perhaps merged over all columns."""
    return len(row) > 1 and len({cell for cell in row if cell is not None}) < 2 and not is_full(row)


def is_full(row: Sequence[Any]) -> bool:
    """Tell whether a row has numbers in it, which no title has."""
    return any(isinstance(cell, int | float) for cell in row)


def depth_of_header(grid: Grid, first: int, merges: Sequence[Merge]) -> int:
    """Count the rows of a header: one more below cells that span columns, and one for a row of units."""
    depth = 1
    while first + depth < len(grid) and any(
        top <= first + depth - 1 <= bottom and left < right for (top, left), (bottom, right) in merges
    ):
        depth += 1
    below = [cell for cell in (grid[first + depth] if first + depth < len(grid) else []) if cell is not None]
    return depth + (bool(below) and all(UNIT.fullmatch(str(cell).strip()) for cell in below))


def joined(parts: Any) -> str:  # noqa: ANN401 - cells of a workbook
    """Put the parts of a header together, those that repeat once."""
    return " ".join(dict.fromkeys(str(part).strip() for part in parts if part is not None))


def plain(cell: Any) -> Any:  # noqa: ANN401
    """Turn a cell of a workbook into text, a number, or nothing; a day without a time is a date."""
    if cell is None or cell == "":
        return None
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    if isinstance(cell, datetime) and cell.time() == time():
        return str(cell.date())
    return cell if isinstance(cell, str | int | float) else str(cell)
