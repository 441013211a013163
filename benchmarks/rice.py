"""Differences and Rice codes, chosen for each channel and window: FLAC's way, as no library has it.

For each channel two bits say the order of the differences, 0 to 2, or 3: order 0 about a level of
the window's own. Five bits say the Rice parameter k, or 31: all values are the level. The first
values, as many as the order (the level for 3), follow as zigzag varints: the first value, then its
first difference; then the remaining differences, zigzag, as Rice codes: the part above k bits in
unary, then the k bits below. The last byte is filled up with zeros. Values come in relative to the
training median. RFC 9639, section 9, says what FLAC does; its blocks and frames have other headers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from rdedge.classical.base import ClassicalCodec, Ladder, SampleForm, Setting
from rdedge.classical.layouts import from_varints, varints
from rdedge.errors import ShapeError, ValueRangeError

LEVEL, EQUAL = 3, 31
ORDER_BITS, PARAMETER_BITS = 2, 5
LIMIT = 1 << 31


class Rice(ClassicalCodec):
    """Whole numbers (C, T), one channel after the other, without loss."""

    name = "delta-rice"
    takes: ClassVar[frozenset[SampleForm]] = frozenset({"series"})
    module = "numpy"
    package = "numpy"
    extra = None
    models = "channels"

    def version(self) -> str:
        return f"benchmarks/rice.py with NumPy {np.__version__}"

    def ladders(self) -> tuple[Ladder, ...]:
        return ()

    def lossless(self) -> tuple[Setting, ...]:
        return (Setting("order and parameter by channel and window", lossless=True),)

    def check(self, x: np.ndarray) -> None:
        if x.ndim != 2 or x.size == 0 or not np.issubdtype(x.dtype, np.signedinteger):
            raise ShapeError(
                f"{self.name} cannot code an array of shape {x.shape} and dtype {x.dtype}",
                expected="(C, T), signed whole numbers",
            )
        if int(x.min()) < -LIMIT or int(x.max()) >= LIMIT:
            raise ValueRangeError(f"{self.name} got a value beyond 32 bits")

    def _encode(self, x: np.ndarray, setting: Setting) -> bytes:
        bits = np.concatenate([_channel(row.astype(np.int64)) for row in x])
        return np.packbits(bits).tobytes()

    def _decode(self, data: bytes, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        reader = _Reader(data)
        x = np.stack([_read_channel(reader, shape[1]) for _ in range(shape[0])])
        if reader.at <= 8 * (len(data) - 1):
            raise ValueError("bytes are left over")
        return x.astype(dtype)


def _candidates(row: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Order, first values and remaining differences, for each order that can be."""
    for order in range(min(2, len(row) - 1) + 1):
        firsts = [np.diff(row, n)[:1] for n in range(order)]
        yield order, np.concatenate([row[:0], *firsts]), np.diff(row, order)
    level = np.sort(row)[len(row) // 2 : len(row) // 2 + 1]
    yield LEVEL, level, row - level


def _channel(row: np.ndarray) -> np.ndarray:
    """The bits of one channel, (n,) uint8 of 0 and 1."""
    if np.all(row == row[0]):
        return np.concatenate([_head(LEVEL, EQUAL), np.unpackbits(varints(row[:1]))])
    best: tuple[int, int, int, np.ndarray, np.ndarray] | None = None
    for order, firsts, rest in _candidates(row):
        u, octets = _zigzag(rest), varints(firsts)
        # The best parameter is near log2 of the mean.
        middle = int(u.mean()).bit_length()
        for k in range(max(0, middle - 2), min(EQUAL - 1, middle + 1) + 1):
            cost = int((u >> k).sum()) + len(u) * (k + 1) + 8 * len(octets)
            if best is None or cost < best[0]:
                best = (cost, order, k, octets, u)
    assert best is not None
    _, order, k, octets, u = best
    return np.concatenate([_head(order, k), np.unpackbits(octets), _codes(u, k)])


def _head(order: int, k: int) -> np.ndarray:
    return np.concatenate([_number(order, ORDER_BITS), _number(k, PARAMETER_BITS)])


def _codes(u: np.ndarray, k: int) -> np.ndarray:
    """Rice codes: u >> k zeros, a one, then the k bits below, highest first."""
    unary = u >> k
    ends = np.cumsum(unary + 1 + k)
    bits = np.zeros(int(ends[-1]) if len(ends) else 0, np.uint8)
    bits[ends - k - 1] = 1
    for place in range(k):
        bits[ends - 1 - place] = (u >> place) & 1
    return bits


def _zigzag(d: np.ndarray) -> np.ndarray:
    return (d << 1) ^ (d >> 63)


def _number(value: int, bits: int) -> np.ndarray:
    return np.array([value >> (bits - 1 - i) & 1 for i in range(bits)], np.uint8)


class _Reader:
    """Bits in order, with the place of each one looked up at once."""

    def __init__(self, data: bytes) -> None:
        self.bits = np.unpackbits(np.frombuffer(data, np.uint8))
        self.ones = np.flatnonzero(self.bits)
        self.at = 0

    def number(self, bits: int) -> int:
        if self.at + bits > len(self.bits):
            raise ValueError("the data end early")
        value = 0
        for bit in self.bits[self.at : self.at + bits]:
            value = 2 * value + int(bit)
        self.at += bits
        return value

    def unary(self) -> int:
        place = int(np.searchsorted(self.ones, self.at))
        if place == len(self.ones):
            raise ValueError("the data end early")
        zeros = int(self.ones[place]) - self.at
        self.at += zeros + 1
        return zeros

    def firsts(self, count: int) -> np.ndarray:
        octets: list[int] = []
        for _ in range(count):
            octets.append(self.number(8))
            while octets[-1] >= 128:
                octets.append(self.number(8))
        return from_varints(np.array(octets, np.uint8))


def _read_channel(reader: _Reader, length: int) -> np.ndarray:
    order, k = reader.number(ORDER_BITS), reader.number(PARAMETER_BITS)
    firsts = reader.firsts(1 if order == LEVEL else order)
    if k == EQUAL:
        if order != LEVEL:
            raise ValueError(f"parameter {k} at order {order}")
        return np.full(length, firsts[0])
    count = length - (0 if order == LEVEL else order)
    if count < 1:
        raise ValueError(f"order {order} for {length} values")
    u = np.array([reader.unary() << k | reader.number(k) for _ in range(count)])
    row = (u >> 1) ^ -(u & 1)
    if order == LEVEL:
        return row + firsts[0]
    # Each first value starts the sums that undo one order.
    for first in firsts[::-1]:
        row = np.cumsum(np.concatenate([[first], row]))
    return row
