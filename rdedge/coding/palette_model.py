"""Runs a palette (FORMAT.md 4.10), in C or in NumPy: the same tables, the same pixels."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rdedge import native
from rdedge.coding.palette import Palette
from rdedge.coding.palette_c import NativePalette
from rdedge.coding.palette_numpy import NumpyPalette
from rdedge.coding.palette_planes import Planes
from rdedge.coding.rans import Coder
from rdedge.coding.tables import COST_BITS, Tables
from rdedge.errors import ValueRangeError

__all__ = ["PaletteModel"]

# Pixels that cost less than so much are not looked at for a change, in 2^-20 bits.
_LEAST = 1 << (COST_BITS - 1)
_PASSES = 3

Index = NDArray[np.uint16]
Int32s = NDArray[np.int32]
Int8s = NDArray[np.int8]
Floats = NDArray[np.float32]


class PaletteModel:
    """One bundle's palette with its tables. numpy: not in C. Raises FormatError for tables that do
    not suit it.
    """

    def __init__(self, palette: Palette, tables: Tables, numpy: bool = False) -> None:
        palette.refuse_tables(tables)
        self.palette, self.tables = palette, tables
        # Three entries a table, the last the escape's.
        answers = np.ascontiguousarray(tables.costs.reshape(-1, 3)[:, :2], np.int32)
        self._numpy = NumpyPalette(palette, answers)
        library = None if numpy else native.library()
        self._native = None if library is None else NativePalette(library, palette, answers)

    def size(self, grid: tuple[int, ...]) -> tuple[int, int]:
        """Lines and columns of samples whose rows lie so."""
        return (grid[0], grid[1]) if grid else self.palette.size

    @cached_property
    def least(self) -> int:
        """The least that a pixel can cost, in 2^-20 bits, rounded down."""
        return int(self.tables.least_cost[: self.palette.levels].min())

    def select(self, symbols: Int32s, size: tuple[int, int]) -> tuple[Int32s, Index]:
        """Symbols of samples, (n,) int32 -> decisions in the order in which they are coded, int32,
        and the table of each, uint16. Raises ValueRangeError for a symbol that is no value.
        """
        planes, s, symbols = self._filled(symbols, size)
        return (self._native or self._numpy).select(planes, s, symbols)

    def costs(self, symbols: Int32s, size: tuple[int, int]) -> Int32s:
        """What every pixel costs, (n,) int32, in 2^-20 bits."""
        planes, s, symbols = self._filled(symbols, size)
        return (self._native or self._numpy).costs(planes, s, symbols)

    def change(
        self, symbols: Int32s, scaled: Floats, weight: float, size: tuple[int, int]
    ) -> Int32s:
        """Symbols some of which are changed, where the bits saved are worth the error.

        Bits are those of the pixel and of all pixels whose context it is in. One pixel after the
        other, in a few passes. symbols: (n,) int32, to the nearest value. scaled: (n,) float32,
        where pixels lie between the values, by their numbers. weight: of a bit, in squared ranges
        from the first value to the last.
        """
        symbols = symbols.copy()
        planes, s, symbols = self._filled(symbols, size)
        scaled = np.ascontiguousarray(scaled, np.float32)
        runs = self._native or self._numpy
        spent = runs.costs(planes, s, symbols)
        per_unit = weight * 2.0**-COST_BITS
        for _ in range(_PASSES):
            if not runs.change(planes, s, symbols, spent, scaled, per_unit, _LEAST):
                break
        return symbols

    def decode(
        self, coder: Coder, latents: bytes, lanes: int, count: int, size: tuple[int, int]
    ) -> Int32s:
        """The symbols of a stream of count samples, (n,) int32. Raises FormatError."""
        s = Planes.of(self.palette, count, size)
        least = s.pixels * self.least
        # Before there is memory for them.
        coder.refuse_unearned(s.pixels, lanes, least, len(latents))
        planes = s.empty(int(self.palette.codes[-1]))
        in_c = self._native
        if in_c is not None and coder.backend == "c":
            return coder.decode_by(
                latents,
                b"",
                s.pixels,
                lanes,
                least,
                lambda _, decoding, model, to: in_c.decode(planes, s, decoding, model, to),
            )
        symbols = np.zeros(s.pixels, np.int32)
        steps = self._numpy.steps(planes, s, symbols)
        coder.decode_in_steps(latents, b"", s.pixels, lanes, least, steps)
        return symbols

    def _filled(self, symbols: Int32s, size: tuple[int, int]) -> tuple[Int8s, Planes, Int32s]:
        """Planes that hold these symbols, which come back as C wants them. Raises
        ValueRangeError.
        """
        palette = self.palette
        if symbols.size and not 0 <= symbols.min() <= symbols.max() < palette.values:
            raise ValueRangeError(
                f"symbols from {symbols.min()} to {symbols.max()}",
                expected=f"0 to {palette.values - 1}",
            )
        s = Planes.of(palette, symbols.size // math.prod(size), size)
        planes = s.empty(int(palette.codes[-1]))
        s.inside(planes)[:] = palette.codes[symbols].reshape(s.samples, *size)
        return planes, s, np.ascontiguousarray(symbols)
