"""Pictures of few grey values (FORMAT.md 4.10): what the member palette.bin says.

A pixel is one of K values. Those before it, in a list of places around it, go through a network of
two hidden layers, all of it integers, whose outputs name the tables that code the pixel: in
decisions, whether it is above the first value, above the second, and so on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rdedge.coding.tables import Tables
from rdedge.errors import FormatError, TruncatedError
from rdedge.format.varint import append_varint, append_zigzag, read_varint, read_zigzag

__all__ = ["Offset", "Palette"]

VALUES_MAX, INPUTS_MAX, HIDDEN_MAX, LEVELS_MAX = 8, 256, 64, 512
# Lines above a pixel, and columns to either side, that it may look at.
REACH_MAX = 31
# So that no sum leaves 32 bits: 256 * 128 * 4095 + 2^28 + 2 * 2^26, 64 * 4095 * 4095 + 2^28.
WEIGHT_MAX, BIAS_MAX, PLACE_BIAS_MAX = 4095, 1 << 28, 1 << 26
ACTIVATION_MAX = 4095
SHIFT_MAX = 24
POSITION_MAX = 65535
PLACES_MAX = 65535
# A bit of a decision: below, above.
_ANSWERS = 2

Int16s = NDArray[np.int16]
Int32s = NDArray[np.int32]

# Lines above, columns to the right (negative: to the left).
Offset = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Palette:
    """The member palette.bin.

    size: (H, W) of every sample, or (0, 0) where samples are images, which have theirs. codes:
    (K + 1,) int8, what the network sees of each value, and of what lies outside. positions: (K,)
    how the values lie between the first, 0, and the last, 65535; for the encoder alone. offsets:
    the F places that a pixel looks at. levels: tables of a decision. shifts: what is dropped of
    the three layers' sums. weights: (H1, F); biases: (H1,); of_lines: (H, H1) and
    of_columns: (W, H1), added to them by where a pixel is in its sample; weights_2: (H2, H1);
    biases_2: (H2,); out_weights: (K - 1, H2); out_biases: (K - 1,).
    Raises FormatError where they are not what section 4.10 allows.
    """

    size: tuple[int, int]
    codes: NDArray[np.int8]
    positions: tuple[int, ...]
    offsets: tuple[Offset, ...]
    levels: int
    shifts: tuple[int, int, int]
    weights: Int16s
    biases: Int32s
    of_lines: Int32s
    of_columns: Int32s
    weights_2: Int16s
    biases_2: Int32s
    out_weights: Int16s
    out_biases: Int32s

    def __post_init__(self) -> None:
        wrong = next(self._faults(), "")
        if wrong:
            raise FormatError(f"palette: {wrong}", expected="what FORMAT.md section 4.10 allows")

    @property
    def values(self) -> int:
        """K."""
        return len(self.positions)

    @property
    def decisions(self) -> int:
        """The most that a pixel takes."""
        return self.values - 1

    @property
    def inputs(self) -> int:
        return len(self.offsets)

    @property
    def hidden(self) -> tuple[int, int]:
        return len(self.biases), len(self.biases_2)

    @property
    def places(self) -> int:
        """Pixels of a sample that have biases of their own; 1 where none has."""
        return self.size[0] * self.size[1] or 1

    @property
    def multiply_adds(self) -> int:
        """Of the network, for one pixel whose neighbours are not all alike."""
        first, second = self.hidden
        return self.inputs * first + first * second + second * self.decisions

    @property
    def tables_needed(self) -> int:
        return self.decisions * self.levels

    @property
    def slope(self) -> int:
        """Pixels whose column + slope * line is the same do not look at each other."""
        return max((right // up + 1 for up, right in self.offsets if up and right >= 0), default=1)

    @cached_property
    def place_biases(self) -> Int32s:
        """(P, H1): of the first layer at each place."""
        if self.size == (0, 0):
            return np.ascontiguousarray(self.biases[None])
        every = self.biases + self.of_lines[:, None] + self.of_columns
        found: Int32s = np.ascontiguousarray(every.reshape(-1, len(self.biases)), np.int32)
        return found

    def refuse_tables(self, tables: Tables) -> None:
        """Raise FormatError where these are not tables of two answers for all decisions."""
        regular, minimum = tables.regular, tables.minimum
        if len(tables) != self.tables_needed or (regular != _ANSWERS).any() or minimum.any():
            raise FormatError(
                f"palette: {len(tables)} tables",
                expected=f"{self.tables_needed} tables for the symbols 0 and 1",
            )

    def _faults(self) -> Iterator[str]:
        first, second = self.hidden
        if not 2 <= self.values <= VALUES_MAX or self.codes.shape != (self.values + 1,):
            yield f"{self.values} values and {self.codes.size} codes"
        if not 1 <= self.inputs <= INPUTS_MAX:
            yield f"{self.inputs} inputs"
        if not (1 <= first <= HIDDEN_MAX and 1 <= second <= HIDDEN_MAX):
            yield f"{first} and {second} hidden units"
        if not 1 <= self.levels <= LEVELS_MAX:
            yield f"{self.levels} levels"
        if min(self.shifts) < 0 or max(self.shifts) > SHIFT_MAX:
            yield f"shifts of {self.shifts}"
        p = self.positions
        if p[0] != 0 or p[-1] != POSITION_MAX or any(b <= a for a, b in pairwise(p)):
            yield f"values at {p}"
        height, width = self.size
        if min(self.size) < 0 or (height == 0) != (width == 0) or height * width > PLACES_MAX:
            yield f"samples of {height} x {width}"
        before = None
        for up, right in self.offsets:
            order = (-up, right)
            if not (0 <= up <= REACH_MAX and -REACH_MAX <= right <= (REACH_MAX if up else -1)):
                yield f"a neighbour {up} above, {right} to the right"
            if before is not None and order <= before:
                yield "neighbours out of order"
            before = order
        shapes = (
            (self.weights, (first, self.inputs), WEIGHT_MAX),
            (self.biases, (first,), BIAS_MAX),
            (self.of_lines, (height, first), PLACE_BIAS_MAX),
            (self.of_columns, (width, first), PLACE_BIAS_MAX),
            (self.weights_2, (second, first), WEIGHT_MAX),
            (self.biases_2, (second,), BIAS_MAX),
            (self.out_weights, (self.decisions, second), WEIGHT_MAX),
            (self.out_biases, (self.decisions,), BIAS_MAX),
        )
        for array, shape, most in shapes:
            if array.shape != shape:
                yield f"an array of shape {array.shape} for {shape}"
            elif np.abs(array.astype(np.int64)).max(initial=0) > most:
                yield f"a weight beyond {most}"

    def to_bytes(self) -> bytes:
        out = bytearray()
        for number in (*self.size, self.values, self.inputs, *self.hidden, self.levels):
            append_varint(out, number)
        out += self.codes.astype(np.int8).tobytes() + bytes(self.shifts)
        for number in self.positions:
            append_varint(out, number)
        for up, right in self.offsets:
            append_varint(out, up)
            append_zigzag(out, right)
        for array in self._arrays():
            for number in array.reshape(-1).tolist():
                append_zigzag(out, number)
        return bytes(out)

    def _arrays(self) -> tuple[NDArray[np.signedinteger], ...]:
        """In the order of the member."""
        return (
            self.weights,
            self.biases,
            self.of_lines,
            self.of_columns,
            self.weights_2,
            self.biases_2,
            self.out_weights,
            self.out_biases,
        )

    @staticmethod
    def from_bytes(data: bytes) -> Palette:
        """Read palette.bin. Raises FormatError or TruncatedError for anything else."""
        return _Parser(data).palette()


class _Parser:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def palette(self) -> Palette:
        height = self.varint("a height", 0, PLACES_MAX)
        width = self.varint("a width", 0, PLACES_MAX)
        values = self.varint("the number of values", 2, VALUES_MAX)
        inputs = self.varint("the number of inputs", 1, INPUTS_MAX)
        first = self.varint("the number of hidden units", 1, HIDDEN_MAX)
        second = self.varint("the number of hidden units", 1, HIDDEN_MAX)
        levels = self.varint("the number of levels", 1, LEVELS_MAX)
        codes = np.frombuffer(self.take(values + 1), np.int8)
        shifts = tuple(self.take(3))
        positions = tuple(self.varint("a position", 0, POSITION_MAX) for _ in range(values))
        offsets = tuple(
            (self.varint("lines above", 0, REACH_MAX), self.number(REACH_MAX))
            for _ in range(inputs)
        )
        found = Palette(
            (height, width),
            codes,
            positions,
            offsets,
            levels,
            (shifts[0], shifts[1], shifts[2]),
            self.weights(first, inputs),
            self.biases((first,), BIAS_MAX),
            self.biases((height, first), PLACE_BIAS_MAX),
            self.biases((width, first), PLACE_BIAS_MAX),
            self.weights(second, first),
            self.biases((second,), BIAS_MAX),
            self.weights(values - 1, second),
            self.biases((values - 1,), BIAS_MAX),
        )
        if self.at != len(self.data):
            raise FormatError(
                f"palette: {len(self.data) - self.at} bytes follow the biases", expected="0"
            )
        return found

    def weights(self, rows: int, columns: int) -> Int16s:
        return self.numbers(rows * columns, WEIGHT_MAX).astype(np.int16).reshape(rows, columns)

    def biases(self, shape: tuple[int, ...], most: int) -> Int32s:
        count = int(np.prod(shape))
        return self.numbers(count, most).astype(np.int32).reshape(shape)

    def varint(self, what: str, least: int, most: int) -> int:
        value, self.at = read_varint(self.data, self.at)
        if not least <= value <= most:
            raise FormatError(f"palette: {what} is {value}", expected=f"{least} to {most}")
        return value

    def number(self, most: int) -> int:
        value, self.at = read_zigzag(self.data, self.at)
        if abs(value) > most:
            raise FormatError(f"palette: the number {value}", expected=f"{-most} to {most}")
        return value

    def numbers(self, count: int, most: int) -> NDArray[np.int64]:
        if count > len(self.data) - self.at:
            raise TruncatedError(
                f"palette: {len(self.data) - self.at} bytes of numbers", expected=f"{count}"
            )
        return np.array([self.number(most) for _ in range(count)], np.int64)

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise TruncatedError(
                f"palette: {len(self.data) - self.at} bytes are left", expected=f"{count}"
            )
        self.at += count
        return self.data[self.at - count : self.at]
