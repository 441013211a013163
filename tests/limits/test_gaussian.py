"""R(D) of Gaussian sources, against closed forms, other ways to compute it, and its properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rdedge.errors import ConfigError, ShapeError, ValueRangeError
from rdedge.limits.gaussian import (
    ar1_covariance,
    distortion_ar1,
    distortion_components,
    distortion_correlated,
    distortion_iid,
    rate_ar1,
    rate_components,
    rate_correlated,
    rate_iid,
)

VARIANCES = st.lists(st.floats(0.0, 1e3), min_size=1, max_size=6)
SHARES = st.floats(1e-6, 1.2)
RHOS = st.floats(-0.999, 0.999)


def riemann(rho: float, distortion: float, points: int = 200_000) -> float:
    """R(D) of a unit AR(1), by the middles of equal pieces of the spectrum."""
    w = (np.arange(points) + 0.5) * math.pi / points
    spectrum = (1 - rho * rho) / (1 + rho * rho - 2 * rho * np.cos(w))
    low, high = 0.0, float(spectrum.max())
    for _ in range(100):
        level = 0.5 * (low + high)
        low, high = (
            (level, high) if np.minimum(spectrum, level).mean() < distortion else (low, level)
        )
    return float(np.maximum(0.0, 0.5 * np.log2(spectrum / low)).mean())


def test_iid_by_hand():
    assert rate_iid(4.0, 1.0) == 1.0
    assert rate_iid(1.0, 2.0**-10) == 5.0
    assert rate_iid(1.0, 1.0) == rate_iid(1.0, 7.0) == 0.0
    assert rate_iid(0.0, 0.0) == 0.0
    assert rate_iid(1.0, 0.0) == math.inf
    assert distortion_iid(4.0, 1.0) == 1.0
    assert distortion_iid(4.0, 0.0) == 4.0
    assert distortion_iid(4.0, 1e308) == 0.0


def test_two_components_by_hand():
    # Both above a level of 1: 1/2 log2 16 and 1/2 log2 4, over two elements.
    assert rate_components([16.0, 4.0], 1.0) == pytest.approx(1.5)
    # The second under water, the level 2: 1/2 log2 8 over two elements.
    assert rate_components([16.0, 1.0], 1.5) == pytest.approx(0.75)
    assert distortion_components([16.0, 1.0], 0.75) == pytest.approx(1.5)
    assert distortion_components([16.0, 4.0], 0.0) == 10.0
    assert rate_components([0.0, 0.0], 0.0) == 0.0
    assert rate_components([0.0, 1.0], 0.0) == math.inf
    assert rate_components([0.0, 1.0], 0.125) == pytest.approx(0.5)


def test_rotation_changes_nothing():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    variances = [4.0, 2.0, 1.0, 0.1, 0.0]
    covariance = basis * variances @ basis.T
    for distortion in (0.01, 0.2, 1.0, 3.0):
        expected = rate_components(variances, distortion)
        assert rate_correlated(covariance, distortion) == pytest.approx(expected, abs=1e-9)
        back = distortion_correlated(covariance, expected)
        assert back == pytest.approx(min(distortion, np.mean(variances)), rel=1e-6)


@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1.0, 1e150, 1e300])
def test_units_do_not_matter(scale):
    assert rate_iid(scale, 0.1 * scale) == pytest.approx(rate_iid(1.0, 0.1))
    assert rate_components([scale, 0.3 * scale], 0.1 * scale) == pytest.approx(
        rate_components([1.0, 0.3], 0.1)
    )
    assert rate_ar1(0.9, scale, 0.1 * scale) == pytest.approx(rate_ar1(0.9, 1.0, 0.1))
    assert distortion_ar1(0.9, scale, 0.1) == pytest.approx(scale * distortion_ar1(0.9, 1.0, 0.1))
    covariance = ar1_covariance(0.5, 4)
    assert rate_correlated(scale * covariance, 0.1 * scale) == pytest.approx(
        rate_correlated(covariance, 0.1)
    )


def test_distances_beyond_floats():
    # 620 orders of magnitude apart: the quotient is no float, its logarithm is.
    expected = 0.5 * 620 * math.log2(10)
    assert rate_iid(1e300, 1e-320) == pytest.approx(expected, rel=1e-3)
    assert rate_components([1e300, 1e300], 1e-320) == pytest.approx(expected, rel=1e-3)
    assert rate_ar1(0.0, 1e300, 1e-320) == pytest.approx(expected, rel=1e-3)
    assert rate_iid(1e-320, 1e300) == 0.0


@pytest.mark.parametrize("rho", [0.1, 0.5, 0.9, 0.99, -0.9])
def test_ar1_at_low_distortions_is_the_closed_form(rho):
    r = abs(rho)
    touch = (1 - r) / (1 + r)
    for distortion in (1e-9 * touch, 0.5 * touch, touch):
        expected = 0.5 * math.log2((1 - r * r) / distortion)
        assert rate_ar1(rho, 1.0, distortion) == pytest.approx(expected, abs=1e-9)
        assert distortion_ar1(rho, 1.0, expected) == pytest.approx(distortion, rel=1e-9)
    # The integral takes over where the closed form ends.
    just_above = touch * (1 + 1e-12)
    assert rate_ar1(rho, 1.0, just_above) == pytest.approx(math.log2(1 + r), abs=1e-9)


@pytest.mark.parametrize("rho", [0.3, 0.9, 0.99])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_ar1_above_is_the_integral(rho, share):
    distortion = (1 - rho) / (1 + rho) * (1 - share) + share
    expected = riemann(rho, distortion)
    assert rate_ar1(rho, 1.0, distortion) == pytest.approx(expected, abs=1e-9)


def test_ar1_near_a_random_walk():
    rho = 1.0 - 1e-9
    assert rate_ar1(rho, 1.0, 0.5e-9 * (1 + 1e-6)) == pytest.approx(1.0, abs=1e-5)
    assert 0.0 < rate_ar1(rho, 1.0, 0.3) < 1e-8
    for rate in (1e-9, 0.5, 0.99):
        back = rate_ar1(rho, 1.0, distortion_ar1(rho, 1.0, rate))
        assert back == pytest.approx(rate, rel=1e-6)


def test_long_blocks_come_near_the_process():
    excess = [
        rate_correlated(ar1_covariance(0.9, size), 0.03) - rate_ar1(0.9, 1.0, 0.03)
        for size in (16, 64, 256)
    ]
    # Each block pays once for its first value, 1/2 log2(1 / (1 - rho^2)) bits.
    once = -0.5 * math.log2(1 - 0.81)
    assert excess == pytest.approx([once / 16, once / 64, once / 256], abs=1e-9)


def test_ar1_covariance_by_hand():
    expected = 2.0 * np.array([[1.0, 0.5, 0.25], [0.5, 1.0, 0.5], [0.25, 0.5, 1.0]])
    assert np.array_equal(ar1_covariance(0.5, 3, 2.0), expected)
    assert np.array_equal(ar1_covariance(0.0, 2), np.eye(2))
    assert np.array_equal(ar1_covariance(-1.0, 2), [[1.0, -1.0], [-1.0, 1.0]])


@settings(deadline=None, max_examples=200)
@given(VARIANCES, SHARES, SHARES, st.floats(0.0, 1.0))
def test_components_are_convex_and_never_rise(variances, a, b, t):
    mean = float(np.mean(variances))
    a, b = sorted((a * mean, b * mean))
    middle = t * a + (1 - t) * b
    rates = [rate_components(variances, d) for d in (a, middle, b)]
    if 0.0 in (a, b):
        return
    assert not any(map(math.isnan, rates))
    assert rates[0] >= rates[1] - 1e-9 >= rates[2] - 2e-9
    assert rates[1] <= t * rates[0] + (1 - t) * rates[2] + 1e-9


@settings(deadline=None, max_examples=100)
@given(RHOS, SHARES, SHARES, st.floats(0.0, 1.0))
def test_ar1_is_convex_and_never_rises(rho, a, b, t):
    a, b = sorted((a, b))
    middle = t * a + (1 - t) * b
    rates = [rate_ar1(rho, 1.0, d) for d in (a, middle, b)]
    assert rates[0] >= rates[1] - 1e-9 >= rates[2] - 2e-9
    assert rates[1] <= t * rates[0] + (1 - t) * rates[2] + 1e-9
    assert rates[1] <= rate_iid(1.0, middle) + 1e-12


@settings(deadline=None, max_examples=200)
@given(VARIANCES, st.floats(0.0, 20.0))
@example([1.0, 724.5303279356615, 967.0233126710447, *[968.0233126710447] * 3], 0.0)
@example([0.0, 724.5303279356615, *[968.0233126710447] * 4], 0.0)
def test_components_there_and_back(variances, rate):
    distortion = distortion_components(variances, rate)
    assert 0.0 <= distortion <= np.mean(variances) * (1 + 1e-12)
    if distortion > 1e-300:
        assert rate_components(variances, distortion) == pytest.approx(rate, abs=1e-6)


@settings(deadline=None, max_examples=100)
@given(RHOS, st.floats(0.0, 20.0))
def test_ar1_there_and_back(rho, rate):
    distortion = distortion_ar1(rho, 1.0, rate)
    assert 0.0 < distortion <= 1.0
    assert rate_ar1(rho, 1.0, distortion) == pytest.approx(rate, abs=1e-9)


@pytest.mark.parametrize("value", [-1e-300, -1.0, math.nan, math.inf, -math.inf, "1", None, True])
def test_numbers_that_are_none(value):
    for call in (
        lambda v: rate_iid(1.0, v),
        lambda v: rate_iid(v, 1.0),
        lambda v: distortion_iid(1.0, v),
        lambda v: rate_components([1.0], v),
        lambda v: distortion_components([1.0], v),
        lambda v: rate_correlated(np.eye(2), v),
        lambda v: distortion_correlated(np.eye(2), v),
        lambda v: rate_ar1(0.5, 1.0, v),
        lambda v: rate_ar1(0.5, v, 1.0),
        lambda v: distortion_ar1(0.5, 1.0, v),
        lambda v: ar1_covariance(0.5, 2, v),
    ):
        with pytest.raises(ConfigError, match="expected: a finite number of at least 0"):
            call(value)


def test_numbers_beyond_floats():
    with pytest.raises(ConfigError, match="distortion of 1000"):
        rate_iid(1.0, 10**400)
    assert rate_iid(np.float32(4.0), np.int64(1)) == 1.0


@pytest.mark.parametrize("rho", [1.0, -1.0, 1.5, math.nan, math.inf])
def test_correlations_that_are_none(rho):
    for call in (rate_ar1, distortion_ar1):
        with pytest.raises(ConfigError, match="correlation rho"):
            call(rho, 1.0, 0.5)
    if abs(rho) != 1.0:
        with pytest.raises(ConfigError, match="correlation rho"):
            ar1_covariance(rho, 3)


@pytest.mark.parametrize("size", [0, -1, 1.5, True, 10**9, None])
def test_sizes_that_are_none(size):
    with pytest.raises(ConfigError, match="a size of"):
        ar1_covariance(0.5, size)


@pytest.mark.parametrize("call", [rate_correlated, distortion_correlated])
def test_covariances_that_are_none(call):
    with pytest.raises(ConfigError, match=r"entries \(0, 1\) and \(1, 0\) differ by 0.5"):
        call([[1.0, 0.5], [0.0, 1.0]], 0.1)
    with pytest.raises(ConfigError, match="eigenvalue of -1"):
        call([[1.0, 2.0], [2.0, 1.0]], 0.1)
    with pytest.raises(ValueRangeError, match=r"entry \(0, 1\) of the covariance is nan"):
        call([[1.0, math.nan], [math.nan, 1.0]], 0.1)
    with pytest.raises(ValueRangeError, match="is inf"):
        call([[math.inf]], 0.1)
    for wrong in ([1.0, 2.0], np.ones((2, 3)), np.ones((0, 0)), [["a"]], 1.0):
        with pytest.raises(ShapeError):
            call(wrong, 0.1)
    # What rounding does to a singular covariance is none of these.
    x = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    assert math.isfinite(call(np.cov(x.T).astype(np.float32), 0.1))


@pytest.mark.parametrize("call", [rate_components, distortion_components])
def test_variances_that_are_none(call):
    with pytest.raises(ValueRangeError, match="a variance of -1"):
        call([1.0, -1.0], 0.1)
    with pytest.raises(ValueRangeError, match="is nan"):
        call([1.0, math.nan], 0.1)
    for wrong in ([], 1.0, [[1.0]], "abc"):
        with pytest.raises(ShapeError):
            call(wrong, 0.1)
