"""Sets a `linear` for series up: its step, and what of mixing and lattices pays on the data."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np

from rdedge import metrics
from rdedge.codec.preprocess import fill_missing
from rdedge.coding.selection import LATENTS_MAX
from rdedge.data.survey import Lattice, lattice
from rdedge.errors import TrainingError
from rdedge.host.classes import estimated_bits
from rdedge.host.datasets import Parts
from rdedge.host.evaluate import latents_of
from rdedge.host.fit import fit_layout, fit_step
from rdedge.host.models.klt import dct, step_for
from rdedge.host.models.linear import LinearConfig, LinearSeries
from rdedge.types import Array, Bound

# What trials are made with; the rounding is fitted for the one that is chosen.
_ROUNDING = 0.42
# What hangs together in training may come apart: mixing has to save so much of the bits. (SKAB: 1 %
# saved on the anomaly-free file, 7 % lost where valves close; ETTh1: 28 % saved.)
_MIXING = 0.97
# What lives on a lattice does so after a shift too, without error whatever else changes: it may
# cost so much more on validation windows (SKAB's flow: 2 % more there, 8 % less later).
_ON_LATTICE = 1.03
# Of a lattice every second to fourth level alone may do, where so many times as many values are on
# those as chance would have it (a mean of three whole numbers need not be one later), and where the
# error takes at most so much of what all channels may have together.
_EVERY, _PREFERRED, _OF_ERROR = (2, 3, 4), 1.15, 0.5
# A lattice far finer than the quantiser's would be coded more exactly than anybody asked.
_FINEST_LATTICE = 0.25
# Levels that have moved cost most in the time domain, where no coefficient holds them: it has to
# save so much. (NAB's cpu load: 58 % saved. SKAB, bound on the largest error: 6 % saved on the
# anomaly-free file, and six times the bits once levels have moved.)
_IN_TIME = 0.8
# For the time domain: steps and origins looked at, by how many values. Around values that many are
# near to the error jumps with the step: other data should have room below the bound.
_STEPS_IN_TIME, _ORIGINS = np.geomspace(0.9, 2.0, 28), np.arange(-0.5, 0.5, 0.1)
_MOST_ROWS, _SAFE = 20_000, 0.95


def start_linear(parts: Parts, bound: Bound, scale: metrics.Scale) -> LinearSeries:
    """The `linear` that codes the validation part in the fewest bits at the bound.

    Raises TrainingError where the data does not vary, or windows are too large.
    """
    return _Trials(parts, bound, scale).best()


class _Trials:
    def __init__(self, parts: Parts, bound: Bound, scale: metrics.Scale) -> None:
        self.parts, self.bound, self.scale = parts, bound, scale
        (train,) = parts.train
        self.shape = parts.spec.shape
        rows, columns = self.shape
        # One latent more for a channel that stays on its lattice.
        if (rows + 1) * columns > LATENTS_MAX:
            raise TrainingError(
                f"windows of {rows} rows and {columns} columns",
                expected=f"at most {LATENTS_MAX // (rows + 1)} columns for so many rows",
                do="take a shorter --window, or some of the --columns",
            )
        self.x = fill_missing(train)[0]
        self.unit = self._unit()
        # Steps and origins for channels that may stay on a lattice.
        self.lattices: dict[int, list[tuple[float, float]]] = {}
        for c in range(self.shape[1]):
            values = train[:, :, c].reshape(-1).astype(np.float64)
            found = lattice(values)
            if found is not None and found.step >= _FINEST_LATTICE * self.unit[c]:
                most = _OF_ERROR * self.shape[1] * self.unit[c] ** 2 / 12.0
                self.lattices[c] = lattices_of(found, values[np.isfinite(values)], float(most))

    def _unit(self) -> Array:
        """Raw units of one quantiser step for each channel, (C,), by reverse water-filling."""
        relative = self.bound.metric == "nrmse"
        weight = np.asarray(self.scale.std) if relative else np.ones(self.shape[1])
        mse = metrics.mse_for(self.bound.metric, self.bound.value, self.scale)
        if relative:
            mse = self.bound.value**2
        z = (self.x - self.x.mean(axis=(0, 1), dtype=np.float64)) / weight
        variances = np.einsum("kt,ntc->nkc", dct(self.shape[0]), z).var(axis=0).reshape(-1)
        if not variances.max(initial=0.0) > 0.0:
            raise TrainingError(
                "all training windows are the same",
                expected="windows that differ",
                do="check the file: there is nothing to learn",
            )
        self.mse = mse * np.square(weight)
        unit: Array = weight * step_for(variances, mse * variances.size)
        return unit

    def best(self) -> LinearSeries:
        config = LinearConfig(self.shape, (), klt=False)
        model, least = self._try(config, {})
        # One change after the other, each kept where it pays.
        if self.shape[1] > 1:
            mixed = LinearConfig(self.shape, (), klt=True)
            tried, bits = self._try(mixed, {})
            if bits < least * _MIXING:
                config, model, least = mixed, tried, bits
        chosen: dict[int, tuple[float, float]] = {}
        for channel, lattices in self.lattices.items():
            exact = tuple(sorted((*config.exact, channel)))
            other = LinearConfig(self.shape, exact, config.klt and self.shape[1] - len(exact) > 1)
            trials = [self._try(other, chosen | {channel: one}) for one in lattices]
            best = int(np.argmin([bits for _, bits in trials]))
            tried, bits = trials[best]
            if bits < least * _ON_LATTICE:
                config, model, chosen = other, tried, chosen | {channel: lattices[best]}
                least = min(least, bits)
        if config.mixed:
            timed = replace(config, klt=False, timed=True)
            tried, bits = self._try(timed, chosen)
            if bits < least * _IN_TIME:
                model = tried
        return model

    @cached_property
    def _in_time(self) -> tuple[Array, Array]:
        """Units and origins (C,) for the time domain."""
        parts = []
        for x in (self.x, fill_missing(self.parts.validation[0])[0]):
            # Whole windows: every third row of what repeats itself would be some of its phases.
            some = x[:: -(-x.shape[0] * x.shape[1] // _MOST_ROWS)]
            parts.append(some.reshape(-1, self.shape[1]).astype(np.float64))
        found = [
            gathered([part[:, c] for part in parts], float(self.mse[c]))
            for c in range(self.shape[1])
        ]
        unit, origin = np.array(found).T
        return unit, origin

    def _try(
        self, config: LinearConfig, lattices: dict[int, tuple[float, float]]
    ) -> tuple[LinearSeries, float]:
        """The model of this config and the bits that the validation part takes at the bound."""
        model = LinearSeries(config)
        if config.timed:
            unit, origin = self._in_time
            model.start(self.x, unit, lattices, origin)
        else:
            model.start(self.x, self.unit, lattices)
        spec = self.parts.spec
        validation = latents_of(model, self.parts.validation, spec)
        fitted = fit_step(validation, self.bound, self.scale, _ROUNDING)
        if fitted is None:
            return model, float("inf")
        train = latents_of(model, self.parts.train, spec)
        assert model.layout is not None
        selection, tables = fit_layout(model.layout, train, fitted[0], _ROUNDING)
        return model, estimated_bits(selection, tables, validation.coded(fitted[0], _ROUNDING))


def lattices_of(found: Lattice, values: Array, most: float) -> list[tuple[float, float]]:
    """Steps and origins: of a lattice and of what coarser ones of its levels are preferred.

    values: (n,) finite, on it. most: the mean squared error that a coarser one may have on them.
    """
    steps = [(found.step, found.origin)]
    level = np.rint((values - found.origin) / found.step)
    for every in _EVERY:
        shares = np.bincount((level % every).astype(np.int64), minlength=every) / len(values)
        first = int(shares.argmax())
        step, origin = every * found.step, found.origin + first * found.step
        off = (values - origin) / step
        error = float(np.square(off - np.rint(off)).mean()) * step**2
        if shares[first] * every >= _PREFERRED and error <= most:
            steps.append((step, origin))
    return steps


def gathered(parts: list[Array], mse: float) -> tuple[float, float]:
    """A step and an origin for values that may gather around some: of those that err by less than
    mse on each part, (n,) values, what takes the fewest bits, symbol by symbol.
    """
    middle, usual = float(np.median(parts[0])), float(np.sqrt(12.0 * mse))
    best = (np.inf, usual, middle)
    for step in usual * _STEPS_IN_TIME:
        for origin in middle + step * _ORIGINS:
            off = [(values - origin) / step for values in parts]
            symbols = [np.rint(some) for some in off]
            errors = [np.square(o - s).mean() for o, s in zip(off, symbols, strict=True)]
            if max(errors) * step**2 > _SAFE * mse:
                continue
            counts = np.unique(np.concatenate(symbols), return_counts=True)[1]
            bits = float(-(counts / counts.sum()) @ np.log2(counts / counts.sum()))
            if bits < best[0]:
                best = (bits, float(step), float(origin))
    return best[1], best[2]
