"""A palette's network with NumPy (FORMAT.md 4.10): the same integers as in palette.c."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rdedge.coding.palette import ACTIVATION_MAX, POSITION_MAX, Palette
from rdedge.coding.palette_planes import Planes
from rdedge.coding.rans_steps import Step

__all__ = ["NumpyPalette"]

# Pixels whose tables are looked for at a time.
_BLOCK = 1 << 14

Index = NDArray[np.uint16]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
Int8s = NDArray[np.int8]
Floats = NDArray[np.float32]


class NumpyPalette:
    """answers: (T, 2) int32, what the decisions 0 and 1 cost with each table, in 2^-20 bits."""

    def __init__(self, palette: Palette, answers: Int32s) -> None:
        self.palette, self.answers = palette, answers

    def select(self, planes: Int8s, s: Planes, symbols: Int32s) -> tuple[Int32s, Index]:
        """Decisions and the table of each, in the order in which they are coded."""
        found: list[Int32s] = []
        chosen: list[Index] = []
        for at, natural in s.fronts():
            of_front = self._tables_of(planes, at, natural, s)
            for d in range(self.palette.decisions):
                asked = symbols[natural] >= d
                found.append((symbols[natural[asked]] > d).astype(np.int32))
                chosen.append(of_front[asked, d])
        return np.concatenate(found), np.concatenate(chosen)

    def steps(self, planes: Int8s, s: Planes, symbols: Int32s) -> Iterator[Step]:
        """Steps of decoding; planes and symbols are filled in on the way."""
        codes, flat = self.palette.codes, planes.reshape(-1)
        for at, natural in s.fronts():
            of_front = self._tables_of(planes, at, natural, s)
            found = np.zeros(at.size, np.int32)
            for d in range(self.palette.decisions):
                asked = np.flatnonzero(found == d)
                if not asked.size:
                    break
                seen: list[Int32s] = []

                def tables(
                    decided: Int32s, chosen: Index = of_front[asked, d], seen: list[Int32s] = seen
                ) -> Index:
                    seen.append(decided)
                    return chosen

                yield slice(0, asked.size), tables
                found[asked] += seen[0][: asked.size] == 1
            symbols[natural] = found
            flat[at] = codes[found]

    def costs(self, planes: Int8s, s: Planes, symbols: Int32s) -> Int32s:
        """What every pixel costs, in 2^-20 bits, in the natural order."""
        spent = np.zeros(symbols.size, np.int32)
        for at, natural in s.fronts():
            tables = self._tables_of(planes, at, natural, s)
            spent[natural] = self._cost(tables, symbols[natural])
        return spent

    def change(
        self,
        planes: Int8s,
        s: Planes,
        symbols: Int32s,
        spent: Int32s,
        scaled: Floats,
        per_unit: float,
        least: int,
    ) -> int:
        """One pass of changes, in place; how many there were."""
        changed = 0
        for i in range(symbols.size):
            if spent[i] >= least:
                changed += self._change_one(i, planes, s, symbols, spent, scaled, per_unit)
        return changed

    def _change_one(
        self,
        i: int,
        planes: Int8s,
        s: Planes,
        symbols: Int32s,
        spent: Int32s,
        scaled: Floats,
        per_unit: float,
    ) -> bool:
        n, place = divmod(i, s.lines * s.columns)
        y, x = divmod(place, s.columns)
        above, right = np.array(self.palette.offsets, np.int64).T
        line, column = y + above, x - right
        there = (line < s.lines) & (column >= 0) & (column < s.columns)
        line, column = line[there], column[there]
        others = (n * s.lines + line) * s.columns + column
        height = s.top + s.lines
        at = (n * height + s.top + line) * s.stride + s.left + column
        own = np.array([(n * height + s.top + y) * s.stride + s.left + x])
        now, flat = int(symbols[i]), planes.reshape(-1)
        errors = self._errors(float(scaled[i]))
        tables = self._tables_of(planes, own, np.array([i]), s)
        best, chosen, after_best = 0.0, now, spent[others]
        for k in range(self.palette.values):
            if k == now:
                continue
            bits = int(self._cost(tables, np.array([k], np.int32))[0]) - int(spent[i])
            flat[own] = self.palette.codes[k]
            after = self._cost(self._tables_of(planes, at, others, s), symbols[others])
            bits += int((after.astype(np.int64) - spent[others]).sum())
            gain = errors[k] - errors[now] + per_unit * float(bits)
            if gain < best:
                best, chosen, after_best = gain, k, after
        flat[own] = self.palette.codes[chosen]
        if chosen == now:
            return False
        symbols[i] = chosen
        spent[i] = self._cost(tables, np.array([chosen], np.int32))[0]
        spent[others] = after_best
        return True

    def _errors(self, scaled: float) -> list[float]:
        """Squared distances from the values, in ranges of them."""
        positions = self.positions.tolist()
        below = 0
        while below < self.palette.values - 2 and scaled >= below + 1:
            below += 1
        width = positions[below + 1] - positions[below]
        found = []
        for position in positions:
            off = positions[below] + (scaled - below) * width - position
            found.append(off * off)
        return found

    def _cost(self, tables: Index, symbols: Int32s) -> Int32s:
        """Of symbols (n,) with the tables of their decisions (n, K - 1), in 2^-20 bits."""
        d = np.arange(self.palette.decisions)
        costs = self.answers[tables.astype(np.intp), (symbols[:, None] > d).astype(np.intp)]
        found: Int32s = np.where(symbols[:, None] >= d, costs, 0).sum(axis=1, dtype=np.int32)
        return found

    def _tables_of(self, planes: Int8s, at: Int64s, natural: Int64s, s: Planes) -> Index:
        """The tables of the decisions of pixels, (n, K - 1)."""
        p = self.palette
        flat = planes.reshape(-1)
        deltas = np.array([right - up * s.stride for up, right in p.offsets])
        found = np.empty((at.size, p.decisions), np.uint16)
        for i in range(0, at.size, _BLOCK):
            x = flat[at[i : i + _BLOCK, None] + deltas].astype(np.float64)
            biases = p.place_biases[0]
            if p.places > 1:
                biases = p.place_biases[natural[i : i + _BLOCK] % p.places]
            # In float64 all of these sums are exact.
            first = _activations(x @ self._floats[0] + biases, p.shifts[0])
            second = _activations(first @ self._floats[1] + p.biases_2, p.shifts[1])
            out = (second @ self._floats[2] + p.out_biases).astype(np.int64)
            levels = (np.maximum(out, 0) >> p.shifts[2]).clip(max=p.levels - 1)
            found[i : i + _BLOCK] = levels + np.arange(p.decisions) * p.levels
        return found

    @cached_property
    def _floats(self) -> tuple[NDArray[np.float64], ...]:
        p = self.palette
        return tuple(
            np.ascontiguousarray(w.T, np.float64) for w in (p.weights, p.weights_2, p.out_weights)
        )

    @cached_property
    def positions(self) -> NDArray[np.float64]:
        """The values, from 0 to 1."""
        return np.array(self.palette.positions, np.float64) / POSITION_MAX


def _activations(sums: NDArray[np.float64], shift: int) -> NDArray[np.float64]:
    found = (np.maximum(sums, 0.0).astype(np.int64) >> shift).clip(max=ACTIVATION_MAX)
    return found.astype(np.float64)
