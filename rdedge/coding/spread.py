"""The states under 2^16 of one lane (FORMAT.md 4.2), in Python integers; rans.c does the same.

There an entry's slots are spread over all states, so that a state of few bits grows by what its
symbols are worth and by no more.
"""

from __future__ import annotations

from rdedge.coding.tables import PRECISION_BITS

__all__ = ["gather", "mirrored", "spread"]


def mirrored(y: int) -> int:
    """16 bits the other way round."""
    return int(f"{y:016b}"[::-1], 2)


def spread(x: int, low: int, f: int) -> int:
    """Of all y below 2^16 with low <= mirrored(y) < low + f the one that has x smaller ones, x < f,
    low + f <= 2^16.
    """
    y = first = 0
    for bit in range(PRECISION_BITS - 1, -1, -1):
        n = _within(low, low + f, first, PRECISION_BITS - bit)
        if x >= n:
            x -= n
            y |= 1 << bit
            first += 1 << (PRECISION_BITS - 1 - bit)
    return y


def gather(y: int, low: int, f: int) -> int:
    """The other way: how many smaller ones y has."""
    x = first = 0
    for bit in range(PRECISION_BITS - 1, -1, -1):
        if y >> bit & 1:
            x += _within(low, low + f, first, PRECISION_BITS - bit)
            first += 1 << (PRECISION_BITS - 1 - bit)
    return x


def _within(low: int, high: int, first: int, bits: int) -> int:
    """How many of low to high - 1 are first, below 2^bits, and a multiple of 2^bits."""
    up = (1 << bits) - 1 - first
    return ((high + up) >> bits) - ((low + up) >> bits)
