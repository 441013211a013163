"""Steps of a uniform quantiser to search over, and the values that come back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rdedge import metrics
from rdedge.classical.base import Setting
from rdedge.metrics import Scale
from rdedge.types import Array, Bound

# How far from the expected step a search goes, in octaves, on each side.
_OCTAVES = 4


def expected_step(bound: Bound, scale: Scale) -> float:
    """The step whose uniform error has the bound's squared error, raw units."""
    return math.sqrt(12 * metrics.mse_for(bound.metric, bound.value, scale))


def steps_around(expected: float, per_octave: int = 8) -> tuple[Setting, ...]:
    """Rungs from the coarsest step to the finest, evenly spread over the octaves."""
    reach = _OCTAVES * per_octave
    return ladder([expected * 2.0 ** (k / per_octave) for k in range(reach, -reach - 1, -1)])


def ladder(steps: list[float]) -> tuple[Setting, ...]:
    return tuple(Setting(f"step {step:.6g}", (("step", step),)) for step in steps)


def as_samples(values: Array, dtype: np.dtype[Any]) -> Array:
    """Values float64 as the samples' own dtype; whole numbers are rounded and kept in range."""
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return values.astype(dtype)
