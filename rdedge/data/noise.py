"""How much of the data is noise: what no bound need be finer than.

A smooth signal has hardly any second difference, noise has: for white noise of standard deviation
s, x[t-1] - 2 x[t] + x[t+1] has s times the root of 6 (pseudo-residuals: Gasser, Sroka,
Jennen-Steinmetz, "Residual variance and residual pattern in nonlinear regression", Biometrika 73,
1986), and its counterpart in two directions s times 6 (the mask of J. Immerkaer, "Fast noise
variance estimation", CVIU 64, 1996). The median of their sizes over 0.6745 is their standard
deviation, whatever edges and jumps there are (Donoho, Johnstone, Biometrika 81, 1994). Vectors
without an order have no neighbours: of them the median eigenvalue of the covariance stands for the
variance of the noise, where there are four times as many samples as elements. Whole numbers were
rounded once: that alone is a variance of 1/12.

An estimate from above where the signal itself is rough.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rdedge.types import Array, SampleSpec

_NORMAL = 0.6744897501960817
_MOST_SAMPLES = 256
_MOST_VALUES = 1 << 21
_ROUNDED = 12.0**-0.5


def noise_floor(spec: SampleSpec, samples: Sequence[Array]) -> tuple[float, ...]:
    """Standard deviations of the noise in raw units: one for each channel of a series, else one.

    samples: batches (n, *shape), NaN where a value of a series is missing. 0 where none is seen.
    """
    x = _some(samples)
    if spec.kind == "series":
        found = [_of_rows(np.concatenate([b[..., c] for b in x])) for c in range(spec.shape[1])]
    elif spec.kind == "image" or len(spec.shape) in (2, 3):
        found = [float(np.median([_of_picture(one) for b in x for one in b]))]
    else:
        found = [_of_vectors(np.concatenate([b.reshape(len(b), -1) for b in x]))]
    least = _ROUNDED if np.issubdtype(np.dtype(spec.dtype), np.integer) else 0.0
    return tuple(max(one, least) for one in found)


def _some(samples: Sequence[Array]) -> list[Array]:
    """At most so many samples and values, evenly taken, in float64."""
    count = sum(map(len, samples))
    values = sum(x.size for x in samples)
    most = max(1, min(_MOST_SAMPLES, int(count * _MOST_VALUES / max(values, 1))))
    if len(samples) == 1:
        x = samples[0]
        return [x[:: max(1, -(-len(x) // max(most, _MOST_SAMPLES)))].astype(np.float64)]
    return [x.astype(np.float64) for x in samples[:: max(1, -(-len(samples) // most))]]


def _of_rows(x: Array) -> float:
    """x: (N, T) of one channel."""
    if x.shape[1] < 3:
        return 0.0
    d = x[:, :-2] - 2.0 * x[:, 1:-1] + x[:, 2:]
    d = np.abs(d[np.isfinite(d)])
    return float(np.median(d) / _NORMAL / 6.0**0.5) if d.size else 0.0


def _of_picture(x: Array) -> float:
    """x: (H, W) or (H, W, C)."""
    if min(x.shape[:2]) < 3:
        return 0.0
    d = x[:-2] - 2.0 * x[1:-1] + x[2:]
    d = d[:, :-2] - 2.0 * d[:, 1:-1] + d[:, 2:]
    return float(np.median(np.abs(d)) / _NORMAL / 6.0)


def _of_vectors(x: Array) -> float:
    """x: (N, D)."""
    if len(x) < 4 * x.shape[1] or x.shape[1] < 4:
        return 0.0
    eigenvalues = np.linalg.eigvalsh(np.atleast_2d(np.cov(x, rowvar=False)))
    return float(max(np.median(eigenvalues), 0.0) ** 0.5)
