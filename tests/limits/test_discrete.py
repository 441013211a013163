"""Blahut's and Arimoto's algorithm, against closed forms and Blahut's own bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdedge.errors import ConfigError, ShapeError, ValueRangeError
from rdedge.limits.discrete import blahut_arimoto, rate_discrete
from rdedge.limits.gaussian import rate_iid


def entropy(*p: float) -> float:
    return -sum(v * math.log2(v) for v in p if v)


def hamming(size: int) -> np.ndarray:
    return 1.0 - np.eye(size)


@pytest.mark.parametrize("p", [0.5, 0.2, 0.01])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_binary(p, share):
    """R(D) = H(p) - H(D) up to D = p (Cover & Thomas, theorem 10.3.1)."""
    d = share * p
    expected = entropy(p, 1 - p) - entropy(d, 1 - d)
    assert rate_discrete([p, 1 - p], hamming(2), d, gap=1e-7) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("size", [2, 3, 8, 100])
def test_uniform_letters(size):
    """R(D) = log2 M - H(D) - D log2(M - 1) up to D = 1 - 1 / M (Cover & Thomas, problem 10.5)."""
    p = np.full(size, 1.0 / size)
    for share in (0.1, 0.5, 0.9):
        d = share * (1.0 - 1.0 / size)
        expected = math.log2(size) - entropy(d, 1 - d) - d * math.log2(max(1, size - 1))
        assert rate_discrete(p, hamming(size), d) == pytest.approx(expected, abs=2e-5)


def test_erasures_are_a_straight_line():
    """A binary source with a reproduction that says nothing, at a cost of one: R(D) = 1 - D, and a
    wrong letter is never worth its price (Cover & Thomas, problem 10.7).
    """
    d = np.array([[0.0, 1e6, 1.0], [1e6, 0.0, 1.0]])
    for distortion in (0.0, 0.25, 0.5, 0.9):
        found = rate_discrete([0.5, 0.5], d, distortion)
        assert found == pytest.approx(1.0 - distortion, abs=1e-4)


def test_a_discretised_gaussian_is_almost_one():
    x = np.linspace(-4.5, 4.5, 91)
    p = np.exp(-0.5 * x * x)
    p /= p.sum()
    d = np.square(x[:, None] - x)
    for distortion in (0.1, 0.5):
        found = rate_discrete(p, d, distortion, gap=1e-4)
        assert found == pytest.approx(rate_iid(1.0, distortion), abs=5e-4)


def test_the_ends():
    p, d = [0.2, 0.3, 0.5], hamming(3)
    assert rate_discrete(p, d, 0.0) == pytest.approx(entropy(*p), abs=1e-5)
    assert rate_discrete(p, d, 1e-300) == pytest.approx(entropy(*p), abs=1e-5)
    assert rate_discrete(p, d, 0.5) == rate_discrete(p, d, 1e300) == 0.0
    # No reproduction is free: below a half nothing helps.
    costly = 0.5 + hamming(3)
    assert rate_discrete(p, costly, 0.499) == math.inf
    assert rate_discrete(p, costly, 0.5) == pytest.approx(entropy(*p), abs=1e-5)
    assert rate_discrete(p, np.zeros((3, 2)), 0.0) == 0.0
    # Symbols that never occur cost nothing; alike reproductions are as good as one.
    assert rate_discrete([0.5, 0.5, 0.0], hamming(3), 0.1) == pytest.approx(
        rate_discrete([0.5, 0.5], hamming(2), 0.1), abs=1e-5
    )
    twice = np.concatenate([hamming(2), hamming(2)], axis=1)
    assert rate_discrete([0.5, 0.5], twice, 0.1) == pytest.approx(
        rate_discrete([0.5, 0.5], hamming(2), 0.1), abs=1e-5
    )


@pytest.mark.parametrize("scale", [1e-300, 1e-100, 1e100, 1e300])
def test_units_do_not_matter(scale):
    expected = rate_discrete([0.3, 0.7], hamming(2), 0.1)
    found = rate_discrete([0.3, 0.7], scale * hamming(2), 0.1 * scale)
    assert found == pytest.approx(expected, abs=1e-5)
    channel = blahut_arimoto([0.3, 0.7], scale * hamming(2), 3.0 / scale)
    assert channel.distortion == pytest.approx(scale / 9.0, rel=1e-3)


def test_a_slope_gives_the_point_of_the_curve_with_it():
    """dR/dD of a binary source is log2(D / (1 - D))."""
    for d in (0.01, 0.1, 0.2):
        channel = blahut_arimoto([0.3, 0.7], hamming(2), math.log2((1 - d) / d), gap=1e-10)
        assert channel.gap <= 1e-10
        assert channel.distortion == pytest.approx(d, abs=1e-5)
        assert channel.rate == pytest.approx(entropy(0.3, 0.7) - entropy(d, 1 - d), abs=1e-4)
        assert channel.output == pytest.approx(
            [(0.3 - d) / (1 - 2 * d), (0.7 - d) / (1 - 2 * d)], abs=1e-4
        )


def test_extreme_slopes():
    flat = blahut_arimoto([0.3, 0.7], hamming(2), 1e-300)
    assert (flat.rate, flat.distortion) == pytest.approx((0.0, 0.5), abs=0.21)
    steep = blahut_arimoto([0.3, 0.7], hamming(2), 1e300)
    assert (steep.rate, steep.distortion) == pytest.approx((entropy(0.3, 0.7), 0.0))


def test_the_gap_is_said_where_updates_run_out():
    x = np.linspace(-4.0, 4.0, 41)
    p = np.exp(-0.5 * x * x) / np.exp(-0.5 * x * x).sum()
    d = np.square(x[:, None] - x)
    rough = blahut_arimoto(p, d, 2.0, gap=1e-12, iterations=3)
    fine = blahut_arimoto(p, d, 2.0, gap=1e-6)
    assert rough.gap > 1e-4 > 1e-5 > fine.gap
    value = [c.rate + 2.0 * c.distortion for c in (rough, fine)]
    assert value[0] - rough.gap <= value[1] <= value[0]


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(0.01, 1.0), min_size=2, max_size=5),
    st.integers(2, 5),
    st.integers(0, 1000),
    st.floats(0.05, 1.0),
    st.floats(0.05, 1.0),
)
def test_convex_and_never_rising(weights, reproductions, seed, a, b):
    p = np.array(weights) / sum(weights)
    d = np.random.default_rng(seed).random((len(p), reproductions))
    least, most = float(p @ d.min(axis=1)), float((p @ d).min())
    a, b = sorted(least + v * (most - least) for v in (a, b))
    rates = [rate_discrete(p, d, v, gap=1e-4) for v in (a, 0.5 * (a + b), b)]
    assert all(0.0 <= r <= entropy(*p) + 1e-9 for r in rates)
    assert rates[0] >= rates[1] - 1e-3 >= rates[2] - 2e-3
    assert rates[1] <= 0.5 * (rates[0] + rates[2]) + 1e-3


@pytest.mark.parametrize("slope", [0.0, -1.0, math.inf, math.nan, "1"])
def test_slopes_that_are_none(slope):
    with pytest.raises(ConfigError, match="a slope of"):
        blahut_arimoto([0.5, 0.5], hamming(2), slope)


@pytest.mark.parametrize("distortion", [-0.1, math.inf, math.nan])
def test_distortions_that_are_none(distortion):
    with pytest.raises(ConfigError, match="a distortion of"):
        rate_discrete([0.5, 0.5], hamming(2), distortion)


@pytest.mark.parametrize("gap", [0.0, -1.0, math.nan])
def test_gaps_that_are_none(gap):
    with pytest.raises(ConfigError, match="a gap of"):
        blahut_arimoto([0.5, 0.5], hamming(2), 1.0, gap=gap)
    with pytest.raises(ConfigError, match="a gap of"):
        rate_discrete([0.5, 0.5], hamming(2), 0.1, gap=gap)


def test_sources_that_are_none():
    with pytest.raises(ConfigError, match=r"add up to 0\.9"):
        rate_discrete([0.5, 0.4], hamming(2), 0.1)
    with pytest.raises(ConfigError, match="add up to 0"):
        rate_discrete([0.0, 0.0], hamming(2), 0.1)
    with pytest.raises(ValueRangeError, match=r"a probability of -0\.5"):
        rate_discrete([-0.5, 1.5], hamming(2), 0.1)
    with pytest.raises(ValueRangeError, match="is nan"):
        rate_discrete([math.nan, 1.0], hamming(2), 0.1)
    with pytest.raises(ValueRangeError, match="a distortion of -1"):
        rate_discrete([0.5, 0.5], -hamming(2), 0.1)
    with pytest.raises(ValueRangeError, match="is inf"):
        rate_discrete([0.5, 0.5], np.full((2, 2), math.inf), 0.1)
    for p, d in (
        ([0.5, 0.5], hamming(3)),
        ([[0.5, 0.5]], hamming(2)),
        ([], hamming(2)),
        ([0.5, 0.5], [0.0, 1.0]),
        ([0.5, 0.5], np.zeros((2, 0))),
    ):
        with pytest.raises(ShapeError):
            rate_discrete(p, d, 0.1)
