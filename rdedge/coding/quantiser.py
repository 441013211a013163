"""The quantiser (FORMAT.md 4.4): latents <-> symbols, in C or in NumPy, the same symbols."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rdedge import native
from rdedge.errors import ConfigError, ShapeError, ValueRangeError

__all__ = [
    "EXACT",
    "NEAREST",
    "PREDICTED",
    "SCALED",
    "STEADY",
    "Quantiser",
    "dequantise",
    "quantise",
    "steps_of",
]

# How a latent is quantised (FORMAT.md 4.4): with the level's step and the manifest's rounding, with
# that step to the nearest, as the whole number that it is, or to the nearest with one step for all
# levels.
SCALED, NEAREST, EXACT, STEADY = 0, 1, 2, 3
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


class Quantiser:
    """One step and rounding, ready to quantise; made once, it adds next to nothing to each call.

    Arguments as for quantise.
    """

    def __init__(
        self,
        step: float,
        rounding: float,
        quantisers: Kinds | None = None,
        steady: float | None = None,
    ) -> None:
        if not 0 < rounding <= 0.5:
            raise ConfigError(f"a rounding of {rounding}", expected="above 0, at most 0.5")
        self.step, self.period = step, 1
        self._inverse, self._rounding = _inverse(step), np.float32(rounding)
        self._floats = float(self._inverse), float(self._rounding)
        self._inverses: Floats | None = None
        if quantisers is not None:
            kinds = quantisers & ~np.uint8(PREDICTED)
            self.period = kinds.size
            if kinds.any():
                inverses = np.where(kinds == EXACT, np.float32(1), self._inverse)
                inverses[kinds == STEADY] = self._inverse if steady is None else _inverse(steady)
                self._inverses = inverses.astype(np.float32)
                self._roundings = np.where(kinds == SCALED, rounding, 0.5).astype(np.float32)
                self._at = self._inverses.ctypes.data, self._roundings.ctypes.data

    def __call__(self, y: Floats, symbols: Int32s) -> None:
        """Write the symbols of y: (n,) float32, n a multiple of the period; symbols: (n,) int32."""
        if symbols.shape != y.shape or symbols.dtype != np.int32 or not symbols.flags.c_contiguous:
            raise ShapeError("symbols to write to of another shape", expected=f"({y.size},) int32")
        if y.size % self.period:
            raise ShapeError(f"{y.size} latents", expected=f"rows of {self.period}")
        y = np.ascontiguousarray(y)
        bad = self._fill(y, symbols)
        if bad >= 0:
            raise ValueRangeError(
                f"latent {bad} is {y[bad]} and cannot be quantised with step {self.step}",
                expected="a finite value within 2^31 - 1 steps",
                do="look at the sample for values far outside those trained on",
            )

    def scaled(self, y: Floats) -> Floats:
        """y: (n,) float32 in steps, before rounding."""
        if self._inverses is None:
            return y * self._inverse
        found: Floats = (y.reshape(-1, self.period) * self._inverses).reshape(-1)
        return found

    def _fill(self, y: Floats, symbols: Int32s) -> int:
        """Fill in the symbols; returns the first place that has none, or -1."""
        library = native.library()
        if library is not None:
            at, out = y.ctypes.data, symbols.ctypes.data
            if self._inverses is None:
                return int(library.quantise(at, y.size, *self._floats, out))
            return int(library.quantise_by(at, y.size, *self._at, self.period, out))
        if self._inverses is None:
            found, bad = _with_numpy(y, self._inverse, self._rounding)
        else:
            rows = y.reshape(-1, self.period)
            found, bad = _with_numpy(rows, self._inverses, self._roundings)
        if bad < 0:
            symbols[:] = found.reshape(-1)
        return bad


def quantise(
    y: Floats,
    step: float,
    rounding: float,
    out: Int32s | None = None,
    quantisers: Kinds | None = None,
    steady: float | None = None,
) -> Int32s:
    """Quantise y, (n,) float32, to symbols, (n,) int32.

    step: width of a cell, in units of y. rounding: in (0, 0.5]; 0.5 rounds to the nearest, less
    widens the cell of zero and draws all symbols towards it.
    out: (n,) int32, C-contiguous, to write the symbols to; None: a new array.
    quantisers: (L,) uint8, which of SCALED, NEAREST, EXACT and STEADY each latent of a row takes; n
    is a multiple of L. None: SCALED for all. steady: the step of STEADY ones; None: step.
    Raises ValueRangeError for a value that is not finite or whose symbol exceeds 2^31 - 1.
    """
    if not isinstance(y, np.ndarray) or y.dtype != np.float32 or y.ndim != 1:
        raise ShapeError("latents that are not (n,) float32", expected="(n,) float32")
    symbols = np.empty(y.size, np.int32) if out is None else out
    Quantiser(step, rounding, quantisers, steady)(y, symbols)
    return symbols


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


def steps_of(kinds: Kinds, step: float, steady: float | None = None) -> Floats:
    """What a symbol of each latent counts, (L,) float32; arguments as for quantise."""
    found = np.full(kinds.shape, step, np.float32)
    found[kinds == EXACT] = 1.0
    if steady is not None:
        found[kinds == STEADY] = steady
    return found


def dequantise(
    symbols: Int32s, step: float, quantisers: Kinds | None = None, steady: float | None = None
) -> Floats:
    """float32(symbol) * float32(step): what the decoder graph is fed with; any shape.

    quantisers: (L,) as above, for symbols (..., L). steady: as above.
    """
    steps: np.float32 | Floats = np.float32(step)
    if quantisers is not None:
        steps = steps_of(quantisers & ~np.uint8(PREDICTED), step, steady)
    with np.errstate(over="ignore"):
        y_hat: Floats = symbols.astype(np.float32) * steps
    return y_hat
