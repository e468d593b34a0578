"""Write more questions for the embedded NL2SQL model: `python data/models/nl2sql_questions.py FOLDER --each 600`.

They are asked of the tables of `../nl2sql/source/train.txt` and of `tables.txt`, in the phrases of the samples'
training part and those of `phrases.toml`. No table and no phrase of the samples' dev file is used. `questions.jsonl`
and `tables.jsonl` are written into the folder.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent / "nl2sql" / "source"
sys.path.insert(0, str(HERE.parent / "nl2sql"))  # the maker of the samples, which is a script

import asking  # noqa: E402
import make as samples  # noqa: E402
from asking import Piece, quoted  # noqa: E402
from drawing import read  # noqa: E402

EVERYDAY = "everyday"
#: Share of the questions that take a form which the samples do not have, and of those what is asked.
SHARE = 0.5
SHAPES = {
    **{"which": 24, "column": 10, "ask": 10, "COUNT": 9, "AVG": 8, "SUM": 10, "MAX": 5, "MIN": 5},
    **{"strange": 5, "lacking": 7, "whole": 9, "most": 5, "least": 4},
    **{"each MAX": 4, "each MIN": 2, "best SUM": 4, "best AVG": 3},
}
#: What is beside each other in a question: so many values, behind a condition of another kind or not.
CONDITIONS = {(1, False): 5, (2, False): 7, (3, False): 1, (0, True): 6, (1, True): 7, (2, True): 2}
PEOPLE = ("名", "位")
#: What the name of a column ends in that holds people.
PERSONS = ("人", "员", "师", "者", "长", "姓名", "经理", "主管")


class Asker(asking.Asker):
    """Asks as people do of their own tables, too."""

    def __init__(self, *known: Any, headers: Sequence[str] = ()) -> None:  # noqa: ANN401 - what the samples' has
        """Know the names of all tables' columns, too; what has no letter in common with this one's is not in it."""
        super().__init__(*known)
        own = {letter for one in self.table.columns for name in one.names for letter in name} | set(self.table.noun)
        self.lacking = [name for name in headers if not own & set(name)]

    def question(self) -> dict[str, object] | None:
        """Ask one question."""
        if self.random.random() > SHARE:
            return super().question()
        shape = self.random.choices(list(SHAPES), list(SHAPES.values()))[0]
        if shape == "strange":
            return self.made(self.say("everyday strange"), {})
        if shape == "whole":
            return self.whole(self.random.choice(["AVG", "MAX", "MIN", "SUM", "COUNT"]))
        if shape == "lacking":
            column = self.table.columns[self.random.choice([0, *self.texts])]
            cell = str(self.random.choice(column.cells))
            return self.made(self.say("everyday lacking", v=cell, c=self.random.choice(self.lacking)), {})
        if shape in ("most", "least"):
            return self.best(shape)
        if shape.startswith(("each ", "best ")):
            return self.of_groups(*shape.split())
        return self.asked(shape)

    def best(self, shape: str) -> dict[str, object]:
        """Ask which value of another column stands beside the most or the least."""
        at, other = self.random.choice(self.ordered), self.random.choice(self.texts)
        said = self.say(f"everyday {shape}", c=self.called(at), d=self.called(other), **self.words(at))
        order = f" ORDER BY {quoted(self.table.columns[at].name)}" + (" DESC" if shape == "most" else "")
        return self.made(said, self.text([("", other)], [], "") + order + " LIMIT 1")

    def of_groups(self, kind: str, aggregate: str) -> dict[str, object]:
        """Ask for the greatest or least of each group, or for the group that is best by a sum or a mean."""
        at, real = self.random.choice([at for at in self.texts if at]), self.random.choice(self.reals)
        much, little = self.table.columns[real].words
        names = {"c": self.called(at), "d": self.called(real)}
        group = f" GROUP BY {quoted(self.table.columns[at].name)}"
        if kind == "each":
            said = self.say(f"everyday each {aggregate}", **names, g=much, l=little)
            return self.made(said, self.text([("", at), (aggregate, real)], [], "") + group)
        is_most = self.random.random() < 0.8
        said = self.say(f"everyday best {aggregate}", **names, g=much if is_most else little)
        by = f"{aggregate}({quoted(self.table.columns[real].name)})" + " DESC" * is_most
        return self.made(said, self.text([("", at)], [], "") + f"{group} ORDER BY {by} LIMIT 1")

    def whole(self, aggregate: str) -> dict[str, object]:
        """Ask for one number of the whole table."""
        at = self.random.choice(self.reals)
        text = self.say(f"everyday {aggregate}", c=self.called(at), **self.words(at))
        return self.made(text, self.sql([(aggregate, 0 if aggregate == "COUNT" else at)], [], ""))

    def asked(self, shape: str) -> dict[str, object]:
        """Ask for something of the rows that conditions leave, which stand beside each other."""
        text, pieces = self.beside()
        connective = "and" if len(pieces) > 1 else ""
        at = self.random.choice(self.shown if shape == "ask" else self.reals)
        of_people = self.table.measure in PEOPLE
        select = [(shape, at)]
        if shape == "which":
            kind = self.random.choice(["which", "which", "everyday who" if of_people else "everyday short"])
            said, select = self.say(kind, p=text), [("", 0)]
        elif shape == "column":
            asked_for = [one for one in self.texts if one not in {piece.column for piece in pieces}] or self.texts
            at = self.random.choice(asked_for)
            name = self.called(at)
            is_person = name.endswith(PERSONS) and self.random.random() < 0.7
            said = self.say("everyday person" if is_person else "everyday column", p=text, c=name)
            select = [("", at)]
        elif shape == "ask":
            said, select = self.say("ask", p=text + self.table.noun, c=self.called(at)), [("", at)]
        elif shape == "COUNT":
            said = self.say(self.random.choice(["COUNT", "everyday people" if of_people else "COUNT"]), p=text)
            select = [("COUNT", 0)]
        else:
            also = {"SUM": "everyday total", "AVG": "everyday mean"}.get(shape, shape)
            said = self.say(self.random.choice([shape, also]), p=text, c=self.called(at), **self.words(at))
        return self.made(said, self.sql(select, pieces, connective))

    def beside(self) -> tuple[str, list[Piece]]:
        """Draw conditions that stand beside each other with nothing between that says how they are joined."""
        count, also = self.random.choices(list(CONDITIONS), list(CONDITIONS.values()))[0]
        texts = [at for at in self.texts if at]
        columns = self.random.sample(texts, min(count, len(texts)))
        values = [(str(self.random.choice(self.table.columns[at].cells)), at) for at in columns]
        pieces = [Piece(value, at, "==", value) for value, at in values]
        text = "".join(piece.text + self.say("everyday beside") for piece in pieces)
        if also or not pieces:
            others = [at for at in range(1, len(self.table.columns)) if at not in self.texts]
            said, more = self.other(self.random.choice(others))
            is_first = self.random.random() < 0.7
            return (said + text, [*more, *pieces]) if is_first else (text + said, [*pieces, *more])
        return text, pieces

    def other(self, at: int) -> tuple[str, list[Piece]]:
        """Draw a condition on a column that is not of text."""
        one = self.table.columns[at]
        if one.kind == "date" and self.random.random() < 0.8:
            return self.period(at)
        piece = self.piece(at)
        return piece.text, [piece]

    def period(self, at: int) -> tuple[str, list[Piece]]:
        """Draw a condition of a year or a month on a column of days."""
        one = self.table.columns[at]
        name = self.called(at)
        name = self.random.choice([name, name.removesuffix("日期").removesuffix("时间")])
        first, last = sorted(str(cell) for cell in self.random.sample(one.cells, 2))
        by_month = self.random.random() < 0.25
        start, end, following = bounds(first, by_month)
        phrase = self.random.choice(["in", "in", "in", "after", "after", "before", "before", "from", "till", "through"])
        if phrase == "through" and first[:4] != last[:4]:
            said = self.say("everyday through", c=name, v=f"{first[:4]}年", w=f"{last[:4]}年")
            start, following = bounds(first, by_month=False)[0], bounds(last, by_month=False)[2]
            return said, [Piece("", at, ">=", start), Piece("", at, "<", following)]
        spoken = {"in": "everyday in", "from": "everyday from", "till": "everyday till", "through": "everyday in"}
        said = self.say(spoken.get(phrase, phrase), c=name, v=end)
        pieces = {"after": [(">=", following)], "before": [("<", start)], "from": [(">=", start)]}
        pieces["till"] = [("<", following)]
        return said, [Piece("", at, *part) for part in pieces.get(phrase, [(">=", start), ("<", following)])]


def bounds(day: str, by_month: bool) -> tuple[str, str, str]:
    """Give the first day of a day's year or month, how it is said, and the first day behind it."""
    year, month = int(day[:4]), int(day[5:7])
    if not by_month:
        return f"{year}-01-01", f"{year}年", f"{year + 1}-01-01"
    later = (year + month // 12, month % 12 + 1)
    return f"{year}-{month:02}-01", f"{year}年{month}月", f"{later[0]}-{later[1]:02}-01"


def phrases() -> dict[str, list[str]]:
    """Put the phrases of training and more of them together, those of everyday forms under names of their own.

    Raises:
        ValueError: one of them stands in the dev part, too.
    """
    known = tomllib.loads((SOURCE / "phrases.toml").read_text(encoding="utf-8"))
    more = tomllib.loads((HERE / "phrases.toml").read_text(encoding="utf-8"))
    everyday = more.pop(EVERYDAY)
    dev = {one for some in known["dev"].values() for one in some} - set(
        known["dev"]["named"]
    )  # a bare name is no wording
    shared = [one for some in (*more.values(), *everyday.values()) for one in some if one in dev]
    if shared or more.keys() - known["train"].keys():
        raise ValueError(f"phrases of the dev part, or of no part: {shared}, {more.keys() - known['train'].keys()}")
    made = {kind: list(dict.fromkeys([*some, *more.get(kind, [])])) for kind, some in known["train"].items()}
    return made | {f"{EVERYDAY} {kind}": some for kind, some in everyday.items()}


def main() -> None:
    """Write the questions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--each", type=int, default=600, help="questions of a table")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    tables = [*read(SOURCE / "train.txt"), *read(HERE / "tables.txt")]
    headers = sorted({name for table in tables for one in table.columns for name in one.names})
    by = partial(Asker, headers=headers)
    made = samples.questions(tables, "train", phrases(), each=arguments.each, made_by=by)
    lines = {"questions": (json.dumps(one, ensure_ascii=False) for one in made)}
    lines["tables"] = (table.as_json() for table in tables)
    for name, some in lines.items():
        text = "".join(f"{line}\n" for line in some)
        (arguments.folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
