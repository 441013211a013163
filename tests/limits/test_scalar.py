"""The best scalar quantisers, against known values, closed forms and R(D)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdedge.errors import ConfigError, ShapeError, ValueRangeError
from rdedge.limits.gaussian import ar1_covariance, rate_components, rate_correlated, rate_iid
from rdedge.limits.scalar import (
    HIGH_RATE_GAP,
    ecsq_components,
    ecsq_components_distortion,
    ecsq_correlated,
    ecsq_correlated_distortion,
    ecsq_distortion,
    ecsq_gaussian,
    ecsq_rate,
)

# What interpolation between slopes may be off by, bits.
FINE = 1e-5


def uniform(step: float, offset: float) -> tuple[float, float]:
    """Rate and distortion of a uniform quantiser whose levels are the means of its cells, by brute
    force. offset: of the borders, in steps.
    """
    borders = (np.arange(-200, 201) + offset) * step
    borders = borders[np.abs(borders) < 8.0]
    below = np.array([0.0, *(0.5 * math.erfc(-b / math.sqrt(2)) for b in borders), 1.0])
    density = np.array([0.0, *np.exp(-0.5 * borders**2) / math.sqrt(2 * math.pi), 0.0])
    p, m = np.diff(below), -np.diff(density)
    p, m = p[p > 1e-14], m[p > 1e-14]
    return float(-(p * np.log2(p)).sum()), float(1.0 - (m * m / p).sum())


def test_no_slope_is_worth_a_bit_below_that_of_rate_zero():
    for slope in (1e-300, 0.1, 0.5 / math.log(2.0)):
        point = ecsq_gaussian(slope)
        assert (point.rate, point.distortion) == (0.0, 1.0)


@pytest.mark.parametrize("slope", [30.0, 100.0, 128.0, 1e4, 1e300])
def test_the_gap_at_high_rate(slope):
    """1/2 log2(pi e / 6) (Gish & Pierce, 1968)."""
    point = ecsq_gaussian(slope)
    gap = point.rate - rate_iid(1.0, point.distortion)
    assert gap == pytest.approx(0.254614, abs=1e-4)
    assert point.distortion == pytest.approx(0.5 / math.log(2.0) / slope, rel=2e-3)


def test_the_gap_at_low_rates():
    gaps = [r - rate_iid(1.0, ecsq_distortion(r)) for r in (1e-3, 0.01, 0.1, 0.5, 1.0, 2.0, 3.0)]
    assert gaps == sorted(gaps)
    assert gaps[0] < 2e-3
    assert gaps[4] == pytest.approx(0.24, abs=0.002)
    assert gaps[-1] < HIGH_RATE_GAP


@pytest.mark.parametrize("slope", [1.0, 1.5, 2.0, 3.0, 4.5, 8.0, 16.0])
def test_no_uniform_quantiser_is_better(slope):
    point = ecsq_gaussian(slope)
    best = point.rate + slope * point.distortion
    steps = math.sqrt(6.0 / (math.log(2.0) * slope)) * np.geomspace(0.6, 2.5, 40)
    others = [uniform(s, o) for s in steps for o in (0.0, 0.25, 0.5)]
    nearest = min(r + slope * d for r, d in others)
    assert best <= nearest + 1e-9
    # At medium rates a uniform one with the means of its cells is nearly the best.
    assert best >= nearest - 0.02


def test_a_step_smaller_than_any_saves_nothing():
    """The descent ends where its own conditions hold: a small change of slope changes the cost by
    the distortion alone.
    """
    for slope in (1.2, 2.5, 7.0, 40.0):
        a, b = (ecsq_gaussian(slope * (1 + e)) for e in (-1e-4, 1e-4))
        cost = [p.rate + slope * (1 + e) * p.distortion for p, e in ((a, -1e-4), (b, 1e-4))]
        slope_of_cost = (cost[1] - cost[0]) / (2e-4 * slope)
        middle = ecsq_gaussian(slope).distortion
        assert slope_of_cost == pytest.approx(middle, rel=1e-3)


@pytest.mark.parametrize("slope", [0.9, 1.3, 2.2, 3.7, 4.6, 11.0, 60.0, 127.0, 1e5])
def test_interpolation_is_fine(slope):
    point = ecsq_gaussian(slope)
    assert ecsq_rate(point.distortion) == pytest.approx(point.rate, abs=FINE)


def test_the_ends():
    assert ecsq_rate(1.0) == ecsq_rate(5.0) == 0.0
    assert ecsq_rate(0.0) == math.inf
    assert ecsq_distortion(0.0) == 1.0
    assert ecsq_components([0.0, 0.0], 0.0) == 0.0
    assert ecsq_components_distortion([0.0], 1.0) == 0.0
    assert ecsq_rate(1e-200) == pytest.approx(100 * math.log2(10) + HIGH_RATE_GAP)
    assert ecsq_rate(1e-300) == pytest.approx(150 * math.log2(10) + HIGH_RATE_GAP)
    assert ecsq_distortion(450.0) == pytest.approx(2.0 ** (2 * (HIGH_RATE_GAP - 450.0)))
    assert ecsq_distortion(1e9) == ecsq_components_distortion([1.0, 0.0], 1e308) == 0.0


def test_components_share_one_slope():
    # Alike, they are one; far above the level, each costs the gap.
    assert ecsq_components([1.0] * 7, 0.3) == pytest.approx(ecsq_rate(0.3))
    found = ecsq_components([100.0, 10.0], 0.001)
    assert found == pytest.approx(rate_components([100.0, 10.0], 0.001) + HIGH_RATE_GAP, abs=FINE)
    # One that does not rise above the level costs its variance and no bit.
    assert ecsq_components([1.0, 1e-4], 0.15005) == pytest.approx(0.5 * ecsq_rate(0.3), abs=FINE)


@pytest.mark.parametrize("scale", [1e-300, 1e-100, 1e100, 1e300])
def test_units_do_not_matter(scale):
    assert ecsq_components([scale, 0.3 * scale], 0.1 * scale) == pytest.approx(
        ecsq_components([1.0, 0.3], 0.1)
    )
    assert ecsq_components_distortion([scale, 0.3 * scale], 1.0) == pytest.approx(
        scale * ecsq_components_distortion([1.0, 0.3], 1.0)
    )


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("rate", [0.25, 1.0, 2.5])
def test_the_transform_never_costs(rho, rate):
    covariance = ar1_covariance(rho, 16)
    distortion = ecsq_correlated_distortion(covariance, rate)
    assert ecsq_correlated(covariance, distortion) == pytest.approx(rate, abs=FINE)
    without = ecsq_components(np.diag(covariance), distortion)
    assert without >= rate - FINE
    if rho >= 0.5:
        assert without > rate + 0.05
    gap = rate - rate_correlated(covariance, distortion)
    assert 0.0 < gap < HIGH_RATE_GAP + FINE


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(0.0, 1e3), min_size=1, max_size=4), st.floats(1e-6, 1.2))
def test_never_below_the_limit_and_never_far(variances, share):
    distortion = share * float(np.mean(variances))
    if distortion == 0.0:
        return
    gap = ecsq_components(variances, distortion) - rate_components(variances, distortion)
    assert -FINE <= gap <= HIGH_RATE_GAP + FINE


@settings(deadline=None, max_examples=100)
@given(st.floats(1e-6, 1.2), st.floats(1e-6, 1.2), st.floats(0.0, 1.0))
def test_convex_and_never_rising(a, b, t):
    a, b = sorted((a, b))
    middle = t * a + (1 - t) * b
    rates = [ecsq_rate(d) for d in (a, middle, b)]
    assert rates[0] >= rates[1] - FINE >= rates[2] - 2 * FINE
    assert rates[1] <= t * rates[0] + (1 - t) * rates[2] + FINE


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 1000), st.integers(1, 6), st.floats(0.01, 0.9))
def test_the_transform_never_costs_whatever_the_covariance(seed, size, share):
    factor = np.random.default_rng(seed).standard_normal((size, size))
    covariance = factor @ factor.T
    distortion = share * float(np.trace(covariance)) / size
    best = ecsq_correlated(covariance, distortion)
    assert best <= ecsq_components(np.diag(covariance), distortion) + FINE
    assert best >= rate_correlated(covariance, distortion) - FINE


@pytest.mark.parametrize("value", [-1e-300, -1.0, math.nan, math.inf, "1", None, True])
def test_numbers_that_are_none(value):
    for call in (
        ecsq_gaussian,
        ecsq_rate,
        ecsq_distortion,
        lambda v: ecsq_components([1.0], v),
        lambda v: ecsq_components_distortion([1.0], v),
        lambda v: ecsq_correlated(np.eye(2), v),
        lambda v: ecsq_correlated_distortion(np.eye(2), v),
    ):
        with pytest.raises(ConfigError, match="a finite number"):
            call(value)


def test_a_slope_of_nothing_is_none():
    with pytest.raises(ConfigError, match="a slope of 0"):
        ecsq_gaussian(0.0)


def test_sources_that_are_none():
    with pytest.raises(ConfigError, match="not symmetric"):
        ecsq_correlated([[1.0, 0.5], [0.0, 1.0]], 0.1)
    with pytest.raises(ConfigError, match="eigenvalue of -1"):
        ecsq_correlated([[1.0, 2.0], [2.0, 1.0]], 0.1)
    with pytest.raises(ValueRangeError, match="a variance of -1"):
        ecsq_components([1.0, -1.0], 0.1)
    with pytest.raises(ShapeError):
        ecsq_components([], 0.1)
    with pytest.raises(ShapeError):
        ecsq_correlated(np.ones((2, 3)), 0.1)
