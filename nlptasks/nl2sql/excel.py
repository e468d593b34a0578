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
#: How a note begins that stands in the first column right below the table.
NOTE = re.compile(r"[*※(（]?(?:(?:附?注|说明|备注)\d*(?:$|[:：、.．)）\s])|(?:数据|资料)?来源)")
MOST_HEADERS = 3  # rows of a header, without that of its units
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
        names = workbook.sheet_names
        if sheet is not None and sheet not in names:
            raise UsageError(f"--sheet {sheet}: {path} has {', '.join(names[:8])}; name one of them")
        sheets = ((name, workbook.get_sheet_by_name(name)) for name in ([sheet] if sheet else names))
        chosen, found = next(((name, one) for name, one in sheets if one.height), (None, None))
        cells = found.to_python(skip_empty_area=False) if found else []
        merges = found.merged_cell_ranges or [] if found else []
    except UsageError:
        raise
    except Exception as error:  # its own classes, and those of the formats below it
        raise InputError(f"{path}: not an Excel file that can be read ({error})") from error
    if sheet is None and chosen and len(names) > 1:
        logger.info("%s: sheet %s is asked; --sheet NAME asks another of %s", path, chosen, ", ".join(names[:8]))
    return table_of(cells, merges)


def table_of(cells: Sequence[Sequence[Any]], merges: Sequence[Merge]) -> Grid:
    """Find the table on a sheet.

    Args:
        cells: of the sheet, from its first row and column on.
        merges: first and last row and column of what is merged; the value stands in the first cell.
    """
    width = max(map(len, cells), default=0)
    own = [[plain(cell) for cell in row] + [None] * (width - len(row)) for row in cells]
    inside = [one for one in merges if one[0][0] < len(own) and one[0][1] < width]  # others hold nothing
    for (top, left), (bottom, right) in inside:
        for row in own[top : bottom + 1]:
            row[left : right + 1] = [own[top][left], *[None] * (min(right, width - 1) - left)]
    kept = [column for column in range(width) if any(row[column] is not None for row in own)]
    own = [[row[column] for column in kept] for row in own]
    wide = sideways(inside, kept)
    grid = [list(row) for row in own]
    for (top, left), (bottom, right) in wide:
        for row in grid[top : bottom + 1]:
            row[left : right + 1] = [row[left]] * (right + 1 - left)
    first = next((at for at, row in enumerate(own) if not is_title(row)), len(own))
    body = first + depth_of_header(grid, first, wide)
    end = end_of_body(own, body, wide)
    header = [joined(row[column] for row in grid[first:body]) for column in range(len(kept))]
    rows = [row for row in grid[body:end] if any(cell is not None for cell in row)]
    return [header, *rows] if body - first > 1 else [*grid[first:body], *rows]


def sideways(merges: Sequence[Merge], kept: Sequence[int]) -> list[Merge]:
    """Give what is merged over several of the columns that are kept, by their new numbers."""
    made = []
    for (top, left), (bottom, right) in merges:
        columns = [at for at, column in enumerate(kept) if left <= column <= right]
        if len(columns) > 1 and kept[columns[0]] == left:
            made.append(((top, columns[0]), (bottom, columns[-1])))
    return made


def is_title(row: Sequence[Any]) -> bool:
    """Tell a title or a blank from a row of a table: it has one text, perhaps merged over all columns."""
    held = [cell for cell in row if cell is not None]
    return len(row) > 1 and len(held) < 2 and all(isinstance(cell, str) for cell in held)


def end_of_body(own: Grid, body: int, wide: Sequence[Merge]) -> int:
    """Find where the notes begin that stand below a table: in its last rows of one text each.

    Args:
        own: the sheet's cells, of what is merged sideways the first.
        body: first row of it.
        wide: what is merged sideways.
    """
    at = len(own)
    while at > body and is_title(own[at - 1]):
        at -= 1
    end = next((row for row in range(at, len(own)) if is_note(own, row, wide)), len(own))
    left_out = [joined(row) for row in own[end:] if any(cell is not None for cell in row)]
    if left_out:
        logger.info("left out as notes below the table: %s", "; ".join(text[:40] for text in left_out[:4]))
    return end


def is_note(own: Grid, at: int, wide: Sequence[Merge]) -> bool:
    """Tell a note from a row with one cell: it is merged over columns, stands below a blank row, or says so."""
    if not any(cell is not None for cell in own[at]):
        return False
    is_wide = any(top <= at <= bottom for (top, _), (bottom, _) in wide)
    is_apart = all(cell is None for cell in own[at - 1])
    return is_wide or is_apart or NOTE.match(str(own[at][0] or "").strip()) is not None


def depth_of_header(grid: Grid, first: int, wide: Sequence[Merge]) -> int:
    """Count the rows of a header: more where cells differ below one that spans them, and one for a row of units."""
    depth, is_deeper = min(1, len(grid) - first), True
    while is_deeper:
        is_deeper = False
        for (top, left), (bottom, right) in wide:
            reached = bottom + 2 - first
            if top <= first + depth - 1 <= bottom and reached <= MOST_HEADERS and bottom + 1 < len(grid):
                below = grid[bottom + 1]
                if len(set(below[left : right + 1])) > 1 and not has_figures(below):
                    depth, is_deeper = reached, True
    below = [cell for cell in (grid[first + depth] if first + depth < len(grid) else []) if cell is not None]
    return depth + (bool(below) and all(UNIT.fullmatch(str(cell).strip()) for cell in below))


def has_figures(row: Sequence[Any]) -> bool:
    """Tell whether a row has numbers in it that are no years, which no header has."""
    return any(isinstance(cell, int | float) and not (cell == int(cell) and 1900 <= cell <= 2100) for cell in row)


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
