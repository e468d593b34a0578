import numpy as np
import pytest
from numpy.typing import NDArray

from nlptasks.pretraining.corpus import Corpus
from nlptasks.pretraining.objectives import Draws, Rules, assigned, draw
from nlptasks.pretraining.sequences import Ints, Packed

SHARES = {"mlm": 0.7, "lm": 0.15, "unilm": 0.15}


@pytest.fixture
def rules(corpus: Corpus) -> Rules:
    return Rules(corpus.text, 0.15)


def rows(corpus: Corpus, width: int = 60, key: int = 0) -> tuple[Ints, NDArray[np.uint8], Draws]:
    """Give all rows of a length: tokens, word starts, draws."""
    packed = Packed(corpus, width, 1)
    places, _ = packed.places(0, packed.per_epoch)
    return corpus.ids[places].astype(np.int64), corpus.starts[places], draw(places, np.full(len(places), key), 1)


def test_whole_words_are_hidden_and_nothing_else(corpus: Corpus, rules: Rules) -> None:
    tokens, starts, draws = rows(corpus)
    hidden = np.zeros(tokens.size, bool)
    hidden[rules.hidden(tokens, starts, draws)] = True
    begins = starts.copy()
    begins[:, 0] = 1
    word = np.cumsum(begins.reshape(-1))
    unknown = rules.special[tokens.reshape(-1)]
    for number in range(1, word[-1] + 1):
        inside = hidden[(word == number) & ~unknown]
        assert inside.all() or not inside.any()
    assert not hidden[unknown].any()


def test_every_row_hides_as_near_to_the_rate_as_words_allow(corpus: Corpus, rules: Rules) -> None:
    tokens, _, _ = rows(corpus)
    wanted = 0.15 * (~rules.special[tokens]).sum(1)
    means = []
    for key in range(30):
        tokens, starts, draws = rows(corpus, key=key)
        hidden = np.bincount(rules.hidden(tokens, starts, draws) // 60, minlength=len(tokens))
        assert (np.abs(hidden - wanted) < 4).all()  # the longest word
        means.append(hidden.mean())
    assert np.mean(means) == pytest.approx(wanted.mean(), abs=0.15)


def test_hidden_tokens_are_masked_replaced_or_kept(corpus: Corpus, rules: Rules) -> None:
    ids, targets = [], []
    for key in range(60):
        made = rules.mlm(*rows(corpus, key=key))
        ids.append(made.ids.reshape(-1)[made.places])
        targets.append(made.targets)
    shown, wanted = np.concatenate(ids), np.concatenate(targets)
    assert (shown == rules.mask).mean() == pytest.approx(0.8, abs=0.02)
    assert (shown == wanted).mean() == pytest.approx(0.1, abs=0.02)
    others = shown[(shown != rules.mask) & (shown != wanted)]
    assert len(others) / len(shown) == pytest.approx(0.1, abs=0.02)
    assert set(others) <= set(rules.usual)
    assert len(set(others)) > len(rules.usual) / 4


def test_what_is_not_hidden_stands_as_it_was(corpus: Corpus, rules: Rules) -> None:
    tokens, starts, draws = rows(corpus)
    made = rules.mlm(tokens, starts, draws)
    flat = made.ids.reshape(-1).copy()
    flat[made.places] = made.targets
    back = flat.reshape(made.ids.shape)
    assert (back[:, 1:-1] == tokens).all()
    assert (back[:, 0] == rules.start).all()
    assert (back[:, -1] == rules.end).all()


def test_lm_tells_each_token_from_those_before_it(corpus: Corpus, rules: Rules) -> None:
    tokens, _, _ = rows(corpus)
    made = rules.lm(tokens)
    flat = made.ids.reshape(-1)
    assert (flat[made.places + 1] == made.targets).all()
    assert len(made.targets) == tokens.size
    assert (made.places % 62 < 60).all()  # the end that stands because the row is full is never told


def test_unilm_writes_what_follows_an_end_in_the_row(corpus: Corpus, rules: Rules) -> None:
    tokens, _, draws = rows(corpus)
    made = rules.unilm(tokens, draws)
    assert made.segments is not None
    for number, row in enumerate(tokens):
        first = int((made.segments[number] == 0).sum()) - 2  # without the start and the end between
        ids = made.ids[number].tolist()
        assert ids == [rules.start, *row[:first], rules.end, *row[first:-1], rules.end]
        assert 1 <= first <= 58
        places = made.places[made.places // 62 == number] % 62
        assert places.tolist() == list(range(first + 1, 60))
        assert made.targets[made.places // 62 == number].tolist() == row[first:-1].tolist()
    splits = (made.segments == 0).sum(1)
    assert splits.min() < 20
    assert splits.max() > 44


def test_the_expected_targets_are_those_there_are(corpus: Corpus, rules: Rules) -> None:
    expected = rules.expected(62)
    found = {"mlm": 0.0, "lm": 0.0, "unilm": 0.0}
    for key in range(30):
        for name in found:
            made = rules.teach(name, *rows(corpus, key=key))
            found[name] += len(made.targets) / len(made.ids) / 30
    assert found["lm"] == expected["lm"]
    assert found["unilm"] == pytest.approx(expected["unilm"], rel=0.05)
    assert found["mlm"] == pytest.approx(expected["mlm"], rel=0.15)  # ends and unknown tokens are never hidden


def test_any_stretch_of_rows_has_its_shares() -> None:
    for first in (0, 12345, 10**9):
        for count in (24, 100, 512):
            kinds = assigned(np.arange(first, first + count), SHARES)
            found = np.bincount(kinds, minlength=3)
            assert (np.abs(found - count * np.array([0.7, 0.15, 0.15])) <= 2).all()
    assert set(assigned(np.arange(99), {"mlm": 0.0, "lm": 1.0, "unilm": 0.0})) == {1}
    assert set(assigned(np.arange(99), {"mlm": 0.5, "lm": 0.0, "unilm": 0.5})) == {0, 2}


def test_draws_are_even_and_depend_on_place_key_and_seed() -> None:
    places = np.arange(20_000).reshape(20, 1000)
    drawn = draw(places, np.zeros(20, int), 1)
    for shift in (0, 20, 40):
        share = ((drawn >> np.uint64(shift)) & np.uint64((1 << 20) - 1)) / (1 << 20)
        assert np.histogram(share, 10, (0, 1))[0] == pytest.approx(2000, abs=200)
    assert (draw(places[3:5], [0, 0], 1) == drawn[3:5]).all()
    assert not (draw(places[:2], [1, 2], 1) == drawn[:2]).any()
    assert not (draw(places[:2], [0, 0], 2) == drawn[:2]).any()
