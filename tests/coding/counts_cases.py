"""Counts of random sizes, with symbols that repeat themselves, and some that do not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rdedge.coding.counts import PREDICTORS, PRIOR_MIN, Counts
from rdedge.coding.tables import TOTAL, integer_frequencies


@dataclass(frozen=True)
class Case:
    """symbols: (samples * latents,) int32, channel after channel in a sample."""

    counts: Counts
    samples: int
    times: int
    symbols: NDArray[np.int32]

    @property
    def latents(self) -> int:
        return self.counts.channels * self.times


def rows(rng: np.random.Generator, channels: int, n: int) -> NDArray[np.int64]:
    """Frequencies, some of them all but one symbol's."""
    weights = rng.random((channels * (n + 2), n + 1)) ** rng.choice([1.0, 4.0, 40.0])
    found = np.array([integer_frequencies(one) for one in weights])
    return found.reshape(channels, n + 2, n + 1)


def priors(rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    found = rng.integers(PRIOR_MIN, TOTAL // count, count)
    found[0] += TOTAL - found.sum()
    return found


def case(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    n, channels = int(rng.integers(2, 63 if rng.random() < 0.2 else 9)), int(rng.integers(1, 4))
    samples = int(rng.integers(1, 5))
    # Now and then longer than what is looked back at.
    times = int(rng.integers(1, 300 if rng.random() < 0.2 else 24))
    lags = tuple(int(lag) for lag in rng.integers(1, 40, rng.integers(0, 9)))
    far = rng.random() < 0.1
    minimum = int(rng.integers(-(2**31), 2**31 - 62) if far else rng.integers(-9, 9))
    counts = Counts(minimum, lags, priors(rng, PREDICTORS + len(lags)), rows(rng, channels, n))
    motif = rng.integers(-2, n + 2, int(rng.integers(1, 20)))
    values = np.resize(motif, samples * channels * times) + minimum
    off = rng.random(values.size) < rng.choice([0.0, 0.1, 0.8])
    values[off] = rng.integers(-(2**31), 2**31, off.sum()) >> rng.integers(0, 32, off.sum())
    return Case(counts, samples, times, values.clip(-(2**31), 2**31 - 1).astype(np.int32))
