"""Sets a `linear` for series up: its step, and what of mixing and lattices pays on the data."""

from __future__ import annotations

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
# A lattice far finer than the quantiser's would be coded more exactly than anybody asked.
_FINEST_LATTICE = 0.25


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
        self.lattices: dict[int, Lattice] = {}
        for c in range(self.shape[1]):
            found = lattice(train[:, :, c].reshape(-1).astype(np.float64))
            if found is not None and found.step >= _FINEST_LATTICE * self.unit[c]:
                self.lattices[c] = found

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
        unit: Array = weight * step_for(variances, mse * variances.size)
        return unit

    def best(self) -> LinearSeries:
        config = LinearConfig(self.shape, (), klt=False)
        model, bits = self._try(config)
        # One change after the other, each kept where it pays; None: mix the channels.
        for channel in (None, *self.lattices):
            exact = config.exact if channel is None else tuple(sorted((*config.exact, channel)))
            klt = (channel is None or config.klt) and self.shape[1] - len(exact) > 1
            other = LinearConfig(self.shape, exact, klt)
            if other == config:
                continue
            tried, bits_then = self._try(other)
            if bits_then < bits * (_MIXING if channel is None else 1.0):
                config, model, bits = other, tried, bits_then
        return model

    def _try(self, config: LinearConfig) -> tuple[LinearSeries, float]:
        """The model of this config and the bits that the validation part takes at the bound."""
        model = LinearSeries(config)
        lattices = {c: (self.lattices[c].step, self.lattices[c].origin) for c in config.exact}
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
