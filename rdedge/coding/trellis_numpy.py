"""The NumPy half of trellis.py: the same symbols as trellis.c, by the same operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rdedge.coding.quantiser import EXACT, SCALED, Kinds
from rdedge.coding.tables import Tables

__all__ = ["Work"]

# As in trellis.c.
_TRELLIS_LIMIT, _SCALAR_LIMIT = np.float32(2**30), np.float32(2**31)
# So many latents at a time are searched.
_BLOCK = 1 << 17

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
Index = NDArray[np.uint16]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Work:
    """Latents to quantise, checked, and where their symbols go.

    y: (n, L) float32. symbols: (n, L) int32. kinds: (L,) uint8 without PREDICTED. inverse:
    float32 nearest to 1 / step. weight: lambda in 2^-20 bits. index: (n, L) or (n, L, 2) uint16,
    with n = 1 where shared: one row serves all. All arrays contiguous.
    """

    y: Floats
    symbols: Int32s
    kinds: Kinds
    inverse: np.float32
    weight: float
    tables: Tables
    index: Index
    shared: bool

    def search(self, before: Bytes) -> int:
        """Fill in the symbols; returns the first latent that has none, or -1."""
        bad = self._fill_fixed()
        columns = np.flatnonzero(self.kinds == SCALED)
        for rows in self._blocks() if bad < 0 else ():
            around = [self._look_around(rows, columns, q) for q in (0, 1)]
            best = np.concatenate([symbols for symbols, _ in around], axis=2)
            least = np.concatenate([costs for _, costs in around], axis=2)
            self.symbols[rows, columns] = _cheapest_path(best, least, before)
        return bad

    def _fill_fixed(self) -> int:
        """Fill in what is not SCALED; returns the first latent that has no symbol, or -1."""
        scaled = self.kinds == SCALED
        inverses = np.where(self.kinds == EXACT, np.float32(1), self.inverse).astype(np.float32)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            v = self.y * inverses
            size = np.abs(v) + np.where(scaled, np.float32(0), np.float32(0.5))
            fine = size < np.where(scaled, _TRELLIS_LIMIT, _SCALAR_LIMIT)
        if not fine.all():
            return int(np.argmin(fine))
        self.symbols[:] = np.copysign(size, v).astype(np.int32)
        return -1

    def _blocks(self) -> Sequence[slice]:
        rows = max(1, _BLOCK // max(1, self.kinds.size))
        return [slice(first, first + rows) for first in range(0, len(self.y), rows)]

    def _at(self, rows: slice, columns: NDArray[np.intp], q: int) -> tuple[Doubles, Int64s, Index]:
        """|y / step|, the sign and the table of these latents, (n, L')."""
        with np.errstate(over="ignore", under="ignore"):
            v = self.y[rows][:, columns] * self.inverse
        index = (self.index if self.shared else self.index[rows])[:, columns]
        if index.ndim == 3:
            index = index[..., q]
        sign = np.where(v < 0, -1, 1).astype(np.int64)
        return np.abs(v).astype(np.float64), sign, np.broadcast_to(index, v.shape)

    def _weigh(self, a: Doubles, points: Int64s, symbols: Int64s, index: Index) -> Doubles:
        """Squared distances to the points and what the symbols cost, all (n, L')."""
        d = a - points
        total: Doubles = d * d + self.weight * self.tables.costs_of(index, symbols)
        return total

    def _look_around(
        self, rows: slice, columns: NDArray[np.intp], q: int
    ) -> tuple[Int64s, Doubles]:
        """The best symbol of quantiser q, even and odd, and what it costs, both (n, L', 2)."""
        a, sign, index = self._at(rows, columns, q)
        m = a.astype(np.int64)
        j, t = m // 4 * 2, m % 4
        zero = self._weigh(a, np.zeros_like(m), np.zeros_like(m), index)
        found: list[tuple[Int64s, Doubles]] = []
        for k in (j + np.where((q == 1) & (t == 3), 2, 0), j + np.where(t >= 2 - q, 1, -1)):
            least = self._weigh(a, 2 * k - q * np.sign(k), sign * k, index)
            other = self._weigh(a, 2 * (k + 2) - q * np.sign(k + 2), sign * (k + 2), index)
            best, least = np.where(other < least, k + 2, k), np.minimum(other, least)
            if not found:
                best, least = np.where(zero < least, 0, best), np.minimum(zero, least)
            found.append((sign * best, least))
        return np.stack([f[0] for f in found], -1), np.stack([f[1] for f in found], -1)


def _cheapest_path(best: Int64s, least: Doubles, before: Bytes) -> Int64s:
    """Viterbi, all rows side by side. best, least: (n, L', 4) -> the symbols, (n, L')."""
    count, length, _ = best.shape
    first, second, by_first, by_second = before.astype(np.intp).T
    paths = np.full((count, len(before)), np.inf)
    paths[:, 0] = 0
    turned = np.empty((length, *paths.shape), np.bool_)
    for i in range(length):
        one = paths[:, first] + least[:, i, by_first]
        two = paths[:, second] + least[:, i, by_second]
        turned[i] = two < one
        paths = np.minimum(one, two)
    state = np.argmin(paths, axis=1)
    rows = np.arange(count)
    symbols = np.empty((count, length), np.int64)
    for i in range(length - 1, -1, -1):
        turn = turned[i, rows, state]
        symbols[:, i] = best[rows, i, np.where(turn, by_second[state], by_first[state])]
        state = np.where(turn, second[state], first[state])
    return symbols
