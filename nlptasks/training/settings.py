"""The settings of every training run, and how defaults, a method, a file and flags make them up."""

from __future__ import annotations

import dataclasses
import difflib
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from nlptasks import rows
from nlptasks.errors import InputError, RecordError, UsageError

S = TypeVar("S")


@dataclass(frozen=True)
class Method:
    """One way to do a task."""

    summary: str
    """One sentence for the help."""
    row: type
    """The dataclass that a training record is parsed into."""
    defaults: Mapping[str, Any]
    """The settings that differ from the dataclass's own defaults."""
    least_batch: int = 1
    """Rows that a pass needs at least, where rows are told from one another."""


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """What every training run can be told; a task's own settings come on top."""

    epochs: float = 1.0
    """Times to go through the training rows."""
    steps: int | None = None
    """Updates to make, instead of epochs."""
    batch_size: int = 64
    """Rows of one forward pass."""
    accumulation: int = 1
    """Forward passes of one update; schedules count updates."""
    optimizer: Literal["adamw", "lamb", "adafactor", "lion", "tiger", "muon"] = "adamw"
    """What makes an update of gradients; each wants a learning rate of its own."""
    learning_rate: float = 1e-5
    """The highest rate of the optimizer; for adafactor, relative to the size of each parameter."""
    schedule: Literal["constant", "linear", "cosine", "piecewise"] = "linear"
    """How the rate goes after the warm-up: stay, fall to 0 evenly or as a cosine; or wholly as --pieces says."""
    pieces: str = ""
    """For --schedule piecewise: share of the rate at an update, even between, such as 0:0,100:1,1000:0.1."""
    warmup: float = 0.1
    """Share of the updates in which the rate rises from 0; counted in updates where 1 or more."""
    weight_decay: float = 0.01
    """Decoupled weight decay; biases and norms have none."""
    clip: float = 1.0
    """The largest gradient norm; 0 for no bound."""
    ema: float = 0.0
    """Decay of the running mean of the weights, which is then scored and kept; 0 for none."""
    layer_decay: float = 1.0
    """Factor on the rate for each layer further from the output."""
    rates: str = ""
    """Factors on the rate by a part of parameters' names, such as bert.tokens:0.5,head:10; all that fit count."""
    lazy_embeddings: bool = False
    """Leave rows of embeddings alone that have no gradient: neither decay nor momentum moves them."""
    lookahead: int = 0
    """Updates after which the weights go back a part of the way to where they last were so; 0 for never."""
    lookahead_step: float = 0.5
    """For --lookahead: the part of the way that is kept."""
    adaptive_rate: bool = False
    """Learn a scale of the rate, and a gain for each weight, while training; best with --schedule constant."""
    adaptive_scale: float = 0.001
    """For --adaptive-rate: how fast the scale is learned; 0 for no scale."""
    adaptive_gain: float = 0.01
    """For --adaptive-rate: how fast the gains are learned; 0 for no gains."""
    dtype: Literal["auto", "float32", "bf16"] = "auto"
    """Number format of the products; the weights stay float32."""
    seed: int = 1
    """Decides the order of rows, dropout and new weights."""
    evaluate_every: int | None = None
    """Updates between scores on the dev rows; five times in a run by default."""
    max_dev_rows: int | None = None
    """Score on this many dev rows, drawn by the seed; all by default."""
    patience: int | None = None
    """Scores without a new best after which training stops; never by default."""
    save_every: float = 60.0
    """Seconds between saves of the state that --resume goes on from."""
    simplify_vocabulary: bool = False
    """Drop the tokens that Chinese text never needs, which makes model and softmax smaller."""

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with.

        Raises:
            UsageError: a number out of its range, pieces or rates that cannot be read, or a flag that would do nothing.
        """
        check_ranges(self, RANGES)
        if self.schedule == "piecewise":
            points(self.pieces)
        factors(self.rates)
        check_needed(self)


Ranges = Mapping[str, tuple[Callable[[float], bool], str]]
#: Which numbers make sense, for each setting that has a range.
RANGES: Ranges = {
    **dict.fromkeys(
        ("batch_size", "accumulation", "evaluate_every", "max_dev_rows", "patience"), (lambda x: x >= 1, "1 or more")
    ),
    **dict.fromkeys(
        ("epochs", "steps", "learning_rate", "warmup", "weight_decay", "clip", "save_every"),
        (lambda x: 0 <= x < math.inf, "0 or more"),
    ),
    "seed": (lambda x: 0 <= x < 1 << 63, "0 or more, below 2^63"),
    **dict.fromkeys(("adaptive_scale", "adaptive_gain"), (lambda x: 0 <= x < 1, "0 or more, below 1")),
    "lookahead": (lambda x: x == 0 or x >= 2, "2 or more, or 0 for none"),
    "lookahead_step": (lambda x: 0 < x < 1, "more than 0, below 1"),
    "ema": (lambda x: 0 <= x < 1, "0 or more, below 1"),
    "layer_decay": (lambda x: 0 < x <= 1, "more than 0, at most 1"),
}


def check_ranges(group: object, ranges: Ranges) -> None:
    """Refuse a number out of its range.

    Args:
        group: a dataclass whose fields become flags.
        ranges: what holds of a field, and how to say it; none in a field is no number.

    Raises:
        UsageError: one of them does not hold; NaN never does.
    """
    for name, (holds, expected) in ranges.items():
        value = getattr(group, name)
        if value is not None and not holds(value):
            raise UsageError(f"{flag(name)} {value:g}: expected {expected}")


def check_batch(method: Method, settings: TrainingSettings, name: str) -> None:
    """Refuse passes in which a method has nothing to learn from.

    Raises:
        UsageError: a pass has fewer rows than the method tells from one another.
    """
    if settings.batch_size < method.least_batch:
        found = f"--batch-size {settings.batch_size}: {name} compares the rows of a pass with one another"
        raise UsageError(f"{found}; expected {method.least_batch} or more")


def points(pieces: str) -> list[tuple[int, float]]:
    """Read the points of a piecewise schedule, such as `0:0,100:1,1000:0.1`, in the order of the updates.

    Raises:
        UsageError: not such a list.
    """
    expected = "update:share, … as in 0:0,100:1,1000:0.1, each 0 or more"
    try:
        found = sorted((int(place), float(share)) for place, share in (one.split(":") for one in pieces.split(",")))
    except ValueError as error:
        raise UsageError(f"setting pieces: found {pieces!r}, expected {expected}") from error
    if not all(place >= 0 and 0 <= share < math.inf for place, share in found):
        raise UsageError(f"setting pieces: found {pieces!r}, expected {expected}")
    return found


def factors(rates: str) -> list[tuple[str, float]]:
    """Read factors on the rate by parts of names, such as `bert.tokens:0.5,head:10`; 0 holds a parameter still.

    Raises:
        UsageError: not such a list.
    """
    expected = "expected name:factor, … as in bert.tokens:0.5,head:10, each factor 0 or more"
    found = []
    for part in rates.split(",") if rates else []:
        name, _, number = (piece.strip() for piece in part.rpartition(":"))
        try:
            factor = float(number)
        except ValueError as error:
            raise UsageError(f"--rates {part.strip()!r}: {expected}") from error
        if not name or not 0 <= factor < math.inf:
            raise UsageError(f"--rates {part.strip()!r}: {expected}")
        found.append((name, factor))
    return found


def check_needed(settings: TrainingSettings) -> None:
    """Refuse flags that do nothing without another.

    Raises:
        UsageError: one was given without the flag that it belongs to.
    """
    usual = {field.name: field.default for field in dataclasses.fields(TrainingSettings)}
    for name, needed in (
        ("lookahead_step", "lookahead"),
        ("adaptive_scale", "adaptive_rate"),
        ("adaptive_gain", "adaptive_rate"),
    ):
        if getattr(settings, name) != usual[name] and not getattr(settings, needed):
            raise UsageError(f"{flag(name)} does nothing without {flag(needed)}; add that, or leave it out")
    if settings.pieces and settings.schedule != "piecewise":
        raise UsageError("--pieces does nothing without --schedule piecewise; add that, or leave it out")
    if settings.adaptive_rate and not (settings.adaptive_scale or settings.adaptive_gain):
        raise UsageError("--adaptive-rate learns nothing with --adaptive-scale 0 and --adaptive-gain 0; raise one")


def flag(name: str) -> str:
    """Write a setting's name as it is typed."""
    return f"--{name.replace('_', '-')}"


def resolve(
    kind: type[S], method: Mapping[str, Any], config: Path | None = None, flags: Mapping[str, Any] | None = None
) -> S:
    """Make settings: the dataclass's defaults < the method's < the file's < the flags'.

    Args:
        kind: a settings dataclass.
        method: the method's own defaults.
        config: a TOML file of settings, or none.
        flags: what was given on the command line; none is not given.

    Raises:
        InputError: the file cannot be read.
        UsageError: an unknown key or a value of the wrong type.
    """
    told = read_toml(config) if config else {}
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    fields = {field.name: field for field in rows.describe(kind)}
    values = {}
    for name, value in {**method, **told, **given}.items():
        place = f"{config}: " if name in told and name not in given else ""
        if name not in fields:
            raise UsageError(f"{place}unknown setting {name!r}; {unknown(name, list(fields))}")
        try:
            values[name] = rows.convert(value, fields[name].type)
        except RecordError as error:
            raise UsageError(f"{place}setting {name}: {error}") from error
    return kind(**values)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a file of settings.

    Raises:
        InputError: it cannot be read, or is not TOML.
    """
    try:
        with path.open("rb") as handle:
            return tomllib.load(handle)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); --config takes a TOML file of settings"
        ) from error
    except ValueError as error:
        raise InputError(f"{path}: not TOML ({error}); write lines such as learning_rate = 2e-5") from error


#: What is said on the command line only, because it is no setting.
FLAGS_ONLY = (
    *("method", "train", "dev", "out", "backbone", "config", "resume", "device", "format", "columns", "encoding"),
    *("corpus", "hours", "field", "workers", "compile", "layers", "width", "heads", "intermediate", "vocab_size"),
)


def unknown(name: str, known: list[str]) -> str:
    """Say what is to be done about an unknown name: where it belongs, the nearest known one, or all."""
    if name in FLAGS_ONLY:
        return f"a file holds settings only, so give {flag(name)} on the command line"
    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"


def as_plain(settings: Any) -> dict[str, Any]:  # noqa: ANN401 - any dataclass
    """Turn settings into what JSON can hold."""
    return dataclasses.asdict(settings)
