"""The best entropy-coded scalar quantiser of Gaussian sources, computed, not trained.

A quantiser with cells k of probability p_k and levels c_k costs R = -sum p_k log2 p_k bits a
sample with an ideal entropy coder. The best for a slope s minimises R + s D. It is found by the
descent of P. Chou, T. Lookabaugh, R. Gray (Entropy-constrained vector quantization, 1989): levels
are the means of their cells, code lengths l_k = -log2 p_k, and a value goes where
s (x - c_k)^2 + l_k is least, so that the border of neighbours is at

    (c_k + c_(k+1)) / 2 + (l_(k+1) - l_k) / (2 s (c_(k+1) - c_k)).

All integrals of the Gaussian are exact (erfc). At high rate R is 1/2 log2(pi e / 6) = 0.2546 bits
above R(D) (H. Gish, J. Pierce, Asymptotically efficient quantizing, 1968).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from rdedge.limits.checks import Floats, number, scaled, spectrum
from rdedge.limits.gaussian import water_filled, water_filling

# R(D) of a unit Gaussian leaves D = 1 with this slope: below it, coding nothing is best.
_LEAST_SLOPE = 0.5 / math.log(2.0)
# From this slope on, rates of 4 bits and more, the formulas for high rate are off by about 1e-6.
_HIGH_SLOPE = 128.0
HIGH_RATE_GAP = 0.5 * math.log2(math.pi * math.e / 6.0)
# Steps that the descent starts from, in units of the step of the formula for high rate. At low
# slopes the best quantiser has few and far cells, at high ones the formula is nearly right.
_STARTS = (0.7, 1.0, 1.4, 2.0, 3.0)
_FEW_CELLS = 20.0
# Beyond so many deviations lies a share of 1e-19.
_REACH = 9.0
_EMPTY = 1e-18
_DESCENT = 5000
_PROGRESS = 1e-11
# Nodes in an octave of slopes that others are interpolated from, to better than 1e-6 bits.
_NODES = 8
_BISECTIONS = 100
_STEEPEST = 1e250


@dataclass(frozen=True)
class Point:
    """What a quantiser of a unit Gaussian costs. rate: bits per element; distortion: mean squared
    error.
    """

    rate: float
    distortion: float


def ecsq_gaussian(slope: float) -> Point:
    """The entropy-coded scalar quantiser of a unit Gaussian that minimises
    rate + slope * distortion.

    slope: bits per unit of squared error, above 0. Tried are descents from uniform quantisers of
    several steps with a level at zero (mid-tread) and with a border there (mid-rise); the best is
    kept. Starts that are not symmetric never ended lower.
    """
    return _best(number("slope", slope, above=0.0))


def ecsq_rate(distortion: float) -> float:
    """Bits per element of the best entropy-coded scalar quantisers of a unit Gaussian at this mean
    squared error, two of them in turn where that is cheaper than one. Infinite at 0.
    """
    return ecsq_components([1.0], distortion)


def ecsq_distortion(rate: float) -> float:
    """The inverse: mean squared error of a unit Gaussian. rate: bits per element, at least 0."""
    return ecsq_components_distortion([1.0], rate)


def ecsq_components(variances: ArrayLike, distortion: float) -> float:
    """Bits per element where each of D independent Gaussian components has the best entropy-coded
    scalar quantiser, all at one slope, which shares the distortion out best.

        R(D) = max over s of L(s) - s D,   L(s) = 1/D sum_i min (rate_i + s distortion_i)

    variances: (D,), at least 0, raw units squared. distortion: mean squared error per element.
    """
    return _rate(*scaled(variances), number("distortion", distortion, least=0.0))


def ecsq_components_distortion(variances: ArrayLike, rate: float) -> float:
    """The inverse. rate: bits per element, at least 0."""
    return _distortion(*scaled(variances), number("rate", rate, least=0.0))


def ecsq_correlated(covariance: ArrayLike, distortion: float) -> float:
    """Bits per element where Gaussian vectors go through the Karhunen-Loeve transform and each of
    its components has the best entropy-coded scalar quantiser: ecsq_components of the eigenvalues.
    What a codec with a linear transform and scalar quantisers can reach.

    covariance: (D, D), symmetric and positive semi-definite, raw units squared.
    """
    return _rate(*spectrum(covariance), number("distortion", distortion, least=0.0))


def ecsq_correlated_distortion(covariance: ArrayLike, rate: float) -> float:
    """The inverse. rate: bits per element, at least 0."""
    return _distortion(*spectrum(covariance), number("rate", rate, least=0.0))


@lru_cache(maxsize=4096)
def _best(slope: float) -> Point:
    if slope <= _LEAST_SLOPE:
        return Point(0.0, 1.0)
    if slope >= _HIGH_SLOPE:
        distortion = 1.0 / (2.0 * math.log(2.0)) / slope
        return Point(-0.5 * math.log2(distortion) + HIGH_RATE_GAP, distortion)
    # D = step^2 / 12 and dR / dD = -1 / (2 D ln 2).
    step = math.sqrt(6.0 / (math.log(2.0) * slope))
    best = Point(0.0, 1.0)
    for factor in _STARTS if slope < _FEW_CELLS else (1.0,):
        for offset in (0.0, 0.5):
            far = math.ceil(_REACH / (step * factor))
            borders = (np.arange(-far - 1, far + 2) + offset) * step * factor
            found = _descend(borders[np.abs(borders) < _REACH], slope)
            if _lagrangian(found, slope) < _lagrangian(best, slope):
                best = found
    return best


def _lagrangian(point: Point, slope: float) -> float:
    return point.rate + slope * point.distortion


def _descend(borders: Floats, slope: float) -> Point:
    """From the quantiser with these borders (K,), rising, down to the best near it."""
    best = Point(0.0, 1.0)
    last = math.inf
    for _ in range(_DESCENT):
        mass, moment = _cells(borders)
        kept = mass > _EMPTY
        mass, levels, moment = mass[kept], moment[kept] / mass[kept], moment[kept]
        lengths = -np.log2(mass)
        best = Point(max(0.0, float(mass @ lengths)), float(1.0 - moment @ levels))
        now = _lagrangian(best, slope)
        if last - now < _PROGRESS or len(mass) < 2:
            break
        last = now
        borders = _borders(levels, lengths, slope)
    return best


def _borders(levels: Floats, lengths: Floats, slope: float) -> Floats:
    """Where neighbours cost the same, (K - 1,) rising; cells that win nowhere are dropped."""
    while True:
        apart = np.diff(levels)
        borders: Floats = levels[:-1] + 0.5 * apart + np.diff(lengths) / (2.0 * slope * apart)
        empty = np.flatnonzero(np.diff(borders) <= 0.0)
        if not empty.size:
            return borders
        levels = np.delete(levels, empty[0] + 1)
        lengths = np.delete(lengths, empty[0] + 1)


def _cells(borders: Floats) -> tuple[Floats, Floats]:
    """Probability and first moment of the unit Gaussian in each cell, (K + 1,) both."""
    a, b = np.append(-np.inf, borders), np.append(borders, np.inf)
    # In the tail where both are small, or they would cancel.
    flip = a + b < 0.0
    near, far = np.where(flip, -b, a), np.where(flip, -a, b)
    density = np.exp(-0.5 * np.square(borders)) / math.sqrt(2.0 * math.pi)
    return _tail(near) - _tail(far), np.append(0.0, density) - np.append(density, 0.0)


def _tail(x: Floats) -> Floats:
    """How likely a unit Gaussian is above x."""
    return np.array([0.5 * math.erfc(v) for v in (x / math.sqrt(2.0)).tolist()])


def _sum(variances: Floats, slope: float) -> tuple[float, float]:
    """L(slope) and its derivative, the distortion: means over components of these variances (D,).

    L is between two nodes the cubic with its values and derivatives there.
    """
    slopes = slope * variances
    value, derivative = slopes.copy(), np.ones(len(slopes))
    high = slopes >= _HIGH_SLOPE
    distortion = _LEAST_SLOPE / slopes[high]
    value[high] = -0.5 * np.log2(distortion) + HIGH_RATE_GAP + _LEAST_SLOPE
    derivative[high] = distortion
    some = (slopes > _LEAST_SLOPE) & ~high
    u = np.log2(slopes[some]) * _NODES
    left = np.floor(u).astype(int)
    nodes = {int(n): _best(2.0 ** (n / _NODES)) for n in np.union1d(left, left + 1)}
    ends = []
    for n in (left, left + 1):
        s = 2.0 ** (n / _NODES)
        rate = np.array([nodes[int(k)].rate for k in n])
        d = np.array([nodes[int(k)].distortion for k in n])
        # By the logarithm of the slope, in units of a node: dL / du = s D ln 2 / nodes.
        ends.append((rate + s * d, s * d * math.log(2.0) / _NODES))
    (f0, g0), (f1, g1) = ends
    t = u - left
    value[some] = (
        f0 * (1 + 2 * t) * (1 - t) ** 2
        + g0 * t * (1 - t) ** 2
        + f1 * t**2 * (3 - 2 * t)
        - g1 * t**2 * (1 - t)
    )
    by_u = 6 * t * (1 - t) * (f1 - f0) + g0 * (1 - t) * (1 - 3 * t) + g1 * t * (3 * t - 2)
    derivative[some] = by_u * _NODES / (math.log(2.0) * slopes[some])
    return float(value.mean()), float((variances * derivative).mean())


def _search(variances: Floats, falls_short: Callable[[float, float, float], bool]) -> float:
    """The slope up to which falls_short(slope, L, distortion) holds; infinity where it is too steep
    to look for, and all components that vary are at high rate.
    """
    low, high = _LEAST_SLOPE, 2.0 * _LEAST_SLOPE
    while falls_short(high, *_sum(variances, high)):
        low, high = high, high * 16.0
        if high > _STEEPEST:
            return math.inf
    for _ in range(_BISECTIONS):
        middle = math.sqrt(low) * math.sqrt(high)
        if middle in (low, high) or high < low * (1.0 + 1e-9):
            break
        if falls_short(middle, *_sum(variances, middle)):
            low = middle
        else:
            high = middle
    return low


def _rate(variances: Floats, unit: float, distortion: float) -> float:
    """ecsq_components of variances in this unit."""
    if unit == 0.0 or distortion / unit >= variances.mean():
        return 0.0
    if distortion == 0.0:
        return math.inf
    target = distortion / unit
    slope = _search(variances, lambda s, value, reached: reached > target)
    if slope == math.inf:
        share = np.count_nonzero(variances) / len(variances)
        return water_filling(variances, unit, distortion) + HIGH_RATE_GAP * share
    return max(0.0, _sum(variances, slope)[0] - slope * target)


def _distortion(variances: Floats, unit: float, rate: float) -> float:
    """ecsq_components_distortion of variances in this unit: max over s of (L(s) - rate) / s."""
    if unit == 0.0 or rate == 0.0:
        return unit * float(variances.mean())
    slope = _search(variances, lambda s, value, reached: value - s * reached < rate)
    if slope == math.inf:
        share = np.count_nonzero(variances) / len(variances)
        return water_filled(variances, unit, rate - HIGH_RATE_GAP * share)
    return unit * max(0.0, (_sum(variances, slope)[0] - rate) / slope)
