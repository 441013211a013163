"""The interval: shape, edges, and that it covers what it should. benchmarks/ledger.py has it at
length.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdedge.ledger.bootstrap import Interval, block_length, interval, student
from rdedge.types import Array


def mean(means: Array, counts: Array, factor: Array) -> Array:
    found: Array = (means[0] * counts).sum(axis=0) / counts.sum(axis=0) * factor
    return found


def of(saved: Array, **options: object) -> Interval | None:
    options = {"days": True, "draws": 499, **options}
    return interval(saved[None], np.ones_like(saved), mean, **options)  # type: ignore[arg-type]


def test_quantiles_of_student() -> None:
    # From tables (Abramowitz and Stegun, table 26.10).
    for freedom, wanted in ((1, 6.314), (2, 2.920), (3, 2.353), (5, 2.015), (10, 1.812)):
        assert student(0.05, freedom) == pytest.approx(-wanted, abs=0.01)
    assert student(0.05, 1e9) == pytest.approx(-1.6449, abs=1e-3)


def test_constant_data_have_no_width() -> None:
    found = of(np.full((5, 30), 7.0))
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(7.0), pytest.approx(7.0))
    assert math.isinf(found.freedom)


def test_too_few_units_say_nothing() -> None:
    assert of(np.ones((5, 3))) is None


@given(st.integers(4, 2000))
def test_blocks_are_whole_weeks(units: int) -> None:
    length = block_length(units, days=True)
    assert 1 <= length <= units
    assert length % 7 == 0 or units < 14


def test_it_covers_the_mean_of_fleets_with_memory_and_a_season() -> None:
    hits, year = 0, 2 * np.pi * np.arange(365) / 365.25
    for seed in range(30):
        rng = np.random.default_rng([seed, 3])
        shock = np.zeros(365)
        for t in range(1, 365):
            shock[t] = 0.6 * shock[t - 1] + rng.normal(0, 0.1)
        levels = rng.normal(10.0, 2.0, (25, 1))
        wave = 1 + 0.3 * np.cos(year + rng.uniform(0, 6))
        found = of(levels * wave * (1 + shock) * (1 + rng.normal(0, 0.2, (25, 365))), seed=seed)
        assert found is not None
        assert found.seasonal == "fitted"
        hits += found.low <= 10.0 <= found.high
    # Of 30 at 90 %: 23 or more in all but 1 of 60 draws of such a test, were it honest.
    assert 23 <= hits <= 30


def test_a_season_that_is_taken_out_does_not_widen() -> None:
    rng = np.random.default_rng(0)
    flat = rng.normal(10.0, 1.0, (20, 365))
    wave = 1 + 0.5 * np.cos(2 * np.pi * np.arange(365) / 365.25)
    widths = []
    for saved in (flat, flat * wave):
        found = of(saved)
        assert found is not None
        widths.append(found.high - found.low)
    assert widths[1] < 1.5 * widths[0]


def test_an_assumed_season_widens_a_short_ledger() -> None:
    saved = np.random.default_rng(1).normal(10.0, 1.0, (20, 60))
    plain, wide = of(saved), of(saved, season=0.3)
    assert plain is not None
    assert wide is not None
    assert (plain.seasonal, wide.seasonal) == ("unknown", "assumed")
    assert wide.high - wide.low > 3 * (plain.high - plain.low)


def test_few_devices_widen_it_more_than_many() -> None:
    rng = np.random.default_rng(2)
    few, many = of(rng.normal(10, 2, (5, 60))), of(rng.normal(10, 2, (80, 60)))
    assert few is not None
    assert many is not None
    assert few.freedom < 20 < many.freedom


def test_the_reference_is_drawn_too() -> None:
    rng = np.random.default_rng(3)
    saved = np.full((10, 40), 5.0)
    foretold = np.where(rng.random((10, 40)) < 0.2, 1000.0, 0.0)
    made = foretold * rng.uniform(0.5, 1.5, (10, 40))
    plain = of(saved)
    found = of(saved, reference=(made, foretold))
    assert plain is not None
    assert found is not None
    assert found.high - found.low > plain.high - plain.low + 0.1


def test_a_device_that_came_late_counts_by_its_own_days() -> None:
    saved = np.full((4, 30), 10.0)
    active = np.ones_like(saved)
    saved[3, :20] = active[3, :20] = 0.0
    found = interval(saved[None], active, mean, days=True, draws=199)
    assert found is not None
    assert found.low == pytest.approx(10.0)
    assert found.high == pytest.approx(10.0)
