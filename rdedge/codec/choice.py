"""Which codec and level each sample of a packet takes, so that samples and runs cost the least."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rdedge.format.packet import Run
from rdedge.types import Array

# Bits of one more run in the table: which and its count.
RUN_BITS = 16.0


@dataclass(frozen=True)
class Pick:
    """What one sample takes. codec: 0 learned, else a fallback; level: of that codec."""

    codec: int
    level: int


def cheapest(cost: Array, change: float = RUN_BITS) -> Array:
    """cost: (N, K) bits of each option, infinite where there is none -> the option of each sample,
    (N,) int64, with the least sum of their costs and of the changes from one sample to the next.
    """
    n, options = cost.shape
    came = np.empty((n, options), np.int64)
    stay = np.arange(options)
    total = cost[0].astype(np.float64)
    for i in range(1, n):
        best = int(np.argmin(total))
        moved = total[best] + change < total
        came[i] = np.where(moved, best, stay)
        total = np.where(moved, total[best] + change, total) + cost[i]
    picks = np.empty(n, np.int64)
    picks[-1] = np.argmin(total)
    for i in range(n - 1, 0, -1):
        picks[i - 1] = came[i, picks[i]]
    return picks


def runs_of(picks: list[Pick]) -> tuple[Run, ...]:
    """Neighbours alike in one run."""
    runs: list[Run] = []
    for pick in picks:
        if runs and (runs[-1].codec, runs[-1].level) == (pick.codec, pick.level):
            runs[-1] = Run(pick.codec, pick.level, runs[-1].count + 1)
        else:
            runs.append(Run(pick.codec, pick.level, 1))
    return tuple(runs)
