import re
from pathlib import Path

import pytest

from nlptasks.errors import InputError, UsageError
from nlptasks.similarity.row import METHODS, Settings
from nlptasks.training.settings import TrainingSettings, as_plain, factors, points, resolve


def toml(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_flags_go_before_the_file_the_file_before_the_method_and_the_method_before_the_default(tmp_path: Path) -> None:
    method = {"epochs": 2.0, "batch_size": 8, "clip": 0.5}
    config = toml(tmp_path, "batch_size = 16\nclip = 2\n")
    made = resolve(TrainingSettings, method, config, {"clip": 3.0, "seed": None})
    assert (made.seed, made.epochs, made.batch_size, made.clip) == (1, 2.0, 16, 3.0)


def test_a_file_may_write_a_whole_number_for_a_float_and_gets_a_float(tmp_path: Path) -> None:
    made = resolve(TrainingSettings, {}, toml(tmp_path, "epochs = 3\n"))
    assert isinstance(made.epochs, float)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_settings_that_survive_json(method: str) -> None:
    made = resolve(Settings, METHODS[method].defaults)
    assert resolve(Settings, as_plain(made)) == made


def test_an_unknown_key_gets_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown setting 'batchsize'; did you mean 'batch_size'\\?"):
        resolve(TrainingSettings, {}, toml(tmp_path, "batchsize = 3"))


def test_an_unknown_key_like_no_other_gets_the_list() -> None:
    with pytest.raises(UsageError, match=r"unknown setting 'qqqq'; known are epochs, steps, .*, simplify_vocabulary"):
        resolve(TrainingSettings, {"qqqq": 1})


def test_a_wrong_type_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='setting batch_size: found "many", expected a whole number'):
        resolve(TrainingSettings, {"epochs": 1.0}, toml(tmp_path, 'seed = 3\nbatch_size = "many"'))


def test_a_wrong_choice_is_named() -> None:
    with pytest.raises(UsageError, match=r"setting schedule: .* expected one of constant, linear, cosine, piecewise"):
        resolve(TrainingSettings, {"schedule": "quadratic"})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        *[(name, 0, "1 or more") for name in ("batch_size", "accumulation", "evaluate_every", "patience")],
        ("max_dev_rows", 0, "1 or more"),
        *[(name, -1, "0 or more") for name in ("epochs", "steps", "learning_rate", "warmup", "weight_decay", "clip")],
        *[(name, -1, "0 or more") for name in ("seed", "save_every")],
        ("ema", 1, "0 or more, below 1"),
        ("layer_decay", 0, "more than 0, at most 1"),
        ("lookahead", 1, "2 or more, or 0 for none"),
        ("lookahead", -2, "2 or more, or 0 for none"),
        ("lookahead_step", 1, "more than 0, below 1"),
        ("lookahead_step", 0, "more than 0, below 1"),
        ("adaptive_scale", -1, "0 or more, below 1"),
        ("adaptive_gain", 1, "0 or more, below 1"),
        ("layer_decay", 1.5, "more than 0, at most 1"),
    ],
)
def test_a_number_out_of_range_is_refused(name: str, value: float, expected: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"--{name.replace('_', '-')} {value:g}: expected {expected}")):
        resolve(TrainingSettings, {name: value})


@pytest.mark.parametrize("pieces", ["", "0", "0:1,x:2", "1:2:3", "0.5:1"])
def test_pieces_that_cannot_be_read_are_refused_before_anything_is_loaded(pieces: str) -> None:
    with pytest.raises(UsageError, match=r"setting pieces: found .*, expected update:share, … as in 0:0,100:1"):
        resolve(TrainingSettings, {"schedule": "piecewise", "pieces": pieces})


def test_points_come_in_the_order_of_the_updates() -> None:
    assert points("100:1, 0:0,1000:.1") == [(0, 0.0), (100, 1.0), (1000, 0.1)]


def test_factors_are_read_in_their_order() -> None:
    assert factors("bert.tokens:0.5, head:10,head:0") == [("bert.tokens", 0.5), ("head", 10.0), ("head", 0.0)]
    assert factors("") == []


@pytest.mark.parametrize("rates", ["head", "head:x", ":2", "head:-1", "head:inf", "head:nan", "head:1,", "head:1:2,3"])
def test_factors_that_cannot_be_read_are_refused_before_anything_is_loaded(rates: str) -> None:
    with pytest.raises(UsageError, match=r"--rates '.*': expected name:factor, … as in bert\.tokens:0\.5,head:10"):
        resolve(TrainingSettings, {"rates": rates})


@pytest.mark.parametrize(
    ("name", "value", "needed"),
    [
        ("lookahead_step", 0.3, "lookahead"),
        ("adaptive_scale", 0.1, "adaptive-rate"),
        ("adaptive_gain", 0, "adaptive-rate"),
    ],
)
def test_a_flag_that_would_do_nothing_is_refused(name: str, value: float, needed: str) -> None:
    flag = f"--{name.replace('_', '-')}"
    with pytest.raises(UsageError, match=f"^{flag} does nothing without --{needed}; add that, or leave it out$"):
        resolve(TrainingSettings, {name: value})


def test_a_learned_rate_that_learns_nothing_is_refused() -> None:
    settings = {"adaptive_rate": True, "adaptive_scale": 0, "adaptive_gain": 0}
    with pytest.raises(UsageError, match="--adaptive-rate learns nothing with --adaptive-scale 0 and --adaptive-gain"):
        resolve(TrainingSettings, settings)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("learning_rat = 1", r"settings\.toml: unknown setting 'learning_rat'; did you mean 'learning_rate'\?"),
        ('learning_rate = "x"', r"settings\.toml: setting learning_rate: found \"x\", expected a finite number"),
    ],
)
def test_what_is_wrong_in_a_settings_file_names_the_file(tmp_path: Path, line: str, said: str) -> None:
    path = toml(tmp_path, line)
    with pytest.raises(UsageError, match=said):
        resolve(TrainingSettings, {}, path)
    with pytest.raises(UsageError, match=r"^setting learning_rate: found"):
        resolve(TrainingSettings, {}, None, {"learning_rate": "x"})


def test_a_settings_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.toml: cannot be read \(No such file or directory\); --config takes"):
        resolve(TrainingSettings, {}, tmp_path / "no.toml")


def test_a_settings_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"settings\.toml: not TOML .*; write lines such as learning_rate = 2e-5"):
        resolve(TrainingSettings, {}, toml(tmp_path, "learning_rate: 2"))
