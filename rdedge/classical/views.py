"""How windows of a series become the numbers that a codec is shown, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rdedge.classical.steps import as_samples
from rdedge.types import Array

# Above this a float64 no longer tells a whole number from the next.
_EXACT = 2.0**53


@dataclass(frozen=True)
class View:
    """Values x (..., C) seen as (x - origin) / unit.

    text: what a person reads.
    unit, origin: (C,) float64, raw units; both None for values as they are.
    whole: whether they are then rounded to whole numbers, which are coded without loss.
    """

    text: str
    unit: Array | None = None
    origin: Array | None = None
    whole: bool = False

    def numbers(self, x: Array) -> Array | None:
        """int64 where whole, else float32 or float64; None where they do not fit."""
        if self.unit is None or self.origin is None:
            if self.whole:
                return x.astype(np.int64)
            return x.astype(np.float32) if x.dtype == np.float16 else x
        y = (x.astype(np.float64) - self.origin) / self.unit
        if not self.whole:
            return y if x.dtype.itemsize > 4 or x.dtype == np.int32 else y.astype(np.float32)
        return np.rint(y).astype(np.int64) if np.abs(y).max(initial=0.0) < _EXACT else None

    def values(self, numbers: Array, dtype: np.dtype[Any]) -> Array:
        """Undo numbers(): samples of dtype."""
        if self.unit is None or self.origin is None:
            return numbers.astype(dtype)
        return as_samples(numbers.astype(np.float64) * self.unit + self.origin, dtype)


def exact(dtype: np.dtype[Any]) -> View:
    """Values as they are."""
    return View("values as they are", whole=bool(np.issubdtype(dtype, np.integer)))


def scaled(
    text: str, factor: float, spread: Array, origin: Array, whole: bool, phase: float = 0.0
) -> View:
    """In units of factor times each channel's spread (C,), from the origin (C,) plus phase units.

    Data that live near a lattice, as averages of a few readings do, keep a bound at a coarser step
    where the phase suits them.
    """
    unit = factor * spread
    return View(text, unit, origin + phase * unit, whole)


def on_lattice(text: str, factor: float, spread: Array, origin: Array) -> View:
    """In whole units of at least 1, for samples that are whole numbers."""
    return View(text, np.maximum(1.0, np.rint(factor * spread)), np.rint(origin), True)
