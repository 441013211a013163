"""Samples as the source has them <-> float32 in raw units, as the graphs want them.

FORMAT.md, section 5, says what happens to missing values, to the edges of images and to integers.
"""

from __future__ import annotations

import numpy as np

from rdedge.errors import ValueRangeError
from rdedge.types import Array, SampleSpec

# Samples go through the graphs in blocks that stay in a processor's cache.
BLOCK_ELEMENTS = 1 << 16


def to_network(x: Array) -> Array:
    """x: (N, *shape), any dtype of types.DTYPES -> float32, the same array where it is already.

    Raises ValueRangeError for NaN, infinity, and what float32 cannot hold.
    """
    if x.dtype.kind in "iu":
        return x.astype(np.float32)
    with np.errstate(over="ignore"):
        values = x.astype(np.float32, copy=False)
    # A sum is finite where all terms are, and costs one pass without a temporary; where it is
    # not, terms may still be (two of them overflowed together), so look at each.
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.add.reduce(values, axis=None)
    if not np.isfinite(total):
        refuse_non_finite(x, values)
    return values


def refuse_non_finite(x: Array, values: Array | None = None) -> None:
    """Raise ValueRangeError naming the first value of x that is not finite (in float32)."""
    finite = np.isfinite(x if values is None else values)
    if finite.all():
        return
    where = tuple(int(i) for i in np.argwhere(~finite)[0])
    raise ValueRangeError(
        f"the value at {where} is {x[where]!s}",
        expected="finite numbers that float32 can hold",
        do="leave such samples out, or fill the gaps before encoding",
    )


def from_network(x_hat: Array, dtype: str) -> Array:
    """x_hat: (N, *shape) float32 in raw units -> the dtype of the source.

    Integers: rounded half to even, clipped to what the dtype holds (FORMAT.md, section 5).
    """
    target = np.dtype(dtype)
    if not np.issubdtype(target, np.integer):
        if target == np.float16:
            limit = float(np.finfo(np.float16).max)
            x_hat = np.clip(x_hat, -limit, limit)
        return x_hat.astype(target, copy=False)
    info = np.iinfo(target)
    # Only a forged packet decodes to NaN; it becomes some integer, without a warning.
    x_hat = np.nan_to_num(x_hat, nan=0.0) if not np.isfinite(x_hat).all() else x_hat
    if target.itemsize < 4:
        rounded = np.rint(x_hat)
        np.clip(rounded, info.min, info.max, out=rounded)
        return rounded.astype(target)
    # float32 has no number for the largest values of these types: the next one down is taken.
    wide = np.rint(x_hat.astype(np.float64))
    high = float(info.max) if target.itemsize == 4 else float(np.nextafter(float(info.max), 0.0))
    return np.clip(wide, float(info.min), high).astype(target)


def fill_missing(x: Array) -> tuple[Array, Array | None]:
    """x: (N, T, C), NaN where a value is missing -> the same without NaN, and the mask (N, T, C)
    bool, True where missing; None where nothing is.

    Filled by interpolation between the neighbours in time; a channel without any value in a window
    gets the mean of the other windows' values, or 0. Where values are missing, raises
    ValueRangeError as to_network does, for a value that is there and not for a gap beside it.
    """
    if not np.issubdtype(x.dtype, np.floating):
        return x, None
    missing = np.isnan(x)
    if not missing.any():
        return x, None
    to_network(np.where(missing, 0, x))
    filled = x.copy()
    times = np.arange(x.shape[1])
    for n, c in np.argwhere(missing.any(axis=1)):
        gaps = missing[n, :, c]
        if gaps.all():
            values = x[:, :, c][~missing[:, :, c]]
            # In float64: a sum of large float32 overflows.
            filled[n, :, c] = values.astype(np.float64).mean() if values.size else 0.0
        else:
            filled[n, gaps, c] = np.interp(times[gaps], times[~gaps], x[n, ~gaps, c])
    return filled, missing


def enlarge(x: Array, patch: int) -> Array:
    """x: (N, H, W, C) -> (N, H', W', C), multiples of patch, the last row and column repeated."""
    down, right = -x.shape[1] % patch, -x.shape[2] % patch
    if not down and not right:
        return x
    return np.pad(x, ((0, 0), (0, down), (0, right), (0, 0)), mode="edge")


def prepare(x: Array, spec: SampleSpec, patch: int) -> Array:
    """Samples as the graph wants them, float32: gaps filled, images enlarged to whole patches."""
    if spec.kind == "series":
        x = fill_missing(x)[0]
    if spec.kind == "image":
        x = enlarge(x, patch)
    return to_network(x)
