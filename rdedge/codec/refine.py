"""The promise on the largest error: a coarse level and, coded in integers, what it misses.

Which level is found by its real price: symbols and residual, walking to where neither neighbour is
cheaper.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rdedge.codec.measure import Measure
from rdedge.codec.residual import Corrections
from rdedge.coding.residual import FINENESS, Residual, best_table, write_residual
from rdedge.metrics import differences
from rdedge.types import Array

if TYPE_CHECKING:
    from rdedge.codec.encoder import Encoder

# Tag, length and head of the stream.
_FRAME_BITS = 24.0


@dataclass(frozen=True)
class Corrected:
    """Samples at a level: q (n, D) int32, 0 where all keep the bound; fineness: (n,) of the step;
    kept: (n,) whether the bound is; worst: (n,) the largest errors then.
    """

    q: Array
    fineness: Array
    kept: Array
    worst: Array


class Refiner:
    """For one encoder with a step of residuals. order: its levels, the coarsest first."""

    def __init__(self, encoder: Encoder, measure: Measure, order: list[int]) -> None:
        self.encoder, self.measure, self.order = encoder, measure, order
        self.corrections = Corrections(encoder.manifest)
        self._start = order.index(0)

    def prices(self, x: Array, y: Array, fits: Array, grid: tuple[int, ...]) -> Array:
        """What samples x (N, *shape) with latents y (N, R * L) cost at the ranks of levels: (N,
        ranks) bits, symbols and residual, infinite where nobody looked or nothing keeps the bound.
        fits: (N,) the largest size of a latent, infinite where there are none.
        """
        n, ranks = len(x), len(self.order)
        bits = np.full((n, ranks), np.inf)
        seen = np.zeros((n, ranks), bool)
        ahead = [(np.arange(n), rank) for rank in (self._start, *self._beside(self._start))]
        while ahead:
            for which, rank in ahead:
                bits[which, rank] = self._price(x[which], y[which], fits[which], rank, grid)
                seen[which, rank] = True
            best = bits.argmin(axis=1)
            ahead = []
            for rank in np.unique(best):
                for beside in self._beside(int(rank)):
                    which = np.flatnonzero((best == rank) & ~seen[:, beside])
                    if which.size:
                        ahead.append((which, beside))
        held = np.isfinite(bits).any(axis=1)
        if held.any():
            self._start = int(np.median(bits[held].argmin(axis=1)))
        return bits

    def _beside(self, rank: int) -> tuple[int, ...]:
        return tuple(r for r in (rank - 1, rank + 1) if 0 <= r < len(self.order))

    def _price(self, x: Array, y: Array, fits: Array, rank: int, grid: tuple[int, ...]) -> Array:
        level = self.order[rank]
        bits = np.full(len(x), np.inf)
        fine = np.flatnonzero(fits < self.encoder.reach(level))
        if fine.size:
            symbols = self.encoder.quantised(y[fine], level, grid)
            found = self.correct(x[fine], symbols, np.full(fine.size, level))
            price = self.encoder.symbol_codec.bits(symbols, grid)
            price += [best_table(q)[1] + _FRAME_BITS if q.any() else 0.0 for q in found.q]
            bits[fine] = np.where(found.kept, price, np.inf)
        return bits

    def correct(
        self, x: Array, symbols: Array, levels: Array, fineness: int | None = None
    ) -> Corrected:
        """What to add to reconstructions of x (n, *shape) from symbols (n, R * L) at their levels.
        fineness: of the step; None: of each sample the coarsest that will do.
        """
        n = len(x)
        found = Corrected(
            np.zeros((n, x[0].size), np.int32),
            np.zeros(n, np.int64),
            np.zeros(n, bool),
            np.full(n, np.nan),
        )
        every = range(FINENESS) if fineness is None else (fineness,)
        for at, low, high, good in self.measure.ends(symbols, levels, x.shape[1:]):
            some = x[at]
            bare = _errors(some, low, high)
            inside = bare <= self.measure.bound.value
            open_ = np.flatnonzero(good)
            for f in every:
                if not open_.size:
                    break
                q, fine = self.corrections.quotients(some[open_], low[open_], high[open_], f)
                q[inside[open_]] = 0
                ends = [self.corrections.added(end[open_], q, f) for end in (low, high)]
                worst = _errors(some[open_], *ends).reshape(len(open_), -1).max(axis=1)
                kept = self.measure.keeps(worst) & (fine | ~q.reshape(len(q), -1).any(axis=1))
                where = at.start + open_[kept]
                found.q[where] = q[kept].reshape(-1, x[0].size)
                found.fineness[where], found.kept[where] = f, True
                found.worst[where] = worst[kept]
                open_ = open_[~kept]
        return found

    def together(self, x: Array, symbols: Array, levels: Array) -> tuple[bytes, Array] | None:
        """The stream of the residual of all samples of a packet, empty where it is all 0, and their
        largest errors; None where no one step serves them all.
        """
        found = self.correct(x, symbols, levels)
        if not found.kept.all():
            return None
        fineness = int(found.fineness.max())
        if (found.fineness != fineness).any():
            found = self.correct(x, symbols, levels, fineness)
        if not found.kept.all():
            return None
        if not found.q.any():
            return b"", found.worst
        residual = Residual(fineness, found.q.reshape(-1))
        return write_residual(residual, self.encoder.symbol_codec.coder.backend), found.worst


def _errors(x: Array, low: Array, high: Array) -> Array:
    """The larger error of either end, 0 where x is missing."""
    with np.errstate(all="ignore"):
        found = np.maximum(np.abs(differences(x, low)), np.abs(differences(x, high)))
    if x.dtype.kind == "f":
        found[np.isnan(x)] = 0.0
    return found
