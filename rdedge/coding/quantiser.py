"""The quantiser (FORMAT.md 4.4): latents <-> symbols, in C or in NumPy, the same symbols."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rdedge import native
from rdedge.errors import ConfigError, ShapeError, ValueRangeError

__all__ = ["EXACT", "NEAREST", "PREDICTED", "SCALED", "dequantise", "quantise"]

# How a latent is quantised (FORMAT.md 4.4): with the level's step and the manifest's rounding, with
# that step to the nearest, or as the whole number that it is.
SCALED, NEAREST, EXACT = 0, 1, 2
# Or-ed to one of these: the latent is coded as what its neighbours do not predict (4.6).
PREDICTED = 4

Floats = NDArray[np.float32]
Int32s = NDArray[np.int32]
Kinds = NDArray[np.uint8]

_LIMIT = np.float32(2**31)


def _inverse(step: float) -> np.float32:
    """The float32 nearest to 1 / step; step is rounded to float32 first."""
    if not 1e-37 < step < 1e37:
        raise ConfigError(f"a step of {step}", expected="1e-37 to 1e37")
    inverse: np.float32 = np.float32(1.0 / float(np.float32(step)))
    return inverse


def quantise(
    y: Floats,
    step: float,
    rounding: float,
    out: Int32s | None = None,
    quantisers: Kinds | None = None,
) -> Int32s:
    """Quantise y, (n,) float32, to symbols, (n,) int32.

    step: width of a cell, in units of y. rounding: in (0, 0.5]; 0.5 rounds to the nearest, less
    widens the cell of zero and draws all symbols towards it.
    out: (n,) int32, C-contiguous, to write the symbols to; None: a new array.
    quantisers: (L,) uint8, which of SCALED, NEAREST and EXACT each latent of a row takes; n is a
    multiple of L. None: SCALED for all.
    Raises ValueRangeError for a value that is not finite or whose symbol exceeds 2^31 - 1.
    """
    if not isinstance(y, np.ndarray) or y.dtype != np.float32 or y.ndim != 1:
        raise ShapeError("latents that are not (n,) float32", expected="(n,) float32")
    if not 0 < rounding <= 0.5:
        raise ConfigError(f"a rounding of {rounding}", expected="above 0, at most 0.5")
    inverse = _inverse(step)
    y = np.ascontiguousarray(y)
    symbols = np.empty(y.size, np.int32) if out is None else out
    if symbols.shape != y.shape or symbols.dtype != np.int32 or not symbols.flags.c_contiguous:
        raise ShapeError("symbols to write to of another shape", expected=f"({y.size},) int32")
    if quantisers is not None:
        quantisers = quantisers & ~np.uint8(PREDICTED)
    if quantisers is None or not quantisers.any():
        bad = _quantise(y, inverse, np.float32(rounding), symbols)
    elif y.size % quantisers.size:
        raise ShapeError(f"{y.size} latents", expected=f"rows of {quantisers.size}")
    else:
        inverses = np.where(quantisers == EXACT, np.float32(1), inverse).astype(np.float32)
        roundings = np.where(quantisers == SCALED, rounding, 0.5).astype(np.float32)
        bad = _quantise_by(y, inverses, roundings, symbols)
    if bad >= 0:
        raise ValueRangeError(
            f"latent {bad} is {y[bad]} and cannot be quantised with step {step}",
            expected="a finite value within 2^31 - 1 steps",
            do="look at the sample for values far outside those trained on",
        )
    return symbols


def _quantise(y: Floats, inverse: np.float32, rounding: np.float32, symbols: Int32s) -> int:
    """Fill in the symbols; returns the first place that has none, or -1."""
    library = native.library()
    if library is None:
        found, bad = _with_numpy(y, inverse, rounding)
        if bad < 0:
            symbols[:] = found
        return bad
    return int(
        library.quantise(
            y.ctypes.data, y.size, float(inverse), float(rounding), symbols.ctypes.data
        )
    )


def _quantise_by(y: Floats, inverses: Floats, roundings: Floats, symbols: Int32s) -> int:
    """The same, with a step and a rounding for each place of a row."""
    library = native.library()
    if library is None:
        found, bad = _with_numpy(y.reshape(-1, inverses.size), inverses, roundings)
        if bad < 0:
            symbols[:] = found.reshape(-1)
        return bad
    return int(
        library.quantise_by(
            y.ctypes.data,
            y.size,
            inverses.ctypes.data,
            roundings.ctypes.data,
            inverses.size,
            symbols.ctypes.data,
        )
    )


def _with_numpy(
    y: Floats, inverse: np.float32 | Floats, rounding: np.float32 | Floats
) -> tuple[Int32s, int]:
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


def dequantise(symbols: Int32s, step: float, quantisers: Kinds | None = None) -> Floats:
    """float32(symbol) * float32(step): what the decoder graph is fed with; any shape.

    quantisers: (L,) as above, for symbols (..., L).
    """
    steps: np.float32 | Floats = np.float32(step)
    exact = None if quantisers is None else (quantisers & ~np.uint8(PREDICTED)) == EXACT
    if exact is not None and exact.any():
        steps = np.where(exact, np.float32(1), steps).astype(np.float32)
    with np.errstate(over="ignore"):
        y_hat: Floats = symbols.astype(np.float32) * steps
    return y_hat
