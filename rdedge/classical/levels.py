"""Grey levels reduced to a few, so that a codec without loss just keeps a bound.

Three families. Uniform: as even as the range allows. Lloyd-Max: the least squared error for that
many levels, found exactly by dynamic programming over the histogram (Bruce 1965) rather than by
k-means, which may stop short. Entropy-constrained: the least D + weight * R, R being the levels'
entropy, by the same programme (Chou, Lookabaugh, Gray 1989); weight 0 is Lloyd-Max.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rdedge.metrics import Floats
from rdedge.types import Array

MOST_LEVELS = 64
# Weights of the rate, in units of the squared error aimed at, per bit.
_WEIGHTS = (0.0, 0.15, 0.3, 0.5, 0.7, 0.9, 1.1, 1.3, 1.6, 2.0, 2.5, 3.0, 4.0, 5.0)


@dataclass(frozen=True)
class Levels:
    """A reduction of grey values to a few.

    name: in words.
    index: (256,) uint8, the level of each grey value, rising.
    greys: (K,) uint8, the grey value that stands for each level.
    mse: squared error on the histogram that it was made from, in grey values squared.
    entropy_bits: bits a pixel of the levels on that histogram, estimated without context.
    """

    name: str
    index: Array
    greys: Array
    mse: float
    entropy_bits: float


def candidates(histogram: Array, mse: float) -> list[Levels]:
    """All reductions worth a look for a squared error of about `mse`, without repeats.

    histogram: (256,) counts of the grey values. Sorted by entropy.
    """
    used = np.flatnonzero(histogram)
    most = min(MOST_LEVELS, len(used))
    found: dict[bytes, Levels] = {}
    for count in range(2, len(used)):
        grid = np.linspace(used[0], used[-1], count)
        nearest = np.abs(used[:, None] - grid).argmin(axis=1)
        _add(found, f"{count} uniform levels", histogram, used, nearest)
    for weight in _WEIGHTS:
        kind = "entropy-constrained" if weight else "Lloyd-Max"
        for parts in _partitions(histogram[used], used, most, weight * mse):
            _add(found, f"{parts.max() + 1} {kind} levels", histogram, used, parts)
    _add(found, f"all {len(used)} levels", histogram, used, np.arange(len(used)))
    return sorted(found.values(), key=lambda levels: levels.entropy_bits)


def lloyd_max(values: Array, counts: Array, most: int) -> list[Array]:
    """For each number of levels from 2 to most, the levels of the least squared error, rising.

    values: (n,) rising, n at least most; counts: (n,) how often each occurs.
    """
    found = []
    for parts in _partitions(counts, values, most, 0.0):
        weights = counts.astype(np.float64)
        found.append(np.bincount(parts, weights * values) / np.bincount(parts, weights))
    return found


def _add(
    found: dict[bytes, Levels], name: str, histogram: Array, used: Array, parts: Array
) -> None:
    """Keep a reduction given as the part (0, 1, ... rising) of each used grey value."""
    parts = np.unique(parts, return_inverse=True)[1]
    weights = histogram[used].astype(np.float64)
    mass = np.bincount(parts, weights)
    greys = np.rint(np.bincount(parts, weights * used) / mass).astype(np.uint8)
    # Values that do not occur get the level of the next that does; none is ever looked up.
    index = parts[np.minimum(np.searchsorted(used, np.arange(256)), len(used) - 1)]
    share = mass / mass.sum()
    error = weights @ (used - greys[parts].astype(np.float64)) ** 2 / mass.sum()
    bits = -float(share @ np.log2(share))
    levels = Levels(name, index.astype(np.uint8), greys, float(error), bits)
    found.setdefault(levels.index.tobytes(), levels)


def _partitions(counts: Array, values: Array, most: int, weight: float) -> list[Array]:
    """For each number of parts from 2 to most, the best split of the values into intervals.

    Least sum over parts of squared error to the mean, plus weight times the part's code length.
    """
    n = len(values)
    w = np.concatenate([[0.0], np.cumsum(counts, dtype=np.float64)])
    s = np.concatenate([[0.0], np.cumsum(counts * values.astype(np.float64))])
    q = np.concatenate([[0.0], np.cumsum(counts * values.astype(np.float64) ** 2)])
    i, j = np.triu_indices(n + 1, 1)
    mass = w[j] - w[i]
    cost: Floats = np.full((n + 1, n + 1), np.inf)
    cost[i, j] = q[j] - q[i] - (s[j] - s[i]) ** 2 / mass - weight * mass * np.log2(mass / w[-1])
    best = cost[0]
    cuts: list[Array] = []
    splits: list[Array] = []
    for parts in range(2, most + 1):
        total = best[:, None] + cost
        cuts.append(total.argmin(axis=0))
        best = total.min(axis=0)
        splits.append(_walk(cuts, n, parts))
    return splits


def _walk(cuts: list[Array], n: int, parts: int) -> Array:
    """The part of each value, read back from where the programme cut."""
    out = np.zeros(n, np.int64)
    end = n
    for part in range(parts - 1, 0, -1):
        start = int(cuts[part - 1][end])
        out[start:end] = part
        end = start
    return out
