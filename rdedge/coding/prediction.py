"""Prediction of symbols from their neighbours (FORMAT.md 4.6), in C or in NumPy: the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rdedge import native

__all__ = ["predict", "restore"]

Int32s = NDArray[np.int32]


def predict(symbols: Int32s, latents: NDArray[np.intp], numpy: bool = False) -> Int32s:
    """Replace these latents in place by what is left after the prediction; returns symbols.

    symbols: (N, H, W, L) int32, contiguous. Differences wrap around at 2^32.
    """
    library = None if numpy else native.library()
    if library is not None:
        _in_c(library, symbols, latents, 0)
        return symbols
    for k in latents:
        symbols[..., k] -= _guesses(symbols[..., k])
    return symbols


def restore(symbols: Int32s, latents: NDArray[np.intp], numpy: bool = False) -> None:
    """Undo predict in place. symbols: (N, H, W, L) int32, contiguous."""
    library = None if numpy else native.library()
    if library is not None:
        _in_c(library, symbols, latents, 1)
        return
    for k in latents:
        plane = symbols[..., k].astype(np.int64)
        _, height, width = plane.shape
        for y in range(height):
            for x in range(width):
                guess = _guess_at(plane, y, x)
                plane[:, y, x] = (plane[:, y, x] + guess).astype(np.int32)
        symbols[..., k] = plane


def _in_c(library: native.Library, symbols: Int32s, latents: NDArray[np.intp], undo: int) -> None:
    count, height, width, period = symbols.shape
    for n in range(count):
        for k in latents:
            at = symbols.ctypes.data + symbols.itemsize * (n * height * width * period + int(k))
            library.predict(at, height, width, period, undo)


def _guesses(plane: Int32s) -> Int32s:
    """The predictions of a plane (N, H, W) of true values."""
    wide = np.pad(plane.astype(np.int64), ((0, 0), (1, 0), (1, 0)))
    left, above, corner = wide[:, 1:, :-1], wide[:, :-1, 1:], wide[:, :-1, :-1]
    guess = np.clip(left + above - corner, np.minimum(left, above), np.maximum(left, above))
    guess[:, 0] = left[:, 0]
    guess[:, :, 0] = above[:, :, 0]
    narrow: Int32s = guess.astype(np.int32)
    return narrow


def _guess_at(plane: NDArray[np.int64], y: int, x: int) -> NDArray[np.int64]:
    """The prediction at one place of a plane (N, H, W) whose earlier places are true."""
    zero = np.zeros(len(plane), np.int64)
    left = plane[:, y, x - 1] if x else zero
    above = plane[:, y - 1, x] if y else zero
    if not x or not y:
        return left + above
    plane_guess = left + above - plane[:, y - 1, x - 1]
    guess: NDArray[np.int64]
    guess = np.clip(plane_guess, np.minimum(left, above), np.maximum(left, above))
    return guess
