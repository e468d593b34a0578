"""Whitening against plain NumPy over all vectors at once, its refusals and its file."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from nlptasks.errors import InputError, ModelError, UsageError
from nlptasks.similarity.whitening import Moments, Whitening, fit

H = 12


def sentences(count: int = 200, width: int = H, seed: int = 0) -> NDArray[np.float32]:
    """Make correlated vectors far from the origin, as those of a BERT are."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(width, width))
    return (rng.normal(size=(count, width)) @ mixing + 5 * rng.normal(size=width)).astype(np.float32)


def moments_of(*portions: NDArray[np.floating]) -> Moments:
    moments = Moments(portions[0].shape[1])
    for portion in portions:
        moments.update(portion)
    return moments


def cosines(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    normalised = vectors / np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(normalised @ normalised.T)


def reference(vectors: NDArray[np.floating], dims: int, beta: float, gamma: float) -> NDArray[np.float64]:
    """Whiten as the article does."""
    centred = vectors.astype(np.float64) - beta * vectors.astype(np.float64).mean(axis=0)
    u, values, _ = np.linalg.svd(centred.T @ centred / (len(vectors) - 1))
    return np.asarray(centred @ (u @ np.diag(values ** (-gamma / 2)))[:, :dims])


# --- moments ---


@pytest.mark.parametrize("cuts", [[], [1], [3, 3, 50], list(range(1, 200)), [199]])
def test_streaming_equals_batch_whatever_the_portions(cuts: list[int]) -> None:
    vectors = sentences()
    moments = moments_of(*np.split(vectors, cuts))
    assert moments.count == 200
    np.testing.assert_allclose(moments.mean, vectors.astype(np.float64).mean(axis=0), rtol=1e-10)
    covariance = np.cov(vectors.T.astype(np.float64))
    np.testing.assert_allclose(moments.scatter / 199, covariance, rtol=1e-10, atol=1e-10)


def test_merged_equals_one_stream() -> None:
    vectors = sentences()
    merged, second = moments_of(vectors[:70]), moments_of(vectors[70:])
    merged.merge(second)
    merged.merge(Moments(H))
    whole = moments_of(vectors)
    assert merged.count == whole.count
    np.testing.assert_allclose(merged.mean, whole.mean, rtol=1e-10)
    np.testing.assert_allclose(merged.scatter, whole.scatter, rtol=1e-10, atol=1e-9)
    assert second.count == 130


def test_nothing_merged_with_nothing_is_nothing() -> None:
    moments = Moments(H)
    moments.merge(Moments(H))
    moments.update(np.zeros((0, H)))
    assert moments.count == 0
    assert not moments.mean.any()


def test_rows_that_are_not_finite_are_skipped() -> None:
    vectors = sentences(20)
    spoiled = np.insert(vectors, [0, 7, 20], np.nan, axis=0)
    spoiled[0] = np.inf
    np.testing.assert_array_equal(moments_of(spoiled).scatter, moments_of(vectors).scatter)
    assert moments_of(spoiled).count == 20
    assert moments_of(np.full((3, H), np.nan)).count == 0


def test_half_precision_is_summed_in_float64() -> None:
    vectors = sentences(50).astype(np.float16)
    np.testing.assert_array_equal(moments_of(vectors).scatter, moments_of(vectors.astype(np.float64)).scatter)


def test_vectors_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="width 12 were expected, found 5"):
        Moments(H).update(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="width 12 were expected, found 5"):
        Moments(H).merge(Moments(5))


# --- the map ---


@pytest.mark.parametrize("dims", [H, 5, 1])
@pytest.mark.parametrize(("beta", "gamma"), [(1, 1), (0, 0), (1, 0), (0.5, 0.7), (0, 1)])
def test_equals_the_plain_reference(dims: int, beta: float, gamma: float) -> None:
    vectors = sentences()
    whitening = fit(moments_of(vectors), dims=dims, beta=beta, gamma=gamma)
    expected = reference(vectors, dims, beta, gamma)
    np.testing.assert_allclose(cosines(whitening(vectors)), cosines(expected), atol=1e-6)
    np.testing.assert_allclose(np.abs(whitening(vectors)), np.abs(expected), rtol=1e-4, atol=1e-4)


def test_full_width_is_the_default_and_fewer_dimensions_are_its_first() -> None:
    moments = moments_of(sentences())
    whole, part = fit(moments), fit(moments, dims=5)
    assert whole.weight.shape == (H, H)
    np.testing.assert_array_equal(part.weight, whole.weight[:5])
    np.testing.assert_array_equal(part.bias, whole.bias[:5])
    assert whole.weight.dtype == whole.bias.dtype == np.float32


def test_whitened_vectors_have_mean_zero_and_covariance_one() -> None:
    vectors = sentences()
    whitened = fit(moments_of(vectors))(vectors)
    assert whitened.dtype == np.float32
    np.testing.assert_allclose(whitened.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(np.cov(whitened.T), np.eye(H), atol=1e-5)


def test_it_is_one_linear_layer() -> None:
    vectors, whitening = sentences(), fit(moments_of(sentences()), dims=4)
    np.testing.assert_allclose(vectors @ whitening.weight.T + whitening.bias, whitening(vectors), atol=1e-3)


def test_beta_and_gamma_zero_keep_the_cosines() -> None:
    vectors = sentences()
    rotated = fit(moments_of(vectors), beta=0, gamma=0)(vectors)
    np.testing.assert_allclose(cosines(rotated), cosines(vectors), atol=1e-6)


def test_a_nan_vector_spoils_no_other() -> None:
    vectors, whitening = sentences(5), fit(moments_of(sentences()))
    spoiled = vectors.copy()
    spoiled[2] = np.nan
    whitened = whitening(spoiled)
    assert np.isnan(whitened[2]).all()
    np.testing.assert_array_equal(np.delete(whitened, 2, 0), np.delete(whitening(vectors), 2, 0))


def test_the_largest_component_of_each_direction_is_positive() -> None:
    weight = fit(moments_of(sentences())).weight
    assert (weight[np.arange(H), np.abs(weight).argmax(axis=1)] > 0).all()


def test_variance_kept() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(5000, 3)) * np.sqrt([6.0, 3.0, 1.0])
    moments = moments_of(vectors)
    assert fit(moments, dims=1).variance_kept == pytest.approx(0.6, abs=0.02)
    assert fit(moments, dims=2).variance_kept == pytest.approx(0.9, abs=0.02)
    assert fit(moments).variance_kept == pytest.approx(1)


def test_dimensions_without_variance_are_clipped_with_a_note(caplog: pytest.LogCaptureFixture) -> None:
    vectors = sentences()
    vectors[:, 3] = vectors[:, 4]  # one direction holds nothing
    with caplog.at_level(logging.INFO):
        whitening = fit(moments_of(vectors))
    assert "1 of 12 dimensions hold next to no variance" in caplog.text
    norms = np.linalg.norm(whitening.weight, axis=1)
    assert norms[-1] / norms[0] == pytest.approx(1e3)  # the root of 1 / 1e-6


@pytest.mark.parametrize(("dims", "gamma"), [(H - 1, 1.0), (H, 0.0)])
def test_no_note_where_clipping_changes_nothing(dims: int, gamma: float, caplog: pytest.LogCaptureFixture) -> None:
    vectors = sentences()
    vectors[:, 3] = vectors[:, 4]
    with caplog.at_level(logging.INFO):
        fit(moments_of(vectors), dims=dims, gamma=gamma)
    assert not caplog.text


# --- refusals ---


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_sentences_are_refused(count: int) -> None:
    with pytest.raises(InputError, match=f"at least 2 sentences to estimate a covariance, found {count}"):
        fit(moments_of(sentences(count)), gamma=0)


@pytest.mark.parametrize("dims", [None, 7])
def test_fewer_sentences_than_dimensions_are_refused_with_the_remedy(dims: int | None) -> None:
    with pytest.raises(InputError, match=r"needs at least 13 .* found 12: .* --dims 6, or use --whiten-gamma 0"):
        fit(moments_of(sentences(H)), dims=dims)


def test_the_remedies_work() -> None:
    few = moments_of(sentences(H))
    assert np.abs(fit(few, dims=6).weight).max() < 100
    assert np.abs(fit(few, gamma=0).weight).max() <= 1
    fit(moments_of(sentences(H + 1)))


@pytest.mark.parametrize("dims", [0, -1, H + 1])
def test_dimensions_out_of_range_are_refused(dims: int) -> None:
    with pytest.raises(UsageError, match=f"--dims {dims} is out of range: these vectors have 12 .* choose 1 to 12"):
        fit(moments_of(sentences()), dims=dims)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e4])
def test_vectors_that_are_all_the_same_are_refused(value: float) -> None:
    moments = moments_of(*np.full((10, 10, H), value, dtype=np.float32))
    with pytest.raises(InputError, match="sentences that differ, found 100 with the same vector"):
        fit(moments)


def test_another_model_or_pooling_is_refused() -> None:
    whitening = fit(moments_of(sentences()), model="a" * 64, pooling="cls")
    whitening.check("a" * 64, "cls")
    with pytest.raises(ModelError, match="for pooling cls, but the vectors come from last-avg; use --pooling cls, or"):
        whitening.check("a" * 64, "last-avg")
    with pytest.raises(ModelError, match=r"for model a{12}, but the vectors come from x{12}; use the first, or fit"):
        whitening.check("x" * 64, "cls")


# --- the file ---


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    vectors, path = sentences(), tmp_path / "whitening.safetensors"
    saved = fit(moments_of(vectors), dims=5, beta=0.1, gamma=0.7, pooling="first-last-avg", model="abc")
    path.write_text("an older file is replaced")
    saved.save(path)
    loaded = Whitening.load(path)
    np.testing.assert_array_equal(loaded(vectors), saved(vectors))
    described = ["count", "variance_kept", "beta", "gamma", "pooling", "model"]
    assert [getattr(loaded, name) for name in described] == [getattr(saved, name) for name in described]
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="w: this file cannot be written"):
        fit(moments_of(sentences())).save(tmp_path / "missing" / "w")


def test_a_damaged_or_missing_file_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "w"
    fit(moments_of(sentences())).save(path)
    content = path.read_bytes()
    for damaged in (b"", content[:20], content[:-1], b"not a whitening at all"):
        path.write_bytes(damaged)
        with pytest.raises(ModelError, match=r"^.*w: this is no whitening that can be read .*--save-whitening$"):
            Whitening.load(path)
    with pytest.raises(ModelError, match=r"missing: this is no whitening that can be read \(No such file"):
        Whitening.load(tmp_path / "missing")


@pytest.mark.parametrize(
    "metadata", [None, {"format": "pt"}, {"nlpk_whitening": "{"}, {"nlpk_whitening": '{"beta": 1}'}]
)
def test_a_foreign_file_is_refused(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    tensors = {"weight": np.zeros((2, 3), np.float32), "bias": np.zeros(2, np.float32)}
    save_file(tensors, tmp_path / "w", metadata)
    with pytest.raises(ModelError, match="w: this is no whitening that can be read"):
        Whitening.load(tmp_path / "w")


@pytest.mark.parametrize(
    "tensors", [{"weight": (2, 3)}, {"weight": (2, 3), "bias": (3,)}, {"weight": (2,), "bias": (2,)}]
)
def test_tensors_of_another_form_are_refused(tmp_path: Path, tensors: dict[str, tuple[int, ...]]) -> None:
    described = dict.fromkeys(["count", "variance_kept", "beta", "gamma", "pooling", "model"], 1)
    arrays = {name: np.zeros(shape, np.float32) for name, shape in tensors.items()}
    save_file(arrays, tmp_path / "w", {"nlpk_whitening": json.dumps(described)})
    with pytest.raises(ModelError, match="w: this is no whitening that can be read"):
        Whitening.load(tmp_path / "w")
