"""The interval of a saving: devices and runs of days drawn again and again.

Devices are drawn with replacement, and so are blocks of neighbouring days, the same for all devices
of a draw (the pigeonhole bootstrap of rows and columns: Owen, Annals of Applied Statistics 2007;
blocks: Kuensch, Annals of Statistics 1989): devices differ, days resemble their neighbours, and a
day of frost is one for all. Percentiles are moved outwards for few devices and few blocks (the
expanded percentile interval: Hesterberg, The American Statistician 2015), with degrees of freedom
by Satterthwaite from the variances that devices and days give alone; and aside where devices are
skewed (the acceleration of Efron, Journal of the American Statistical Association 1987).

A ledger of LEAST_YEAR days or more has seen the season: it is fitted as one wave a year and taken
out before blocks are drawn. A shorter one has not, and only an assumed season widens the interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from rdedge.types import Array

DRAWS = 1999
CONFIDENCE = 0.90
LEAST_YEAR = 330
# With fewer units of time nothing is said about their spread.
LEAST_UNITS = 4
_WEEK = 7
# With more devices their skewness no longer counts.
_SKEWED = 200
# Numbers at a time.
_BLOCK = 4_000_000


@dataclass(frozen=True)
class Interval:
    """low, high: of the value. devices, units, block: what was drawn. seasonal: "fitted", "assumed"
    or "unknown". freedom: degrees of it.
    """

    low: float
    high: float
    confidence: float
    devices: int
    units: int
    block: int
    seasonal: str
    freedom: float


# (devices' daily means (Q, D, B), how often each is drawn (D, B), factor (B,)) -> values (B,)
Value = Callable[[Array, Array, Array], Array]


def block_length(units: int, days: bool) -> int:
    """Units in a block: of days whole weeks, growing with the cube root of their number."""
    root = math.exp(math.log(units) / 3.0)
    if days and units >= 2 * _WEEK:
        return _WEEK * max(1, round(2.0 * root / _WEEK))
    return max(1, round(root))


def interval(
    amounts: Array,
    active: Array,
    value: Value,
    *,
    days: bool,
    reference: tuple[Array, Array] | None = None,
    season: float = 0.0,
    confidence: float = CONFIDENCE,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval | None:
    """The interval of value() under both kinds of drawing; None with too few units of time.

    amounts: (Q, D, U), what each device amounts to in each unit of time; active: (D, U) days that
    the unit stands for there, 0 where the device was not yet or no longer there. value: see Value;
    its third argument is by how much the reference codec was off on what was drawn. days: whether
    units are days. reference: (D, U) each, bytes that the reference codec made and bytes that its
    ratio foretells. season: assumed, a share of the mean.
    """
    _, n, units = amounts.shape
    if units < LEAST_UNITS:
        return None
    rng = np.random.default_rng(seed)
    length = block_length(units, days)
    weights = _blocks(rng, units, length, draws)
    seasonal = "unknown"
    if days and units >= LEAST_YEAR:
        amounts, seasonal = amounts / _wave(amounts, active), "fitted"
    elif season > 0.0:
        seasonal = "assumed"
    counts = rng.multinomial(n, np.full(n, 1.0 / n), size=draws).T.astype(np.float64)
    once = np.ones((units, 1))
    whole = _means(amounts, active, once)
    found, by_units, by_devices = (np.empty(draws) for _ in range(3))
    # Some draws at a time: their means are (Q, D, draws).
    some = max(1, _BLOCK // max(amounts.shape[0] * n, 1))
    for i in range(0, draws, some):
        part = slice(i, min(i + some, draws))
        drawn, held = weights[:, part], counts[:, part]
        means, all_ = _means(amounts, active, drawn), np.ones_like(held)
        found[part] = value(means, held, _factor(reference, drawn, held))
        by_units[part] = value(means, all_, _factor(reference, drawn, all_))
        by_devices[part] = value(whole, held, _factor(reference, once, held))
    if seasonal == "assumed":
        found = found / _seasons(rng, season, units, draws)
    freedom = _freedom(float(by_devices.var()), n - 1, float(by_units.var()), units / length - 1)
    skew = 0.0
    if 2 < n <= _SKEWED:
        left_out = np.ones((n, n)) - np.eye(n)
        skew = _acceleration(value(whole, left_out, np.ones(n)))
        # Of the devices alone: the third cumulant is theirs, the variance is both's.
        parts = float(by_devices.var()), float(by_units.var())
        skew *= (parts[0] / max(sum(parts), 1e-300)) ** 1.5
    tail = NormalDist().inv_cdf((1.0 - confidence) / 2.0)
    if math.isfinite(freedom):
        scale = math.sqrt((freedom + 1.0) / freedom)
        tail = scale * student((1.0 - confidence) / 2.0, freedom)
    ends = [NormalDist().cdf(z / (1.0 - skew * z)) for z in (tail, -tail)]
    low, high = np.quantile(found, ends)
    return Interval(float(low), float(high), confidence, n, units, length, seasonal, freedom)


def _blocks(rng: np.random.Generator, units: int, length: int, draws: int) -> Array:
    """How often each unit is drawn: (units, draws); blocks run round the end."""
    count = -(-units // length)
    starts = rng.integers(0, units, (count, draws))
    weights = np.zeros((units, draws))
    column = np.arange(draws)
    for i in range(count):
        for j in range(min(length, units - i * length)):
            np.add.at(weights, ((starts[i] + j) % units, column), 1.0)
    return weights


def _means(amounts: Array, active: Array, weights: Array) -> Array:
    """Daily means of each device over what was drawn: (Q, D, B); of one that was not there on any
    day drawn its mean over all.
    """
    days = active @ weights
    whole = active.sum(axis=1, keepdims=True)
    usual = amounts.sum(axis=2, keepdims=True) / np.maximum(whole, 1e-12)
    found: Array = np.where(days > 0, amounts @ weights / np.maximum(days, 1e-12), usual)
    return found


def _factor(reference: tuple[Array, Array] | None, weights: Array, counts: Array) -> Array:
    if reference is None:
        return np.ones(counts.shape[1])
    made, foretold = (((part @ weights) * counts).sum(axis=0) for part in reference)
    return np.where(foretold > 0, made / np.maximum(foretold, 1e-12), 1.0)


def _wave(amounts: Array, active: Array) -> Array:
    """One wave a year, fitted to the days' means over devices, relative to its mean: (Q, 1, U)."""
    t = 2.0 * np.pi * np.arange(amounts.shape[2]) / 365.25
    design = np.stack([np.ones_like(t), np.cos(t), np.sin(t)], axis=1)
    there = active.sum(axis=0)
    series = amounts.sum(axis=1) / np.maximum(there, 1e-12)
    root = np.sqrt(there)
    found = []
    for line in series:
        fitted, *_ = np.linalg.lstsq(design * root[:, None], line * root, rcond=None)
        mean = fitted[0]
        wave = design @ fitted / mean if mean > 0 else np.ones_like(t)
        found.append(np.clip(wave, 0.05, None))
    return np.stack(found)[:, None, :]


def _seasons(rng: np.random.Generator, season: float, units: int, draws: int) -> Array:
    """What the mean over the days seen may be of the year's, at an unknown phase."""
    window = np.sinc(units / 365.25)
    return 1.0 + season * window * np.cos(rng.uniform(0.0, 2.0 * np.pi, draws))


def _acceleration(without: Array) -> float:
    """A sixth of the skewness of what each device contributes; without: values without each."""
    away = without.mean() - without
    spread = float((away**2).sum())
    return float((away**3).sum()) / (6.0 * spread**1.5) if spread > 0.0 else 0.0


def _freedom(a: float, a_freedom: float, b: float, b_freedom: float) -> float:
    """Degrees of freedom of a sum of two variances (Satterthwaite 1946), at least 1."""
    if a + b <= 0.0:
        return math.inf
    parts = [v * v / max(f, 1.0) for v, f in ((a, a_freedom), (b, b_freedom))]
    return max(1.0, (a + b) ** 2 / sum(parts))


def student(tail: float, freedom: float) -> float:
    """The quantile of Student's t; Abramowitz and Stegun 26.7.5, exact for 1 and 2 degrees."""
    if freedom < 1.5:
        return -1.0 / math.tan(math.pi * tail)
    if freedom < 2.5:
        a = 4.0 * tail * (1.0 - tail)
        return 2.0 * (tail - 0.5) * math.sqrt(2.0 / a)
    z = NormalDist().inv_cdf(tail)
    z2 = z * z
    terms = (
        (z2 + 1.0) / 4.0,
        ((5.0 * z2 + 16.0) * z2 + 3.0) / 96.0,
        (((3.0 * z2 + 19.0) * z2 + 17.0) * z2 - 15.0) / 384.0,
        ((((79.0 * z2 + 776.0) * z2 + 1482.0) * z2 - 1920.0) * z2 - 945.0) / 92160.0,
    )
    return z * (1.0 + sum(term / freedom ** (i + 1) for i, term in enumerate(terms)))
