"""The quantiser (FORMAT.md 4.4): latents <-> symbols, in C or in NumPy, the same symbols."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rdedge import native
from rdedge.errors import ConfigError, ShapeError, ValueRangeError

__all__ = ["dequantise", "quantise"]

Floats = NDArray[np.float32]
Int32s = NDArray[np.int32]

_LIMIT = np.float32(2**31)


def _inverse(step: float) -> np.float32:
    """The float32 nearest to 1 / step; step is rounded to float32 first."""
    if not 1e-37 < step < 1e37:
        raise ConfigError(f"a step of {step}", expected="1e-37 to 1e37")
    inverse: np.float32 = np.float32(1.0 / float(np.float32(step)))
    return inverse


def quantise(y: Floats, step: float, rounding: float, out: Int32s | None = None) -> Int32s:
    """Quantise y, (n,) float32, to symbols, (n,) int32.

    step: width of a cell, in units of y. rounding: in (0, 0.5]; 0.5 rounds to the nearest, less
    widens the cell of zero and draws all symbols towards it.
    out: (n,) int32, C-contiguous, to write the symbols to; None: a new array.
    Raises ValueRangeError for a value that is not finite or whose symbol exceeds 2^31 - 1.
    """
    if not isinstance(y, np.ndarray) or y.dtype != np.float32 or y.ndim != 1:
        raise ShapeError("latents that are not (n,) float32", expected="(n,) float32")
    if not 0 < rounding <= 0.5:
        raise ConfigError(f"a rounding of {rounding}", expected="above 0, at most 0.5")
    inverse = _inverse(step)
    y = np.ascontiguousarray(y)
    library = native.library()
    symbols = np.empty(y.size, np.int32) if out is None else out
    if symbols.shape != y.shape or symbols.dtype != np.int32 or not symbols.flags.c_contiguous:
        raise ShapeError("symbols to write to of another shape", expected=f"({y.size},) int32")
    if library is None:
        found, bad = _with_numpy(y, inverse, np.float32(rounding))
        if bad < 0:
            symbols[:] = found
    else:
        bad = library.quantise(y.ctypes.data, y.size, float(inverse), rounding, symbols.ctypes.data)
    if bad >= 0:
        raise ValueRangeError(
            f"latent {bad} is {y[bad]} and cannot be quantised with step {step}",
            expected="a finite value within 2^31 - 1 steps",
            do="look at the sample for values far outside those trained on",
        )
    return symbols


def _with_numpy(y: Floats, inverse: np.float32, rounding: np.float32) -> tuple[Int32s, int]:
    """The symbols, and the first place that has none, or -1."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        v = y * inverse
        magnitude = np.abs(v)
        magnitude += rounding
        fine = magnitude < _LIMIT
        if not fine.all():
            return np.empty(0, np.int32), int(np.argmin(fine))
        # The conversion cuts off the fraction: floor of the magnitude, then the sign.
        return np.copysign(magnitude, v).astype(np.int32), -1


def dequantise(symbols: Int32s, step: float) -> Floats:
    """float32(symbol) * float32(step): what the decoder graph is fed with; any shape."""
    with np.errstate(over="ignore"):
        y_hat: Floats = symbols.astype(np.float32) * np.float32(step)
    return y_hat
