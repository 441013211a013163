"""Random work for the entropy coder, drawn from SHAKE-128: by definition the same everywhere.

NumPy's generators may change from one version to the next, and the two sides have different ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rdedge.coding.tables import TOTAL, Tables

COUNT = 10_000
# Making tables takes longer than coding with them.
SHARED = 10


@dataclass(frozen=True)
class Case:
    """Symbols (n,) int32, the table of each by turns, the lanes (None: chosen by the size)."""

    tables: Tables
    index: np.ndarray
    symbols: np.ndarray
    lanes: int | None


class Numbers:
    """Integers without end from a seed."""

    def __init__(self, seed: str) -> None:
        self._seed, self._drawn = seed, 0

    def below(self, limit: int, count: int) -> np.ndarray:
        """(count,) int64 from 0 to limit - 1, limit at most 2^32."""
        self._drawn += 1
        data = hashlib.shake_128(f"{self._seed}/{self._drawn}".encode()).digest(8 * count)
        return ((np.frombuffer(data, "<u8") >> 20) % limit).astype(np.int64)

    def one(self, low: int, high: int) -> int:
        """An integer from low to high."""
        return low + int(self.below(high - low + 1, 1)[0])


def cases(seed: str, count: int) -> Iterator[Case]:
    """Every SHARED of them have the same tables and the same index."""
    for i in range(0, count, SHARED):
        numbers = Numbers(f"{seed} {i}")
        tables = _tables(numbers)
        index = numbers.below(len(tables), numbers.one(1, 9)).astype(np.uint16)
        for _ in range(i, min(i + SHARED, count)):
            yield _case(numbers, tables, index)


def weights(numbers: Numbers) -> np.ndarray:
    """2 to 40 integers, some of them 0 and some a billion times others."""
    size = numbers.one(2, 40)
    return 10 ** numbers.below(10, size) * numbers.below(10, size)


def _table(numbers: Numbers) -> np.ndarray:
    shares = weights(numbers)
    free = TOTAL - shares.size
    frequencies = 1 + shares * free // max(1, int(shares.sum()))
    frequencies[numbers.one(0, shares.size - 1)] += TOTAL - int(frequencies.sum())
    return frequencies


def _tables(numbers: Numbers) -> Tables:
    frequencies = tuple(_table(numbers) for _ in range(numbers.one(1, 5)))
    minimum = numbers.below(101, len(frequencies)) - 50
    # At the ends of what an int32 can hold, now and then.
    if numbers.one(0, 9) == 0:
        minimum[0] = -(2**31) if numbers.one(0, 1) else 2**31 - frequencies[0].size + 1
    return Tables(minimum.astype(np.int32), frequencies)


def _case(numbers: Numbers, tables: Tables, index: np.ndarray) -> Case:
    minimum = tables.minimum.astype(np.int64)
    long = numbers.one(0, 99) == 0
    count = numbers.one(0, 20_000) if long else numbers.one(0, 60)
    symbols = minimum[index[np.arange(count) % index.size]] + numbers.below(44, count) // (
        1 + numbers.below(8, count)
    )
    # Anything at all, in places: escapes.
    anywhere = numbers.below(50, count) == 0
    symbols[anywhere] = numbers.below(2**32, int(anywhere.sum())) - 2**31
    symbols = np.clip(symbols, -(2**31), 2**31 - 1).astype(np.int32)
    # One lane at a time is slow in NumPy, above all under emulation: long ones have several.
    lanes = 1 << numbers.one(5 if long else 0, 12)
    return Case(tables, index, symbols, lanes if numbers.one(0, 3) else None)
