"""How pixels lie in memory while a palette's network looks at them (FORMAT.md 4.10)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rdedge.coding.palette import Palette

__all__ = ["CHUNK", "Planes"]

# Neighbours side by side that palette.c looks at together; so many bytes follow the planes.
CHUNK = 8

Int64s = NDArray[np.int64]
Int8s = NDArray[np.int8]


@dataclass(frozen=True)
class Planes:
    """How samples lie in memory with what is outside of them: struct Planes of palette.c."""

    samples: int
    lines: int
    columns: int
    slope: int
    left: int
    right: int
    top: int

    @staticmethod
    def of(palette: Palette, count: int, size: tuple[int, int]) -> Planes:
        rights = [right for _, right in palette.offsets]
        return Planes(
            count,
            *size,
            palette.slope,
            max(0, -min(rights)),
            max(0, *rights) if len(rights) > 1 else max(0, rights[0]),
            max(up for up, _ in palette.offsets),
        )

    @property
    def pixels(self) -> int:
        return self.samples * self.lines * self.columns

    @property
    def stride(self) -> int:
        return self.left + self.columns + self.right

    @property
    def of_front(self) -> int:
        """The most pixels that a front has."""
        return self.samples * min(self.lines, -(-self.columns // self.slope))

    @property
    def struct(self) -> Int64s:
        return np.array(
            [
                self.samples,
                self.lines,
                self.columns,
                self.slope,
                self.stride,
                (self.top + self.lines) * self.stride,
                self.top * self.stride + self.left,
            ],
            np.int64,
        )

    def empty(self, outside: int) -> Int8s:
        """Planes, (N, top + lines, stride), with nothing but what lies outside."""
        shape = self.samples, self.top + self.lines, self.stride
        size = math.prod(shape)
        return np.full(size + CHUNK, outside, np.int8)[:size].reshape(shape)

    def inside(self, planes: Int8s) -> Int8s:
        """The pixels of the samples, (N, lines, columns)."""
        return planes[:, self.top :, self.left : self.left + self.columns]

    def fronts(self) -> Iterator[tuple[Int64s, Int64s]]:
        """Of each front, in order: where its pixels are in the planes, and in the samples."""
        count = self.columns + self.slope * (self.lines - 1)
        of_sample = np.arange(self.samples)[:, None]
        for front in range(count):
            first = max(0, -(-(front - self.columns + 1) // self.slope))
            last = min(front // self.slope, self.lines - 1)
            # Thin pictures skip some.
            if first > last:
                continue
            y = np.arange(first, last + 1)
            x = front - y * self.slope
            line = of_sample * (self.top + self.lines) + self.top + y
            at = line * self.stride + self.left + x
            natural = (of_sample * self.lines + y) * self.columns + x
            yield at.reshape(-1), natural.reshape(-1)
