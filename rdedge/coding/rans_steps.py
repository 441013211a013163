"""Decoding with Python integers, a few symbols at a time, where each says how the next are coded.

The NumPy twin of what rans.c does for contexts: the same symbols and the same faults.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from rdedge.coding.faults import Fault, fault_error
from rdedge.coding.lookup import lookup
from rdedge.coding.spread import gather, mirrored
from rdedge.coding.streams import LOWER, read_escape, split
from rdedge.coding.tables import PRECISION_BITS, TOTAL, Tables
from rdedge.errors import FormatError

__all__ = ["Step", "StepDecoder"]

Int32s = NDArray[np.int32]
# Places of the symbols, and what names their tables, given all symbols.
Step = tuple[slice, Callable[[Int32s], NDArray[np.uint16]]]

_SLOT = TOTAL - 1


class StepDecoder:
    """One stream. Raises FormatError or TruncatedError where it is none."""

    def __init__(self, tables: Tables, latents: bytes, escapes: bytes, lanes: int) -> None:
        found = lookup(tables)
        self._keys: list[int] = found.keys.tolist()
        self._frequencies: list[int] = tables.flat_frequencies.tolist()
        self._minimum: list[int] = tables.minimum.tolist()
        self._regular: list[int] = tables.regular.tolist()
        self._first: list[int] = tables.first.tolist()
        self._lows: list[int] = found.spread_starts.tolist()
        self._likeliest: list[int] = tables.likeliest.tolist()
        self._states, words = split(latents, lanes)
        self._words, self._word = words.tolist(), 0
        self._escapes, self._escape = escapes, 0
        self._fault: FormatError | None = None

    def run(self, symbols: Int32s, steps: Iterable[Step]) -> None:
        """Fill symbols in, all that the stream holds."""
        i = 0
        for places, tables_of in steps:
            tables = tables_of(symbols)
            symbols[places] = [self._next(i + j, t) for j, t in enumerate(tables.tolist())]
            i += len(tables)
        self._end()

    def _next(self, i: int, t: int) -> int:
        lane = i % len(self._states)
        x = self._states[lane]
        is_spread = x < TOTAL and len(self._states) == 1
        slot = (mirrored(x) + self._likeliest[t] if is_spread else x) & _SLOT
        key = t << PRECISION_BITS | slot
        entry = bisect_right(self._keys, key) - 1
        if is_spread:
            x = gather(x, self._lows[entry], self._frequencies[entry])
        else:
            x = self._frequencies[entry] * (x >> PRECISION_BITS) + key - self._keys[entry]
        if x < LOWER and self._word < len(self._words):
            x = x << 32 | self._words[self._word]
            self._word += 1
        self._states[lane] = x
        k = entry - self._first[t]
        if k == self._regular[t] and self._fault is None:
            try:
                symbol, self._escape = read_escape(
                    self._escapes, self._escape, self._minimum[t], self._regular[t]
                )
            except FormatError as error:
                # A fault of the states comes before one of the escapes.
                self._fault = error
            else:
                return symbol
        return self._minimum[t] + k

    def _end(self) -> None:
        if self._word < len(self._words):
            raise fault_error(Fault.WORDS_LEFT)
        start = 0 if len(self._states) == 1 else LOWER
        if any(x != start for x in self._states):
            raise fault_error(Fault.START_STATE)
        if self._fault is not None:
            raise self._fault
        if self._escape != len(self._escapes):
            raise fault_error(Fault.ESCAPE_LEFT)
