from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from nlptasks import rows
from nlptasks.backbone import weights
from nlptasks.backbone.batch import Budget
from nlptasks.backbone.hardware import Machine
from nlptasks.errors import InputError, ModelError, RecordError, UsageError
from nlptasks.ie import model
from nlptasks.ie.examples import TAUGHT, Reach
from nlptasks.ie.labels import Labels
from nlptasks.ie.row import METHODS, Options, Row, Settings, Sweep, training_rows
from nlptasks.ie.task import Finder, Task, evaluations, load, score_predictions, worker
from nlptasks.task import Work
from nlptasks.training import checkpoint

TRIPLES = [name for name in METHODS if name != "globalpointer"]
#: What no model knows anything of.
FILL = "很好了，"
Records = Sequence[dict[str, Any]]


def loaded(folders: dict[str, Path], method: str, **options: Any) -> model.Loaded:  # noqa: ANN401
    return load(
        checkpoint.open_folder(folders[method]), Options(**options), machine=Machine(device="cpu", dtype="float32")
    )


def ask(found: model.Loaded, *texts: str) -> list[dict[str, Any]]:
    finder = Finder(found)
    examples = finder.read([Row(text) for text in texts])
    assert not [one for one in examples if isinstance(one, RecordError)]
    return finder.answer([one for one in examples if not isinstance(one, RecordError)])


def said(answer: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(one["subject"]["text"], one["predicate"], one["object"]["text"]) for one in answer["triples"]}


def right(record: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {(subject, predicate, object) for subject, predicate, object in record["triples"]}


@pytest.mark.parametrize("method", TRIPLES)
def test_overlapping_triples_come_out_in_their_places(
    ie_models: dict[str, Path], ie_records: Records, method: str
) -> None:
    answers = ask(loaded(ie_models, method), *(record["text"] for record in ie_records))
    for record, answer in zip(ie_records, answers, strict=True):
        assert said(answer) == right(record)
        for triple in answer["triples"]:
            for end in (triple["subject"], triple["object"]):
                assert record["text"][end["start"] : end["end"]] == end["text"]
            assert 0 <= triple["score"] <= 1
        ends = {(one["start"], one["end"]) for one in answer["entities"]}
        assert ends == {(t[n]["start"], t[n]["end"]) for t in answer["triples"] for n in ("subject", "object")}


def near(left: Any, right: Any) -> bool:  # noqa: ANN401
    """Compare answers, scores but for rounding."""
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(near(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(near, left, right))
    return bool(left == pytest.approx(right, abs=1e-4)) if isinstance(left, float) else bool(left == right)


@pytest.mark.parametrize("method", METHODS)
def test_answers_do_not_depend_on_neighbours(ie_models: dict[str, Path], ie_records: Records, method: str) -> None:
    texts = [str(record["text"]) for record in ie_records] + ["北京" + FILL * 9 + "公园"]
    found = loaded(ie_models, method)
    together = ask(found, *texts)
    assert any(answer["entities"] for answer in together)
    assert near([ask(found, text)[0] for text in texts], together)
    assert near(ask(found, *texts[::-1])[::-1], together)


def test_nested_entities_come_out(ie_models: dict[str, Path]) -> None:
    (answer,) = ask(loaded(ie_models, "globalpointer"), "我们去北京公园玩")
    assert [(one["text"], one["start"], one["end"]) for one in answer["entities"]] == [
        ("北京", 3, 5),
        ("北京公园", 3, 7),
        ("公园", 5, 7),
    ]
    assert answer["triples"] == []


@pytest.mark.parametrize("method", ["gplinker", "casrel"])
def test_a_long_text_is_read_in_windows_and_stitched(
    ie_models: dict[str, Path], ie_records: Records, method: str
) -> None:
    found = loaded(ie_models, method)
    finder = Finder(found)
    text = "上海的人要来北京" + FILL * 20 + "　\t" + "上海的人要来北京"
    (example,) = finder.read([Row(text)])
    assert not isinstance(example, RecordError)
    assert len(example.windows) > 5
    (whole,) = finder.answer([example])
    for one in whole["triples"]:
        for end in (one["subject"], one["object"]):
            assert text[end["start"] : end["end"]] == end["text"]
    assert right(ie_records[1]) <= said(whole)
    found.budget.tokens = 20  # a pass of one window each
    (again,) = finder.answer([example])
    assert said(again) == said(whole)


def test_a_long_text_may_be_refused_or_cut(ie_models: dict[str, Path], caplog: pytest.LogCaptureFixture) -> None:
    text = FILL * 10 + "上海的人要来北京"
    (refused,) = Finder(loaded(ie_models, "gplinker", long="error")).read([Row(text)])
    with pytest.raises(RecordError, match="expected 16 or less; shorten it, or use --long window"):
        raise refused  # type: ignore[misc]
    finder = Finder(loaded(ie_models, "gplinker", long="truncate"))
    (example,) = finder.read([Row(text)])
    assert [len(window.ids) for window in example.windows] == [16]  # type: ignore[union-attr]
    caplog.set_level("INFO")
    finder.report()
    assert "only the start was read: 1 of 1" in caplog.text
    finder = Finder(loaded(ie_models, "gplinker"))
    finder.read([Row(text), Row("今天")])
    finder.report()
    assert "overlapping windows: 1 of 2" in caplog.text


def test_a_text_without_a_token_says_nothing(ie_models: dict[str, Path]) -> None:
    for method in METHODS:
        finder = Finder(loaded(ie_models, method))
        (example,) = finder.read([Row("\u200b")]) if method != "dgcnn" else finder.read([Row("x")])
        assert finder.answer([example]) == [{"triples": [], "entities": []}]  # type: ignore[list-item]


def test_every_place_is_told_where_that_is_asked_for(ie_models: dict[str, Path]) -> None:
    text = "上海的人要来北京" + FILL * 4 + "上海的人要来北京"
    once, every = (ask(loaded(ie_models, "gplinker", all_mentions=flag), text)[0] for flag in (False, True))
    assert said(once) == said(every)
    assert len(every["triples"]) > len(once["triples"])


def test_known_triples_are_read_by_a_model_that_has_learnt_to(ie_models: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "known.tsv"
    path.write_text("人\t自\t上海\n", encoding="utf-8")
    finder = Finder(loaded(ie_models, "dgcnn", knowledge=str(path)))
    (example,) = finder.read([Row("上海的人要来北京")])
    assert len(example.found[0]) == 1  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="globalpointer finds no triples; leave it out"):
        loaded(ie_models, "globalpointer", knowledge=str(path))


def test_what_is_known_counts_in_each_window_of_a_long_text(ie_models: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "known.tsv"
    path.write_text("人\t自\t上海\n", encoding="utf-8")
    finder = Finder(loaded(ie_models, "dgcnn", knowledge=str(path), limit=32, overlap=0))
    (example,) = finder.read([Row("上海的人" * 40)])
    assert all(part for part in example.found)  # type: ignore[union-attr]


@pytest.mark.parametrize("method", ["gplinker", "casrel"])
def test_a_known_triple_is_told_where_it_is_likely_enough(
    ie_models: dict[str, Path], ie_records: Records, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, record = tmp_path / "known.tsv", ie_records[1]
    known = {*right(record), ("北京", "自", "上海")}
    path.write_text("".join("\t".join(one) + "\n" for one in known), encoding="utf-8")
    texts = [FILL, str(record["text"])]
    model = loaded(ie_models, method, knowledge=str(path))
    assert near(ask(model, *texts), ask(loaded(ie_models, method), *texts))
    monkeypatch.setattr("nlptasks.ie.pointers.KNOWN_LEAST", 0.0)
    monkeypatch.setattr("nlptasks.ie.chains.KNOWN_LEAST", 0.0)
    found = ask(model, *texts)
    assert said(found[1]) == known
    (unlikely,) = (one["score"] for one in found[1]["triples"] if one["subject"]["text"] == "北京")
    assert unlikely < 0.1


def labelled(records: Records) -> list[Row]:
    return [rows.parse(Row, record) for record in records]


def test_scores_are_exact_normalised_and_by_predicate(
    ie_models: dict[str, Path], ie_records: Records, tmp_path: Path
) -> None:
    found = list(evaluations(loaded(ie_models, "gplinker"), labelled(ie_records), Sweep()))
    assert [settings for settings, _ in found[:2]] == [{"match": "exact"}, {"match": "normalised"}]
    assert found[0][1] == {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    assert {settings["label"] for settings, _ in found[2:]} == {"在", "是", "自", "到", "要", "和"}
    slots = labelled([{"text": "上海的人要来北京", "triples": [["人", "到", "北京"], ["北京", "到@的", "上海"]]}])
    matches = [settings["match"] for settings, _ in evaluations(loaded(ie_models, "gplinker"), slots, Sweep(False))]
    assert matches == ["exact", "normalised", "whole"]
    errors = tmp_path / "errors.jsonl"
    wrong = labelled([{"text": "上海的人要来北京", "triples": [["人", "自", "北京"]]}])
    alone = list(evaluations(loaded(ie_models, "gplinker"), wrong, Sweep(per_predicate=False, errors=str(errors))))
    assert len(alone) == 2
    assert '"missing": [["人", "自", "北京"]]' in errors.read_text(encoding="utf-8")


def test_what_a_method_finds_must_be_known_to_score_it(ie_models: dict[str, Path]) -> None:
    row = rows.parse(Row, {"text": "北京", "label": [[0, 2, "地"]]})
    with pytest.raises(InputError, match="a record without triples, which gplinker finds"):
        list(evaluations(loaded(ie_models, "gplinker"), [row], Sweep()))
    long = rows.parse(Row, {"text": FILL * 10, "triples": []})
    with pytest.raises(InputError, match="use --long window"):
        list(evaluations(loaded(ie_models, "gplinker", long="error"), [long], Sweep()))


def test_predictions_of_any_system_are_scored(ie_records: Records) -> None:
    row = labelled(ie_records[:1])
    end = {"text": "北京公园"}
    prediction = {"triples": [{"subject": end, "predicate": "在", "object": {"text": "北京"}}], "entities": []}
    found = score_predictions([prediction], row)
    assert (found["precision"], found["recall"]) == (1.0, 0.5)
    assert found["f1_normalised"] == found["f1"]
    slot = labelled([{"text": "北京公园在北京", "triples": [["北京公园", "在", "北京"], ["北京", "在@到", "公园"]]}])
    whole = score_predictions([prediction], slot)
    assert (whole["precision"], whole["precision_whole"]) == (1.0, 0.0)
    with pytest.raises(InputError, match="expected one for each"):
        score_predictions([], row)
    with pytest.raises(InputError, match="a prediction without triples"):
        score_predictions([{}], row)


def test_a_model_needs_to_be_one(ie_models: dict[str, Path], tiny_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model for ie yet"):
        load(None, Options())
    with pytest.raises(UsageError, match="has not learnt what to find"):
        load(None, Options(), backbone=str(tiny_folder))
    about = checkpoint.open_folder(ie_models["gplinker"]).about
    bare = checkpoint.Checkpoint(tmp_path, {name: value for name, value in about.items() if name != "labels"})
    with pytest.raises(ModelError, match="has no labels"):
        load(bare, Options())
    other = checkpoint.Checkpoint(ie_models["gplinker"], {**about, "method": "casrel"})
    with pytest.raises(ModelError, match="train the model again"):
        load(other, Options())
    with pytest.raises(ModelError, match="no model for ie"):
        load(None, Options())


def test_windows_must_move_on_and_fit(ie_models: dict[str, Path]) -> None:
    for wrong in ({"overlap": 9}, {"limit": 8}):
        with pytest.raises(UsageError, match="expected at most half"):
            loaded(ie_models, "gplinker", **wrong)
    with pytest.raises(UsageError, match="expected at most half"):
        Options(limit=8, overlap=5)
    with pytest.raises(UsageError, match="8 or more"):
        Options(limit=7)
    with pytest.raises(UsageError, match="expected at most half"):
        Settings(limit=8, overlap=5)
    with pytest.raises(UsageError, match="more than the 64 positions"):
        Reach(63, 0).check(64)


def test_training_needs_something_to_say(tiny: Any) -> None:  # noqa: ANN401
    task = Task("gplinker", Settings(), tiny.text)
    with pytest.raises(InputError, match="no triples in the training rows"):
        task.fit_labels([])
    with pytest.raises(ValueError, match="training needs targets"):
        task.loss(tiny.bert, Work([], torch.zeros(0), None, 0))


def test_the_worker_is_the_finder(ie_models: dict[str, Path]) -> None:
    assert isinstance(worker(loaded(ie_models, "casrel")), Finder)


def test_a_pass_needs_its_table(ie_models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    finder = Finder(loaded(ie_models, "casrel"))
    examples = [one for one in finder.read([Row("北京")]) if not isinstance(one, RecordError)]
    bare = Work([], torch.zeros(1, dtype=torch.long), None, 0)
    monkeypatch.setattr(finder.loaded.encoder, "work", lambda *_: bare)
    with pytest.raises(ValueError, match="without a table of targets"):
        finder.answer(examples)


def test_a_very_long_text_is_taught_in_part(tiny: Any) -> None:  # noqa: ANN401
    task = Task("gplinker", Settings(limit=8, overlap=4), tiny.text)
    record = {"text": FILL * 50 + "上海的人要来北京" + FILL * 50, "triples": [["人", "到", "北京"]]}
    lessons = training_rows("gplinker", record)
    task.fit_labels(lessons)
    work = task.batch(lessons)
    assert sum(len(group.ids) for group in work.groups) == TAUGHT
    assert work.targets is not None
    assert len(work.targets) == 1
    assert task.encoder.counts["lost"] > 0
    assert task.encoder.counts["apart"] == 0
    row, first, last = work.targets[0, [1, 5, 6]].tolist()
    ids = torch.cat([group.ids for group in work.groups])[row]
    assert tiny.text.decode(ids[first : last + 1].tolist()) == "北京"


def test_triples_whose_ends_stand_in_no_one_window_are_counted(
    tiny: Any,  # noqa: ANN401
    caplog: pytest.LogCaptureFixture,
) -> None:
    task = Task("gplinker", Settings(limit=8, overlap=4), tiny.text)
    text = "北京" + FILL * 5 + "上海，北京" + FILL * 5 + "公园"
    lessons = training_rows("gplinker", {"text": text, "triples": [["北京", "到", "上海"], ["上海", "有", "公园"]]})
    task.fit_labels(lessons)
    task.batch(lessons)
    assert task.encoder.counts["apart"] == 1
    caplog.set_level("INFO")
    task.finish(tiny.bert, lessons, Budget(64))
    assert "stand together in no window: 1; a larger --limit holds more" in caplog.text


def test_heads_are_taken_over_only_where_they_say_the_same(
    ie_models: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    found = checkpoint.open_folder(ie_models["casrel"])
    told = found.about["labels"]
    kept = {}
    for name, predicates in (("same", list(told["predicates"])), ("turned", list(reversed(told["predicates"])))):
        stored = weights.load(found.folder)
        task = Task("casrel", Settings(limit=16, overlap=8), stored.text)
        task.labels = Labels.of_json({**told, "predicates": predicates})
        with caplog.at_level("INFO", "nlptasks"):
            kept[name] = task.model(stored).state_dict()["objects.weight"]
        assert ("has learnt to say something else; its heads start anew" in caplog.text) is (name == "turned")
    trained = weights.load(found.folder).rest["ie.objects.weight"]
    assert torch.equal(kept["same"], trained)
    assert not torch.equal(kept["turned"], trained)
