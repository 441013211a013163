"""After training: step and rounding that just meet the bound, and the integer tables.

These are small fits on top of fixed weights. The step is one number, chosen on held-out data for
the same reason that a classical codec's quality setting is: so that both are compared where the
bound is just met. How much that choice flatters the result is measured, by fitting it on one half
of the held-out samples and looking at the other. The rounding is chosen on validation data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from rdedge import metrics
from rdedge.codec.symbols import SymbolCodec
from rdedge.coding.prediction import predict
from rdedge.coding.quantiser import PREDICTED, Quantiser, dequantise, quantise
from rdedge.coding.selection import Selection
from rdedge.coding.tables import Tables, cross_entropy_bits, tables_from_counts
from rdedge.host.classes import Layout, estimated_bits, fit_classes, gained
from rdedge.host.rates.priors import FactorizedPrior
from rdedge.types import Array, Bound

NEAREST = 0.5
# A dead zone: where the tables know that zeros are cheap, less rounding saves more than it errs.
ROUNDINGS = (0.5, 0.46, 0.42, 0.38, 0.34)
# Steps tried from above, and the finest. What was trained without quantisation may need far
# coarser ones: they are doubled up to this.
_COARSEST = 2.0**24
_STEPS = np.geomspace(1 / 64, 4.0, 61)
_REFINEMENTS = 12
_HAIR = 1e-5
# Around the step that training aimed at, where distortion costs too much to scan.
_NEAR = 2.0 ** (1 / 4)
_NEAR_REFINEMENTS = 7
# Training rows that the classes of images are fitted to.
_MOST_ROWS = 60_000
# Weight of the learned prior beside the counts, in samples.
_PRIOR_WEIGHTS = (2.0, 8.0, 32.0, 128.0, 512.0)
_TABLE_ENTRIES = 2048


@dataclass(frozen=True)
class Lowering:
    """In place of a rounding: symbols to the nearest, lowered where the bits saved are worth it.

    codec: with contexts. weight: of a bit, in squared steps.
    """

    codec: SymbolCodec
    weight: float

    def symbols(self, y: Array, step: float, quantisers: Array | None) -> Array:
        """y: (n, *grid, L) float32 -> symbols of that shape."""
        quantiser = Quantiser(step, NEAREST, self.codec.kinds, self.codec.steady(step))
        flat = np.ascontiguousarray(y).reshape(-1)
        symbols = np.empty(flat.size, np.int32)
        quantiser(flat, symbols)
        scaled, grid = quantiser.scaled(flat), y.shape[1:-1]
        return self.codec.lower(symbols, scaled, self.weight, grid).reshape(y.shape)

    def values(self, symbols: Array, step: float) -> Array:
        """What symbols (n, *grid, L) stand for, float32."""
        return self.codec.values(symbols, step)


# How latents are quantised: with a rounding in (0, 0.5], or by rate and distortion.
Rounding = float | Lowering


def symbols_of(y: Array, step: float, rounding: Rounding, quantisers: Array | None) -> Array:
    """y: (n, *grid, L) float32 -> symbols of that shape, int32."""
    if isinstance(rounding, Lowering):
        return rounding.symbols(y, step, quantisers)
    flat = np.ascontiguousarray(y).reshape(-1)
    return quantise(flat, step, rounding, quantisers=quantisers).reshape(y.shape)


@dataclass(frozen=True)
class Latents:
    """The latents of samples and what they must come back as.

    y: one array (n, *grid, L) float32 for each batch of x: (n, *shape); the rows of an image lie
    in a grid, others are one. synthesis: y_hat of batches
    and the shapes of their samples -> x_hat. quantisers: (L,) uint8, or None for SCALED. before:
    (n,) int64 of a series, which window ends where a window starts, -1 for none; None: unknown.
    """

    y: list[Array]
    x: list[Array]
    synthesis: Callable[[list[Array], list[tuple[int, ...]]], list[Array]]
    quantisers: Array | None = None
    before: Array | None = None

    def symbols(self, step: float, rounding: Rounding) -> list[Array]:
        """Quantised: one array (n, *grid, L) int32 for each batch."""
        return [symbols_of(y, step, rounding, self.quantisers) for y in self.y]

    def decoded(self, step: float, rounding: Rounding) -> list[Array]:
        """What comes back."""
        symbols = self.symbols(step, rounding)
        if isinstance(rounding, Lowering):
            y_hat = [rounding.values(s, step) for s in symbols]
        else:
            y_hat = [dequantise(s, step, self.quantisers) for s in symbols]
        return self.synthesis(y_hat, [x.shape[1:] for x in self.x])

    def coded(self, step: float, rounding: Rounding) -> Array:
        """The symbols as they are coded, (all rows, L): predicted where that is so."""
        symbols = self.symbols(step, rounding)
        if self.quantisers is not None:
            latents = np.flatnonzero(self.quantisers & PREDICTED)
            if latents.size:
                symbols = [predict(s.copy(), latents) if s.ndim == 4 else s for s in symbols]
        return rows_of(symbols)

    def part(self, which: slice) -> Latents:
        """Some of the samples: of one batch its samples, of several the batches."""
        if len(self.x) > 1:
            return Latents(self.y[which], self.x[which], self.synthesis, self.quantisers)
        x, y = [self.x[0][which]], [self.y[0][which]]
        return Latents(y, x, self.synthesis, self.quantisers)

    def joined(self, other: Latents) -> Latents:
        """Both, of samples of one kind."""
        y, x = [*self.y, *other.y], [*self.x, *other.x]
        if self.y[0].ndim == 2:
            y, x = [np.concatenate(y)], [np.concatenate(x)]
        before = None
        if self.before is not None and other.before is not None:
            later = np.where(other.before < 0, -1, other.before + len(self.before))
            before = np.concatenate([self.before, later])
        return Latents(y, x, self.synthesis, self.quantisers, before)

    @property
    def count(self) -> int:
        return len(self.x[0]) if len(self.x) == 1 else len(self.x)


def rows_of(arrays: list[Array]) -> Array:
    """Batches (n, *grid, L) -> (all rows, L)."""
    return np.concatenate([a.reshape(-1, a.shape[-1]) for a in arrays])


def fit_step(
    latents: Latents,
    bound: Bound,
    scale: metrics.Scale,
    rounding: Rounding = NEAREST,
    near: bool = False,
    start: float = 1.0,
) -> tuple[float, float] | None:
    """The largest step at which the mean bound is met, and the distortion there; None if there is
    none down to 1/64 of the step trained with.

    near: look around start only, taking distortion to grow with the step. Otherwise, since it need
    not be monotone, a grid is scanned from above and the gap under the first that meets the bound
    is refined.
    """
    # A hair inside the bound: the exported graphs round a little differently.
    hair = _HAIR * bound.value * (1.0 if bound.is_minimum else -1.0)
    bound = replace(bound, value=bound.value + hair)

    def distortion(step: float) -> float:
        x_hat = latents.decoded(step, rounding)
        return metrics.reached(bound, latents.x, x_hat, scale)

    found = _bracket(distortion, bound, start) if near else _scan(distortion, bound)
    if found is None:
        return None
    low, high, value = found
    for _ in range((_NEAR_REFINEMENTS if near else _REFINEMENTS) if high > low else 0):
        middle = float(np.sqrt(low * high))
        at_middle = distortion(middle)
        if bound.met_by(at_middle):
            low, value = middle, at_middle
        else:
            high = middle
    # The bundle carries the step as a float32: take the one that is not larger.
    kept = np.float32(low)
    return float(kept), value if float(kept) == low else distortion(float(kept))


def _scan(distortion: Callable[[float], float], bound: Bound) -> tuple[float, float, float] | None:
    """From above: a step that meets the bound, the next that does not, the distortion there."""
    previous = float(_STEPS[-1])
    value = distortion(previous)
    if bound.met_by(value):
        return _upwards(distortion, bound, previous, value, 2.0)
    for step in map(float, _STEPS[-2::-1]):
        value = distortion(step)
        if bound.met_by(value):
            return step, previous, value
        previous = step
    return None


def _upwards(
    distortion: Callable[[float], float],
    bound: Bound,
    step: float,
    value: float,
    factor: float,
) -> tuple[float, float, float]:
    """From a step that meets the bound, with the distortion there, up to the next that does not."""
    while step < _COARSEST:
        above = distortion(step * factor)
        if not bound.met_by(above):
            return step, step * factor, value
        step, value = step * factor, above
    return step, step, value


def _bracket(
    distortion: Callable[[float], float], bound: Bound, start: float
) -> tuple[float, float, float] | None:
    """The same, walking from start up or down."""
    step, value = start, distortion(start)
    if bound.met_by(value):
        return _upwards(distortion, bound, step, value, _NEAR)
    while step > start * _STEPS[0]:
        step /= _NEAR
        value = distortion(step)
        if bound.met_by(value):
            return step, step * _NEAR, value
    return None


def cross_fit(
    latents: Latents,
    bound: Bound,
    scale: metrics.Scale,
    rounding: Rounding = NEAREST,
    near: bool = False,
) -> list[float]:
    """Distortions on each half of the held-out samples with the step fitted on the other half:
    what new data like it will show. Empty where a half cannot meet the bound.
    """
    middle = latents.count // 2
    halves = (latents.part(slice(0, middle)), latents.part(slice(middle, None)))
    found: list[float] = []
    for fit_on, look_at in (halves, halves[::-1]) if middle else ():
        fitted = fit_step(fit_on, bound, scale, rounding, near)
        if fitted is None:
            return []
        x_hat = look_at.decoded(fitted[0], rounding)
        found.append(metrics.reached(bound, look_at.x, x_hat, scale))
    return found


def fit_rounding(
    entropy: Callable[[float, float], tuple[Selection, Tables]],
    validation: Latents,
    bound: Bound,
    scale: metrics.Scale,
    near: bool = False,
) -> tuple[float, float, float]:
    """The rounding that takes the fewest bits on validation samples at the bound, its step there,
    and those bits (estimated). 0.5, 1 and infinity where none meets the bound.

    entropy: (step, rounding) -> selection and tables, fitted to training latents.
    """
    best = (NEAREST, 1.0, float("inf"))
    for rounding in ROUNDINGS:
        fitted = fit_step(validation, bound, scale, rounding, near)
        if fitted is None:
            continue
        selection, tables = entropy(fitted[0], rounding)
        bits = estimated_bits(selection, tables, validation.coded(fitted[0], rounding))
        if bits >= best[2]:
            break
        best = (rounding, fitted[0], bits)
    return best


def fit_layout(
    layout: Layout, train: Latents, step: float, rounding: float
) -> tuple[Selection, Tables]:
    """Selection and tables for training latents at this step and rounding."""
    louder = None
    if layout.gains:
        louder = gained(layout, rows_of(train.y), step, rounding)
    symbols = train.coded(step, rounding)
    if len(symbols) > _MOST_ROWS:
        symbols = symbols[np.linspace(0, len(symbols) - 1, _MOST_ROWS).astype(np.int64)]
    return fit_classes(layout, symbols, louder)


def fit_tables(
    symbols: Array, validation: Array, prior: FactorizedPrior, step: float
) -> tuple[Selection, Tables]:
    """One table for each latent from training symbols (N, C) int32, smoothed by the learned prior.

    The weight of the prior is the one that codes the validation symbols (M, C) in the fewest bits.
    """
    index = np.arange(symbols.shape[1], dtype=np.uint16)
    candidates = [_tables(symbols, prior, step, weight) for weight in _PRIOR_WEIGHTS]
    bits = [cross_entropy_bits(validation.reshape(-1), index, t) for t in candidates]
    return Selection.plain(symbols.shape[1]), candidates[int(np.argmin(bits))]


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
