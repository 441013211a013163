"""R(D) of Gaussian sources under mean squared error: what no codec of any kind can beat.

Reverse water-filling (A. Kolmogorov, On the Shannon theory of information transmission in the case
of continuous signals, 1956; T. Berger, Rate Distortion Theory, 1971, ch. 4; T. Cover, J. Thomas,
Elements of Information Theory, ch. 10.3): each independent component is coded with an error of the
water level, those that do not rise above it not at all.

Of all sources with a given covariance the Gaussian is the hardest, so for data that is not Gaussian
these are upper bounds of its R(D) (Berger, 1971, ch. 4).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from rdedge.errors import ConfigError
from rdedge.limits.checks import Floats, dimension, number, scaled, spectrum

_BISECTIONS = 400
# Nodes of a panel of the integral, and how much wider each panel is than the one before.
_NODES = 24
_GROWTH = 2.0


def rate_iid(variance: float, distortion: float) -> float:
    """R(D) = max(0, 1/2 log2(variance / D)) bits for each element of an independent Gaussian source
    (Cover & Thomas, theorem 10.3.2). Infinite at a distortion of 0.

    variance: at least 0, raw units squared. distortion: mean squared error, at least 0.
    """
    variance = number("variance", variance, least=0.0)
    return _half_log(variance, number("distortion", distortion, least=0.0))


def distortion_iid(variance: float, rate: float) -> float:
    """The inverse, D(R) = variance * 2^(-2 R). rate: bits per element, at least 0."""
    variance = number("variance", variance, least=0.0)
    return _shrunk(variance, number("rate", rate, least=0.0))


def rate_components(variances: ArrayLike, distortion: float) -> float:
    """R(D) of independent Gaussian components, bits per element at a mean squared error per
    element (Cover & Thomas, theorem 10.3.3), w being the water level.

        R = 1/D sum_i max(0, 1/2 log2(v_i / w)),  distortion = 1/D sum_i min(v_i, w).

    variances: (D,), at least 0, raw units squared. Infinite where the distortion is 0 and a
    variance is not.
    """
    return water_filling(*scaled(variances), number("distortion", distortion, least=0.0))


def distortion_components(variances: ArrayLike, rate: float) -> float:
    """The inverse. rate: bits per element, at least 0."""
    return water_filled(*scaled(variances), number("rate", rate, least=0.0))


def rate_correlated(covariance: ArrayLike, distortion: float) -> float:
    """R(D) of Gaussian vectors that are independent of each other, bits per element at a mean
    squared error per element: rate_components of the covariance's eigenvalues.

    covariance: (D, D), symmetric and positive semi-definite, raw units squared.
    """
    return water_filling(*spectrum(covariance), number("distortion", distortion, least=0.0))


def distortion_correlated(covariance: ArrayLike, rate: float) -> float:
    """The inverse. rate: bits per element, at least 0."""
    return water_filled(*spectrum(covariance), number("rate", rate, least=0.0))


def ar1_covariance(rho: float, size: int, variance: float = 1.0) -> Floats:
    """Covariance (size, size) of as many neighbours of a stationary AR(1) process,
    variance * rho^|i - j|. rho: from -1 to 1; size: 1 to 16384; variance: at least 0.
    """
    rho, size = _correlation(rho, closed=True), dimension(size)
    variance = number("variance", variance, least=0.0)
    powers = np.power(rho, np.arange(size))
    at = np.arange(size)
    covariance: Floats = variance * powers[np.abs(at[:, None] - at[None, :])]
    return covariance


def rate_ar1(rho: float, variance: float, distortion: float) -> float:
    """R(D) of a stationary Gaussian process x_t = rho x_(t-1) + e_t, bits per element, with blocks
    as long as you like: reverse water-filling over its spectral density S (Kolmogorov, 1956;
    Berger, 1971, ch. 4.5).

        S(w) = variance (1 - rho^2) / (1 + rho^2 - 2 rho cos w),
        D = 1/pi int_0^pi min(level, S) dw,  R = 1/pi int_0^pi max(0, 1/2 log2(S / level)) dw.

    Up to D = variance (1 - |rho|) / (1 + |rho|) all of S rises above the level, and
    R = 1/2 log2(variance (1 - rho^2) / D). Beyond, D has a closed form too, and the integral of R
    is taken numerically, to better than 1e-9.

    rho: above -1, below 1. variance: of x, at least 0, raw units squared. distortion: mean squared
    error, at least 0; infinite rate at 0.
    """
    rho = abs(_correlation(rho))
    variance = number("variance", variance, least=0.0)
    distortion = number("distortion", distortion, least=0.0)
    if distortion >= variance:
        return 0.0
    share = distortion / variance
    if share <= (1.0 - rho) / (1.0 + rho):
        innovation = math.log2(1.0 - rho) + math.log2(1.0 + rho)
        return math.inf if distortion == 0.0 else 0.5 * innovation + _half_log(variance, distortion)
    low, high = 0.0, 0.5 * math.pi
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        if _share_at(rho, middle) < share:
            low = middle
        else:
            high = middle
    return _rate_at(rho, low)


def distortion_ar1(rho: float, variance: float, rate: float) -> float:
    """The inverse. rate: bits per element, at least 0."""
    rho = abs(_correlation(rho))
    variance = number("variance", variance, least=0.0)
    rate = number("rate", rate, least=0.0)
    closed = _shrunk(variance * (1.0 - rho) * (1.0 + rho), rate)
    # The level that touches the whole spectrum from below: there, 2^R = 1 + rho.
    if rho == 0.0 or rate >= math.log2(1.0 + rho):
        return closed
    low, high = 0.0, 0.5 * math.pi
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        if _rate_at(rho, middle) > rate:
            low = middle
        else:
            high = middle
    return variance * min(1.0, _share_at(rho, low))


def _correlation(rho: float, closed: bool = False) -> float:
    rho = number("correlation rho", rho)
    if abs(rho) > 1.0 or (abs(rho) == 1.0 and not closed):
        expected = "from -1 to 1" if closed else "above -1 and below 1"
        raise ConfigError(f"a correlation rho of {rho:g}", expected=expected)
    return rho


def _half_log(variance: float, distortion: float) -> float:
    """max(0, 1/2 log2(variance / distortion)), whatever their size."""
    if distortion >= variance:
        return 0.0
    if distortion == 0.0:
        return math.inf
    return max(0.0, 0.5 * (math.log2(variance) - math.log2(distortion)))


def _shrunk(variance: float, rate: float) -> float:
    """A variance * 2^(-2 rate); beyond what floats hold, 0."""
    return float(variance * 2.0 ** (-2.0 * rate))


def water_filling(variances: Floats, unit: float, distortion: float) -> float:
    """rate_components of variances in this unit."""
    v = np.sort(variances)
    d = len(v)
    if unit == 0.0 or distortion / unit >= v.mean():
        return 0.0
    if distortion == 0.0:
        return math.inf
    budget = distortion / unit * d
    # With the k smallest under water: budget = their sum + (d - k) level.
    drowned = np.concatenate([[0.0], np.cumsum(v[:-1])])
    levels = (budget - drowned) / (d - np.arange(d))
    # Where the level is the largest variance, rounding may put it above that one too.
    k = int(np.argmax(levels <= v)) if (levels <= v).any() else d - 1
    if levels[k] > 0.0:
        level = math.log2(levels[k])
    else:
        # So small that no float holds it; its logarithm is one all the same.
        k = int(np.argmax(v > 0.0))
        level = math.log2(distortion) - math.log2(unit) + math.log2(d / (d - k))
    return float(np.maximum(0.0, 0.5 * (np.log2(v[k:]) - level)).sum() / d)


def water_filled(variances: Floats, unit: float, rate: float) -> float:
    """distortion_components of variances in this unit."""
    v = np.sort(variances)[::-1]
    d, positive = len(v), int(np.count_nonzero(variances))
    if not positive:
        return 0.0
    # Beyond this rate every level is 0 to a float.
    rate = min(rate, 1e6)
    # With the k largest above water: d rate = sum of their 1/2 log2(v / level).
    logs = np.log2(v[:positive])
    count = np.arange(1, positive + 1)
    levels = np.cumsum(logs) / count - 2.0 * rate * d / count
    # The first k whose level is not below the next component.
    k = int(np.argmax(np.append(levels[:-1] >= logs[1:], True)))
    level = min(float(np.exp2(max(float(levels[k]), -2000.0))), float(v[k]))
    return float(unit * np.minimum(v, level).mean())


def _share_at(rho: float, v: float) -> float:
    """The distortion in units of the variance where the spectrum crosses the level at the frequency
    w = 2 atan((1 - rho) / ((1 + rho) tan v)).

    rho: from 0, below 1. v: from 0, where the level touches the spectrum at w = pi, to pi / 2,
    where it covers all. The part of the spectrum from w to pi has 2 v / pi of the variance.
    """
    w = _frequency(rho, v)
    level = (1.0 - rho) * (1.0 + rho) / _denominator(rho, w)
    return level * w / math.pi + 2.0 * v / math.pi


def _frequency(rho: float, v: float) -> float:
    return 2.0 * math.atan2((1.0 - rho) * math.cos(v), (1.0 + rho) * math.sin(v))


def _denominator(rho: float, w: float) -> float:
    """1 + rho^2 - 2 rho cos w, without cancellation."""
    return (1.0 - rho) ** 2 + 4.0 * rho * math.sin(0.5 * w) ** 2


def _rate_at(rho: float, v: float) -> float:
    """The rate there, bits: 1 / (2 pi ln 2) int_0^w ln(S(u) / S(w)) du.

    The peak of the spectrum is 1 - rho wide: Gauss-Legendre on panels that begin with that width
    and grow geometrically, so that each is as smooth as the others.
    """
    w = _frequency(rho, v)
    if w <= 0.0:
        return 0.0
    edges = [0.0]
    width = 1.0 - rho
    while edges[-1] + width < w:
        edges.append(edges[-1] + width)
        width *= _GROWTH
    edges.append(w)
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    left, size = np.array(edges[:-1]), np.diff(edges)
    u = left[:, None] + 0.5 * size[:, None] * (1.0 + nodes)
    below = (1.0 - rho) ** 2 + 4.0 * rho * np.sin(0.5 * u) ** 2
    # S(u) / S(w) - 1, by sin^2 a - sin^2 b = sin(a + b) sin(a - b).
    rise = 4.0 * rho * np.sin(0.5 * (w + u)) * np.sin(0.5 * (w - u)) / below
    integral = float((0.5 * size) @ (np.log1p(rise) @ weights))
    return max(0.0, integral / (2.0 * math.pi * math.log(2.0)))
