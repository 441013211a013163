"""After training: the step that just meets the bound, and the integer tables.

Both are small fits on top of fixed weights. The step is one number, chosen on held-out data for the
same reason that a classical codec's quality setting is: so that both are compared where the bound
is just met. How much that choice flatters the result is measured, by fitting it on one half of the
held-out samples and looking at the other.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rdedge import metrics
from rdedge.coding.quantiser import dequantise, quantise
from rdedge.coding.tables import Tables, cross_entropy_bits, tables_from_counts
from rdedge.host.rates import FactorizedPrior
from rdedge.types import Array, Bound

ROUNDING = 0.5
_STEPS = np.geomspace(1 / 64, 4.0, 61)
_REFINEMENTS = 12
_HAIR = 1e-5
# Weight of the learned prior beside the counts, in samples.
_PRIOR_WEIGHTS = (2.0, 8.0, 32.0, 128.0, 512.0)
_TABLE_ENTRIES = 2048


def symbols_of(y: Array, step: float) -> Array:
    """Quantise latents y: (N, C) float32; returns (N, C) int32."""
    return quantise(y.reshape(-1), step, ROUNDING).reshape(y.shape)


def fit_step(
    y: Array, x: Array, synthesis: Callable[[Array], Array], bound: Bound, scale: metrics.Scale
) -> tuple[float, float] | None:
    """The largest step at which the mean bound is met, and the distortion there; None if there is
    none down to 1/64 of the step trained with.

    y: (N, C) float32 latents of x: (N, *shape) in raw units. synthesis: y_hat -> x_hat.
    The distortion need not be monotone in the step, so a grid is scanned from above and the gap
    under the first that meets the bound is refined.
    """
    # A hair inside the bound: the exported graphs round a little differently.
    hair = _HAIR * bound.value * (1.0 if bound.is_minimum else -1.0)
    bound = Bound(bound.metric, bound.value + hair)

    def distortion(step: float) -> float:
        x_hat = synthesis(dequantise(symbols_of(y, step), step))
        return metrics.mean(bound.metric, x, x_hat, scale)

    previous = float(_STEPS[-1])
    for step in map(float, _STEPS[::-1]):
        value = distortion(step)
        if bound.met_by(value):
            break
        previous = step
    else:
        return None
    low, high = step, previous
    for _ in range(_REFINEMENTS if high > low else 0):
        middle = float(np.sqrt(low * high))
        at_middle = distortion(middle)
        if bound.met_by(at_middle):
            low, value = middle, at_middle
        else:
            high = middle
    # The bundle carries the step as a float32: take the one that is not larger.
    kept = np.float32(low)
    return float(kept), value if float(kept) == low else distortion(float(kept))


def cross_fit(
    y: Array, x: Array, synthesis: Callable[[Array], Array], bound: Bound, scale: metrics.Scale
) -> list[float]:
    """Distortions on each half of the held-out samples with the step fitted on the other half:
    what new data like it will show. Empty where a half cannot meet the bound.
    """
    middle = len(x) // 2
    halves = (slice(0, middle), slice(middle, None))
    found: list[float] = []
    for fit_on, look_at in (halves, halves[::-1]):
        fitted = fit_step(y[fit_on], x[fit_on], synthesis, bound, scale)
        if fitted is None:
            return []
        x_hat = synthesis(dequantise(symbols_of(y[look_at], fitted[0]), fitted[0]))
        found.append(metrics.mean(bound.metric, x[look_at], x_hat, scale))
    return found


def fit_tables(symbols: Array, validation: Array, prior: FactorizedPrior, step: float) -> Tables:
    """One table for each latent from training symbols (N, C) int32, smoothed by the learned prior.

    The weight of the prior is the one that codes the validation symbols (M, C) in the fewest bits.
    """
    index = np.arange(symbols.shape[1], dtype=np.uint16)
    candidates = [_tables(symbols, prior, step, weight) for weight in _PRIOR_WEIGHTS]
    bits = [cross_entropy_bits(validation.reshape(-1), index, t) for t in candidates]
    return candidates[int(np.argmin(bits))]


def _tables(symbols: Array, prior: FactorizedPrior, step: float, weight: float) -> Tables:
    minima: list[int] = []
    weights: list[Array] = []
    half = _TABLE_ENTRIES // 2
    centres = np.median(symbols, axis=0).astype(np.int64)
    mass = prior.mass_around(centres, half, step)
    for j, centre in enumerate(centres):
        # A window around the bulk; what lies outside is the escape's, not that of its edges.
        offsets = symbols[:, j].astype(np.int64) - (centre - half)
        inside = offsets[(offsets >= 0) & (offsets < 2 * half + 1)]
        counts = np.bincount(inside, minlength=2 * half + 1).astype(np.float64)
        blend = (counts + weight * mass[j]) / (len(symbols) + weight)
        # Keep what the data reached and what the prior thinks worth an entry of the table.
        keep = np.flatnonzero(blend * (1 << 16) > 0.5)
        a, b = (int(keep[0]), int(keep[-1]) + 1) if keep.size else (half, half + 1)
        outside = max(1.0 - blend[a:b].sum(), 0.5 / (len(symbols) + weight))
        minima.append(a + int(centre) - half)
        weights.append(np.append(blend[a:b], outside))
    # Symbols of a table are int32, even around the most extreme centre.
    minima = [
        max(-(2**31), min(m, 2**31 - 1 - len(w))) for m, w in zip(minima, weights, strict=True)
    ]
    return tables_from_counts(np.array(minima).tolist(), weights)
