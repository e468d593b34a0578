import numpy as np
import pytest

from nlptasks.errors import InputError
from nlptasks.pretraining.corpus import Corpus
from nlptasks.pretraining.sequences import Packed, ranges


def stream(packed: Packed, epoch: int) -> list[int]:
    """Lay an epoch's documents end to end, slowly."""
    offsets = packed.corpus.offsets
    return [place for one in packed.epoch(epoch).documents for place in range(offsets[one], offsets[one + 1])]


@pytest.mark.parametrize("content", [3, 14, 100])
def test_rows_are_pieces_of_the_documents_in_their_order(corpus: Corpus, content: int) -> None:
    packed = Packed(corpus, content, 1)
    whole = stream(packed, 0)
    places, epochs = packed.places(0, packed.per_epoch)
    assert places.shape == (corpus.tokens // content, content)
    assert not epochs.any()
    for row, at in zip(places, packed.epoch(0).rows, strict=True):
        assert row.tolist() == whole[at * content : (at + 1) * content]


def test_an_epoch_shows_everything_once_but_what_fills_no_row(corpus: Corpus) -> None:
    packed = Packed(corpus, 14, 1)
    seen = packed.places(packed.per_epoch, packed.per_epoch)[0]
    assert len(np.unique(seen)) == seen.size == packed.per_epoch * 14


def test_each_epoch_and_seed_has_orders_of_its_own(corpus: Corpus) -> None:
    packed, again, other = Packed(corpus, 14, 1), Packed(corpus, 14, 1), Packed(corpus, 14, 2)
    first = packed.places(0, 5)[0]
    assert (first == again.places(0, 5)[0]).all()
    assert (first != other.places(0, 5)[0]).any()
    assert (first != packed.places(packed.per_epoch, 5)[0]).any()


def test_a_row_is_the_same_whichever_it_is_asked_for_with(corpus: Corpus) -> None:
    packed = Packed(corpus, 14, 1)
    around = packed.per_epoch - 3
    together, epochs = packed.places(around, 7)
    assert epochs.tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert (together == np.concatenate([packed.places(around + n, 1)[0] for n in range(7)])).all()


def test_without_shuffling_the_corpus_keeps_its_order(corpus: Corpus) -> None:
    places, _ = Packed(corpus, 14, 1, shuffled=False).places(0, 4)
    assert places.reshape(-1).tolist() == list(range(56))


def test_a_corpus_that_fills_no_row_is_refused(corpus: Corpus) -> None:
    with pytest.raises(
        InputError,
        match=r"^corpus\.txt: \d+ tokens do not fill a row, which has 99999 and two special ones",
    ):
        Packed(corpus, 99999, 1)


def test_ranges_count_on() -> None:
    assert ranges(np.array([5, 9, 2]), np.array([2, 0, 3])).tolist() == [5, 6, 2, 3, 4]
    nothing = np.array([], int)
    assert ranges(nothing, nothing).tolist() == []
