"""Flags that come from dataclasses: a command names the groups it takes, the docstring under a field is its help."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nlptasks import rows
from nlptasks.errors import UsageError

if TYPE_CHECKING:
    from nlptasks.backbone import hardware

#: Names of the output that mean stdout, which is never replaced by a file.
STDOUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
#: Endings of what is written as JSON lines; a name without one is JSON lines, too.
JSON_LINES = (".jsonl", ".ndjson", ".json")
COMPRESSED = (".gz", ".xz", ".zst", ".bz2")
#: What the help shows for a value: by the option's name, else by its type.
METAVARS: dict[str, str] = {
    "backbone": "DIR|NAME",
    "columns": "NAMES",
    "config": "FILE",
    "dev": "FILE",
    "device": "DEVICE",
    "dtype": "FORMAT",
    "encoding": "NAME",
    "errors": "FILE",
    "field": "NAME",
    "html": "FILE",
    "knowledge": "FILE",
    "model": "DIR",
    "out": "FILE",
    "predictions": "FILE",
    "save_whitening": "FILE",
    "schema": "FILE",
    "train": "FILE",
    "whitening": "FILE",
}
#: Short forms of options.
SHORT = {"top_k": ("-k",)}
METAVARS_BY_TYPE: dict[Any, str] = {str: "TEXT", int: "N", float: "X", Path: "DIR", list[str]: "TEXT"}


@dataclass(frozen=True)
class Reading:
    """How input is read."""

    format: Literal["jsonl", "json", "tsv", "csv", "text", "bio"] | None = None
    """Format of the input; told by the extension or the first line by default."""
    columns: str | None = None
    """Names of the columns of a table without a header, such as a,b,score."""
    encoding: str | None = None
    """Encoding of the input; UTF-8 or GB18030 by default, whichever fits."""

    def names(self) -> tuple[str, ...] | None:
        """Give the columns, where they were given."""
        return tuple(name.strip() for name in self.columns.split(",")) if self.columns else None


@dataclass(frozen=True)
class Computing:
    """What computes, and how."""

    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""
    dtype: str = "auto"
    """auto, float32, bf16 or float16; auto takes bf16 where the hardware multiplies it."""
    batch_tokens: int | None = None
    """Tokens that go through the model at once; by default what suits the device."""
    deterministic: bool = False
    """A text's answer does not depend on its neighbours: float32 and repeatable kernels."""

    def prepared(self) -> hardware.Machine:
        """Give what loading a model needs to know, deterministic kernels switched on where asked for."""
        if self.batch_tokens is not None and self.batch_tokens < 1:
            raise UsageError(f"--batch-tokens {self.batch_tokens}: expected at least 1")
        import torch

        from nlptasks.backbone.hardware import Machine

        dtype = self.dtype
        if self.deterministic:
            torch.use_deterministic_algorithms(True)
            dtype = "float32" if dtype == "auto" else dtype
        return Machine(self.device, dtype, self.batch_tokens)


@dataclass(frozen=True)
class Writing:
    """How results are written."""

    out: str | None = None
    """File to write; it appears when it is complete. Stdout by default."""
    resume: bool = False
    """Go on with the partial file that an interrupted run of the same command left."""
    on_error: Literal["report", "skip", "fail"] = "report"
    """What a bad record gives: an error in its place, nothing, or the end of the run."""

    def __post_init__(self) -> None:
        """Refuse what would not be what its name says."""
        if self.target and self.target.suffix in COMPRESSED:
            raise UsageError(
                f"--out {self.out}: output is not compressed; leave --out out and pipe it into a compressor"
            )

    @property
    def target(self) -> Path | None:
        """Give the file to write; none for stdout."""
        return None if self.out is None or self.out in STDOUT else Path(self.out)


@dataclass(frozen=True)
class Model:
    """Which model answers."""

    model: str | None = None
    """Folder of a trained model, or embedded; the chosen one by default, else the embedded one."""
    backbone: str | None = None
    """Folder or hub name of a plain BERT to use untrained."""

    def __post_init__(self) -> None:
        """Refuse both at once."""
        if self.model and self.backbone:
            raise UsageError("--model and --backbone: a model brings its backbone; give one of them")


def flat(function: Callable[..., None]) -> Callable[..., None]:
    """Turn each dataclass parameter of a command into the flags of its fields.

    Args:
        function: a command; other parameters stay as they are.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if dataclasses.is_dataclass(kind)}
    parameters = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name in groups:
            parameters += [flag(field, groups[name]) for field in rows.describe(groups[name])]
        else:
            parameters.append(parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY))

    def command(**values: Any) -> None:  # noqa: ANN401
        made = {name: built(kind, values) for name, kind in groups.items()}
        function(**{name: value for name, value in values.items() if name in hints and name not in groups}, **made)

    return signed(command, function.__doc__, parameters)


def signed(command: Callable[..., None], doc: str | None, parameters: list[inspect.Parameter]) -> Callable[..., None]:
    """Give a function the signature that typer reads."""
    command.__doc__ = doc
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def built(kind: Any, values: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Make a group from the flags given; what was not given keeps its default."""
    names = rows.names(kind)
    return kind(**{name: values[name] for name in names if values.get(name) is not None})


def given(kind: Any, values: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """Pick from the flags those of a group that were given."""
    return {name: values[name] for name in rows.names(kind) if values.get(name) is not None}


#: Options that name a file which a task writes itself.
WRITTEN = ("errors", "html", "svg")


def written(values: Mapping[str, Any]) -> dict[str, str]:
    """Pick the files that a task is told to write itself, by their options."""
    return {name: values[name] for name in WRITTEN if values.get(name) is not None}


def flag(
    field: rows.Field,
    group: Any,  # noqa: ANN401
    note: str = "",
    defaults: Mapping[str, Any] | None = None,
) -> inspect.Parameter:
    """Turn a field into an option; what is not given is none, so that files and methods can decide.

    Args:
        field: the field.
        group: the dataclass that it belongs to.
        note: what else its help says.
        defaults: its default by method, the first of them being what runs where none is named; else its own.
    """
    kind = field.type if type(None) in typing.get_args(field.type) else field.type | None
    name = option_name(field.name)
    is_switch = field.type is bool and field.default is False
    option = typer.Option(
        f"{name}/--no-{name[2:]}" if field.type is bool and not is_switch else name,
        *SHORT.get(field.name, [f"-{field.name}"] if len(field.name) == 1 else []),
        help=field.help + note + shown_default(defaults or {"": field.default}),
        metavar=metavar(field.name, field.type),
        show_default=False,
        rich_help_panel=panel(group),
    )
    return parameter(field.name, kind, option)


def option_name(field: str) -> str:
    """Name the option of a field; from_ is --from, which Python keeps for itself."""
    return "--" + field.rstrip("_").replace("_", "-")


def parameter(name: str, kind: Any, option: Any, default: Any = None) -> inspect.Parameter:  # noqa: ANN401
    """Make a parameter in the form that typer reads."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])


def metavar(name: str, kind: Any) -> str | None:  # noqa: ANN401
    """Choose what the help shows for a value; none where it lists the choices, or there is no value."""
    kinds = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    known = next((METAVARS_BY_TYPE[one] for one in kinds if one in METAVARS_BY_TYPE), None)
    return METAVARS.get(name, known) if known else None


def shown_default(defaults: Mapping[str, Any]) -> str:
    """Put a default behind the help, where it says something: the first method's, and those that differ from it."""
    texts = {name: said(value) for name, value in defaults.items()}
    first = next(iter(texts.values()))
    told = [first, *(f"{name} {text}" for name, text in texts.items() if text != first)]
    return "" if told in (["none"], ["no"]) else f" [default: {', '.join(told)}]"


def said(default: object) -> str:
    """Say a default value."""
    if isinstance(default, bool):
        return "yes" if default else "no"
    return "none" if default in (None, dataclasses.MISSING, "") else str(default)


def choice(names: Iterable[str]) -> Any:  # noqa: ANN401 - a type
    """Make the type of an option that takes one of some names."""
    return Literal[tuple(names)]


def refuse_key(name: str, read: Iterable[str]) -> None:
    """Refuse a key for answers that already means something in a record.

    Args:
        name: the key.
        read: the fields that the command reads.

    Raises:
        UsageError: it is one of them, or `error`, or empty.
    """
    if not name or name in (*read, "error"):
        raise UsageError(f"--as {name}: a field with a meaning of its own; choose another name")


def refuse_other_endings(writing: Writing, known: Sequence[str]) -> None:
    """Refuse a name for the output that promises another format than those known; one without an ending is JSON lines.

    Raises:
        UsageError: it does.
    """
    ending = writing.target.suffix.lower() if writing.target else ""
    if ending and ending not in known:
        others = f"{', '.join(known[:-1])} or {known[-1]}"
        raise UsageError(f"--out {writing.out}: {ending} is no format of the output; expected {others}, or no ending")


def panel(group: Any) -> str:  # noqa: ANN401
    """Name the part of the help that a group's flags stand in: the first sentence of its docstring."""
    return (inspect.getdoc(group) or group.__name__).split("\n")[0].rstrip(".")


FILE = Annotated[
    str | None, typer.Argument(metavar="FILE", help="Input; - or nothing with a pipe is stdin.", show_default=False)
]
