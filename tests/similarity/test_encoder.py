from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nlptasks.backbone.batch import Batch, Budget, by_length, restored
from nlptasks.backbone.weights import Backbone
from nlptasks.errors import ModelError, RecordError
from nlptasks.similarity import whitening
from nlptasks.similarity.encoder import Embedder, SentenceEncoder, affine, cosines

TEXTS = ["今天天气很好", "我", "我们去公园玩吧，好不好？", "the play", "今天天气很好", "北京和上海"] * 3


@pytest.fixture
def pooler() -> nn.Linear:
    torch.manual_seed(1)
    return nn.Linear(16, 16)


def encoder(tiny: Backbone, pooling: str, **parts: nn.Linear) -> SentenceEncoder:
    return SentenceEncoder(tiny.bert, pooling, **parts).eval()


def embed(
    model: SentenceEncoder, tiny: Backbone, texts: list[str], *, tokens: int = 4096, **options: object
) -> np.ndarray:
    embedder = Embedder(model, tiny.text, Budget(tokens), limit=16, **options)  # type: ignore[arg-type]
    return np.concatenate(list(embedder.embed(texts)))


def by_hand(tiny: Backbone, pooling: str, text: str, pooler: nn.Linear) -> Tensor:
    """Pool one sentence from the definition."""
    states = list(tiny.bert.states([Batch(torch.tensor(tiny.text.encode([text], 16)))]))
    assert len(states) == 3
    means = {
        "cls": states[-1][0],
        "pooler": torch.tanh(pooler.weight @ states[-1][0] + pooler.bias),
        "last-avg": states[-1].mean(0),
        "first-last-avg": (states[1].mean(0) + states[-1].mean(0)) / 2,
    }
    return means[pooling]


@pytest.mark.parametrize("pooling", ["cls", "pooler", "last-avg", "first-last-avg"])
@torch.no_grad()
def test_pooling_is_what_its_name_says(tiny: Backbone, pooler: nn.Linear, pooling: str) -> None:
    made = embed(encoder(tiny, pooling, pooler=pooler), tiny, TEXTS)
    expected = torch.stack([by_hand(tiny, pooling, text, pooler) for text in TEXTS])
    assert np.allclose(made, expected.numpy(), atol=1e-5)


def test_vectors_do_not_depend_on_their_neighbours(tiny: Backbone) -> None:
    model = encoder(tiny, "last-avg")
    together, alone = embed(model, tiny, TEXTS), embed(model, tiny, TEXTS, tokens=1)
    assert np.abs(together - alone).max() < 1e-5
    assert np.abs(embed(model, tiny, TEXTS[::-1])[::-1] - together).max() < 1e-5


def test_poolings_side_by_side_are_those_one_by_one(tiny: Backbone, pooler: nn.Linear) -> None:
    model = encoder(tiny, "cls", pooler=pooler)
    side_by_side = embed(model, tiny, TEXTS, poolings=model.poolings)
    for name, part in zip(model.poolings, np.split(side_by_side, 4, 1), strict=True):
        assert np.allclose(part, embed(encoder(tiny, name, pooler=pooler), tiny, TEXTS), atol=1e-6)


def test_a_whitening_in_the_model_is_that_whitening_of_its_raw_vectors(tiny: Backbone) -> None:
    texts = [f"今天{number}天气{number * 7 % 13}" for number in range(60)]
    raw = embed(encoder(tiny, "last-avg"), tiny, texts)
    moments = whitening.Moments(16)
    moments.update(raw)
    fitted = whitening.fit(moments, dims=5)
    model = encoder(tiny, "last-avg", whitening=affine(fitted))
    made = embed(model, tiny, texts)
    assert made.shape == (60, 5)
    assert model.width == 5
    assert np.allclose(made, fitted(raw), atol=1e-3 * np.abs(made).max())
    assert np.allclose(np.cov(made.T), np.eye(5), atol=1e-3)


def test_a_whitening_does_not_learn(tiny: Backbone) -> None:
    moments = whitening.Moments(16)
    moments.update(np.random.default_rng(0).normal(size=(40, 16)))
    assert not any(parameter.requires_grad for parameter in affine(whitening.fit(moments)).parameters())


def test_side_by_side_leaves_the_whitening_out(tiny: Backbone) -> None:
    layer = nn.Linear(16, 3)
    made = embed(encoder(tiny, "cls", whitening=layer), tiny, TEXTS, poolings=("cls",))
    assert np.allclose(made, embed(encoder(tiny, "cls"), tiny, TEXTS))


def test_the_pooler_is_missed_at_once(tiny: Backbone) -> None:
    with pytest.raises(ModelError, match="pooling pooler: this model has no pooler weights; use cls, last-avg or"):
        encoder(tiny, "pooler")
    assert encoder(tiny, "cls").poolings == ("cls", "last-avg", "first-last-avg")


def test_the_pooler_is_missed_among_others(tiny: Backbone) -> None:
    with pytest.raises(ModelError, match="pooling pooler: this model has no pooler weights"):
        embed(encoder(tiny, "cls"), tiny, TEXTS, poolings=("pooler",))


def test_the_embedder_knows_its_width_and_counts_tokens(tiny: Backbone) -> None:
    embedder = Embedder(encoder(tiny, "cls"), tiny.text, Budget(64), limit=16, poolings=("cls", "last-avg"))
    assert embedder.width == 32
    assert sum(len(block) for block in embedder.embed(TEXTS)) == len(TEXTS)
    assert embedder.tokens == sum(map(len, tiny.text.encode(TEXTS, 16)))
    assert Embedder(encoder(tiny, "cls"), tiny.text, Budget(64), limit=16).width == 16


def test_nothing_in_gives_nothing_out(tiny: Backbone) -> None:
    assert list(Embedder(encoder(tiny, "cls"), tiny.text, Budget(64), limit=16).embed([])) == []


def test_cosines_are_those_of_numpy() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(5, 7)), rng.normal(size=(5, 7))
    expected = (left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)
    assert np.allclose(cosines(torch.tensor(left), torch.tensor(right)).numpy(), expected, atol=1e-6)
    assert cosines(torch.zeros(1, 3), torch.ones(1, 3)).item() == 0


def test_groups_come_back_in_order() -> None:
    groups, order = by_length([[1, 2, 3], [4], [5, 6], [7, 8, 9]])
    firsts = torch.cat([group.ids[:, 0] for group in groups])
    assert restored(firsts, order).tolist() == [1, 4, 5, 7]


def test_a_whitening_is_applied_in_float32_under_autocast(tiny: Backbone) -> None:
    width = tiny.bert.config.hidden_size
    layer = nn.Linear(width, 3)
    model = SentenceEncoder(tiny.bert.eval(), "last-avg", whitening=layer)
    groups = [Batch(torch.tensor(tiny.text.encode(["今天天气很好"], 16)))]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        vectors, raw = model(groups), model.pooled(groups, ("last-avg",))[0]
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors, layer(raw.float()))


def test_a_text_that_does_not_fit_into_memory_is_one_clear_line(tiny: Backbone) -> None:
    class Full(SentenceEncoder):
        def forward(self, groups: Sequence[Batch]) -> Tensor:
            if any(group.ids.shape[1] > 8 for group in groups):
                raise torch.OutOfMemoryError("CUDA out of memory.\nGPU 0 …")
            return super().forward(groups)

    model = Full(tiny.bert, "cls").eval()
    assert embed(model, tiny, ["我", "the play", "你"]).shape == (3, 16)
    with pytest.raises(RecordError, match=r"^14 tokens do not fit into memory; shorten the text, free memory, or"):
        embed(model, tiny, ["我", "我们去公园玩吧，好不好？", "你"])
