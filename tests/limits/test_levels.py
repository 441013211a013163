"""The best scalar quantiser of a discrete source, against all partitions there are."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdedge.errors import ConfigError, ShapeError, ValueRangeError
from rdedge.limits.discrete import rate_discrete
from rdedge.limits.levels import ecsq_levels
from rdedge.limits.scalar import ecsq_rate


def entropy(p: np.ndarray) -> float:
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum())


def every_partition(p: np.ndarray, values: np.ndarray) -> list[tuple[float, float]]:
    """(distortion, rate) of every assignment of values to cells, neighbours or not."""
    found = []
    for cells in itertools.product(range(len(p)), repeat=len(p)):
        if any(c > max(cells[:i], default=-1) + 1 for i, c in enumerate(cells)):
            continue  # the same cells under other numbers
        labels = np.array(cells)
        error, masses = 0.0, []
        for k in set(cells):
            mine = labels == k
            mass = p[mine].sum()
            masses.append(mass)
            if mass > 0:
                level = (p[mine] * values[mine]).sum() / mass
                error += float((p[mine] * (values[mine] - level) ** 2).sum())
        found.append((error, entropy(np.array(masses))))
    return found


def hull(points: list[tuple[float, float]], distortion: float) -> float:
    """The lower convex hull at a distortion: two of them in turn."""
    best = min(r for d, r in points if d <= distortion + 1e-12)
    for (d, r), (e, s) in itertools.product(points, points):
        if d <= distortion < e:
            share = (distortion - d) / (e - d)
            best = min(best, (1 - share) * r + share * s)
    return best


@pytest.mark.parametrize("seed", range(4))
def test_no_assignment_is_better(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(5))
    values = np.sort(rng.normal(size=5)) + 100.0
    points = every_partition(p, values)
    for share in (0.0, 0.01, 0.1, 0.4, 0.8):
        d = share * max(e for e, r in points if r < 1e-12)
        assert ecsq_levels(p, values, d) == pytest.approx(hull(points, d), abs=1e-9)


def test_a_fine_gaussian_is_a_gaussian() -> None:
    values = np.linspace(-6.0, 6.0, 601)
    p = np.exp(-0.5 * values**2)
    p /= p.sum()
    for d in (0.5, 0.2, 0.05):
        assert ecsq_levels(p, values, d) == pytest.approx(ecsq_rate(d), abs=2e-3)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(0.0, 1.0), min_size=2, max_size=12).filter(lambda w: sum(w) > 1e-3),
    st.floats(0.0, 2.0),
)
def test_between_the_limit_and_the_entropy(weights: list[float], share: float) -> None:
    p = np.array(weights) / sum(weights)
    values = np.arange(len(p), dtype=float)
    variance = float((p * (values - (p * values).sum()) ** 2).sum())
    d = share * variance
    rate = ecsq_levels(p, values, d)
    assert 0.0 <= rate <= entropy(p) + 1e-9
    assert rate <= ecsq_levels(p, values, 0.5 * d) + 1e-9
    assert ecsq_levels(p, values, 0.0) == pytest.approx(entropy(p), abs=1e-9)
    fine = np.linspace(0.0, len(p) - 1.0, 4 * len(p) - 3)
    # The fine grid has all values but not all means of cells.
    limit = rate_discrete(p, (values[:, None] - fine[None, :]) ** 2, d, gap=1e-3)
    assert rate >= limit - 0.15


@pytest.mark.parametrize(
    ("p", "values", "distortion", "error"),
    [
        ([0.5, 0.5], [0.0, 1.0], -1.0, ConfigError),
        ([0.5, 0.5], [0.0, 1.0], math.nan, ConfigError),
        ([0.5, 0.4], [0.0, 1.0], 0.1, ConfigError),
        ([1.5, -0.5], [0.0, 1.0], 0.1, ValueRangeError),
        ([0.5, 0.5], [1.0, 0.0], 0.1, ShapeError),
        ([0.5, 0.5], [0.0, 0.0], 0.1, ShapeError),
        ([0.5, 0.5], [0.0], 0.1, ShapeError),
        ([], [], 0.1, ShapeError),
        ([0.5, math.nan], [0.0, 1.0], 0.1, ValueRangeError),
    ],
)
def test_wrong_sources(
    p: object, values: object, distortion: float, error: type[Exception]
) -> None:
    with pytest.raises(error):
        ecsq_levels(p, values, distortion)  # type: ignore[arg-type]


def test_one_value_and_impossible_ones() -> None:
    assert ecsq_levels([1.0], [3.0], 0.0) == 0.0
    assert ecsq_levels([0.0, 1.0, 0.0], [1.0, 2.0, 3.0], 0.0) == 0.0
