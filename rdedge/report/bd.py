"""Bjontegaard's delta rate: how many per cent more bits one curve needs than another.

G. Bjontegaard, "Calculation of average PSNR differences between RD-curves", ITU-T VCEG-M33, 2001:
the logarithm of the rate as a function of quality, for both curves, and the mean of the difference
over the qualities that both reach. There the function is one cubic through four points ("cubic").
The default here is what JCTVC-E137 (2011) and the common test conditions since then use: a monotone
piecewise cubic ("pchip"; F. N. Fritsch and J. Butland, SIAM J. Sci. Stat. Comput. 5, 1984), which
passes through any number of points and does not swing between them. Two points make a straight
line. It is written out below, so that a page needs no SciPy; the tests compare the two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rdedge.types import METRIC_IS_MINIMUM

Floats = NDArray[np.float64]
Method = Literal["pchip", "cubic"]
# (bits, distortion): any unit of rate, more than 0; a distortion in its metric's own unit.
RatePoint = tuple[float, float]


@dataclass(frozen=True)
class DeltaRate:
    """What one curve needs against another at equal quality.

    percent: the mean difference in rate; -20 means a fifth fewer bits than the anchor. None where
        the curves cannot be compared; reason says why, and is empty otherwise.
    interval: the distortions between which it was taken, the worse one first; None like percent.
    """

    percent: float | None
    interval: tuple[float, float] | None
    reason: str = ""


def quality(metric: str, distortion: float) -> float:
    """Distortion as a number that grows with quality: psnr in dB as it is, others -10 log10.

    Infinite where there is no error. A delta rate does not depend on the factor, so that errors
    that are not squared (mae, max-abs, nrmse) may have the same one.
    """
    if METRIC_IS_MINIMUM[metric]:
        return distortion
    return math.inf if distortion == 0 else -10.0 * math.log10(distortion)


def delta_rate(
    anchor: Sequence[RatePoint],
    test: Sequence[RatePoint],
    metric: str,
    *,
    method: Method = "pchip",
) -> DeltaRate:
    """The delta rate of test against anchor, both in any order, in one unit of rate.

    Points without error, which have no finite quality, and points that another point of the same
    curve beats in both rate and quality are left out: what is compared are the best choices.
    """
    fewest = 4 if method == "cubic" else 2
    curves = []
    for name, points in (("anchor", anchor), ("test", test)):
        q, r = _front(points, metric)
        if len(q) < fewest:
            return DeltaRate(None, None, f"{name}: {len(q)} of the {fewest} points needed")
        curves.append((q, r))
    low = max(float(q[0]) for q, _ in curves)
    high = min(float(q[-1]) for q, _ in curves)
    if low >= high:
        return DeltaRate(None, None, "no quality that both reach")
    area = _area_of_cubic if method == "cubic" else _area_of_pchip
    (q1, r1), (q2, r2) = curves
    mean = (area(q2, r2, low, high) - area(q1, r1, low, high)) / (high - low)
    percent = float(100.0 * np.expm1(mean * math.log(10.0)))
    return DeltaRate(percent, (_distortion(metric, low), _distortion(metric, high)))


def rate_at(points: Sequence[RatePoint], metric: str, distortion: float) -> float | None:
    """The rate at which the curve through points would reach a distortion: an estimate.

    By the same interpolation as delta_rate; None beyond the ends of the curve.
    """
    q, r = _front(points, metric)
    at = quality(metric, distortion)
    if not len(q) or not q[0] <= at <= q[-1]:
        return None
    if len(q) == 1:
        return float(10.0 ** r[0])
    h, slopes = _pieces(q, r)
    k = min(int(np.searchsorted(q, at, "right")) - 1, len(h) - 1)
    return float(10.0 ** _value(r[k], r[k + 1], slopes[k], slopes[k + 1], h[k], (at - q[k]) / h[k]))


def _front(points: Sequence[RatePoint], metric: str) -> tuple[Floats, Floats]:
    """Qualities, rising, and log10 of rates, rising, of the points that no other beats."""
    found = sorted((rate, -quality(metric, d)) for rate, d in points)
    kept: list[tuple[float, float]] = []
    for rate, negative in found:
        if math.isfinite(negative) and rate > 0 and (not kept or -negative > kept[-1][0]):
            kept.append((-negative, math.log10(rate)))
    table = np.array(kept, np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _distortion(metric: str, q: float) -> float:
    return q if METRIC_IS_MINIMUM[metric] else float(10.0 ** (-q / 10.0))


def _pieces(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Widths (n - 1,) and slopes at the points (n,) of the monotone cubic."""
    h = np.diff(x)
    secant = np.diff(y) / h
    if len(x) == 2:
        return h, np.repeat(secant, 2)
    slopes = np.zeros(len(x))
    before, after = secant[:-1], secant[1:]
    w1, w2 = 2.0 * h[1:] + h[:-1], h[1:] + 2.0 * h[:-1]
    same = before * after > 0  # slope 0 where the curve turns or is flat
    slopes[1:-1][same] = (w1 + w2)[same] / (w1[same] / before[same] + w2[same] / after[same])
    slopes[0] = _end(h[0], h[1], secant[0], secant[1])
    slopes[-1] = _end(h[-1], h[-2], secant[-1], secant[-2])
    return h, slopes


def _end(h0: float, h1: float, secant0: float, secant1: float) -> float:
    """The slope at an end: three points' parabola, held back where it would not be monotone."""
    slope = ((2.0 * h0 + h1) * secant0 - h0 * secant1) / (h0 + h1)
    if slope * secant0 <= 0:
        return 0.0
    if secant0 * secant1 < 0 and abs(slope) > 3.0 * abs(secant0):
        return 3.0 * secant0
    return slope


def _value(y0: float, y1: float, d0: float, d1: float, h: float, t: float) -> float:
    """Hermite's cubic at t of 0 to 1 across a piece of width h."""
    u = 1.0 - t
    return y0 * u * u * (1 + 2 * t) + y1 * t * t * (3 - 2 * t) + h * t * u * (d0 * u - d1 * t)


def _area_of_pchip(x: Floats, y: Floats, low: float, high: float) -> float:
    h, slopes = _pieces(x, y)
    total = 0.0
    for k in range(len(h)):
        a, b = max(low, x[k]), min(high, x[k + 1])
        if a >= b:
            continue
        # Simpson's rule is exact for a cubic.
        piece = (y[k], y[k + 1], slopes[k], slopes[k + 1], h[k])
        first, middle, last = (_value(*piece, (at - x[k]) / h[k]) for at in (a, 0.5 * (a + b), b))
        total += (b - a) / 6.0 * (first + 4.0 * middle + last)
    return float(total)


def _area_of_cubic(x: Floats, y: Floats, low: float, high: float) -> float:
    # Around the middle: the powers of qualities such as 30 to 40 are ill conditioned.
    middle = 0.5 * (low + high)
    whole = np.polyint(np.polyfit(x - middle, y, 3))
    return float(np.polyval(whole, high - middle) - np.polyval(whole, low - middle))
