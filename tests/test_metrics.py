"""Distortions, against values computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rdedge import metrics
from rdedge.errors import ConfigError, ShapeError
from rdedge.metrics import METRICS, Scale, mse_for
from rdedge.types import METRIC_IS_MINIMUM, Bound

X = np.array([[0, 10, 20, 30], [1, 1, 1, 1]], np.uint8)
# Errors of 1, -1, 3, -3 and of 0, 0, 0, 2.
X_HAT = np.array([[1, 9, 23, 27], [1, 1, 1, 3]], np.uint8)
SCALE = Scale(peak=255.0, std=(4.0,))

PER_SAMPLE = {
    "mse": [5.0, 1.0],
    "mae": [2.0, 0.5],
    "max-abs": [3.0, 2.0],
    "psnr": [41.1411, 48.1308],  # 10 log10(65025 / 5), 10 log10(65025)
    "nrmse": [math.sqrt(5) / 4, 0.25],
}
# psnr and nrmse from the mse over both samples, which is 3.
MEAN = {
    "mse": 3.0,
    "mae": 1.25,
    "max-abs": 2.5,
    "psnr": 43.3596,
    "nrmse": math.sqrt(3) / 4,
}


def test_every_metric_has_a_direction():
    assert set(METRICS) == set(METRIC_IS_MINIMUM) == set(PER_SAMPLE) == set(MEAN)
    assert [name for name, minimum in METRIC_IS_MINIMUM.items() if minimum] == ["psnr"]
    assert all(metrics.metric(name).name == name for name in METRICS)


@pytest.mark.parametrize("name", METRICS)
def test_values_by_hand(name):
    assert metrics.per_sample(name, X, X_HAT, SCALE) == pytest.approx(PER_SAMPLE[name], abs=1e-4)
    assert metrics.mean(name, X, X_HAT, SCALE) == pytest.approx(MEAN[name], abs=1e-4)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float16", "float64"])
def test_shapes_and_dtypes_do_not_matter(name, dtype):
    x, x_hat = (a.astype(dtype).reshape(2, 2, 2, 1) for a in (X, X_HAT))
    assert metrics.per_sample(name, x, x_hat, SCALE) == pytest.approx(PER_SAMPLE[name], abs=1e-4)


def test_small_integers_do_not_wrap():
    x, x_hat = np.array([[0, 255]], np.uint8), np.array([[255, 0]], np.uint8)
    assert metrics.mean("max-abs", x, x_hat, SCALE) == 255.0
    assert metrics.mean("mse", x, x_hat, SCALE) == 65025.0
    low, high = np.array([[-128]], np.int8), np.array([[127]], np.int8)
    assert metrics.mean("mae", low, high, SCALE) == 255.0


@pytest.mark.parametrize("scale", [SCALE, Scale(0.0, (0.0,))])
def test_no_error_at_all(scale):
    """Also where the data does not vary, so that there is nothing to be relative to."""
    for name in METRICS:
        expected = math.inf if name == "psnr" else 0.0
        assert metrics.mean(name, X, X, scale) == expected
        assert metrics.per_sample(name, X, X, scale).tolist() == [expected] * 2


def test_an_error_in_data_that_does_not_vary():
    nothing = Scale(0.0, (0.0,))
    assert metrics.mean("psnr", X, X_HAT, nothing) == -math.inf
    assert metrics.mean("nrmse", X, X_HAT, nothing) == math.inf


def test_scale_of_training_data():
    assert Scale.of(X) == Scale(255.0, (float(X.astype(np.float64).std()),))
    signed = np.array([[-3, 5], [1, 1]], np.int8)
    assert Scale.of(signed) == Scale(8.0, (math.sqrt((16 + 16 + 0 + 0) / 4),))
    assert Scale.of(np.array([[0.5], [0.5]], np.float32)) == Scale(0.0, (0.0,))
    assert Scale.of(np.array([[-128], [127]], np.int8)).peak == 255.0
    assert Scale.of(np.array([[0], [2**40]], np.int64)).peak == 2.0**40


@pytest.mark.parametrize("name", ["mse", "psnr", "nrmse"])
def test_the_mse_of_a_value_is_exact(name):
    for mse in (0.01, 3.0, 400.0):
        errors = np.full((3, 5), math.sqrt(mse))
        value = metrics.mean(name, errors, np.zeros((3, 5)), SCALE)
        assert mse_for(name, value, SCALE) == pytest.approx(mse, rel=1e-12)


def test_the_mse_of_a_value_for_gaussian_errors():
    errors = np.random.default_rng(1).normal(0, 2.0, (1, 200_000))
    mae = metrics.mean("mae", errors, np.zeros_like(errors), SCALE)
    assert mse_for("mae", mae, SCALE) == pytest.approx(4.0, rel=0.02)
    assert mse_for("max-abs", 3.0, SCALE) == 1.0


@pytest.mark.parametrize(
    ("a", "b"),
    [((2, 3), (2, 4)), ((2, 3), (3, 2)), ((0, 3), (0, 3)), ((3,), (3,)), ((2, 0), (2, 0))],
)
def test_what_cannot_be_compared(a, b):
    for compute in (metrics.mean, metrics.per_sample):
        with pytest.raises(ShapeError):
            compute("mse", np.zeros(a), np.zeros(b), SCALE)


def test_a_metric_that_is_not_there():
    with pytest.raises(ConfigError) as caught:
        metrics.metric("ssim")
    assert "nrmse" in caught.value.expected


NAN = math.nan
# Two windows of two rows and two channels; of the first one value is missing, of the second all.
WINDOWS = np.array([[[0, 0], [0, NAN]], [[NAN, NAN], [NAN, NAN]]], np.float32)
# Errors of 1 and 3 in channel 0 and of 10 in channel 1; what stands where nothing was is no error.
DECODED = np.array([[[1, 10], [3, 99]], [[7, 7], [7, 7]]], np.float32)
CHANNELS = Scale(peak=100.0, std=(1.0, 10.0))
FIRST_WINDOW = {
    "mse": 110 / 3,
    "mae": 14 / 3,
    "max-abs": 10.0,
    "psnr": 10 * math.log10(10_000 / (110 / 3)),
    "nrmse": math.sqrt((1 + 9 + 1) / 3),
}


@pytest.mark.parametrize("name", METRICS)
def test_missing_values_count_nowhere(name):
    found = metrics.per_sample(name, WINDOWS, DECODED, CHANNELS)
    assert found[0] == pytest.approx(FIRST_WINDOW[name])
    assert found[1] == (math.inf if name == "psnr" else 0.0)
    # The mean is weighted by the values that are there, so the empty window has no weight.
    assert metrics.mean(name, WINDOWS, DECODED, CHANNELS) == pytest.approx(FIRST_WINDOW[name])
    nothing = metrics.mean(name, WINDOWS[1:], DECODED[1:], CHANNELS)
    assert nothing == (math.inf if name == "psnr" else 0.0)


@pytest.mark.parametrize("name", METRICS)
def test_a_window_with_gaps_is_as_one_of_what_is_there(name):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 8, 1))
    x_hat = x + rng.normal(size=x.shape)
    gaps = np.array([1, 4, 5])
    holed = x.copy()
    holed[:, gaps] = NAN
    rest = np.setdiff1d(np.arange(8), gaps)
    scale = Scale(3.0, (0.5,))
    found = metrics.mean(name, holed, x_hat, scale)
    assert found == pytest.approx(metrics.mean(name, x[:, rest], x_hat[:, rest], scale))


def test_decoded_values_that_are_nan_never_keep_a_bound():
    """Missing is what is missing in the original, not what a decoder failed to give."""
    x_hat = X.astype(np.float64)
    x_hat[0, 0] = NAN
    for name in METRICS:
        assert math.isnan(metrics.mean(name, X.astype(np.float64), x_hat, SCALE))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mse", 2.0),
        ("mae", 8 / 6),
        ("max-abs", 8 / 6),
        ("psnr", 10 * math.log10(100.0**2 / 2)),
        ("nrmse", math.sqrt(2.0) / 4.0),
    ],
)
def test_samples_of_several_sizes_are_weighted_by_their_elements(name, expected):
    """A picture of 2 pixels with errors of 2, one of 4 pixels with errors of 1."""
    x = [np.zeros((1, 1, 2, 1), np.uint8), np.zeros((1, 2, 2, 1), np.uint8)]
    x_hat = [x[0] + np.uint8(2), x[1] + np.uint8(1)]
    assert metrics.mean(name, x, x_hat, Scale(100.0, (4.0,))) == pytest.approx(expected)


@pytest.mark.parametrize("name", METRICS)
def test_several_arrays_of_one_shape_are_as_one(name):
    whole = metrics.mean(name, X, X_HAT, SCALE)
    assert metrics.mean(name, [X[:1], X[1:]], [X_HAT[:1], X_HAT[1:]], SCALE) == whole


def test_as_many_arrays_as_their_counterparts():
    with pytest.raises(ValueError, match="zip"):
        metrics.mean("mse", [X, X], [X_HAT], SCALE)
    with pytest.raises(ShapeError):
        metrics.mean("mse", [X, X[:1]], [X_HAT, X_HAT], SCALE)


def test_scale_by_channel():
    x = np.array([[[1, 10, 7], [3, NAN, 7]], [[1, 30, 7], [3, 50, 7]]], np.float32)
    std = float(np.std([10.0, 30.0, 50.0]))
    # What never varies, like channel 2, is measured as the channel that varies least.
    assert Scale.of(x, by_channel=True) == Scale(49.0, (1.0, std, 1.0))
    assert Scale.of([x[:1], x[1:]], by_channel=True) == Scale.of(x, by_channel=True)
    constant = np.full((2, 3, 2), 4.0)
    assert Scale.of(constant, by_channel=True) == Scale(0.0, (1.0, 1.0))


def test_scale_of_several_arrays_is_that_of_all_elements():
    parts = [np.array([[[0.0], [4.0]]]), np.array([[[2.0]]])]
    assert Scale.of(parts) == Scale(4.0, (float(np.std([0.0, 4.0, 2.0])),))
    holed = [np.array([[[0.0], [NAN]]]), np.array([[[2.0]]])]
    assert Scale.of(holed) == Scale(2.0, (1.0,))
    assert Scale.of([X[:1], X[1:]]).std == Scale.of(X).std


def test_the_spread_of_channels_is_that_of_their_mean_square():
    assert CHANNELS.spread == pytest.approx(math.sqrt(101 / 2))
    assert SCALE.spread == 4.0
    # An error of a tenth of each channel's own deviation.
    x = np.zeros((1, 4, 2))
    x_hat = 0.1 * np.array([1.0, 10.0]) * np.ones((1, 4, 2))
    assert metrics.mean("nrmse", x, x_hat, CHANNELS) == pytest.approx(0.1)
    mse = metrics.mean("mse", x, x_hat, CHANNELS)
    assert mse_for("nrmse", 0.1, CHANNELS) == pytest.approx(mse)


@pytest.mark.parametrize("name", ["mse", "psnr"])
def test_a_share_of_samples_is_held_against_the_bound(name):
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (40, 3))
    x_hat = x + rng.normal(0, 1, (40, 1)) * rng.normal(0, 1, (40, 3))
    scale = metrics.Scale.of(x)
    each = metrics.per_sample(name, x, x_hat, scale)
    for share in (0.05, 0.5, 0.9, 0.95):
        bound = Bound(name, 1.0, share)
        reached = metrics.reached(bound, [x[:7], x[7:]], [x_hat[:7], x_hat[7:]], scale)
        kept = each >= reached if bound.is_minimum else each <= reached
        assert kept.sum() == round(share * 40)
        assert metrics.share_within(Bound(name, reached), x, x_hat, scale) == share
    whole = metrics.reached(Bound(name, 1.0), x, x_hat, scale)
    assert whole == metrics.mean(name, x, x_hat, scale)
    with pytest.raises(ConfigError, match="share"):
        Bound(name, 1.0, 1.0)
