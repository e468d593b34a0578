"""The sample data are what their generator makes, and hold what data/README.md says."""

import importlib.util
import json
import shutil
from pathlib import Path
from types import ModuleType

import pytest

SIMILARITY = Path(__file__).resolve().parents[1] / "data" / "similarity"
FILES = {"sentences.txt", "pairs.tsv", "dev.tsv", "triplets.jsonl"}
GROUP = "5 怎么申请退款\n5 退钱要走什么流程\n4 买的东西想退款\n2 怎么申请换货\n"


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("similarity_make", SIMILARITY / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table(name: str) -> list[tuple[str, str, int]]:
    lines = (SIMILARITY / name).read_text(encoding="utf-8").splitlines()
    assert lines[0] == "a\tb\tscore"
    rows = [line.split("\t") for line in lines[1:]]
    return [(a, b, int(score)) for a, b, score in rows]


def sentences() -> list[str]:
    return (SIMILARITY / "sentences.txt").read_text(encoding="utf-8").splitlines()


def triplets() -> list[dict[str, str]]:
    return [json.loads(line) for line in (SIMILARITY / "triplets.jsonl").read_text(encoding="utf-8").splitlines()]


def shared_characters(a: str, b: str) -> float:
    return len(set(a) & set(b)) / len(set(a) | set(b))


def test_rebuilding_gives_the_same_bytes(make: ModuleType, tmp_path: Path) -> None:
    make.write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FILES
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (SIMILARITY / name).read_bytes(), name


def test_the_order_of_the_source_files_does_not_matter(make: ModuleType, tmp_path: Path) -> None:
    for path in sorted((SIMILARITY / "source").iterdir(), reverse=True):
        shutil.copy(path, tmp_path)
    assert make.build(tmp_path) == make.build(SIMILARITY / "source")


@pytest.mark.parametrize("name", sorted(FILES))
def test_files_are_utf_8_with_unix_line_ends(name: str) -> None:
    content = (SIMILARITY / name).read_bytes()
    content.decode("utf-8")
    assert b"\r" not in content
    assert content.endswith(b"\n")
    assert b"\n\n" not in content


@pytest.mark.parametrize(("name", "least"), [("pairs.tsv", 1500), ("dev.tsv", 280)])
def test_pairs_are_distinct_and_use_every_score(name: str, least: int) -> None:
    rows = table(name)
    assert len(rows) >= least
    assert {score for *_, score in rows} == {0, 1, 2, 3, 4, 5}
    assert len({frozenset((a, b)) for a, b, _ in rows}) == len(rows)
    assert all(a != b for a, b, _ in rows)


def test_dev_shares_no_sentence_with_what_is_trained_on() -> None:
    dev = {sentence for a, b, _ in table("dev.tsv") for sentence in (a, b)}
    trained = {sentence for a, b, _ in table("pairs.tsv") for sentence in (a, b)} | set(sentences())
    trained |= {sentence for row in triplets() for sentence in row.values()}
    assert not dev & trained


def test_sentences_are_distinct_and_of_sensible_length() -> None:
    lines = sentences()
    assert len(set(lines)) == len(lines) >= 1500
    assert all(5 <= len(line) <= 40 and line == line.strip() for line in lines)


def test_triplets_are_three_different_sentences() -> None:
    rows = triplets()
    assert len(rows) >= 400
    assert all(list(row) == ["text", "positive", "negative"] for row in rows)
    assert all(len(set(row.values())) == 3 for row in rows)


def test_counting_characters_picks_the_wrong_side_of_most_triplets() -> None:
    rows = triplets()
    right = [
        shared_characters(row["text"], row["positive"]) > shared_characters(row["text"], row["negative"])
        for row in rows
    ]
    assert sum(right) / len(right) < 0.5


@pytest.mark.parametrize("name", ["pairs.tsv", "dev.tsv"])
def test_there_are_close_pairs_of_few_common_characters_and_the_reverse(name: str) -> None:
    rows = table(name)
    close_but_unlike = [a for a, b, score in rows if score == 5 and shared_characters(a, b) < 0.2]
    alike_but_far = [a for a, b, score in rows if score <= 2 and shared_characters(a, b) > 0.5]
    assert len(close_but_unlike) > len(rows) // 20
    assert len(alike_but_far) > len(rows) // 20


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (GROUP + "怎么充值\n", "is not a score from 1 to 5, a space and a sentence of 5 to 40 characters"),
        (GROUP + "0 怎么充值到账户\n", "is not a score from 1 to 5"),
        (GROUP + "2 充值\n", "a sentence of 5 to 40 characters"),
        ("5 怎么申请退款\n4 买的东西想退款\n4 想要退钱怎么办\n2 怎么申请换货\n", "needs two lines marked 5"),
        ("5 怎么申请退款\n5 退钱要走什么流程\n2 怎么申请换货\n", "three marked 5 or 4"),
        ("5 怎么申请退款\n5 退钱要走什么流程\n4 买的东西想退款\n", "one marked 2 or less"),
        (GROUP + "1 怎么申请退款\n", "occurs twice, remove one of them"),
    ],
)
def test_a_bad_source_is_refused(make: ModuleType, tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "shopping.txt").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=complaint):
        make.build(tmp_path)
