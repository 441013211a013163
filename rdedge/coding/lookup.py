"""Arrays that the NumPy coder looks tables up in, made at first use, shared by its coders."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rdedge.coding.tables import PRECISION_BITS, TOTAL, Tables

__all__ = ["Lookup", "lookup"]

Int64s = NDArray[np.int64]
Uint64s = NDArray[np.uint64]
Words = NDArray[np.uint32]


class Lookup:
    """Arrays derived from one set of tables, made at first use and shared by its coders."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    @cached_property
    def wide_frequencies(self) -> Uint64s:
        return self.tables.flat_frequencies.astype(np.uint64)

    @cached_property
    def wide_starts(self) -> Uint64s:
        return self.tables.flat_starts.astype(np.uint64)

    @cached_property
    def spread_starts(self) -> Int64s:
        """Starts as seen from the likeliest entry of their table, modulo 2^16."""
        tables = self.tables
        likeliest = np.repeat(tables.likeliest, tables.regular + 1)
        return (tables.flat_starts - likeliest).astype(np.int64)

    @cached_property
    def keys(self) -> Int64s:
        """Table (upper bits) and first slot (lower 16) of every entry, ascending."""
        tables = self.tables
        t = np.repeat(np.arange(len(tables), dtype=np.int64), tables.regular + 1)
        keys: Int64s = t << PRECISION_BITS | tables.flat_starts
        return keys

    @cached_property
    def slot_entries(self) -> Words:
        """The entry of every slot of every table; shape (T * 2^16,)."""
        return np.repeat(
            np.arange(self.tables.flat_frequencies.size, dtype=np.uint32),
            self.tables.flat_frequencies,
        )

    @cached_property
    def slot_steps(self) -> Words:
        """Frequency (upper half) and slot less start (lower half), for every slot."""
        tables = self.tables
        slots = np.resize(np.arange(TOTAL, dtype=np.uint32), self.slot_entries.size)
        steps: Words = tables.flat_frequencies.astype(np.uint32)[self.slot_entries] << np.uint32(16)
        steps |= slots - tables.flat_starts[self.slot_entries]
        return steps


def lookup(tables: Tables) -> Lookup:
    """The arrays of tables, kept beside their other derived arrays."""
    found = tables.__dict__.get("_numpy_lookup")
    if not isinstance(found, Lookup):
        found = tables.__dict__["_numpy_lookup"] = Lookup(tables)
    return found
