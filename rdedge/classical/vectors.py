"""Samples that are no pictures: values quantised uniformly until a bound is kept, then packed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import numpy as np

from rdedge import metrics
from rdedge.classical.base import ClassicalCodec, Setting
from rdedge.classical.search import Found, fewest, meet
from rdedge.classical.steps import as_samples, expected_step, ladder, steps_around
from rdedge.metrics import Scale
from rdedge.types import Array, Bound, Measured

# The step and the lowest index, eight bytes each.
_SIDE_BYTES = 16
# Steps in an octave, once the neighbourhood is known.
_FINER = 128


def best(codec: ClassicalCodec, x: Array, bound: Bound, scale: Scale) -> Found:
    """The fewest bytes that an array codec reaches; without loss where nothing less will do.

    x: (N, D), any numeric dtype, finite. Every layout is tried: samples or elements first, plain or
    as differences, bytes together or by significance.
    """
    settings = codec.lossless()
    ladders = [steps_around(expected_step(bound, scale))]
    if np.issubdtype(x.dtype, np.integer):
        # Data on a lattice: a step that fits it can win where a finer one does not.
        ladders.append(ladder([float(s) for s in range(64, 0, -1)]))
    found = [_attempt(codec, x, bound, scale, settings, None)]
    quick = partial(_attempt, codec, x, bound, scale, settings[:1])
    for rungs in ladders:
        met = meet(rungs, quick, bound)
        if met is None:
            continue
        # Between two rungs lies an eighth of an octave: spend what is left of the bound.
        step = float(rungs[met[1]].option("step"))
        finer = ladder([step * 2.0 ** (k / _FINER) for k in range(_FINER // 8, -1, -1)])
        closer = meet(finer, quick, bound)
        rung = rungs[met[1]] if closer is None else finer[closer[1]]
        found.append(_attempt(codec, x, bound, scale, settings, rung))
    result = fewest(found, bound)
    assert result is not None  # without loss, every bound is kept
    return result


def _attempt(
    codec: ClassicalCodec,
    x: Array,
    bound: Bound,
    scale: Scale,
    settings: tuple[Setting, ...],
    rung: Setting | None,
) -> Found:
    """Quantise at a rung's step (None: leave as they are), code in every layout, measure."""
    if rung is None:
        y, x_hat, side, what = x, x, 0, "values as they are"
    else:
        y, x_hat = _quantise(x, rung.option("step"))
        side, what = _SIDE_BYTES, rung.text
    distortion = Measured(metrics.mean(bound.metric, x, x_hat, scale), "actual")
    found = []
    for layout, z in _layouts(y):
        for setting in settings:
            start = time.perf_counter()
            data = codec.encode(z, setting).data
            seconds = Measured(time.perf_counter() - start, "actual")
            text = f"{setting.text}, {what}, {layout}"
            size = len(data) + side
            found.append(
                Found(codec.name, text, size, distortion, seconds, decoded=lambda: list(x_hat))
            )
    return min(found, key=lambda f: f.size_bytes)


def _quantise(x: Array, step: float) -> tuple[Array, Array]:
    """Indices in the smallest unsigned dtype that holds them, and the values that come back."""
    index = np.rint(x.astype(np.float64) / step)
    values = as_samples(index * step, x.dtype)
    index -= index.min()
    dtype = next((d for d in ("u1", "u2", "u4") if index.max() <= np.iinfo(d).max), "f8")
    return index.astype(dtype), values


def _layouts(y: Array) -> Iterator[tuple[str, Array]]:
    for order, z in (("by sample", y), ("by element", np.ascontiguousarray(y.T))):
        kinds = [("plain", z)]
        if np.issubdtype(z.dtype, np.unsignedinteger):
            for axis, name in ((0, "differences of rows"), (1, "differences in a row")):
                # Wraps around, so it can be undone in the same dtype.
                first = np.zeros_like(np.take(z, [0], axis=axis))
                kinds.append((name, np.diff(z, axis=axis, prepend=first)))
        for kind, d in kinds:
            yield f"{order}, {kind}", d
            if d.dtype.itemsize > 1:
                planes = np.ascontiguousarray(d).view(np.uint8).reshape(-1, d.dtype.itemsize).T
                yield f"{order}, {kind}, by byte", np.ascontiguousarray(planes)
