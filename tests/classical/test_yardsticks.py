"""Mosaics, reduced levels, weighed levels, and the yardsticks made of them."""

import itertools

import numpy as np
import pytest

from rdedge.classical.levels import candidates
from rdedge.classical.mosaic import Mosaic
from rdedge.classical.png import Png
from rdedge.classical.webp import WebP
from rdedge.classical.weigh import context_bits, weigh
from rdedge.classical.yardsticks import yardsticks
from rdedge.errors import ConfigError, ParityError, ShapeError, ValueRangeError
from rdedge.metrics import Scale
from rdedge.types import Bound


def digits(count: int = 40) -> np.ndarray:
    """Strokes of ink on an empty ground: (count, 8, 8) uint8, 0 to 16."""
    rng = np.random.default_rng(3)
    t = np.linspace(0, 1, 12)
    tiles = np.zeros((count, 8, 8))
    for tile in tiles:
        a, b = rng.uniform(1, 6, (2, 2))
        for r, c in a + np.outer(t, b - a):
            tile[int(r) : int(r) + 2, int(c) : int(c) + 2] += rng.uniform(4, 9)
    return np.minimum(np.rint(tiles), 16).astype(np.uint8)


@pytest.mark.parametrize(("count", "height", "width"), [(1, 3, 5), (7, 8, 8), (397, 8, 4)])
def test_a_mosaic_is_near_square_and_is_undone(count: int, height: int, width: int) -> None:
    tiles = np.random.default_rng(0).integers(1, 255, (count, height, width), np.uint8)
    mosaic = Mosaic.square(count, height, width)
    picture = mosaic.lay(tiles)
    assert picture.shape == mosaic.shape
    assert picture.sum(dtype=np.int64) == tiles.sum(dtype=np.int64)
    np.testing.assert_array_equal(mosaic.cut(picture), tiles)
    assert max(mosaic.shape) <= np.sqrt(tiles.size) + height + width


def brute_force(histogram: np.ndarray, count: int) -> float:
    """The least squared error of any split into `count` intervals, levels rounded."""
    values = np.flatnonzero(histogram)
    best = np.inf
    for cuts in itertools.combinations(range(1, len(values)), count - 1):
        error = 0.0
        for part in np.split(values, cuts):
            w = histogram[part]
            error += float(w @ (part - np.rint(w @ part / w.sum())) ** 2)
        best = min(best, error)
    return best / histogram.sum()


@pytest.mark.parametrize("count", [2, 3, 4])
def test_the_best_levels_are_found_exactly(count: int) -> None:
    histogram = np.bincount(digits().ravel(), minlength=256)
    made = [c for c in candidates(histogram, 2.0) if len(c.greys) == count]
    # Rounded levels may cost a little against the best rounded ones: levels are chosen unrounded.
    assert min(c.mse for c in made) <= brute_force(histogram, count) + 0.05


def test_what_a_reduction_claims_is_what_it_does() -> None:
    x = digits()
    for levels in candidates(np.bincount(x.ravel(), minlength=256), 2.0):
        error = np.mean((levels.greys[levels.index[x]] - x.astype(float)) ** 2)
        assert error == pytest.approx(levels.mse)
        share = np.bincount(levels.index[x].ravel()) / x.size
        assert -share @ np.log2(share) == pytest.approx(levels.entropy_bits)


def test_weighing_saves_bits_at_a_higher_error_and_nothing_at_price_zero() -> None:
    x = digits(60)
    picture = Mosaic.square(60, 8, 8).lay(x)
    greys = np.array([0, 8, 15], np.uint8)
    nearest = np.abs(picture[..., None].astype(int) - greys).argmin(axis=-1).astype(np.uint8)
    np.testing.assert_array_equal(weigh(picture, nearest, greys, 0.0), nearest)
    weighed = weigh(picture, nearest, greys, 8.0)
    assert context_bits(weighed, 3) < context_bits(nearest, 3)
    assert np.any(weighed != nearest)


def test_context_bits_of_an_even_picture_are_next_to_none() -> None:
    assert context_bits(np.zeros((40, 40), np.uint8), 2) < 20
    noise = np.random.default_rng(0).integers(0, 2, (40, 40)).astype(np.uint8)
    assert context_bits(noise, 2) == pytest.approx(1600, rel=0.1)


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
@pytest.mark.parametrize("bound", [Bound("mse", 4.0), Bound("psnr", 14.0), Bound("max-abs", 3.0)])
def test_every_yardstick_keeps_the_bound_and_they_are_sorted(dtype: str, bound: Bound) -> None:
    x = digits().reshape(40, 64).astype(dtype)
    scale = Scale(peak=16.0, std=(float(x.std()),))
    found = yardsticks(x, 8, 8, bound, scale, ["webp", "png", "zstd", "jpeg"], thorough=False)
    assert {f.codec for f in found} == {"webp", "png", "zstd", "jpeg"}
    sizes = [f.size_bytes for f in found]
    assert sizes == sorted(sizes)
    for f in found:
        assert bound.met_by(f.distortion.value), f
        assert f.distortion.kind == "actual"
        assert 0 < f.size_bytes < x.size, f


def test_weighed_levels_beat_fixed_ones() -> None:
    x = digits(60).reshape(60, 64)
    scale = Scale.of(x)
    quick = yardsticks(x, 8, 8, Bound("mse", 4.0), scale, ["png"], thorough=False)
    best = yardsticks(x, 8, 8, Bound("mse", 4.0), scale, ["png"])
    assert len(best) == 2
    assert best[0].size_bytes <= quick[0].size_bytes
    assert any("weighed" in f.setting for f in best)


def test_a_tight_bound_is_kept_with_more_than_a_few_levels() -> None:
    x = np.random.default_rng(0).integers(0, 256, (6, 64), np.uint8)
    found = yardsticks(x, 8, 8, Bound("mse", 1e-6), Scale.of(x), ["png", "zstd"], thorough=False)
    assert {f.codec for f in found} == {"png", "zstd"}
    assert all(f.distortion.value == 0 for f in found)


def test_pictures_of_fractions_are_scaled_and_the_scale_is_counted() -> None:
    x = digits().reshape(40, 64) / 16 - 0.5
    found = yardsticks(x, 8, 8, Bound("mse", 0.02), Scale.of(x), ["webp", "zstd"], thorough=False)
    assert {f.codec for f in found} == {"webp", "zstd"}
    assert all(f.distortion.value <= 0.02 for f in found)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("bound", [Bound("mse", 3.0), Bound("nrmse", 0.1), Bound("max-abs", 2.0)])
def test_vectors_that_are_no_pictures(dtype: str, bound: Bound) -> None:
    rng = np.random.default_rng(5)
    x = (60 + np.cumsum(rng.normal(0, 4, (50, 12)), axis=1)).clip(0, 255).astype(dtype)
    found = yardsticks(x, None, None, bound, Scale.of(x), ["zstd", "webp"])
    assert [f.codec for f in found] == ["zstd"]
    assert bound.met_by(found[0].distortion.value)
    assert found[0].size_bytes < x.size * 2


def test_a_bound_that_only_exact_values_keep_is_kept() -> None:
    x = np.random.default_rng(5).normal(0, 1, (20, 3))
    found = yardsticks(x, None, None, Bound("psnr", 400.0), Scale.of(x), ["zstd"])
    assert "as they are" in found[0].setting


def test_samples_that_cannot_be_used_are_refused() -> None:
    x = digits(4).reshape(4, 64)
    bound, scale = Bound("mse", 1.0), Scale.of(x)
    for bad, h, w in ((x[0], 8, 8), (x, 8, 7), (x, 8, None), (x[:0], 8, 8)):
        with pytest.raises(ShapeError):
            yardsticks(bad, h, w, bound, scale)
    with pytest.raises(ValueRangeError):
        yardsticks(np.full((2, 4), np.nan), None, None, bound, scale)
    with pytest.raises(ConfigError):
        yardsticks(x, 8, 8, bound, scale, ["gif"])


def test_a_codec_that_breaks_its_word_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Png, "_decode", lambda self, data, shape, dtype: np.zeros(shape, dtype))
    x = digits(4).reshape(4, 64)
    with pytest.raises(ParityError, match="png"):
        yardsticks(x, 8, 8, Bound("mse", 4.0), Scale.of(x), ["png"], thorough=False)


def test_a_codec_that_cannot_hold_the_mosaic_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WebP, "max_side", 8)
    x = digits(4).reshape(4, 64)
    found = yardsticks(x, 8, 8, Bound("mse", 4.0), Scale.of(x), ["webp", "zstd"], thorough=False)
    assert {f.codec for f in found} == {"zstd"}


def test_many_samples_are_searched_on_a_part_and_measured_on_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rdedge.classical.pictures.SCOUT_PIXELS", 20 * 64)
    x = digits(60).reshape(60, 64)
    bound = Bound("mse", 4.0)
    found = yardsticks(x, 8, 8, bound, Scale.of(x), ["webp", "png"])
    assert len(found) == 5
    assert all(bound.met_by(f.distortion.value) for f in found)


def test_vectors_spend_what_the_bound_allows() -> None:
    """No step a hundredth coarser would keep the bound: a loose yardstick flatters its rival."""
    x = np.random.default_rng(0).normal(size=(500, 6)).astype(np.float32)
    for found in yardsticks(x, None, None, Bound("mse", 0.01), Scale.of(x), ["lzma", "zstd"]):
        assert 0.0096 < found.distortion.value <= 0.01
