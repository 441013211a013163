"""The best entropy-coded scalar quantiser of a discrete source of numbers, computed exactly.

For a slope s the best quantiser minimises R + s D with R = -sum p_k log2 p_k over its cells and D
the mean squared error around the means of the cells. Its cells are runs of neighbouring values:
with the lengths of the codewords given, a value goes where s (x - c_k)^2 + l_k is least, and two
such parabolas cross once (D. Sharma, Design of absolutely optimal quantizers for a wide class of
distortion measures, 1978). So dynamic programming over the borders finds it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from rdedge.errors import ShapeError
from rdedge.limits.checks import Floats, array, number, probabilities

_MOST_VALUES = 2048
_BISECTIONS = 100


def ecsq_levels(p: ArrayLike, values: ArrayLike, distortion: float) -> float:
    """Bits per sample of the best entropy-coded scalar quantisers of a source at this mean squared
    error, two of them in turn where that is cheaper than one.

    p: (N,) how likely the values are; values: (N,), rising, at most 2,048 of them. distortion: at
    least 0; at 0 the rate is the entropy of the source. Raises ConfigError for probabilities that
    do not add up to one, ValueRangeError for those below 0, ShapeError for values that do not rise.
    """
    weights, numbers = _source(p, values)
    distortion = number("distortion", distortion, least=0.0)
    cost = _Cells(weights, numbers)
    rate, reached = cost.best(0.0)
    if distortion >= reached:
        return 0.0
    # Quantisers on either side of the wanted one: the best for a slope that is too low, too high.
    low, high = (reached, rate), cost.lossless
    for _ in range(_BISECTIONS):
        slope = (high[1] - low[1]) / (low[0] - high[0])
        rate, reached = cost.best(slope)
        gained = low[1] + slope * low[0] - (rate + slope * reached)
        if gained <= 1e-12 * (1.0 + low[1]):
            break
        if reached > distortion:
            low = (reached, rate)
        else:
            high = (reached, rate)
    share = (distortion - high[0]) / (low[0] - high[0])
    return share * low[1] + (1.0 - share) * high[1]


class _Cells:
    """What values i to j - 1 cost as one cell: bits, squared error, (N + 1, N + 1) float64."""

    def __init__(self, p: Floats, values: Floats) -> None:
        self.count = len(p)
        mass, first, second = (np.concatenate([[0.0], np.cumsum(p * values**k)]) for k in range(3))
        m = np.maximum(mass[None, :] - mass[:, None], 0.0)
        s, q = first[None, :] - first[:, None], second[None, :] - second[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            self.error = np.where(m > 0.0, np.maximum(q - s * s / m, 0.0), 0.0)
            self.bits = np.where(m > 0.0, -m * np.log2(m), 0.0)
        own = -p[p > 0.0] * np.log2(p[p > 0.0])
        self.lossless = (0.0, float(own.sum()))

    def best(self, slope: float) -> tuple[float, float]:
        """(rate, distortion) of the quantiser that minimises rate + slope * distortion."""
        n = self.count
        total = self.bits + slope * self.error
        least, start = np.zeros(n + 1), np.zeros(n + 1, np.int64)
        for j in range(1, n + 1):
            through = least[:j] + total[:j, j]
            start[j] = int(np.argmin(through))
            least[j] = through[start[j]]
        rate = distortion = 0.0
        j = n
        while j:
            rate += float(self.bits[start[j], j])
            distortion += float(self.error[start[j], j])
            j = int(start[j])
        return rate, distortion


def _source(p: ArrayLike, values: ArrayLike) -> tuple[Floats, Floats]:
    weights, numbers = array("list of probabilities", p, 1), array("list of values", values, 1)
    if len(weights) != len(numbers) or len(numbers) > _MOST_VALUES:
        raise ShapeError(
            f"{len(weights)} probabilities of {len(numbers)} values",
            expected=f"as many, at most {_MOST_VALUES}",
        )
    if (np.diff(numbers) <= 0.0).any():
        raise ShapeError("values that do not rise", expected="each above the one before it")
    weights = probabilities(weights)
    # Around the mean, or the squares would swallow the errors.
    return weights, numbers - math.fsum(weights * numbers)
