from collections.abc import Callable
from pathlib import Path

import pytest

from nlptasks import places
from nlptasks.backbone import weights
from nlptasks.errors import ModelError
from nlptasks.training import checkpoint, models

Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NLPK_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(models, "HERE", tmp_path / "package")


@pytest.fixture
def make(tiny_folder: Path, tmp_path: Path) -> Make:
    """Make a model folder."""

    def made(name: str, method: str = "cosent", task: str = "similarity") -> Path:
        backbone = weights.load(tiny_folder)
        about = {"nlpk": "0", "task": task, "method": method, "settings": {}}
        checkpoint.save(tmp_path / name, backbone.bert, backbone.text, {}, about)
        return tmp_path / name

    return made


def folder_of(task: str, model: Path | None = None, method: str | None = None) -> Path | None:
    found = models.find(task, model, method)
    return None if found is None else found.folder


def test_with_no_model_anywhere_the_backbone_answers() -> None:
    assert models.find("similarity") is None


def test_the_one_named_goes_before_the_chosen_and_that_before_the_embedded(make: Make) -> None:
    embedded = make("package/similarity/embedded/cosent")
    assert folder_of("similarity") == embedded
    chosen = make("chosen")
    models.use("similarity", chosen)
    assert folder_of("similarity") == chosen
    named = make("named")
    assert folder_of("similarity", named) == named


def test_of_several_embedded_the_task_says_which_one_answers(make: Make) -> None:
    made = {method: make(f"package/ie/embedded/{method}", method, "ie") for method in ("casrel", "dgcnn", "gplinker")}
    assert folder_of("ie") == made["dgcnn"]
    assert models.embedded("ie") == [made["dgcnn"], made["gplinker"], made["casrel"]]
    assert folder_of("ie", method="casrel") == made["casrel"]


def test_a_method_chooses_among_the_chosen_and_the_embedded(make: Make) -> None:
    embedded = make("package/similarity/embedded/whitening", "whitening")
    simcse, cosent = make("a", "simcse"), make("b", "cosent")
    models.use("similarity", simcse)
    models.use("similarity", cosent)
    assert folder_of("similarity") == cosent  # the latest choice
    assert folder_of("similarity", method="simcse") == simcse
    assert folder_of("similarity", method="whitening") == embedded
    assert folder_of("similarity", method="supervised-simcse") is None


def test_choosing_again_replaces_the_choice_of_that_method(make: Make) -> None:
    first, second, other = make("first"), make("second"), make("other", "simcse")
    for folder in (first, other, second):
        models.use("similarity", folder)
    assert models.choices() == {"similarity": {"cosent": str(second), "simcse": str(other)}}


def test_a_choice_does_not_depend_on_where_it_was_made(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("model")
    monkeypatch.chdir(tmp_path)
    models.use("similarity", Path("model"))
    monkeypatch.chdir("/")
    assert folder_of("similarity") == tmp_path / "model"


def test_only_a_model_of_the_task_can_be_chosen(make: Make, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="a model of task qa; expected similarity"):
        models.use("similarity", make("other", task="qa"))
    with pytest.raises(ModelError, match="no such folder"):
        models.use("similarity", tmp_path / "gone")
    assert models.choices() == {}


def test_a_choice_that_is_gone_says_how_to_choose_again(make: Make) -> None:
    folder = make("model")
    models.use("similarity", folder)
    folder.rename(folder.with_name("moved"))
    with pytest.raises(ModelError, match=r"but gone; put it back, or .*: nlpk models use similarity embedded$"):
        models.find("similarity")


@pytest.mark.parametrize("content", ["{", "[1]", '{"similarity": "x"}', "null"])
def test_damaged_choices_say_which_file_to_delete(content: str) -> None:
    places.home().mkdir(parents=True)
    (places.home() / models.CHOICES).write_text(content, "utf-8")
    with pytest.raises(ModelError, match=r"models\.json: damaged .*; delete it and choose again: nlpk models use"):
        models.find("similarity")


def test_all_models_are_listed_with_where_they_come_from(make: Make) -> None:
    chosen, embedded = make("chosen"), make("package/similarity/embedded/simcse", "simcse")
    run, damaged = make("home/runs/similarity/monday"), make("home/runs/similarity/tuesday")
    (damaged / checkpoint.ABOUT).write_text("{", "utf-8")
    models.use("similarity", chosen)
    found = {one.folder: (one.method, one.origin, one.answers, one.problem) for one in models.listed()}
    assert found == {
        chosen: ("cosent", "chosen", True, ""),
        run: ("cosent", "run", False, ""),
        damaged: ("?", "run", False, "damaged"),
        embedded: ("simcse", "embedded", False, ""),
    }


def test_a_chosen_run_is_listed_once(make: Make) -> None:
    run = make("home/runs/similarity/monday")
    models.use("similarity", run)
    assert [(one.folder, one.answers) for one in models.listed()] == [(run, True)]


def test_of_several_choices_the_latest_answers(make: Make) -> None:
    simcse, cosent = make("a", "simcse"), make("b", "cosent")
    models.use("similarity", simcse)
    models.use("similarity", cosent)
    assert {one.folder: one.answers for one in models.listed()} == {simcse: False, cosent: True}


def test_where_nothing_is_chosen_the_embedded_model_answers(make: Make) -> None:
    make("package/similarity/task.py")
    assert models.is_alone("similarity")
    embedded = make("package/similarity/embedded/cosent")
    assert [(one.folder, one.answers) for one in models.listed()] == [(embedded, True)]
    assert not models.is_alone("similarity")


def test_a_choice_can_be_taken_back(make: Make) -> None:
    embedded, chosen, other = make("package/similarity/embedded/cosent"), make("chosen"), make("other", "simcse")
    for folder in (chosen, other):
        models.use("similarity", folder)
    assert folder_of("similarity", Path("embedded")) == embedded  # for once, past the choice
    models.forget("similarity")
    assert folder_of("similarity") == embedded
    assert models.choices() == {}


@pytest.mark.parametrize("name", [weights.WEIGHTS, "config.json", "tokenizer.json"])
def test_a_damaged_model_cannot_be_chosen(make: Make, name: str) -> None:
    folder = make("model")
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=name):
        models.use("similarity", folder)
    assert models.choices() == {}


def test_chosen_models_that_became_unusable_are_marked(make: Make) -> None:
    cut, gone = make("cut"), make("gone", "simcse")
    for folder in (cut, gone):
        models.use("similarity", folder)
    (cut / weights.WEIGHTS).write_bytes((cut / weights.WEIGHTS).read_bytes()[:-1])
    gone.rename(gone.with_name("elsewhere"))
    found = {one.folder: (one.method, one.answers, one.problem) for one in models.listed()}
    assert found == {cut: ("cosent", False, "damaged"), gone: ("?", False, "gone")}
