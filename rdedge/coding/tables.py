"""Tables of integer frequencies (FORMAT.md 4.1): what the entropy coder codes with.

Made once, at export, from weights; then only integers. Every table has an escape, the last entry,
so every int32 can be coded with every table.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rdedge.errors import FormatError, ShapeError, TruncatedError, ValueRangeError
from rdedge.format.varint import append_varint, append_zigzag, read_varint, read_zigzag

__all__ = [
    "ENTRIES_MAX",
    "PRECISION_BITS",
    "TABLES_MAX",
    "TOTAL",
    "Tables",
    "cross_entropy_bits",
    "escape_values",
    "integer_frequencies",
    "tables_from_counts",
    "varint_lengths",
]

PRECISION_BITS = 16
TOTAL = 1 << PRECISION_BITS
ENTRIES_MAX = 4096
TABLES_MAX = 65535

# Costs are integers, so that all machines choose the same number of lanes: 1 bit is 2^20 units.
COST_BITS = 20

_TABLE = np.dtype([("minimum", "<i4"), ("regular", "<u4"), ("first", "<u4"), ("likeliest", "<u4")])

Frequencies = NDArray[np.uint16]
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Tables:
    """T tables. Table t codes minimum[t] + k with entry k, and all else with its last entry.

    minimum: (T,) int32, smallest regular symbol.
    frequencies: T arrays of n_t + 1 integers of at least 1 that add up to 2^16; the last is the
        escape. Kept as uint16.
    Raises FormatError where this does not hold.
    """

    minimum: NDArray[np.integer]
    frequencies: tuple[NDArray[np.integer], ...]

    def __post_init__(self) -> None:
        minimum = np.asarray(self.minimum)
        if minimum.ndim != 1 or minimum.dtype.kind not in "iu":
            raise FormatError(
                f"minima of shape {minimum.shape} and dtype {minimum.dtype}", expected="(T,) int32"
            )
        if not 1 <= len(minimum) <= TABLES_MAX or len(minimum) != len(self.frequencies):
            raise FormatError(
                f"{len(minimum)} minima and {len(self.frequencies)} tables",
                expected=f"as many minima as tables, 1 to {TABLES_MAX}",
            )
        checked = tuple(
            _check_table(t, int(minimum[t]), np.asarray(f)) for t, f in enumerate(self.frequencies)
        )
        kept = minimum.astype(np.int32)
        kept.setflags(write=False)
        for table in checked:
            table.setflags(write=False)
        object.__setattr__(self, "minimum", kept)
        object.__setattr__(self, "frequencies", checked)

    def __len__(self) -> int:
        return len(self.frequencies)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tables) and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash(self.to_bytes())

    @cached_property
    def regular(self) -> Int64s:
        """Entries other than the escape, (T,)."""
        return np.array([len(f) - 1 for f in self.frequencies], np.int64)

    @cached_property
    def first(self) -> Int64s:
        """Position of each table's entries in the arrays below, (T,)."""
        return np.cumsum(self.regular + 1) - (self.regular + 1)

    @cached_property
    def flat_frequencies(self) -> Frequencies:
        """All entries of all tables, one table after the other."""
        return np.concatenate(self.frequencies)

    @cached_property
    def flat_starts(self) -> NDArray[np.uint16]:
        """The sum of the frequencies before each entry, within its table."""
        return np.concatenate([np.cumsum(f, dtype=np.int64) - f for f in self.frequencies]).astype(
            np.uint16
        )

    @cached_property
    def layout(self) -> NDArray[np.void]:
        """Array of struct Table of the C library, (T,)."""
        layout = np.zeros(len(self), _TABLE)
        layout["minimum"], layout["regular"] = self.minimum, self.regular
        layout["first"], layout["likeliest"] = self.first, self.likeliest
        return layout

    @cached_property
    def likeliest(self) -> NDArray[np.uint16]:
        """Where the likeliest entry of each table starts, the first of several, (T,)."""
        largest = np.array([int(f.argmax()) for f in self.frequencies])
        found: NDArray[np.uint16] = self.flat_starts[self.first + largest]
        return found

    @cached_property
    def costs(self) -> Int64s:
        """Cost of every entry of all tables, in 2^-20 bits, rounded down."""
        return _costs(self.flat_frequencies)

    @cached_property
    def mean_cost(self) -> Int64s:
        """Entropy of each table, (T,), in 2^-20 bits."""
        cost = self.costs * self.flat_frequencies.astype(np.int64)
        return np.add.reduceat(cost, self.first) >> PRECISION_BITS

    @cached_property
    def least_cost(self) -> Int64s:
        """Cost of the cheapest entry of each table, (T,), in 2^-20 bits."""
        return np.minimum.reduceat(self.costs, self.first)

    def costs_of(self, index: NDArray[np.uint16], symbols: NDArray[np.signedinteger]) -> Int64s:
        """What symbols cost with the tables of their places, both of one shape, in 2^-20 bits: an
        escaped one its escape entry and 8 bits for each byte of its varint.
        """
        t = index.astype(np.intp)
        minimum, regular = self.minimum.astype(np.int64)[t], self.regular[t]
        wide = symbols.astype(np.int64)
        entry = wide - minimum
        outside = (entry < 0) | (entry >= regular)
        cost = self.costs[self.first[t] + np.where(outside, regular, entry)]
        if outside.any():
            values = escape_values(wide[outside], minimum[outside], regular[outside])
            cost[outside] += varint_lengths(values) * (8 << COST_BITS)
        return cost

    def to_bytes(self) -> bytes:
        """The member tables.bin of a bundle."""
        out = bytearray()
        append_varint(out, len(self))
        for minimum, frequencies in zip(self.minimum.tolist(), self.frequencies, strict=True):
            append_zigzag(out, minimum)
            append_varint(out, len(frequencies) - 1)
            for frequency in frequencies.tolist():
                append_varint(out, frequency)
        return bytes(out)

    @staticmethod
    def from_bytes(data: bytes) -> Tables:
        """Read tables.bin. Raises FormatError or TruncatedError for anything else."""
        count, position = read_varint(data, 0)
        if not 1 <= count <= TABLES_MAX:
            raise FormatError(f"{count} tables", expected=f"1 to {TABLES_MAX}")
        minima: list[int] = []
        tables: list[NDArray[np.int64]] = []
        for t in range(count):
            minimum, position = read_zigzag(data, position)
            regular, position = read_varint(data, position)
            if not -(1 << 31) <= minimum < 1 << 31:
                raise FormatError(f"table {t} starts at symbol {minimum}", expected="an int32")
            if not 1 <= regular < ENTRIES_MAX:
                raise FormatError(
                    f"table {t} has {regular} regular entries", expected=f"1 to {ENTRIES_MAX - 1}"
                )
            if regular >= len(data) - position:
                raise TruncatedError(
                    f"table {t} ends after {len(data) - position} bytes of frequencies",
                    expected=f"{regular + 1} frequencies",
                )
            values: list[int] = []
            for _ in range(regular + 1):
                value, position = read_varint(data, position)
                if not 1 <= value < TOTAL:
                    raise FormatError(
                        f"a frequency of {value} in table {t}", expected=f"1 to {TOTAL - 1}"
                    )
                values.append(value)
            minima.append(minimum)
            tables.append(np.array(values, np.int64))
        if position != len(data):
            raise FormatError(
                f"{len(data) - position} bytes follow the last table", expected="none"
            )
        return Tables(np.array(minima, np.int32), tuple(tables))


def _check_table(t: int, minimum: int, frequencies: NDArray[np.integer]) -> Frequencies:
    entries = frequencies.size
    if frequencies.ndim != 1 or frequencies.dtype.kind not in "iu":
        raise FormatError(
            f"frequencies of table {t}: shape {frequencies.shape}, dtype {frequencies.dtype}",
            expected="a one-dimensional array of integers",
        )
    if not 2 <= entries <= ENTRIES_MAX:
        raise FormatError(
            f"table {t} has {entries} entries", expected=f"2 to {ENTRIES_MAX}, escape included"
        )
    if not -(1 << 31) <= minimum <= (1 << 31) - entries + 1:
        raise FormatError(
            f"table {t} starts at symbol {minimum}", expected="all its symbols within int32"
        )
    if int(frequencies.min()) < 1 or int(frequencies.max()) >= TOTAL:
        raise FormatError(
            f"table {t} has frequencies from {frequencies.min()} to {frequencies.max()}",
            expected=f"1 to {TOTAL - 1}",
        )
    total = int(frequencies.sum(dtype=np.int64))
    if total != TOTAL:
        raise FormatError(f"the frequencies of table {t} add up to {total}", expected=str(TOTAL))
    return frequencies.astype(np.uint16)


def _costs(frequencies: Frequencies) -> Int64s:
    """log2(2^16 / f) in 2^-20 bits, rounded down, by integers alone: the same on every machine."""
    f = frequencies.astype(np.uint64)
    whole = np.zeros(f.shape, np.uint64)
    for bit in range(1, PRECISION_BITS):
        whole += f >= np.uint64(1 << bit)
    # f as a number in [1, 2) with 31 fractional bits; squaring it brings out one bit of its
    # logarithm after the other.
    mantissa = f << (np.uint64(31) - whole)
    logarithm = whole
    for _ in range(COST_BITS):
        mantissa = (mantissa * mantissa) >> np.uint64(31)
        carry = mantissa >> np.uint64(32)
        mantissa >>= carry
        logarithm = (logarithm << np.uint64(1)) | carry
    # The truncations can only have made the logarithm too small, by at most one unit.
    ceiling = np.int64(PRECISION_BITS << COST_BITS)
    cost: Int64s = np.maximum(ceiling - logarithm.astype(np.int64) - 1, 0)
    return cost


def integer_frequencies(weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """Integers of at least 1 that add up to 2^16 and cost the fewest bits under the weights.

    weights: (n,) finite, not negative, not all zero, n from 1 to 2^16; need not be normalised.
    Largest remainders first; then units move from where they are missed least to where they gain
    most until none does. The cost sum(-w log f) is separable and convex, so this ends at its
    minimum.
    """
    p = np.asarray(weights, np.float64)
    if p.ndim != 1 or not 1 <= p.size <= TOTAL:
        raise ShapeError(f"weights of shape {p.shape}", expected=f"(n,) with n from 1 to {TOTAL}")
    if not np.isfinite(p).all() or p.min() < 0 or p.sum() <= 0 or not np.isfinite(p.sum()):
        raise ValueRangeError(
            f"weights from {p.min()} to {p.max()}", expected="finite, not negative, not all zero"
        )
    p = p / p.sum()
    f = _share(p)
    gains = [(-w * _gain(k), i) for i, (w, k) in enumerate(zip(p.tolist(), f, strict=True))]
    losses = [
        (w * _gain(k - 1), i) for i, (w, k) in enumerate(zip(p.tolist(), f, strict=True)) if k > 1
    ]
    heapq.heapify(gains)
    heapq.heapify(losses)
    while gains and losses:
        gain, to = gains[0]
        loss, source = losses[0]
        # The margin keeps rounding from moving the same unit to and fro.
        if -gain <= loss * (1 + 1e-12) or to == source:
            break
        heapq.heappop(gains)
        heapq.heappop(losses)
        f[to] += 1
        f[source] -= 1
        _replace(gains, losses, float(p[to]), f[to], to)
        _replace(gains, losses, float(p[source]), f[source], source)
        _drop_stale(gains, losses, p, f)
    return np.array(f, np.int64)


def _gain(k: int) -> float:
    """What one more unit saves an entry of frequency k, in nats per unit of weight."""
    return float(np.log1p(1.0 / k))


def _replace(
    gains: list[tuple[float, int]], losses: list[tuple[float, int]], w: float, k: int, i: int
) -> None:
    heapq.heappush(gains, (-w * _gain(k), i))
    if k > 1:
        heapq.heappush(losses, (w * _gain(k - 1), i))


def _drop_stale(
    gains: list[tuple[float, int]],
    losses: list[tuple[float, int]],
    p: NDArray[np.float64],
    f: list[int],
) -> None:
    """Remove from the tops what an entry's old frequency put there."""
    while gains and gains[0][0] != -float(p[gains[0][1]]) * _gain(f[gains[0][1]]):
        heapq.heappop(gains)
    while losses:
        value, i = losses[0]
        if f[i] > 1 and value == float(p[i]) * _gain(f[i] - 1):
            return
        heapq.heappop(losses)


def _share(p: NDArray[np.float64]) -> list[int]:
    """Largest remainders, with at least 1 for every entry. p: (n,), adds up to 1."""
    f = np.ones(p.size, np.int64)
    free = p * TOTAL > 1.0
    # Entries held at 1 take from the others, which may bring more of them down to 1.
    while free.any():
        left = TOTAL - int((~free).sum())
        shares = p[free] / p[free].sum() * left
        if shares.min() >= 1.0:
            break
        still = free.copy()
        still[free] = shares > 1.0
        if (still == free).all():
            break
        free = still
    if not free.any():
        free = p == p.max()
    left = TOTAL - int((~free).sum())
    shares = p[free] / p[free].sum() * left
    whole = np.maximum(np.floor(shares).astype(np.int64), 1)
    missing = left - int(whole.sum())
    order = np.argsort(-(shares - whole), kind="stable")
    whole[order[: max(missing, 0)]] += 1
    f[free] = whole
    excess = int(f.sum()) - TOTAL
    while excess > 0:
        f[int(f.argmax())] -= 1
        excess -= 1
    return [int(k) for k in f]


def tables_from_counts(
    minimum: Sequence[int] | NDArray[np.integer], weights: Sequence[NDArray[np.float64]]
) -> Tables:
    """Tables from weights: weights[t] has n_t regular entries and last the escape's weight.

    A weight of 0 still gets a frequency of 1.
    """
    return Tables(
        np.array(minimum, np.int64),
        tuple(integer_frequencies(w).astype(np.uint16) for w in weights),
    )


def escape_values(symbols: Int64s, minimum: Int64s, regular: Int64s) -> NDArray[np.uint64]:
    """What the escapes stream holds for symbols outside their tables (FORMAT.md 4.3); all (n,)."""
    above = symbols - (minimum + regular)
    below = minimum - 1 - symbols
    return np.where(above >= 0, 2 * above, 2 * below + 1).astype(np.uint64)


def cross_entropy_bits(symbols: Int32s, index: NDArray[np.uint16], tables: Tables) -> float:
    """Bits that coding the symbols takes by the tables' own probabilities, estimated.

    symbols: (n,) int32; index: (p,) uint16, used cyclically. An escaped symbol costs its escape
    entry and 8 bits for each byte of its varint.
    """
    flat = np.asarray(symbols).astype(np.int64).ravel()
    t = np.resize(np.asarray(index).astype(np.int64), flat.size)
    minimum = tables.minimum.astype(np.int64)[t]
    regular = tables.regular[t]
    entry = flat - minimum
    outside = (entry < 0) | (entry >= regular)
    entry = np.where(outside, regular, entry)
    f = tables.flat_frequencies[tables.first[t] + entry].astype(np.float64)
    bits = float(np.sum(PRECISION_BITS - np.log2(f)))
    values = escape_values(flat[outside], minimum[outside], regular[outside])
    return bits + 8.0 * float(np.sum(varint_lengths(values)))


def varint_lengths(values: NDArray[np.uint64]) -> Int64s:
    lengths = np.ones(values.shape, np.int64)
    for shift in range(7, 35, 7):
        lengths += values >= np.uint64(1 << shift)
    return lengths
