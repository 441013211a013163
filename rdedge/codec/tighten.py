"""Spend what a level leaves of the bound: where symbols are lowered for the bits that it saves, a
larger weight of a bit takes fewer bits and errs more, a smaller one lets a coarser level hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rdedge.codec.measure import Measure
from rdedge.types import Array

if TYPE_CHECKING:
    from rdedge.codec.encoder import Encoder

# Of the manifest's weight, in ascending order; the middle one is the manifest's own.
FACTORS = tuple(2.0 ** (k / 6.0) for k in range(-6, 7))
_USUAL = FACTORS.index(1.0)


@dataclass(frozen=True)
class Held:
    """Samples that keep the bound, and how; what is found is written here. x: (n, *shape); y: (n,
    R * L) latents; ranks: (n,) of their levels; symbols: (n, R * L); bits, worst: (n,) what they
    cost and their distortion.
    """

    x: Array
    y: Array
    ranks: Array
    symbols: Array
    bits: Array
    worst: Array


class Tightener:
    """For one encoder whose manifest has a weight. order: its levels, the coarsest first."""

    def __init__(self, encoder: Encoder, measure: Measure, order: list[int]) -> None:
        self.encoder, self.measure, self.order = encoder, measure, order

    def tighten(self, held: Held, grid: tuple[int, ...], coarser: int) -> None:
        """Where fewer bits keep the bound at the same rank, or at up to so many coarser ones, take
        those: at each the largest weight that keeps it.
        """
        first = held.ranks.copy()
        for less in range(coarser + 1):
            open_ = np.flatnonzero(first >= less)
            # Coarser ones do not hold with the usual weight, or they would have been taken.
            low = np.full(len(first), -1 if less else _USUAL)
            high = np.full(len(first), _USUAL if less else len(FACTORS))
            while open_.size:
                middle = (low + high) // 2
                for rank, k in {(int(first[i]) - less, int(middle[i])) for i in open_}:
                    which = open_[(first[open_] - less == rank) & (middle[open_] == k)]
                    kept = self._try(held, grid, which, rank, FACTORS[k])
                    low[which[kept]], high[which[~kept]] = k, k
                open_ = open_[high[open_] - low[open_] > 1]

    def _try(
        self, held: Held, grid: tuple[int, ...], which: Array, rank: int, factor: float
    ) -> Array:
        """Whether samples keep the bound so; what costs less than what is known is noted."""
        level, y = self.order[rank], held.y[which]
        if np.abs(y).max() >= self.encoder.reach(level):
            return np.zeros(len(which), bool)
        symbols = self.encoder.quantised(y, level, grid, factor)
        values = self.measure.learned(held.x[which], symbols, np.full(len(which), level))
        kept = self.measure.keeps(values)
        if kept.any():
            bits = np.full(len(which), np.inf)
            bits[kept] = self.encoder.symbol_codec.bits(symbols[kept], grid, alone=True)
            less = np.flatnonzero(bits < held.bits[which])
            better = which[less]
            held.ranks[better], held.bits[better] = rank, bits[less]
            held.symbols[better], held.worst[better] = symbols[less], values[less]
        return kept
