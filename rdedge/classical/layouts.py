"""Ways to lay the numbers of a series out for a codec, each undone exactly.

A piece is (T, C): whole numbers, or floats for the layouts of values as they are. The layout, and
the dtype of a narrow one, are chosen once for a stream and known to both ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from rdedge.types import Array

Form = Literal["plain", "flat", "planes", "varint"]


@dataclass(frozen=True)
class Layout:
    """One way.

    order: how many times differences along time are taken, 0 to 2; the first values stay.
    by_channel: one channel after the other (C, T), or one time after the other (T, C).
    form: "plain", an array of that shape; "flat", the same with one axis; "planes", its bytes by
        significance; "varint", each number in as few bytes as its size needs (LEB128 of zigzag).
    """

    order: int
    by_channel: bool
    form: Form

    @property
    def text(self) -> str:
        parts = [f"differences of order {self.order}"] if self.order else []
        parts.append("by channel" if self.by_channel else "by time")
        if self.form != "plain":
            parts.append({"flat": "in a row", "planes": "by byte"}.get(self.form, self.form))
        return ", ".join(parts)

    def dtype(self, q: Array) -> str:
        """The dtype of what lay() makes of q (P, T, C): the smallest that fits whole numbers."""
        if not np.issubdtype(q.dtype, np.integer):
            return str(q.dtype)
        if self.form == "varint":
            return "uint8"
        d = _differences(q, self.order)
        low, high = (int(d.min()), int(d.max())) if d.size else (0, 0)
        for name in ("int8", "int16", "int32"):
            if np.iinfo(name).min <= low and high <= np.iinfo(name).max:
                return name
        return "int64"

    def lay(self, q: Array, dtype: str) -> list[Array]:
        """q: (P, T, C), int64 or, at order 0, floats of dtype; returns P arrays."""
        d = _differences(q, self.order)
        d = np.ascontiguousarray(np.swapaxes(d, 1, 2) if self.by_channel else d)
        if self.form == "varint":
            return [varints(piece) for piece in d]
        d = d.astype(dtype, copy=False)
        if self.form == "flat":
            return list(d.reshape(len(d), -1))
        if self.form == "planes":
            size = d.dtype.itemsize
            planes = d.view(np.uint8).reshape(len(d), -1, size)
            return list(np.ascontiguousarray(np.swapaxes(planes, 1, 2)))
        return list(d)

    def undo(self, z: Array, shape: tuple[int, ...], dtype: str) -> Array:
        """z: one of what lay() returned, dtype as then; returns (T, C), int64 or floats."""
        if self.form == "varint":
            d = from_varints(z)
        elif self.form == "planes":
            d = np.ascontiguousarray(z.T).view(dtype).reshape(-1)
        else:
            d = z.reshape(-1)
        d = d.reshape(shape[::-1]).T if self.by_channel else d.reshape(shape)
        if np.issubdtype(d.dtype, np.integer):
            d = d.astype(np.int64)
        for _ in range(self.order):
            d = np.cumsum(d, axis=0)
        return d


def for_numbers(models: str) -> tuple[Layout, ...]:
    """Layouts of whole numbers that are worth trying with a codec of ClassicalCodec.models."""
    if models == "channels":
        return (Layout(0, True, "plain"),)
    forms: tuple[Form, ...] = ("plain", "planes", "varint") if models == "bytes" else ("plain",)
    return tuple(
        Layout(order, by_channel, form)
        for order in (1, 0, 2)
        for by_channel in (True, False)
        for form in forms
    )


def for_values(models: str) -> tuple[Layout, ...]:
    """Layouts of floats as they are."""
    form: Form = "planes" if models == "bytes" else "flat"
    return tuple(Layout(0, by_channel, f) for by_channel in (True, False) for f in (form, "plain"))


def varints(values: Array) -> Array:
    """Whole numbers of any shape as zigzag varints, uint8, in C order."""
    v = values.reshape(-1).astype(np.int64)
    zigzag = ((v << 1) ^ (v >> 63)).view(np.uint64)[:, None]
    shifts = np.arange(0, 70, 7, dtype=np.uint64)
    rest = zigzag >> shifts
    keep = rest > 0
    keep[:, 0] = True
    more = np.zeros_like(keep)
    more[:, :-1] = keep[:, 1:]
    octets = (rest & np.uint64(127)).astype(np.uint8) | (more.astype(np.uint8) << 7)
    kept: Array = octets[keep]
    return kept


def from_varints(octets: Array) -> Array:
    """Undo varints: (n,) int64, from whole varints of at most ten bytes each."""
    ends = np.flatnonzero(octets < 128)
    starts = np.concatenate([[0], ends + 1])[: len(ends)]
    place = np.arange(len(octets)) - np.repeat(starts, ends - starts + 1)
    bits = (octets & 127).astype(np.uint64) << (7 * place).astype(np.uint64)
    zigzag = np.bitwise_or.reduceat(bits, starts) if len(starts) else bits
    sign = -(zigzag & np.uint64(1)).view(np.int64)
    values: Array = (zigzag >> np.uint64(1)).view(np.int64) ^ sign
    return values


def _differences(q: Array, order: int) -> Array:
    for _ in range(order):
        q = np.diff(q, axis=1, prepend=np.zeros_like(q[:, :1]))
    return q
