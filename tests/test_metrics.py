"""Distortions, against values computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rdedge import metrics
from rdedge.errors import ConfigError, ShapeError
from rdedge.metrics import METRICS, Scale, mse_for
from rdedge.types import METRIC_IS_MINIMUM

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
        value = float(METRICS[name].finish(np.array([mse]), SCALE)[0])
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
