"""Calls palette.c: lays out its structures in NumPy arrays and hands over their addresses."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rdedge.coding.dot import padded
from rdedge.coding.palette import POSITION_MAX, Palette
from rdedge.coding.palette_planes import CHUNK, Planes
from rdedge.native import Library

__all__ = ["NativePalette"]

_CHUNKS = np.dtype([("delta", "<i4"), ("count", "<i4"), ("mask", "u1", CHUNK)])

Index = NDArray[np.uint16]
Int32s = NDArray[np.int32]
Int8s = NDArray[np.int8]
Floats = NDArray[np.float32]
Arrays = tuple[NDArray[np.generic], ...]


class NativePalette:
    """answers: (T, 2) int32, what the decisions 0 and 1 cost with each table, in 2^-20 bits."""

    def __init__(self, library: Library, palette: Palette, answers: Int32s) -> None:
        self.palette, self.answers = palette, np.ascontiguousarray(answers)
        self._library = library

    def select(self, planes: Int8s, s: Planes, symbols: Int32s) -> tuple[Int32s, Index]:
        """Decisions and the table of each, in the order in which they are coded."""
        each = self.palette.decisions
        decisions = np.empty(symbols.size * each, np.int32)
        index = np.empty(symbols.size * each, np.uint16)
        tables = np.empty(s.of_front * each, np.uint16)
        geometry, struct, keep = s.struct, *self._struct(s.stride)
        arrays = (struct, geometry, planes, symbols, tables, decisions, index)
        count = self._library.palette_tables(*(a.ctypes.data for a in arrays))
        del keep
        return decisions[:count], index[:count]

    def decode(
        self, planes: Int8s, s: Planes, decoding: object, model_at: int, symbols_at: int
    ) -> None:
        """Fill symbols in from a stream that was started on."""
        each = self.palette.decisions
        room: Arrays = (
            np.empty(s.of_front * each, np.uint16),
            np.empty(s.of_front, np.int32),
            np.empty(s.of_front, np.uint16),
            np.empty(s.of_front, np.int32),
        )
        geometry, struct, keep = s.struct, *self._struct(s.stride)
        self._library.palette_decode(
            struct.ctypes.data,
            geometry.ctypes.data,
            decoding,
            model_at,
            planes.ctypes.data,
            *(a.ctypes.data for a in room),
            symbols_at,
        )
        del keep

    def costs(self, planes: Int8s, s: Planes, symbols: Int32s) -> Int32s:
        """What every pixel costs, in 2^-20 bits, in the natural order."""
        spent = np.empty(symbols.size, np.int32)
        geometry, struct, keep = s.struct, *self._struct(s.stride)
        arrays = (struct, geometry, planes, symbols, self.answers, spent)
        self._library.palette_costs(*(a.ctypes.data for a in arrays))
        del keep
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
        geometry, struct, keep = s.struct, *self._struct(s.stride)
        before = (struct, geometry, self.answers, self._positions, scaled)
        changed = self._library.palette_change(
            *(a.ctypes.data for a in before),
            per_unit,
            least,
            *(a.ctypes.data for a in (planes, symbols, spent)),
        )
        del keep
        return int(changed)

    def _struct(self, stride: int) -> tuple[NDArray[np.uint64], Arrays]:
        """Struct Palette of palette.c for planes of this stride, and what it points to."""
        keep = (self._chunks(stride), *self._arrays, self._alike)
        return self._addresses(keep), keep

    def _chunks(self, stride: int) -> NDArray[np.void]:
        """Array of struct Chunk."""
        found: list[list[int]] = []
        for up, right in self.palette.offsets:
            delta = right - up * stride
            if found and found[-1][1] < CHUNK and delta == sum(found[-1]):
                found[-1][1] += 1
            else:
                found.append([delta, 1])
        chunks = np.zeros(len(found), _CHUNKS)
        for k, (delta, count) in enumerate(found):
            chunks[k]["delta"], chunks[k]["count"] = delta, count
            chunks[k]["mask"][:count] = 255
        return chunks

    def _addresses(self, arrays: Arrays) -> NDArray[np.uint64]:
        p = self.palette
        numbers = [a.ctypes.data for a in arrays]
        sizes = (len(arrays[0]), p.inputs, *p.hidden, p.values, p.levels, p.places, *p.shifts)
        return np.array([*numbers, *sizes], np.uint64)

    @cached_property
    def _arrays(self) -> Arrays:
        """In the order of struct Palette, after the chunks and before alike."""
        p = self.palette
        which = np.zeros(256, np.uint8)
        for k in range(p.values, -1, -1):
            which[int(p.codes[k]) & 255] = k
        above, right = (np.array(part, np.int32) for part in zip(*p.offsets, strict=True))
        return (
            above,
            right,
            np.ascontiguousarray(p.codes),
            which,
            padded(p.weights),
            p.place_biases,
            padded(p.weights_2),
            np.ascontiguousarray(p.biases_2),
            padded(p.out_weights),
            np.ascontiguousarray(p.out_biases),
        )

    @cached_property
    def _alike(self) -> Index:
        """Tables where all neighbours are alike: by place, value and decision."""
        p = self.palette
        alike = np.zeros(p.places * (p.values + 1) * p.decisions, np.uint16)
        keep = (self._chunks(1), *self._arrays, alike)
        struct = self._addresses(keep)
        self._library.palette_prepare(struct.ctypes.data, alike.ctypes.data)
        return alike

    @cached_property
    def _positions(self) -> NDArray[np.float64]:
        return np.array(self.palette.positions, np.float64) / POSITION_MAX
