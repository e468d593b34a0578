"""Measure what NL2SQL takes: one question and many, narrow and wide tables, few and many rows and cells.

Run by hand: `python tests/benchmarks/nl2sql_speed.py MODEL`.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nlptasks.nl2sql.answers import Answerer
from nlptasks.nl2sql.cells import Cells
from nlptasks.nl2sql.loading import load
from nlptasks.nl2sql.row import Options
from nlptasks.nl2sql.tables import Table, of_rows
from nlptasks.training import checkpoint

QUESTION = "第12号门店的销售额超过三百万元的有几个"


def table(columns: int, rows: int) -> Table:
    """Make a table of names and numbers."""
    header = ["门店", *(f"指标{number}(万元)" for number in range(columns - 1))]
    cells = [[f"第{row}号门店", *(row * number % 977 for number in range(columns - 1))] for row in range(rows)]
    return of_rows("t", header, cells, kinds=["text", *["real"] * (columns - 1)])


def milliseconds(work: Callable[[], object], times: int = 20) -> float:
    """Take the median CPU time of several runs, the first left out."""
    work()
    found = []
    for _ in range(times):
        started = time.process_time()
        work()
        found.append((time.process_time() - started) * 1000)
    return statistics.median(found)


def main() -> None:
    """Print a line for each case."""
    answerer = Answerer(load(checkpoint.open_folder(Path(sys.argv[1])), Options()))
    encoder = answerer.loaded.encoder
    for columns, rows in ((10, 10), (10, 10_000), (200, 10)):
        one = table(columns, rows)
        whole = milliseconds(lambda one=one: answerer.answer([encoder.read(QUESTION, one)]))  # type: ignore[misc]
        print(f"{columns} columns, {rows:,} rows: {whole:.1f} ms a question")
    narrow = table(10, 10)
    started = time.process_time()
    for _ in range(10):
        answerer.answer([encoder.read(QUESTION, narrow) for _ in range(32)])
    print(f"in batches of 32: {320 / (time.process_time() - started):.0f} questions/s")
    for count in (1_000, 1_000_000):
        cells = Cells([[f"第{number}号{'门店仓库超市'[number % 3 * 2 :][:2]}" for number in range(count)]])
        started = time.process_time()
        cells.parts(QUESTION)
        built = time.process_time() - started
        taken = milliseconds(lambda cells=cells: (cells.whole(QUESTION), cells.parts(QUESTION), cells.starts(QUESTION)))  # type: ignore[misc]
        print(f"{count:,} cells: {taken:.1f} ms a question, index of pairs in {built:.1f} s")


if __name__ == "__main__":
    main()
