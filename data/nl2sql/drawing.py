"""Tables of the samples: a source file describes them, their rows are drawn by chance with a fixed seed.

A source file holds tables, each a line `# title | measure word | what a row is` and below it a line for each column:

    name (unit) | kind | names in questions | cells, or words for much and little

The kinds are `name` (which tells rows apart), `text`, `bool` (是 or 否), `real LEAST GREATEST STEP`,
`year LEAST GREATEST` and `date LEAST GREATEST`. Cells of text columns are drawn from those listed, numbers from the
range.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

SEED = 11


@dataclass(frozen=True)
class Column:
    """A column, its values, and how questions speak of it."""

    name: str
    kind: str
    names: list[str]
    words: tuple[str, str] = ("高", "低")
    cells: list[object] = field(default_factory=list)
    numbers: tuple[float, ...] = ()

    @property
    def unit(self) -> str:
        """Give the unit in the name, if there is one."""
        return self.name.partition("(")[2].rstrip(")")


@dataclass(frozen=True)
class Table:
    """A table with its rows."""

    id: str
    title: str
    measure: str
    noun: str
    columns: list[Column]
    rows: list[list[object]]

    def as_json(self) -> str:
        """Write the table as TableQA does."""
        types = ["real" if one.kind == "real" or one.kind == "year" else "text" for one in self.columns]
        header = [one.name for one in self.columns]
        found = {"id": self.id, "title": self.title, "header": header, "types": types, "rows": self.rows}
        return json.dumps(found, ensure_ascii=False)


def read(path: Path) -> list[Table]:
    """Read a source file and draw the rows."""
    tables = []
    for number, part in enumerate(path.read_text(encoding="utf-8").split("# ")[1:]):
        lines = part.strip().splitlines()
        title, measure, noun = (one.strip() for one in lines[0].split("|"))
        random = Random(f"{SEED} {path.stem} {number}")
        columns = [column([one.strip() for one in line.split("|")], random) for line in lines[1:]]
        rows = [[one.cells[at] for one in columns] for at in range(len(columns[0].cells))]
        tables.append(Table(f"{path.stem}-{number}", title, measure, noun, columns, rows))
    return tables


def column(fields: Sequence[str], random: Random) -> Column:
    """Read a column and draw its cells, twelve."""
    name, told, names = fields[0], fields[1].split(), fields[2].split("/")
    kind, last = told[0], fields[3] if len(fields) > 3 else ""
    if kind == "name":
        return Column(name, kind, names, cells=list(last.split(",")))
    if kind == "text":
        listed = last.split(",")
        return Column(name, kind, names, cells=[random.choice(listed) for _ in range(12)])
    if kind == "bool":
        return Column(name, kind, names, cells=[random.choice("是否") for _ in range(12)])
    words = tuple(last.split("/"))
    least, greatest = float(told[1]), float(told[2])
    if kind == "date":
        cells: list[object] = [
            f"{random.randint(int(least), int(greatest))}-{random.randint(1, 12):02}-{random.randint(1, 28):02}"
            for _ in range(12)
        ]
        return Column(name, kind, names, (words[0], words[1]), cells)
    step = float(told[3]) if len(told) > 3 else 1.0
    drawn = [plain(least + step * random.randint(0, round((greatest - least) / step))) for _ in range(12)]
    return Column(name, kind, names, (words[0], words[1]), list(drawn), (least, greatest, step))


def plain(value: float) -> float | int:
    """Round away what is left of a sum of steps."""
    rounded = round(value, 4)
    return int(rounded) if rounded == int(rounded) else rounded
