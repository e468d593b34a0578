"""Make an embedded model from its recipe: `python data/models/make.py RECIPE... --data FOLDER --work FOLDER`.

A recipe is a TOML file beside this one. Its commands run in the folder of the repository, in a shell that knows $DATA,
the folder of the public data sets; $WORK, where this recipe's files lie; $RUN in it, where the training goes; and
$MODEL, the folder in the package where the packed model comes to lie, which is then scored. What is there already is
not made again, unless --again is named.

    task, method   what it does; decides $MODEL
    about          what the card says of it, in Markdown
    data           what it learnt from: name, rows, source, licence
    prepare        commands that make files in $WORK, if any
    train          the command that trains
    scores         what is scored: a name, the command, the scores that are shown, and of what, where it prints several
    failures       what it gets wrong, in Markdown
    licence        of the weights, if it is another than that of most
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nlptasks.backbone import sums

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
NOTICE = """\
The code of nlpk is under Apache-2.0. The weights are not: some of the data that they and their backbone were made from
carry no licence, or one for non-commercial use only. They are for research and for trying the toolkit out; train on
data of your own, from a backbone of your choice, for anything that is sold."""


def main() -> None:
    """Make what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, default=os.environ.get("NLPK_DATA"), help="folder of the data sets")
    parser.add_argument("--work", type=Path, required=True, help="folder for runs and files made on the way")
    parser.add_argument("--again", action="store_true", help="forget what was made before")
    parser.add_argument("--scores", action="store_true", help="score again")
    arguments = parser.parse_args()
    if arguments.data is None:
        parser.error("--data FOLDER is needed, or NLPK_DATA")
    for recipe in arguments.recipes:
        make(recipe, arguments.data.resolve(), arguments.work.resolve(), arguments.again, arguments.scores)


def make(recipe: Path, data: Path, work: Path, again: bool, anew: bool) -> None:
    """Make one model, as far as it is not there."""
    told = tomllib.loads(recipe.read_text(encoding="utf-8"))
    place, model = work / recipe.stem, folder_of(told)
    if again:
        shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True, exist_ok=True)
    known = {"DATA": data, "WORK": place, "RUN": place / "run", "MODEL": model}
    said = {**os.environ, **{name: str(value) for name, value in known.items()}}
    if not (place / "prepared").is_file():
        for command in told.get("prepare", []):
            run(command, said)
        (place / "prepared").touch()
    if not (place / "trained").is_file():
        shutil.rmtree(place / "run", ignore_errors=True)
        run(told["train"], said)
        (place / "trained").touch()
        shutil.rmtree(model, ignore_errors=True)
    if not model.is_dir():
        run(packing(told), said)
        (place / "scores.json").unlink(missing_ok=True)
    if anew or not (place / "scores.json").is_file():
        lines = {one: run(one, said).splitlines() for one in dict.fromkeys(one["command"] for one in told["scores"])}
        found = [scored(lines[one["command"]], one.get("of")) for one in told["scores"]]
        (place / "scores.json").write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")
    scores = json.loads((place / "scores.json").read_text(encoding="utf-8"))
    (model / "README.md").write_text(card(recipe, told, scores), encoding="utf-8")
    forget_machine(model / "nlpk.json", told)
    sums.write_sums(model)


def folder_of(told: Mapping[str, Any]) -> Path:
    """Tell where the package keeps a model."""
    return ROOT / "nlptasks" / told["task"] / "embedded" / told["method"]


def packing(told: Mapping[str, Any]) -> str:
    """Give the command that makes a run small; what stands on no backbone has 16 bits a weight."""
    return f'nlpk models pack "$RUN" --out "$MODEL" --bits {told.get("bits", 4)}'


def run(command: str, said: Mapping[str, str]) -> str:
    """Run a shell command of one line or more in the repository's folder; show it, and give its output."""
    line = " ".join(command.split())
    sys.stderr.write(f"$ {line}\n")
    shell = ["bash", "-euo", "pipefail", "-c", line]
    done = subprocess.run(shell, cwd=ROOT, env=dict(said), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"status {done.returncode}: {line}")
    return done.stdout


def scored(lines: Sequence[str], of: str | None) -> dict[str, Any]:
    """Give the scores of the line that is of something, or of the last one, from what `nlpk eval --json` printed."""
    read = [json.loads(line) for line in lines]
    found = next((one for one in read if of is not None and one["settings"].get("of") == of), read[-1])
    return {"records": found.get("records"), **found["scores"]}


def card(recipe: Path, told: Mapping[str, Any], scores: list[dict[str, Any]]) -> str:
    """Write the model card."""
    lines = [f"# {told['task']}: {told['method']}", "", told["about"].strip(), "", "## Data", ""]
    lines += ["| Data | Records | Source | Licence |", "|---|---:|---|---|"]
    lines += [f"| {one['name']} | {one['rows']} | {one['source']} | {one['licence']} |" for one in told["data"]]
    lines += ["", told.get("licence", NOTICE).strip(), "", "## How it was made", ""]
    lines += [f"`python data/models/make.py data/models/{recipe.name} --data DATA --work WORK` ran:", "", "```sh"]
    lines += [" ".join(one.split()) for one in [*told.get("prepare", []), told["train"]]]
    lines += [packing(told), "```", "", "## Scores", ""]
    for one, found in zip(told["scores"], scores, strict=True):
        shown = ", ".join(f"{name} {found[name]:.3f}" for name in one["shown"])
        records = f" ({found['records']:,} records)" if found["records"] else ""
        lines += [f"- {one['name']}{records}: {shown}  ", f"  `{' '.join(one['command'].split())}`"]
    return "\n".join([*lines, "", "## What it gets wrong", "", told["failures"].strip(), ""])


def forget_machine(path: Path, told: Mapping[str, Any]) -> None:
    """Leave out of what a model says of itself the folders of the machine that made it."""
    about = json.loads(path.read_text(encoding="utf-8"))
    about["settings"] = {name: bare(value) for name, value in about["settings"].items()}
    about["training"]["command"] = " ".join(told["train"].split())
    about["training"]["backbone"] = bare(about["training"]["backbone"])
    for one in about["training"]["data"]:
        one["name"] = bare(one["name"])
    path.write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def bare(value: Any) -> Any:  # noqa: ANN401 - whatever a setting may be
    """Leave only the name of a file, or the names of files; all else stays."""
    if isinstance(value, list):
        return [bare(one) for one in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


if __name__ == "__main__":
    main()
