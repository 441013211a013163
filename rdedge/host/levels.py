"""What stands beside the step that a model was trained for: other steps, and fallbacks."""

from __future__ import annotations

import math

import numpy as np

from rdedge.bundle.fallback import PICTURES, STEPS, ZSTD, Fallback
from rdedge.bundle.manifest import MAX_WHOLE_STEP, Level
from rdedge.bundle.recipe import Gate
from rdedge.classical.steps import expected_step
from rdedge.errors import ConfigError
from rdedge.host.datasets import Samples
from rdedge.metrics import Scale
from rdedge.types import Array, Bound, SampleSpec

# Where a recipe names none: of pictures of 8 bits, of all else.
_OF_PICTURES = ("avif", "png", STEPS, ZSTD)
_OF_ALL = (STEPS, ZSTD)
_LEAST, _MOST = 2e-37, 5e36
# Rows that origins are taken from.
_ROWS = 1 << 16
# Two values half a step from the grid must keep a bound on the largest error, rounding included.
_HAIR = 1.0 - 2.0**-12


def ladder(step: float, gate: Gate) -> tuple[Level, ...]:
    """The step that a model was trained for, then finer and coarser ones in a geometric ladder, the
    coarsest first; the ladder has more finer ones than coarser ones.
    """
    count = gate.levels
    if count == 1:
        return (Level(float(np.float32(step))),)
    octave = gate.octaves / (count - 1)
    coarser = (count - 1) // 2
    exponents = [0, *(k for k in range(coarser, coarser - count, -1) if k)]
    steps = [float(np.float32(step * 2.0 ** (octave * k))) for k in exponents]
    # Of a step at the end of what a manifest can say, what lies beyond is left out.
    kept = dict.fromkeys(s for s in steps if s == steps[0] or _LEAST < s < _MOST)
    return tuple(map(Level, kept))


def fallbacks(
    spec: SampleSpec, bound: Bound, scale: Scale, train: Samples, gate: Gate
) -> tuple[Fallback, ...]:
    """The fallbacks of a bundle for such samples. Raises ConfigError for one that does not suit."""
    pictures = spec.kind == "image" and spec.dtype == "uint8"
    names = gate.fallbacks if gate.fallbacks is not None else _OF_PICTURES if pictures else _OF_ALL
    found = []
    for name in names:
        if name in PICTURES and not pictures:
            raise ConfigError(
                f"fallback {name!r} for samples of kind {spec.kind} and dtype {spec.dtype}",
                expected="images of uint8",
                do=f"name {STEPS!r} and {ZSTD!r} in the recipe",
            )
        if name == STEPS:
            found.append(Fallback(name, _steps(spec, bound, scale), _origins(spec, train)))
        else:
            found.append(Fallback(name))
    return tuple(found)


def residual_step(spec: SampleSpec, bound: Bound) -> float:
    """The step of residuals (FORMAT.md, section 4.9), raw units; 0 where the bound is no largest
    error, and no residual can keep it.
    """
    if bound.metric != "max-abs":
        return 0.0
    if np.issubdtype(np.dtype(spec.dtype), np.integer):
        return float(min(2 * math.floor(min(bound.value, 2.0**30)) + 1, MAX_WHOLE_STEP - 1))
    step = float(np.float32(2.0 * bound.value * _HAIR))
    return step if _LEAST < step < _MOST else 0.0


def _steps(spec: SampleSpec, bound: Bound, scale: Scale) -> tuple[float, ...]:
    """Steps whose uniform error is about the bound's, raw units; of integers a power of two, so
    that some level has the step 1.
    """
    if bound.metric == "nrmse":
        wanted = [math.sqrt(12.0) * bound.value * std for std in scale.std]
    elif bound.metric == "max-abs":
        wanted = [2.0 * bound.value * _HAIR]
    else:
        wanted = [expected_step(bound, scale)]
    if np.issubdtype(np.dtype(spec.dtype), np.integer):
        wanted = [2.0 ** round(math.log2(max(step, 1.0))) for step in wanted]
    kept = [float(np.float32(min(max(step, _LEAST), _MOST))) for step in wanted]
    return tuple(kept)


def _origins(spec: SampleSpec, train: Samples) -> tuple[float, ...]:
    """The medians of training data, one for each channel of a series; 0 for other samples."""
    if spec.kind != "series":
        return (0.0,)
    rows: Array = np.concatenate([x.reshape(-1, spec.shape[1]) for x in train])
    rows = rows[:: max(1, len(rows) // _ROWS)].astype(np.float64)
    rows[:, np.isnan(rows).all(axis=0)] = 0.0
    medians = np.clip(np.nanmedian(rows, axis=0), -1e37, 1e37)
    if np.issubdtype(np.dtype(spec.dtype), np.integer):
        medians = np.rint(medians)
    return tuple(float(np.float32(median)) for median in medians)
