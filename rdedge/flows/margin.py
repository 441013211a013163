"""How far decoders lie apart: each from the one that made the bundle, and from each other.

Before the last rounding: of integers the bundle has only what was rounded, so there the difference
is what rounding shows of it, and as much more as it may hide among so many values.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from rdedge import canonical, metrics
from rdedge.bundle.bundle import Bundle
from rdedge.codec.preprocess import from_network
from rdedge.engine.margins import OF_BUNDLE, Pair
from rdedge.types import Array

# Below this a deviation is none: what is divided by it is no number any more.
_LEAST_DEVIATION = 1e-30
# A difference d turns about 2 d N of N roundings: so many were expected of one that turned none.
_TURNED = 16.0


def deviations_of(bundle: Bundle) -> Array:
    """Standard deviations of the training data, raw units; 1 where a manifest says none."""
    std = np.asarray(bundle.manifest.scale.std)
    return np.where(std > _LEAST_DEVIATION, std, 1.0)


def pairs_of(bundle: Bundle, decoded: Sequence[tuple[str, Array]]) -> tuple[Pair, ...]:
    """decoded: the name of each decoder and what it makes of the reference symbols, (N, *shape)
    float32 before rounding -> each beside the bundle's own outputs and beside each other.
    """
    reference = bundle.reference.outputs
    assert reference is not None
    dtype = reference.dtype
    found = []
    for name, floats in decoded:
        wide = floats.astype(np.float64)
        if dtype.kind in "iu":
            info = np.iinfo(dtype)
            inside = np.clip(wide, float(info.min), float(info.max))
            apart = np.maximum(np.abs(inside - reference.astype(np.float64)) - 0.5, 0.0)
            apart += _TURNED / (2.0 * wide.size)
        else:
            apart = np.abs(from_network(floats, dtype.name).astype(np.float64) - reference)
        found.append(_pair(bundle, name, OF_BUNDLE, apart, (reference, floats)))
    for (one, a), (other, b) in combinations(decoded, 2):
        apart = np.abs(a.astype(np.float64) - b)
        found.append(_pair(bundle, one, other, apart, (from_network(a, dtype.name), b)))
    return tuple(found)


def _pair(bundle: Bundle, one: str, other: str, apart: Array, both: tuple[Array, Array]) -> Pair:
    """apart: differences (N, *shape), NaN where a value is missing; both: (N, *shape), the first in
    the dtype of the source, the second before rounding.
    """
    bound, (first, second) = bundle.manifest.bound, both
    decoded = from_network(second, first.dtype.name)
    with np.errstate(all="ignore"):
        each = metrics.per_sample(bound.metric, first, decoded, bundle.manifest.scale)
    worst = float(each.min() if bound.is_minimum else each.max())
    there = apart[~np.isnan(apart)]
    return Pair(
        one,
        other,
        float(np.nanmax(apart / deviations_of(bundle), initial=0.0)),
        float(there.max(initial=0.0)),
        bound.metric,
        canonical.finite(worst),
        max(int(there.size), 1),
    )
