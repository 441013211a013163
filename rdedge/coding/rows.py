"""How rows lie that look at each other (FORMAT.md 4.8), and the order in which they are coded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rdedge.types import Array

__all__ = ["DIRECTIONS", "Rows"]

# Where the rows lie whose latents are looked at, as (lines, places): 0 is the row itself.
DIRECTIONS = ((0, 0), (0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0))
# Layouts of more rows are not kept for the next packet.
_KEPT_ROWS = 1 << 14

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Rows:
    """How the rows of a packet follow each other where tables are chosen by contexts.

    Rows that do not look at each other stand side by side: all those of a front, latent after
    latent. A front holds the rows whose place plus twice their line is the same, of all samples;
    rows that lie in no grid are one front, or lie in one line. base, stride: (R,) int64, where
    latent j of a row stands: base + j * stride. neighbours: (6, R) int32, the row that lies in a
    direction, -1 where there is none. first: (fronts + 1,) int64. natural: (R,) int64, which row of
    the samples it is.
    """

    base: Int64s
    stride: Int64s
    neighbours: Int32s
    first: Int64s
    natural: Int64s

    @staticmethod
    def of(count: int, grid: tuple[int, ...], latents: int, linked: bool = False) -> Rows:
        """Of samples whose rows lie so; grid: (lines, places), or (). linked: whether rows in no
        grid lie in one line.
        """
        if linked and not grid:
            count, grid = 1, (1, count)
        rows = count * math.prod(grid)
        return (_rows if rows <= _KEPT_ROWS else _rows.__wrapped__)(count, grid, latents)

    @property
    def is_transposed(self) -> bool:
        """Whether all rows stand side by side in their order."""
        return len(self.first) == 2

    def to_coded(self, symbols: Array, latents: int) -> Array:
        """(R * L,) in the order of the samples -> in the order in which they are coded."""
        table = symbols.reshape(-1, latents)
        if self.is_transposed:
            return np.ascontiguousarray(table.T).reshape(-1)
        coded = np.empty_like(symbols)
        coded[self._places(latents)] = table[self.natural]
        return coded

    def to_natural(self, coded: Array, latents: int) -> Array:
        """The other way."""
        if self.is_transposed:
            return np.ascontiguousarray(coded.reshape(latents, -1).T).reshape(-1)
        table = np.empty((len(self.base), latents), coded.dtype)
        table[self.natural] = coded[self._places(latents)]
        return table.reshape(-1)

    def _places(self, latents: int) -> Int64s:
        places: Int64s = self.base[:, None] + np.arange(latents) * self.stride[:, None]
        return places


@lru_cache(maxsize=8)
def _rows(count: int, grid: tuple[int, ...], latents: int) -> Rows:
    lines, places = grid or (1, 1)
    line, place = (a.reshape(-1) for a in np.mgrid[:lines, :places])
    of_sample = np.repeat(np.arange(count), lines * places)
    line, place = np.tile(line, count), np.tile(place, count)
    front = place + 2 * line
    natural = np.lexsort((line, of_sample, front))
    total = len(natural)
    coded_of = np.empty(total, np.int64)
    coded_of[natural] = np.arange(total)
    sizes = np.bincount(front[natural], minlength=1) if total else np.zeros(1, np.int64)
    # Thin pictures skip some fronts.
    sizes = sizes[sizes > 0]
    first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    stride = np.repeat(sizes, sizes).astype(np.int64)
    start = np.repeat(first[:-1], sizes)
    base = start * latents + np.arange(total) - start
    neighbours = np.full((len(DIRECTIONS) - 1, total), -1, np.int32)
    for d, (down, right) in enumerate(DIRECTIONS[1:]):
        there_line, there_place = line[natural] + down, place[natural] + right
        inside = (there_line >= 0) & (there_place >= 0) & (there_place < places)
        at = (of_sample[natural] * lines + there_line) * places + there_place
        neighbours[d, inside] = coded_of[at[inside]]
    return Rows(base, stride, neighbours, first, natural.astype(np.int64))
