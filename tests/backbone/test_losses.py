"""Losses against slow loops over Python floats, numeric gradients, and inputs at the edge."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nlptasks.backbone import losses

TAU = 0.05


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def cosine(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def finite_with_gradient(loss: Callable[..., Tensor], *inputs: Tensor) -> float:
    """Compute the loss and check that it and every gradient are finite."""
    leaves = [one.clone().requires_grad_() for one in inputs]
    value = loss(*leaves).sum()
    torch.autograd.backward(value)
    assert value.isfinite()
    for leaf in leaves:
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()
    return value.item()


# --- contrastive ---


def test_contrastive_scores_compare_with_positives_then_negatives() -> None:
    anchors, positives, negatives = random(3, 4), random(3, 4, seed=1), random(2, 4, seed=2)
    scores, target = losses.contrastive_scores(anchors, positives, negatives, temperature=TAU)
    candidates = [*positives.tolist(), *negatives.tolist()]
    expected = [[cosine(anchor, candidate) / TAU for candidate in candidates] for anchor in anchors.tolist()]
    torch.testing.assert_close(scores, torch.tensor(expected, dtype=torch.float64))
    assert target.tolist() == [0, 1, 2]
    alone, _ = losses.contrastive_scores(anchors, positives, temperature=TAU)
    torch.testing.assert_close(alone, scores[:, :3])


def test_twins_are_each_others_target_and_never_their_own() -> None:
    vectors = random(6, 4)
    scores, target = losses.twin_scores(vectors, temperature=TAU)
    assert target.tolist() == [1, 0, 3, 2, 5, 4]
    for i, row in enumerate(scores.tolist()):
        for j, score in enumerate(row):
            expected = -1e12 if i == j else cosine(vectors[i].tolist(), vectors[j].tolist()) / TAU
            assert score == pytest.approx(expected)


def test_twins_refuse_an_odd_number_of_rows() -> None:
    with pytest.raises(ValueError, match="pairs of rows, found 3 rows"):
        losses.twin_scores(random(3, 4), temperature=TAU)


def test_info_nce_is_the_mean_cross_entropy() -> None:
    scores = random(3, 5)
    rows = scores.tolist()
    expected = sum(math.log(sum(map(math.exp, row))) - row[i] for i, row in enumerate(rows)) / 3
    assert losses.info_nce(scores, torch.arange(3)).item() == pytest.approx(expected)


def test_info_nce_of_twins_leaves_the_diagonal_out() -> None:
    scores, target = losses.twin_scores(random(4, 3), temperature=0.5)
    expected = 0.0
    for i, row in enumerate(scores.tolist()):
        others = [math.exp(score) for j, score in enumerate(row) if j != i]
        expected += (math.log(sum(others)) - row[i ^ 1]) / 4
    assert losses.info_nce(scores, target).item() == pytest.approx(expected)


def test_flat_nce_compares_the_negatives_alone_with_the_positive() -> None:
    scores = random(3, 5)
    expected = 0.0
    for i, row in enumerate(scores.tolist()):
        negatives = [math.exp(score) for j, score in enumerate(row) if j != i]
        expected += (math.log(sum(negatives)) - row[i]) / 3
    assert losses.flat_nce(scores, torch.arange(3)).item() == pytest.approx(expected)


def test_flat_nce_has_the_gradient_of_the_paper() -> None:
    ours, papers = (random(4, 4).requires_grad_() for _ in range(2))
    torch.autograd.backward(losses.flat_nce(ours, torch.arange(4)))
    ratio = ((papers - papers.diagonal()[:, None]).exp() * (1 - torch.eye(4))).sum(1)
    torch.autograd.backward((ratio / ratio.detach()).mean())
    torch.testing.assert_close(ours.grad, papers.grad)


def test_flat_nce_is_below_zero_once_the_positive_wins() -> None:
    scores, target = losses.contrastive_scores(torch.eye(3), torch.eye(3), temperature=TAU)
    assert losses.flat_nce(scores, target).item() == pytest.approx(math.log(2) - 20, rel=1e-6)


@pytest.mark.parametrize("loss", [losses.info_nce, losses.flat_nce])
def test_contrastive_gradients(loss: Callable[..., Tensor]) -> None:
    def of_triples(anchors: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
        return loss(*losses.contrastive_scores(anchors, positives, negatives, temperature=0.5))

    def of_twins(vectors: Tensor) -> Tensor:
        return loss(*losses.twin_scores(vectors, temperature=0.5))

    triples = [random(3, 4, seed=seed).requires_grad_() for seed in range(3)]
    assert torch.autograd.gradcheck(of_triples, triples)
    assert torch.autograd.gradcheck(of_twins, [random(6, 4).requires_grad_()])


@pytest.mark.parametrize("loss", [losses.info_nce, losses.flat_nce])
def test_an_anchor_alone_costs_nothing(loss: Callable[..., Tensor]) -> None:
    single = random(1, 4, dtype=torch.float32)
    pair = random(2, 4, dtype=torch.float32)
    assert finite_with_gradient(lambda a: loss(*losses.contrastive_scores(a, a, temperature=TAU)), single) == 0
    assert finite_with_gradient(lambda v: loss(*losses.twin_scores(v, temperature=TAU)), pair) == pytest.approx(0)


@pytest.mark.parametrize("loss", [losses.info_nce, losses.flat_nce])
@pytest.mark.parametrize("factor", [0.0, 1e-12, 1e15])
def test_contrastive_losses_survive_extreme_vectors(loss: Callable[..., Tensor], factor: float) -> None:
    vectors = random(4, 3, dtype=torch.float32) * factor
    finite_with_gradient(lambda v: loss(*losses.twin_scores(v, temperature=0.01)), vectors)


@pytest.mark.parametrize("autocast", [False, True])
def test_half_precision_vectors_are_compared_in_float32(autocast: bool) -> None:
    vectors = random(8, 64, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        scores, target = losses.twin_scores(vectors, temperature=TAU)
        values = [losses.info_nce(scores, target), losses.flat_nce(scores, target)]
    exact, _ = losses.twin_scores(vectors.double(), temperature=TAU)
    torch.testing.assert_close(scores.double(), exact, rtol=1e-5, atol=1e-4)
    assert [value.dtype for value in values] == [torch.float32] * 2


# --- CoSENT ---


def loop_cosent(cosines: list[float], labels: list[float], scale: float) -> float:
    total = 1.0
    for i, higher in enumerate(labels):
        for k, lower in enumerate(labels):
            if higher > lower:
                total += math.exp(scale * (cosines[k] - cosines[i]))
    return math.log(total)


def test_cosent_sums_over_all_ordered_pairs() -> None:
    cosines, labels = random(7).tanh(), torch.tensor([0, 3, 1, 1, 5, 0, 2])
    lists = cosines.tolist(), labels.tolist()
    assert losses.cosent(cosines, labels).item() == pytest.approx(loop_cosent(*lists, 20.0))
    assert losses.cosent(cosines, labels, scale=3.0).item() == pytest.approx(loop_cosent(*lists, 3.0))


def test_cosent_falls_to_zero_when_the_order_is_right() -> None:
    assert losses.cosent(torch.tensor([-1.0, 0.0, 1.0]), torch.tensor([0, 1, 2])).item() < 1e-7
    assert losses.cosent(torch.tensor([1.0, 0.0, -1.0]), torch.tensor([0, 1, 2])).item() == pytest.approx(40)


def test_cosent_gradient() -> None:
    labels = torch.tensor([0, 1, 1, 2])
    assert torch.autograd.gradcheck(lambda c: losses.cosent(c, labels), [random(4).tanh().requires_grad_()])


@pytest.mark.parametrize("count", [0, 1, 4])
def test_cosent_is_zero_with_a_gradient_where_nothing_is_ordered(count: int) -> None:
    cosines = random(count, dtype=torch.float32)
    assert finite_with_gradient(lambda c: losses.cosent(c, torch.ones(count)), cosines) == 0


def test_cosent_survives_extremes_and_half_precision() -> None:
    labels = torch.tensor([0, 1])
    assert finite_with_gradient(lambda c: losses.cosent(c, labels), torch.tensor([1e4, -1e4])) == pytest.approx(4e5)
    assert finite_with_gradient(lambda c: losses.cosent(c, labels), torch.tensor([-1e4, 1e4])) == 0
    cosines = torch.tensor([0.5, 0.25], dtype=torch.bfloat16)
    assert losses.cosent(cosines, labels).dtype == torch.float32


# --- ZLPR ---


def loop_zlpr(scores: list[float], labels: list[float]) -> float:
    negatives = sum((1 - y) * math.exp(s) for s, y in zip(scores, labels, strict=True))
    positives = sum(y * math.exp(-s) for s, y in zip(scores, labels, strict=True))
    return math.log(1 + negatives) + math.log(1 + positives)


def dense_labels(positives: Tensor, count: int) -> Tensor:  # class 0 is dropped
    return torch.zeros(*positives.shape[:-1], count).scatter(-1, positives, 1.0)[..., 1:]


@pytest.mark.parametrize("labels", [[1, 0, 1, 0, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0.25, 0.9, 1, 0, 0.5]])
def test_zlpr_with_hard_and_soft_labels(labels: list[float]) -> None:
    scores = random(2, 3, 5)
    loss = losses.zlpr(scores, torch.tensor(labels).double().expand(2, 3, 5))
    expected = [[loop_zlpr(row, labels) for row in group] for group in scores.tolist()]
    torch.testing.assert_close(loss, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("positives", [[[3, 5, 0], [1, 0, 0]], [[0, 0, 0], [0, 0, 0]], [[3, 5, 9], [9, 1, 2]]])
@pytest.mark.parametrize("size", [1.0, 100.0])
def test_sparse_equals_dense_without_class_0(positives: list[list[int]], size: float) -> None:
    scores, chosen = random(2, 10, dtype=torch.float32) * size, torch.tensor(positives)
    dense = losses.zlpr(scores[:, 1:], dense_labels(chosen, 10))
    torch.testing.assert_close(losses.sparse_zlpr(scores, chosen), dense, rtol=1e-6, atol=1e-5)


def test_sparse_equals_dense_where_all_or_no_places_for_labels_are_used() -> None:
    scores = random(4, dtype=torch.float32)
    everything = torch.tensor([1, 2, 3])
    torch.testing.assert_close(losses.sparse_zlpr(scores, everything), losses.zlpr(scores[1:], torch.ones(3)))
    nothing = losses.sparse_zlpr(scores, torch.zeros(0, dtype=torch.int64))
    torch.testing.assert_close(nothing, losses.zlpr(scores[1:], torch.zeros(3)))


def test_zlpr_takes_labels_rounded_to_more_than_1() -> None:
    assert losses.zlpr(torch.zeros(1), torch.tensor([1.0000001])).item() == pytest.approx(math.log(2))


def test_sparse_zlpr_is_near_zero_for_sure_and_right_scores() -> None:
    scores = torch.tensor([0.0, 30.0, -30.0, -30.0])
    assert losses.sparse_zlpr(scores, torch.tensor([1, 0])).item() < 1e-6


def test_sparse_zlpr_ignores_the_score_of_class_0_and_leaves_its_input_alone() -> None:
    scores, positives = random(2, 6), torch.tensor([[2, 0], [4, 1]])
    before = scores.clone()
    loss = losses.sparse_zlpr(scores, positives)
    assert scores.equal(before)
    scores[:, 0] = 50.0
    assert losses.sparse_zlpr(scores, positives).equal(loss)


def test_zlpr_gradients() -> None:
    scores, positives = random(2, 6).requires_grad_(), torch.tensor([[2, 0], [4, 1]])
    soft = torch.tensor([0.0, 1.0, 0.3, 0.0, 1.0, 0.7])
    assert torch.autograd.gradcheck(lambda s: losses.zlpr(s, soft), [scores])
    assert torch.autograd.gradcheck(lambda s: losses.sparse_zlpr(s, positives), [scores])


@pytest.mark.parametrize("size", [1e4, 1e12, 1e30])
def test_zlpr_survives_extreme_scores(size: float) -> None:
    scores, positives = torch.tensor([[0.0, size, -size, size, -size]]), torch.tensor([[1, 2, 0]])
    expected = pytest.approx(2 * size)
    assert finite_with_gradient(lambda s: losses.sparse_zlpr(s, positives), scores) == expected
    assert finite_with_gradient(lambda s: losses.zlpr(s[:, 1:], dense_labels(positives, 5)), scores) == expected


def test_zlpr_allows_minus_infinity_for_masked_negatives() -> None:
    scores, positives = torch.tensor([-torch.inf, 0.5, -torch.inf, 0.25]), torch.tensor([1, 0])
    expected = pytest.approx(loop_zlpr([0.5, 0.25], [1, 0]))
    assert finite_with_gradient(lambda s: losses.sparse_zlpr(s, positives), scores) == expected
    assert finite_with_gradient(lambda s: losses.zlpr(s, torch.tensor([0, 1, 0, 0])), scores) == expected


def test_zlpr_widens_half_precision() -> None:
    scores = random(3, 9, dtype=torch.bfloat16)
    sparse = losses.sparse_zlpr(scores, torch.tensor([[1, 0]] * 3))
    assert sparse.dtype == torch.float32
    torch.testing.assert_close(sparse, losses.sparse_zlpr(scores.float(), torch.tensor([[1, 0]] * 3)))
    assert losses.zlpr(scores, torch.zeros(3, 9, dtype=torch.bool)).dtype == torch.float32
    assert losses.zlpr(scores.double(), torch.zeros(3, 9)).dtype == torch.float64


# --- masked cross entropy ---


def test_masked_cross_entropy_averages_over_the_kept() -> None:
    logits, targets = random(4, 5), torch.tensor([2, -100, 0, -100])
    rows = logits.tolist()
    expected = sum(math.log(sum(map(math.exp, rows[n]))) - rows[n][t] for n, t in ((0, 2), (2, 0))) / 2
    assert losses.masked_cross_entropy(logits, targets).item() == pytest.approx(expected)
    others = torch.tensor([2, 0, 0, 0])
    one = losses.masked_cross_entropy(logits, others, ignore=0)
    torch.testing.assert_close(one, losses.masked_cross_entropy(logits[:1], others[:1]))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_masked_cross_entropy_is_zero_with_a_gradient_where_nothing_is_kept(count: int) -> None:
    targets = torch.full((count,), -100)
    logits = random(count, 5, dtype=torch.float32)
    assert finite_with_gradient(lambda z: losses.masked_cross_entropy(z, targets), logits) == 0


def test_masked_cross_entropy_gradient_extremes_and_half_precision() -> None:
    targets = torch.tensor([1, -100, 0])
    assert torch.autograd.gradcheck(lambda z: losses.masked_cross_entropy(z, targets), [random(3, 4).requires_grad_()])
    last = torch.tensor([1])
    worst = finite_with_gradient(lambda z: losses.masked_cross_entropy(z, last), torch.tensor([[1e30, -1e30]]))
    assert worst == pytest.approx(2e30)
    assert losses.masked_cross_entropy(random(3, 4, dtype=torch.bfloat16), targets).dtype == torch.float32
