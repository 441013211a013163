"""R(D) of a discrete source under any distortion, computed.

S. Arimoto, An algorithm for computing the capacity of arbitrary discrete memoryless channels, 1972;
R. Blahut, Computation of channel capacity and rate-distortion functions, 1972; T. Cover, J. Thomas,
Elements of Information Theory, ch. 10.8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rdedge.errors import ShapeError
from rdedge.limits.checks import Floats, array, not_negative, number, probabilities

# The steepest slope, in bits per largest distortion: beyond, only the best reproductions are used.
_STEEPEST = 2.0**60
_TANGENTS = 100
_UPDATES = 20_000
_TINY = 1e-300


@dataclass(frozen=True)
class Channel:
    """A test channel: a random reproduction of each symbol of the source.

    rate: its mutual information, bits per symbol. distortion: in expectation. output: (M,) how
    likely the reproductions are. gap: R(distortion) is at most the rate and at least rate - gap.
    """

    rate: float
    distortion: float
    output: Floats
    gap: float


def blahut_arimoto(
    p: ArrayLike, d: ArrayLike, slope: float, *, gap: float = 1e-7, iterations: int = _UPDATES
) -> Channel:
    """The point of R(D) where its slope is -slope: the test channel that minimises
    rate + slope * distortion.

    p: (N,) how likely the symbols of the source are. d: (N, M), at least 0, what reproduction j of
    symbol i costs. slope: bits per unit of distortion, above 0.

    With A = 2^(-slope d), an output distribution q is updated by q_j <- q_j c_j,
    c_j = sum_i p_i A_ij / sum_k q_k A_ik (Blahut, theorem 6). This ends where Blahut's upper and
    lower bounds, max_j log2 c_j - sum_j q_j c_j log2 c_j bits apart, come within gap, or after so
    many iterations; Channel.gap says how far apart they are. Raises ConfigError for probabilities
    that do not add up to one within 1e-6, a slope or a gap that is not above 0; ValueRangeError for
    entries below 0 or not finite; ShapeError for shapes that do not fit.
    """
    p, d, unit = _source(p, d)
    slope = number("slope", slope, above=0.0)
    gap = number("gap", gap, above=0.0)
    iterations = int(number("number of iterations", iterations, least=0.0))
    return _channel(p, d, unit, slope * unit, gap, iterations)


def rate_discrete(p: ArrayLike, d: ArrayLike, distortion: float, *, gap: float = 1e-5) -> float:
    """R(distortion) in bits per symbol, from below: at most gap bits less, or as near as 20,000
    updates come, which takes seconds and is some 1e-5 for hundreds of symbols of a continuous kind.
    Infinite where no channel reaches the distortion, 0 where one reproduction does for all.

    The curve is the upper envelope of its tangents: R(D) = max over s of L(s) - s D,
    L(s) = min (rate + s distortion), a concave function of s. p, d and errors as for
    blahut_arimoto; distortion: at least 0.
    """
    p, d, unit = _source(p, d)
    distortion = number("distortion", distortion, least=0.0)
    gap = number("gap", gap, above=0.0)
    target = distortion / unit
    if target >= (p @ d).min():
        return 0.0
    least = float(p @ d.min(axis=1))
    if target < least * (1.0 - 1e-12):
        return math.inf
    if target <= least:
        return _channel(p, d, 1.0, math.inf, 0.5 * gap, _UPDATES).rate
    best, slope = 0.0, min(1.0 / target, _STEEPEST)
    # Points on either side: (distortion, rate).
    above, below = (float((p @ d).min()), 0.0), None
    for _ in range(_TANGENTS):
        found = _channel(p, d, 1.0, slope, 0.25 * gap, _UPDATES)
        # A lower bound of R(D) whatever the slope, and whether or not the channel is the best.
        best = max(best, found.rate - found.gap + slope * (found.distortion - target))
        if found.distortion > target:
            above = (found.distortion, found.rate)
        else:
            below = (found.distortion, found.rate)
        if below is None:
            if slope == _STEEPEST:
                break
            slope = min(4.0 * slope, _STEEPEST)
            continue
        # Two channels in turn reach the line between them: an upper bound, and the next slope.
        slope = (below[1] - above[1]) / max(above[0] - below[0], _TINY)
        if not 0.0 < slope < _STEEPEST:
            break
        if below[1] - slope * (target - below[0]) <= best + gap + found.gap:
            break
    return best


def _source(p: ArrayLike, d: ArrayLike) -> tuple[Floats, Floats, float]:
    """Checked p (N,), d (N, M) by its largest entry, and that."""
    p, d = array("list of probabilities", p, 1), array("table of distortions", d, 2)
    if len(p) != len(d):
        raise ShapeError(
            f"{len(p)} probabilities and {len(d)} rows of distortions", expected="as many"
        )
    not_negative("distortion", d)
    unit = float(d.max())
    return probabilities(p), (d / unit if unit else d), unit or 1.0


def _channel(
    p: Floats, d: Floats, unit: float, slope: float, gap: float, iterations: int
) -> Channel:
    """The test channel for distortions d in this unit. slope: bits for each of them; infinite: each
    symbol takes its best reproductions alone.
    """
    kept = p > _TINY
    p, d = p[kept], d[kept]
    # A factor for each symbol changes neither c nor the channel: the best reproduction has A = 1.
    away = d - d.min(axis=1, keepdims=True)
    if slope == math.inf:
        A = (away == 0.0).astype(np.float64)
    else:
        A = np.exp2(-min(slope, 1e300) * away)
    q = np.full(d.shape[1], 1.0 / d.shape[1])
    used, apart = _update(p, A, q)
    for _ in range(iterations):
        if apart <= gap:
            break
        q = used
        used, apart = _update(p, A, q)
    W = A * q / np.maximum(A @ q, _TINY)[:, None]
    output = p @ W
    joint = p[:, None] * W
    ratio = np.log2(np.maximum(W, _TINY)) - np.log2(np.maximum(output, _TINY))
    rate = max(0.0, float((joint * ratio).sum()))
    return Channel(rate, unit * float((joint * d).sum()), output, apart)


def _update(p: Floats, A: Floats, q: Floats) -> tuple[Floats, float]:
    """Blahut's update of q (M,), and how far apart his bounds are at q, bits."""
    c = (p / np.maximum(A @ q, _TINY)) @ A
    used = q * c
    # log2 of what is 0 counts 0 times.
    logs = np.log2(np.maximum(c, _TINY))
    return used / used.sum(), max(0.0, float(logs.max() - used @ logs))
